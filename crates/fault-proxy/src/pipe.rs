//! One direction of one connection.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::proxy::Journal;
use crate::queue::Queue;
use crate::schedule::{Action, Direction, Fault};

/// What is read at one time.
const CHUNK_BYTES: usize = 256 * 1024;

/// How a direction came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The sender has no more, and the receiver was told.
    Finished,
    /// A fault: both sides get an orderly end.
    Truncated,
    /// A fault, or one side broke the connection: so does the proxy with the other.
    Broken,
}

/// Passes bytes on until one side has no more, or a fault ends it. `faults` are those of this direction, by place.
pub(crate) async fn pass(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    delay: Duration,
    faults: Vec<Fault>,
    journal: &Journal,
    direction: Direction,
) -> End {
    let queue = Queue::new(delay);
    let mut writer = Writer {
        to,
        faults: faults.into(),
        position: 0,
        corrupting: (0, 0),
        journal,
        direction,
    };
    let reading = read(from, &queue);
    let writing = writer.write(&queue);
    tokio::pin!(reading, writing);
    tokio::select! {
        biased;
        end = writing => end,
        // Only a connection that breaks ends it from this side: what is under way of it is lost.
        () = reading => End::Broken,
    }
}

/// Reads until the sender has no more, and then waits to be dropped; returns when the connection breaks.
async fn read(mut from: ReadHalf<'_>, queue: &Queue) {
    loop {
        queue.room().await;
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES);
        match from.read_buf(&mut buffer).await {
            Ok(0) => {
                queue.end();
                return std::future::pending().await;
            }
            Ok(_) => queue.push(buffer.freeze()),
            Err(_) => return,
        }
    }
}

struct Writer<'a> {
    to: WriteHalf<'a>,
    faults: VecDeque<Fault>,
    /// How many bytes have passed.
    position: u64,
    /// How many bytes are still to be changed, and by what.
    corrupting: (u64, u8),
    journal: &'a Journal,
    direction: Direction,
}

impl Writer<'_> {
    async fn write(&mut self, queue: &Queue) -> End {
        if let Some(end) = self.fire().await {
            return end;
        }
        while let Some(chunk) = queue.next().await {
            match self.write_chunk(chunk).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(_) => return End::Broken,
            }
        }
        match self.to.shutdown().await {
            Ok(()) => End::Finished,
            Err(_) => End::Broken,
        }
    }

    async fn write_chunk(&mut self, mut chunk: Bytes) -> io::Result<Option<End>> {
        while !chunk.is_empty() {
            let piece = chunk.split_to(self.length_of_piece(chunk.len()));
            let length = piece.len() as u64;
            if self.corrupting.0 > 0 {
                let changed: Vec<u8> = piece.iter().map(|byte| byte ^ self.corrupting.1).collect();
                self.to.write_all(&changed).await?;
                self.corrupting.0 -= length;
            } else {
                self.to.write_all(&piece).await?;
            }
            self.position += length;
            self.journal.passed(self.direction, length);
            if let Some(end) = self.fire().await {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// How much of a chunk passes before something changes.
    fn length_of_piece(&self, chunk: usize) -> usize {
        let to_fault = self
            .faults
            .front()
            .map_or(u64::MAX, |fault| fault.at_byte - self.position);
        let corrupted = match self.corrupting.0 {
            0 => u64::MAX,
            bytes => bytes,
        };
        usize::try_from(to_fault.min(corrupted)).map_or(chunk, |length| length.min(chunk))
    }

    /// Lets happen what is due at this place.
    async fn fire(&mut self) -> Option<End> {
        while let Some(fault) = self.faults.pop_front_if(|fault| fault.at_byte <= self.position) {
            self.journal.fired(fault);
            match fault.action {
                Action::Delay(length) => tokio::time::sleep(length).await,
                Action::Stall => std::future::pending().await,
                Action::Reset => return Some(End::Broken),
                Action::Truncate => return Some(End::Truncated),
                Action::Corrupt { bytes, mask } => self.corrupting = (u64::from(bytes), mask),
            }
        }
        None
    }
}
