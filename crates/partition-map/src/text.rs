//! Names and numbers as people read them, escaped for where they go.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::bar::Bar;
use crate::map::PartitionMap;
use crate::row::{Instance, Label};
use crate::{ColorBy, TimeAxis};

/// A name as it can be shown: what would act on a terminal, or turn the text around it about, is written as an escape.
pub(crate) fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_control() || is_invisible(character) {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Separators of lines, marks of direction, and characters of no width: they make one name look like another.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}'
    )
}

/// Text as the content of an element or of an attribute in quotes, in HTML and in XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The instance of a label: its id, or how many there are.
pub(crate) fn instance(label: &Label) -> String {
    match &label.instance {
        Instance::One { id, .. } => printable(id),
        Instance::Many(1) => "1 more instance".to_owned(),
        Instance::Many(many) => format!("{} more instances", count(*many)),
    }
}

/// A count with its thousands apart.
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

/// A count with its noun.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// Bytes in the decimal units of disks.
pub(crate) fn bytes(value: f64) -> String {
    short(value, &["B", "kB", "MB", "GB", "TB", "PB"], " ")
}

/// A number of rows in few characters: `950`, `12k`, `3.4M`.
pub(crate) fn rows(value: f64) -> String {
    short(value, &["", "k", "M", "G", "T", "P"], "")
}

fn short(mut value: f64, units: &[&str], space: &str) -> String {
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 9.95);
    format!("{value:.digits$}{space}{}", units[unit])
}

/// A name in at most so many columns: its middle is left out, since ids differ at both ends.
pub(crate) fn fitted(name: &str, columns: usize, ellipsis: &str) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let room = columns.saturating_sub(ellipsis.width());
    let take = |characters: &mut dyn Iterator<Item = char>, room: usize| -> Vec<char> {
        let mut used = 0;
        characters
            .take_while(|character| {
                used += character.width().unwrap_or(0);
                used <= room
            })
            .collect()
    };
    let tail = take(&mut name.chars().rev(), room / 3);
    let tail: String = tail.into_iter().rev().collect();
    let head: String = take(&mut name.chars(), room - tail.width()).into_iter().collect();
    format!("{head}{ellipsis}{tail}")
}

/// What a color stands for, in words.
pub(crate) fn measured(value: f64, color_by: ColorBy) -> String {
    match color_by {
        ColorBy::Rows => rows(value),
        ColorBy::Bytes => bytes(value),
        ColorBy::Age => age(value),
    }
}

/// The word for what the colours stand for.
pub(crate) fn measure(color_by: ColorBy) -> &'static str {
    match color_by {
        ColorBy::Rows => "rows",
        ColorBy::Bytes => "bytes",
        ColorBy::Age => "age",
    }
}

/// The word for the time across.
pub(crate) fn axis(axis: TimeAxis) -> &'static str {
    match axis {
        TimeAxis::Insert => "insert time",
        TimeAxis::Event => "event time",
    }
}

/// A length of time in seconds, in its greatest unit.
pub(crate) fn age(seconds: f64) -> String {
    const UNITS: &[(f64, &str)] = &[
        (86_400.0 * 365.25, "y"),
        (86_400.0, "d"),
        (3600.0, "h"),
        (60.0, "min"),
        (1.0, "s"),
    ];
    let (length, unit) = UNITS
        .iter()
        .find(|(length, _)| seconds >= *length)
        .unwrap_or(&(1.0, "s"));
    format!("{:.0} {unit}", (seconds / length).floor())
}

/// The sums of a map in a line: what a reader sees first.
pub(crate) fn summary(map: &PartitionMap) -> String {
    let totals = map.totals();
    let mut told = format!(
        "{} of {}, {}, {}",
        counted(totals.partitions, "partition"),
        counted(totals.instances, "view instance"),
        counted(totals.rows, "row"),
        bytes(totals.bytes as f64),
    );
    for (found, noun) in [(map.gaps(), "gap"), (map.overlaps(), "overlap")] {
        if found > 0 {
            let _ = write!(told, ", {}", counted(found as u64, noun));
        }
    }
    if totals.undrawn > 0 {
        let _ = write!(told, ", {} without {}", count(totals.undrawn), axis(map.options.axis));
    }
    told
}

/// What a plan takes; nothing when there is no plan.
pub(crate) fn plan_summary(map: &PartitionMap) -> Option<String> {
    let totals = map.totals();
    if totals.planned + totals.planned_elsewhere == 0 {
        return None;
    }
    let mut told = format!("the plan retires {} of these", counted(totals.planned, "partition"));
    if totals.planned_elsewhere > 0 {
        let _ = write!(
            told,
            "; {} more that it has are not here (gone, written anew, or not selected)",
            count(totals.planned_elsewhere)
        );
    }
    Some(told)
}

/// A bar in words, a line for each thing.
pub(crate) fn details(bar: &Bar, other_axis: TimeAxis) -> Vec<String> {
    let range = |begin: f64, end: f64| format!("{} to {}", time(begin), time(end));
    let this_axis = match other_axis {
        TimeAxis::Insert => TimeAxis::Event,
        TimeAxis::Event => TimeAxis::Insert,
    };
    let mut lines = Vec::new();
    if bar.partitions > 1 {
        lines.push(format!("{} close together", counted(bar.partitions, "partition")));
    }
    lines.push(format!("{} {}", axis(this_axis), range(bar.span.begin, bar.span.end)));
    if let Some(other) = bar.other {
        lines.push(format!("{} {}", axis(other_axis), range(other.begin, other.end)));
    }
    lines.push(format!("{}, {}", counted(bar.rows, "row"), bytes(bar.bytes as f64)));
    lines.push(format!("written {}", time(bar.written)));
    match bar.planned {
        0 => {}
        planned if planned == bar.partitions => lines.push("planned to be retired".to_owned()),
        planned => lines.push(format!("{} of them planned to be retired", count(planned))),
    }
    lines
}

/// A time in milliseconds as people read it, as exact as it is.
pub(crate) fn time(millis: f64) -> String {
    let micros = ((millis - millis.floor()) * 1000.0).round() as u32;
    DateTime::<Utc>::from_timestamp_millis(millis.floor() as i64).map_or_else(String::new, |time| {
        let exact = time + chrono::TimeDelta::microseconds(i64::from(micros));
        exact.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    })
}

/// A time to the minute.
pub(crate) fn short_time(millis: f64) -> String {
    DateTime::<Utc>::from_timestamp_millis(millis as i64)
        .map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::millis;

    #[test]
    fn names_cannot_act() {
        assert_eq!(printable("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(printable("a\u{202e}gpj.exe"), "a\\u{202e}gpj.exe");
        assert_eq!(
            escaped("</script><script>'\"&"),
            "&lt;/script&gt;&lt;script&gt;&#39;&quot;&amp;"
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 950.0, 1_234.0, 12_345.0, 3_400_000.0].map(rows),
            ["0", "950", "1.2k", "12k", "3.4M"]
        );
        assert_eq!([999.0, 999_960.0, 1_500.0].map(bytes), ["999 B", "1.0 MB", "1.5 kB"]);
        assert_eq!(
            [0.0, 59.0, 61.0, 86_400.0 * 40.0].map(age),
            ["0 s", "59 s", "1 min", "40 d"]
        );
    }

    #[test]
    fn times_stay_exact() {
        for text in [
            "2026-03-01T00:00:00Z",
            "2026-03-01T00:00:00.123456Z",
            "2026-03-01T00:00:00.005Z",
        ] {
            assert_eq!(time(millis(text.parse().unwrap())), text);
        }
    }
}
