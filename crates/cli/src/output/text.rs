//! Numbers as people read them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lakepilot_query::to_rfc3339;

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

/// Two times as a range; nothing when there are none.
pub(crate) fn range(range: Option<(DateTime<Utc>, DateTime<Utc>)>) -> String {
    range.map_or_else(String::new, |(begin, end)| {
        format!("{} to {}", to_rfc3339(begin), to_rfc3339(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), text);
        }
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
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
