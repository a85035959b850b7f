//! Numbers as people read them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lakepilot_query::to_rfc3339;
use unicode_width::UnicodeWidthStr;

/// How much further in the continuation of a line begins.
const HANGING: usize = 4;

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 row`, `2 rows`.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// Bytes in the decimal units of disks: `12.3 MB`.
pub(crate) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A length of time: `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 03 min`.
pub(crate) fn duration(value: Duration) -> String {
    let seconds = value.as_secs_f64();
    if seconds < 10.0 {
        return format!("{seconds:.2} s");
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = value.as_secs();
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole / 60 % 60)
    }
}

/// A length of time as a clock shows it: `0:05`, `1:02:03`, and `12 days` when hours tell nothing any more.
pub(crate) fn clock(value: Duration) -> String {
    const HOURS_BEFORE_DAYS: u64 = 100;
    let seconds = value.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours >= HOURS_BEFORE_DAYS {
        format!("{} days", short_count(hours / 24))
    } else if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A count in few columns: `9,999`, `123k`, `1.23M`.
pub(crate) fn short_count(value: u64) -> String {
    if value < 10_000 {
        return count(value);
    }
    const UNITS: [&str; 5] = ["k", "M", "bn", "tn", "qn"];
    let mut scaled = value as f64 / 1000.0;
    let mut unit = 0;
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let digits = match scaled {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{}", UNITS[unit])
}

/// Text whose lines are broken between words to fit a width; what goes on is indented. A word that is too long by itself
/// stays whole, for the terminal to break.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    lines(text, width, HANGING)
}

/// Text whose lines are broken between words to fit a width, as paragraphs: what goes on is not indented further.
pub(crate) fn fill(text: &str, width: usize) -> String {
    lines(text, width, 0)
}

fn lines(text: &str, width: usize, hanging: usize) -> String {
    text.split('\n')
        .map(|line| wrap_line(line, width, hanging))
        .collect::<Vec<_>>()
        .join("\n")
}

fn wrap_line(line: &str, width: usize, hanging: usize) -> String {
    if visible_width(line) <= width {
        return line.to_owned();
    }
    let start = line.len() - line.trim_start_matches(' ').len();
    let indent = " ".repeat(start + hanging);
    let mut wrapped = line[..start].to_owned();
    let mut used = start;
    for (index, word) in line[start..].split(' ').enumerate() {
        let word_width = visible_width(word);
        if index > 0 {
            if used + 1 + word_width > width {
                wrapped.truncate(wrapped.trim_end_matches(' ').len());
                wrapped.push('\n');
                wrapped.push_str(&indent);
                used = indent.len();
            } else {
                wrapped.push(' ');
                used += 1;
            }
        }
        wrapped.push_str(word);
        used += word_width;
    }
    wrapped
}

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The columns that a text takes, without the escape sequences that colour it.
fn visible_width(text: &str) -> usize {
    let mut width = 0;
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        width += rest[..at].width();
        rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
    }
    width + rest.width()
}

/// Two times as a range; nothing when there are none.
pub(crate) fn range(range: Option<(DateTime<Utc>, DateTime<Utc>)>) -> String {
    range.map_or_else(String::new, |(begin, end)| {
        format!("{} to {}", to_rfc3339(begin), to_rfc3339(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), text);
        }
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }

    #[test]
    fn short_counts_have_three_digits() {
        for (value, text) in [
            (0, "0"),
            (9_999, "9,999"),
            (10_000, "10.0k"),
            (123_456, "123k"),
            (999_499, "999k"),
            (999_500, "1.00M"),
            (9_996_000, "10.0M"),
            (12_345_678, "12.3M"),
            (4_000_000_000, "4.00bn"),
        ] {
            assert_eq!(short_count(value), text);
        }
        assert_eq!(short_count(u64::MAX), "18447qn");
    }

    #[test]
    fn clocks_grow_with_their_time() {
        for (seconds, text) in [
            (0, "0:00"),
            (65, "1:05"),
            (3_723, "1:02:03"),
            (360_000, "4 days"),
            (10_000_000_000, "116k days"),
        ] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn bytes_change_their_unit_before_they_are_rounded_to_a_thousand() {
        for (value, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (999_960.0, "1.0 MB"),
            (1_500.0, "1.5 kB"),
            (2e12, "2.0 TB"),
        ] {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn lines_break_between_words_and_go_on_indented() {
        let text = "\u{1b}[1;31merror:\u{1b}[0m cannot reach the server\n  caused by: connection refused by the peer";
        assert_eq!(wrap(text, None), text);
        assert_eq!(
            wrap(text, Some(24)),
            "\u{1b}[1;31merror:\u{1b}[0m cannot reach the\n    server\n  caused by: connection\n      refused by the\n      peer"
        );
        assert_eq!(fill("one two three\n  four five", 9), "one two\nthree\n  four\n  five");
        assert_eq!(
            wrap("a-word-that-is-too-long b", Some(10)),
            "a-word-that-is-too-long\n    b"
        );
    }

    proptest! {
        #[test]
        fn wrapping_keeps_every_word(text in "[a-zé名 \n]{0,120}", width in 8usize..60) {
            let wrapped = wrap(&text, Some(width));
            prop_assert_eq!(
                wrapped.split_whitespace().collect::<Vec<_>>(),
                text.split_whitespace().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn durations_keep_what_matters() {
        for (millis, text) in [
            (423, "0.42 s"),
            (12_340, "12.3 s"),
            (185_000, "3 min 05 s"),
            (7_380_000, "2 h 03 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
