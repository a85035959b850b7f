//! Bare bytes over TCP: what a socket can do with no protocol on it.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::answers::Answers;

/// Whoever connects says how many bytes it wants, as eight bytes, the lowest first.
pub(crate) async fn serve(listener: TcpListener, answers: Arc<Answers>) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // The client may go whenever it likes.
            let _ = send(socket, &answers).await;
        });
    }
}

async fn send(mut socket: TcpStream, answers: &Answers) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut wanted = socket.read_u64_le().await?;
    let chunks = answers.bytes();
    for chunk in chunks.iter().cycle() {
        let length = wanted.min(chunk.len() as u64);
        socket.write_all(&chunk[..length as usize]).await?;
        wanted -= length;
        if wanted == 0 {
            break;
        }
    }
    socket.shutdown().await
}
