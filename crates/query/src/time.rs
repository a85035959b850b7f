//! Time ranges as they travel on the wire, and the times that people type.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::{Error, ErrorKind, Result};

/// A range of time that includes **both** of its ends, as the service filters it (`time BETWEEN begin AND end`).
///
/// Times have nanosecond resolution and lie within what a 64-bit count of nanoseconds holds (the years 1677 to 2262).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    begin: i64,
    end: i64,
}

impl TimeRange {
    /// The range from `begin` to `end`, both included.
    ///
    /// # Errors
    /// `InvalidInput` when `begin` is after `end`, or when a time is outside the years 1677 to 2262.
    pub fn new(begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<Self> {
        let (begin_nanos, end_nanos) = (nanos(begin)?, nanos(end)?);
        if begin_nanos > end_nanos {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the time range begins ({}) after it ends ({}); swap them or correct one",
                    to_rfc3339(begin),
                    to_rfc3339(end)
                ),
            ));
        }
        Ok(Self {
            begin: begin_nanos,
            end: end_nanos,
        })
    }

    /// The first instant of the range.
    pub fn begin(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.begin)
    }

    /// The last instant of the range, which belongs to it.
    pub fn end(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.end)
    }

    /// The first instant as nanoseconds since the Unix epoch.
    pub fn begin_nanos(&self) -> i64 {
        self.begin
    }

    /// The last instant as nanoseconds since the Unix epoch.
    pub fn end_nanos(&self) -> i64 {
        self.end
    }

    /// Whether the instant lies in the range, ends included.
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        time >= self.begin() && time <= self.end()
    }

    /// The time from the first instant to the last; zero for a range of one instant.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.abs_diff(self.begin))
    }

    /// Cuts the range into at most `parts` slices of about the same length, in order.
    ///
    /// Every instant of the range (to the nanosecond) lies in exactly one slice: a slice begins one nanosecond after the
    /// one before it ends, because both ends of a range are included on the wire. There are fewer slices than asked for
    /// when the range has fewer instants; `parts` of zero counts as one.
    pub fn split(&self, parts: usize) -> Vec<TimeRange> {
        let instants = self.instants();
        let parts = (parts.max(1) as u128).min(instants);
        (0..parts)
            .map(|part| TimeRange {
                begin: self.at(instants * part / parts),
                end: self.at(instants * (part + 1) / parts - 1),
            })
            .collect()
    }

    /// Cuts the range into slices of the given length, in order; the last may be shorter. No instant is in two slices,
    /// and none is missing.
    ///
    /// # Errors
    /// `InvalidInput` when `length` is zero, or when it would give more than a million slices.
    pub fn split_every(&self, length: Duration) -> Result<Vec<TimeRange>> {
        const MOST_SLICES: u128 = 1_000_000;
        let length = length.as_nanos();
        if length == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a slice cannot have a length of zero",
            ));
        }
        let instants = self.instants();
        let slices = instants.div_ceil(length);
        if slices > MOST_SLICES {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{slices} slices are too many (the most is {MOST_SLICES}); choose longer ones"),
            ));
        }
        Ok((0..slices)
            .map(|slice| TimeRange {
                begin: self.at(slice * length),
                end: self.at(((slice + 1) * length).min(instants) - 1),
            })
            .collect())
    }

    fn instants(&self) -> u128 {
        u128::from(self.end.abs_diff(self.begin)) + 1
    }

    /// The instant `offset` nanoseconds after the first. Callers keep `offset` below `instants()`, so the sum fits.
    fn at(&self, offset: u128) -> i64 {
        (i128::from(self.begin) + offset as i128) as i64
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", to_rfc3339(self.begin()), to_rfc3339(self.end()))
    }
}

fn nanos(time: DateTime<Utc>) -> Result<i64> {
    time.timestamp_nanos_opt().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the time {time} is outside the years 1677 to 2262 that a timestamp in nanoseconds can hold"),
        )
    })
}

/// A time as it is written on the wire and shown to people: RFC 3339 in UTC, with as many digits of the second as it
/// needs to be exact.
pub fn to_rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads a time that a person typed: RFC 3339 with a zone (`2026-01-31T12:00:00Z`), an age (`30s`, `15m`, `6h`, `7d`,
/// `2w`: that long before `now`), or `now`.
///
/// # Errors
/// `InvalidInput` with the accepted spellings; a date, or a time without a zone, is told what it lacks.
pub fn parse_time(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(trimmed) {
        return Ok(time.with_timezone(&Utc));
    }
    if let Some(age) = parse_age(trimmed) {
        return age
            .and_then(|age| now.checked_sub_signed(age))
            .ok_or_else(|| invalid_time(text, "that is longer ago than a time can be"));
    }
    let hint = if is_date(trimmed) {
        "a date alone is ambiguous: add the time and the zone, such as T00:00:00Z"
    } else if DateTime::parse_from_rfc3339(&format!("{trimmed}Z")).is_ok() {
        "the zone is missing: add Z for UTC, or an offset such as +02:00"
    } else {
        "use RFC 3339 (2026-01-31T12:00:00Z), an age (30s, 15m, 6h, 7d, 2w) or now"
    };
    Err(invalid_time(text, hint))
}

/// Reads a length of time as [`parse_time`] reads an age: `30s`, `15m`, `6h`, `7d`, `2w`.
///
/// # Errors
/// `InvalidInput` with the accepted spellings.
pub fn parse_duration(text: &str) -> Result<Duration> {
    parse_age(text.trim())
        .flatten()
        .and_then(|age| age.to_std().ok())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "'{text}' is not a length of time: write a whole number and s, m, h, d or w, such as 30s or 7d"
                ),
            )
        })
}

