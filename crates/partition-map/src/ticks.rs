//! Where an axis of time has its marks, and what stands at them.

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Timelike, Utc};

use crate::bar::Span;

/// A mark on the axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Steps of equal length in milliseconds, then those of the calendar in months.
const STEPS: &[i64] = &[
    1,
    10,
    100,
    SECOND,
    5 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];
const MONTH_STEPS: &[u32] = &[1, 3, 6, 12, 24, 60, 120, 600, 1_200, 6_000, 12_000, 60_000, 600_000];

/// About the most ticks that fit: no more than `most`, at round times of UTC.
pub(crate) fn ticks(span: Span, most: usize) -> Vec<Tick> {
    let least = span.length() / most.max(1) as f64;
    match STEPS.iter().find(|step| **step as f64 >= least) {
        Some(step) => even_ticks(span, *step),
        None => {
            let months = MONTH_STEPS
                .iter()
                .find(|months| f64::from(**months) * 28.0 * DAY as f64 >= least)
                .or(MONTH_STEPS.last());
            months.map_or_else(Vec::new, |months| calendar_ticks(span, *months))
        }
    }
}

fn even_ticks(span: Span, step: i64) -> Vec<Tick> {
    // Weeks begin on Mondays, and 1970 began on a Thursday.
    let shift = if step % (7 * DAY) == 0 { 4 * DAY } else { 0 };
    let first = ((span.begin - shift as f64) / step as f64).ceil() as i64;
    let last = ((span.end - shift as f64) / step as f64).floor() as i64;
    (first..=last)
        .filter_map(|index| {
            let at = index.checked_mul(step)?.checked_add(shift)?;
            let time = DateTime::<Utc>::from_timestamp_millis(at)?;
            Some(Tick {
                at: at as f64,
                label: label(time, step),
            })
        })
        .collect()
}

fn label(time: DateTime<Utc>, step: i64) -> String {
    let format = if step >= DAY {
        "%Y-%m-%d"
    } else if time.num_seconds_from_midnight() == 0 && time.nanosecond() == 0 {
        "%m-%d"
    } else if step >= MINUTE {
        "%H:%M"
    } else if step >= SECOND {
        "%H:%M:%S"
    } else {
        "%M:%S%.3f"
    };
    time.format(format).to_string()
}

fn calendar_ticks(span: Span, months: u32) -> Vec<Tick> {
    let Some(begin) = DateTime::<Utc>::from_timestamp_millis(span.begin as i64) else {
        return Vec::new();
    };
    let since = begin.year() * 12 + begin.month0() as i32;
    let rounded = since.div_euclid(months as i32) * months as i32;
    let mut day = NaiveDate::from_ymd_opt(rounded.div_euclid(12), rounded.rem_euclid(12) as u32 + 1, 1);
    let mut ticks = Vec::new();
    while let Some(date) = day {
        let at = date.signed_duration_since(NaiveDate::default()).num_milliseconds() as f64;
        if at > span.end {
            break;
        }
        if at >= span.begin {
            let format = if months >= 12 { "%Y" } else { "%Y-%m" };
            ticks.push(Tick {
                at,
                label: date.format(format).to_string(),
            });
        }
        day = date.checked_add_months(Months::new(months));
    }
    ticks
}

/// A span that is drawn: one of no length gets some, and both ends some room.
pub(crate) fn with_margin(span: Span) -> Span {
    let margin = if span.length() > 0.0 {
        span.length() * 0.01
    } else {
        TimeDelta::minutes(1).num_milliseconds() as f64
    };
    Span {
        begin: span.begin - margin,
        end: span.end + margin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::millis;

    fn labels(begin: &str, end: &str, most: usize) -> Vec<String> {
        let span = Span {
            begin: millis(begin.parse().unwrap()),
            end: millis(end.parse().unwrap()),
        };
        ticks(span, most).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            labels("2026-02-27T21:10:00Z", "2026-02-28T04:00:00Z", 8),
            ["22:00", "23:00", "02-28", "01:00", "02:00", "03:00", "04:00"]
        );
        assert_eq!(
            labels("2026-02-27T21:10:00Z", "2026-03-03T04:00:00Z", 6),
            ["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03"]
        );
        assert_eq!(
            labels("2026-02-03T00:00:00Z", "2026-03-03T04:00:00Z", 5),
            ["2026-02-09", "2026-02-16", "2026-02-23", "2026-03-02"]
        );
        assert_eq!(
            labels("2025-11-03T00:00:00Z", "2026-12-03T04:00:00Z", 6),
            ["2026-01", "2026-04", "2026-07", "2026-10"]
        );
        assert_eq!(
            labels("1990-11-03T00:00:00Z", "2026-12-03T04:00:00Z", 6),
            ["2000", "2010", "2020"]
        );
        assert_eq!(
            labels("2026-01-01T00:00:59.980Z", "2026-01-01T00:01:00.020Z", 5),
            ["00:59.980", "00:59.990", "01:00.000", "01:00.010", "01:00.020"]
        );
    }

    #[test]
    fn every_span_has_few_ticks() {
        let least = millis(DateTime::<Utc>::MIN_UTC);
        let greatest = millis(DateTime::<Utc>::MAX_UTC);
        for (begin, end) in [
            (least, greatest),
            (least, least),
            (0.0, 1e11),
            (0.0, 3e13),
            (1e15, 1e15 + 1.0),
        ] {
            let span = with_margin(Span { begin, end });
            assert!(ticks(span, 10).len() <= 11, "{span:?}");
        }
    }
}
