//! Messages of 10 to 2,000 characters.

use rand::Rng;
use rand::rngs::SmallRng;

const WORDS: &[&str] = &[
    "request", "session", "player", "cache", "shard", "retry", "timeout", "latency", "queue", "worker", "batch", "commit",
    "partition", "segment", "replica", "leader", "token", "expired", "refreshed", "connection", "closed", "opened", "peer",
    "stream", "payload", "decoded", "checksum", "mismatch", "asset", "texture", "compiled", "shader", "matched", "lobby",
    "region", "failover", "throttled", "accepted", "rejected", "scheduled", "completed", "after", "before", "with", "from",
    "into", "while", "because", "backend", "upstream", "responded", "slowly", "within", "budget", "exceeded", "flushed",
];
const OPENINGS: &[&str] = &[
    "handled request", "opened connection", "cache miss", "flushed batch", "slow query", "retrying call", "matched players",
    "rejected login", "compiled asset", "lost heartbeat",
];
/// Enough words that the same filler is seldom seen twice.
const POOL_CHARACTERS: usize = 1 << 16;
const LEAST_CHARACTERS: usize = 10;
const MOST_CHARACTERS: usize = 2_000;

/// Makes messages that are different from each other, at the cost of a copy.
pub(crate) struct Messages {
    pool: String,
}

impl Messages {
    pub(crate) fn new(random: &mut SmallRng) -> Self {
        let mut pool = String::with_capacity(POOL_CHARACTERS + 32);
        while pool.len() < POOL_CHARACTERS {
            pool.push_str(WORDS[random.random_range(0..WORDS.len())]);
            pool.push(' ');
        }
        Self { pool }
    }

    /// Writes the next message into an emptied buffer.
    pub(crate) fn next(&self, message: &mut String, random: &mut SmallRng) {
        message.clear();
        let length = length(random);
        message.push_str(OPENINGS[random.random_range(0..OPENINGS.len())]);
        message.push_str(" id=");
        push_number(message, random.random_range(0..10_000_000_u32));
        message.push(' ');
        if message.len() < length {
            // The pool is ASCII, so every cut is between characters.
            let filler = length - message.len();
            let from = random.random_range(0..self.pool.len() - filler);
            message.push_str(&self.pool[from..from + filler]);
        }
        let end = message.trim_end().len();
        message.truncate(end.min(length).max(LEAST_CHARACTERS));
    }
}

/// Most messages are a line; some are a word or two, and a few are dumps.
fn length(random: &mut SmallRng) -> usize {
    match random.random_range(0..100) {
        0..10 => random.random_range(LEAST_CHARACTERS..40),
        10..97 => random.random_range(40..200),
        _ => random.random_range(200..=MOST_CHARACTERS),
    }
}

fn push_number(text: &mut String, mut number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().copied().map(char::from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn messages_have_10_to_2000_characters() {
        let mut random = SmallRng::seed_from_u64(1);
        let messages = Messages::new(&mut random);
        let mut message = String::new();
        let mut lengths = Vec::new();
        for _ in 0..20_000 {
            messages.next(&mut message, &mut random);
            lengths.push(message.len());
        }
        lengths.sort_unstable();
        assert!(lengths[0] >= LEAST_CHARACTERS && lengths[lengths.len() - 1] <= MOST_CHARACTERS);
        assert!((60..180).contains(&lengths[lengths.len() / 2]), "median {}", lengths[lengths.len() / 2]);
        assert!(lengths[lengths.len() - 1] > 1_500);
    }
}
