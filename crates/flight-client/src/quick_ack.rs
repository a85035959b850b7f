//! A TCP stream that acknowledges at once what it has read.
//!
//! Servers that accept sockets without TCP_NODELAY, the Micromegas service among them, hold a small answer back until the
//! one before it is acknowledged; and Linux delays that acknowledgement by up to 40 ms. TCP_QUICKACK ends the wait, but
//! the kernel forgets it after a while, so that it is set again after every read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct QuickAckStream {
    stream: TcpStream,
}

impl QuickAckStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let stream = Self { stream };
        stream.acknowledge_at_once();
        stream
    }

    /// Best effort: without it everything works, only later.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn acknowledge_at_once(&self) {
        if let Err(error) = socket2::SockRef::from(&self.stream).set_tcp_quickack(true) {
            tracing::trace!(%error, "TCP_QUICKACK cannot be set");
        }
    }

    /// Elsewhere there is no such option.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn acknowledge_at_once(&self) {}
}

impl AsyncRead for QuickAckStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.acknowledge_at_once();
        }
        result
    }
}

impl AsyncWrite for QuickAckStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_option_is_set_again_after_every_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let mut stream = QuickAckStream::new(ours);
        for byte in 0..3 {
            SockRef::from(&stream.stream).set_tcp_quickack(false).unwrap();
            assert!(!SockRef::from(&stream.stream).tcp_quickack().unwrap());
            theirs.write_u8(byte).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), byte);
            assert!(SockRef::from(&stream.stream).tcp_quickack().unwrap());
        }
    }
}
