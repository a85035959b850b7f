//! Buffers for messages, used again when the batches in them are gone.
//!
//! Memory that is new to a process is handed out by the kernel page by page, each one cleared, at the first touch; for a
//! large result that costs about as much as copying it. A few buffers going round cost it once.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

/// What Arrow aligns its own buffers to, and so the columns of a message within its body.
const ALIGNMENT: usize = 64;

/// Buffers that lie idle. A consumer that holds more batches than this at a time gets new memory for them.
const MOST_IDLE: usize = 4;

/// An idle buffer is given back if it is larger: one giant message is not to be paid for until the end of the stream.
const LARGEST_IDLE_BYTES: usize = 8 * 1024 * 1024;

/// The buffers of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct BufferPool {
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer that is being filled.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    memory: Memory,
    /// Where the message begins.
    start: usize,
}

/// Goes back to its pool when nothing points into it any more.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    home: Weak<Mutex<Vec<Vec<u8>>>>,
}

impl BufferPool {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `length` bytes, of which the one at `aligned` is to lie on a boundary.
    pub(crate) fn take(&self, length: usize, aligned: usize) -> PooledBuffer {
        let mut bytes = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default();
        bytes.clear();
        bytes.reserve_exact(length + ALIGNMENT);
        let beyond = (bytes.as_ptr() as usize + aligned) % ALIGNMENT;
        let start = (ALIGNMENT - beyond) % ALIGNMENT;
        bytes.resize(start, 0);
        PooledBuffer {
            memory: Memory {
                bytes,
                home: Arc::downgrade(&self.idle),
            },
            start,
        }
    }
}

impl PooledBuffer {
    pub(crate) fn len(&self) -> usize {
        self.memory.bytes.len() - self.start
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.memory.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.memory).slice(self.start..)
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.bytes.capacity() > LARGEST_IDLE_BYTES {
            return;
        }
        if let Some(home) = self.home.upgrade() {
            let mut idle = home.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MOST_IDLE {
                idle.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pool: &BufferPool, length: usize, aligned: usize) -> Bytes {
        let mut buffer = pool.take(length, aligned);
        assert_eq!(buffer.len(), 0);
        let bytes: Vec<u8> = (0..length).map(|number| number as u8).collect();
        let (first, second) = bytes.split_at(length / 2);
        buffer.extend(first);
        buffer.extend(second);
        assert_eq!(buffer.len(), length);
        let filled = buffer.into_bytes();
        assert_eq!(filled, bytes);
        filled
    }

    #[test]
    fn the_byte_that_was_named_lies_on_a_boundary() {
        let pool = BufferPool::new();
        for aligned in [0, 1, 63, 64, 65, 700] {
            for length in [aligned + 1, 5_000, 100_000] {
                let bytes = filled(&pool, length, aligned);
                assert_eq!(
                    (bytes.as_ptr() as usize + aligned) % ALIGNMENT,
                    0,
                    "{aligned} of {length}"
                );
            }
        }
    }

    #[test]
    fn memory_is_used_again_when_nothing_points_into_it() {
        let pool = BufferPool::new();
        let first = filled(&pool, 10_000, 0);
        let part = first.slice(5_000..5_010);
        let place = first.as_ptr();
        drop(first);
        // A column of it is still held.
        let second = filled(&pool, 10_000, 0);
        assert_ne!(second.as_ptr(), place);
        assert_eq!(part[0], 5_000_u32 as u8);
        drop(part);
        assert_eq!(filled(&pool, 10_000, 0).as_ptr(), place);
    }

    #[test]
    fn only_a_few_buffers_of_common_size_are_kept() {
        let pool = BufferPool::new();
        let many: Vec<Bytes> = (0..MOST_IDLE + 3).map(|_| filled(&pool, 100, 0)).collect();
        drop(many);
        assert_eq!(pool.idle.lock().unwrap().len(), MOST_IDLE);
        let pool = BufferPool::new();
        drop(filled(&pool, LARGEST_IDLE_BYTES + 1, 0));
        assert!(pool.idle.lock().unwrap().is_empty());
    }

    #[test]
    fn a_batch_may_outlive_its_stream() {
        let pool = BufferPool::new();
        let bytes = filled(&pool, 10, 0);
        drop(pool);
        assert_eq!(bytes[9], 9);
    }
}
