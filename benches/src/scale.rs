//! How much a benchmark works on.

/// So many rows when it measures; a hundredth, and one at the least, when it is only run to see that it runs: cargo starts
/// a benchmark with `--bench` to measure, and without it to test.
pub fn scaled(rows: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") {
        rows
    } else {
        (rows / 100).max(1)
    }
}