fn invalid_time(text: &str, hint: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("'{text}' is not a time: {hint}"))
}

/// `None` when the text is not of the form of an age; `Some(None)` when it is, and too long to count.
fn parse_age(text: &str) -> Option<Option<TimeDelta>> {
    let unit = text.chars().last()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        digits
            .parse::<i64>()
            .ok()
            .and_then(|count| count.checked_mul(seconds))
            .and_then(TimeDelta::try_seconds),
    )
}

fn is_date(text: &str) -> bool {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// Where "now" comes from, wherever it decides something; tests put a fixed one in its place.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that always tells the same time.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub DateTime<Utc>);

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    fn check_tiling(range: TimeRange, slices: &[TimeRange]) {
        assert_eq!(slices.first().unwrap().begin_nanos(), range.begin_nanos());
        assert_eq!(slices.last().unwrap().end_nanos(), range.end_nanos());
        for slice in slices {
            assert!(slice.begin_nanos() <= slice.end_nanos(), "{slice}");
        }
        for pair in slices.windows(2) {
            assert_eq!(pair[1].begin_nanos(), pair[0].end_nanos() + 1);
        }
    }

    proptest! {
        #[test]
        fn split_touches_no_instant_twice_and_misses_none(a: i64, b: i64, parts in 0usize..300) {
            let range = TimeRange { begin: a.min(b), end: a.max(b) };
            let slices = range.split(parts);
            check_tiling(range, &slices);
            prop_assert!(slices.len() <= parts.max(1));
        }

        #[test]
        fn short_ranges_split_into_single_instants(a in any::<i64>().prop_map(|a| a / 2), length in 0i64..20, parts in 1usize..40) {
            let range = TimeRange { begin: a, end: a + length };
            let slices = range.split(parts);
            check_tiling(range, &slices);
            prop_assert_eq!(slices.len(), parts.min(length as usize + 1));
        }

        #[test]
        fn split_every_tiles_too(a in -1_000_000_000i64..1_000_000_000, span in 0i64..10_000_000, length in 50u64..1_000_000) {
            let range = TimeRange { begin: a, end: a + span };
            let slices = range.split_every(Duration::from_nanos(length)).unwrap();
            check_tiling(range, &slices);
            prop_assert!(slices.iter().all(|slice| slice.duration() < Duration::from_nanos(length)));
        }

        #[test]
        fn a_time_survives_its_text(nanos: i64) {
            let time = DateTime::from_timestamp_nanos(nanos);
            prop_assert_eq!(parse_time(&to_rfc3339(time), Utc::now()).unwrap(), time);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_time(&text, Utc::now());
            let _ = parse_duration(&text);
        }
    }

    #[test]
    fn the_whole_of_time_splits() {
        let range = TimeRange {
            begin: i64::MIN,
            end: i64::MAX,
        };
        check_tiling(range, &range.split(7));
        assert!(range.split_every(Duration::from_secs(1)).is_err());
        assert!(range.split_every(Duration::ZERO).is_err());
    }

    #[test]
    fn begin_after_end_is_refused() {
        let error = TimeRange::new(time("2026-01-02T00:00:00Z"), time("2026-01-01T00:00:00Z")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("2026-01-02T00:00:00Z"), "{error}");
    }

    #[test]
    fn times_that_people_type() {
        let now = time("2026-03-01T12:00:00Z");
        for (text, expected) in [
            ("now", "2026-03-01T12:00:00Z"),
            (" 30s ", "2026-03-01T11:59:30Z"),
            ("15m", "2026-03-01T11:45:00Z"),
            ("6h", "2026-03-01T06:00:00Z"),
            ("7d", "2026-02-22T12:00:00Z"),
            ("2w", "2026-02-15T12:00:00Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
            ("2026-01-31 12:00:00.000000001Z", "2026-01-31T12:00:00.000000001Z"),
        ] {
            assert_eq!(parse_time(text, now).unwrap(), time(expected), "{text}");
        }
    }

    #[test]
    fn bad_times_say_what_is_missing() {
        for (text, says) in [
            ("2026-01-31", "a date alone"),
            ("2026-01-31T12:00:00", "the zone is missing"),
            ("yesterday", "RFC 3339"),
            ("", "RFC 3339"),
            ("-5m", "RFC 3339"),
            ("99999999999999999999w", "longer ago"),
            ("9999999999w", "longer ago"),
        ] {
            let error = parse_time(text, Utc::now()).unwrap_err();
            assert!(error.message().contains(says), "{text}: {error}");
        }
    }
}
