//! The bytes of rows that a run holds, wherever they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes all parts of a run hold, and have held at most.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Memory {
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }
}

/// What one part of a run holds; nothing any more when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Held {
    pub(crate) fn nothing(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            bytes: 0,
        }
    }

    /// It holds so many bytes now.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.memory.add(bytes - self.bytes);
        } else {
            self.memory.now.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_of_what_was_held_at_the_same_time() {
        let memory = Arc::new(Memory::default());
        let mut one = Held::nothing(&memory);
        let mut other = Held::nothing(&memory);
        one.set(10);
        other.set(5);
        one.set(1);
        other.set(11);
        assert_eq!(memory.most(), 15);
        drop(one);
        other.set(14);
        assert_eq!(memory.most(), 15);
        other.set(16);
        assert_eq!(memory.most(), 16);
    }
}
