//! The progress line: a function of the numbers of a moment and of the width, and of nothing else.

use std::time::Duration;

use lakepilot_execution::ProgressSnapshot;

use crate::output::text;
use crate::terminal::BarCharacters;

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The query was asked; nothing is known yet.
    #[default]
    Asking,
    /// It failed before its first row, and is asked again: which time this is.
    AskingAgain(u32),
    /// Rows arrive, or are awaited.
    Receiving,
}

/// How far the slices are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slices {
    pub(super) total: usize,
    pub(super) running: usize,
    pub(super) done: usize,
}

/// The numbers of a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) phase: Phase,
    /// The rows that have arrived in this run.
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    /// The rows of the whole query, as far as they are known.
    pub(super) expected: Option<u64>,
    /// The rows of the query that are there from an earlier run.
    pub(super) kept: u64,
    /// `None` for a query that runs whole.
    pub(super) slices: Option<Slices>,
}

impl Moment {
    pub(super) fn share_done(&self) -> Option<f64> {
        ProgressSnapshot::new(self.kept + self.rows, self.bytes, self.elapsed, self.expected).share_done()
    }

    /// Not known either once all rows that were expected have arrived: what is left then is to write them.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.snapshot().time_left().filter(|left| !left.is_zero())
    }

    /// What this run is to fetch, and has.
    pub(super) fn snapshot(&self) -> ProgressSnapshot {
        let expected = self.expected.map(|expected| expected.saturating_sub(self.kept));
        ProgressSnapshot::new(self.rows, self.bytes, self.elapsed, expected)
    }
}

/// One number of the line, in a long and a short spelling.
struct Field {
    long: String,
    short: String,
    /// Where not all have room, those of the lowest importance go first.
    importance: u8,
}

impl Field {
    fn new(importance: u8, long: impl Into<String>, short: impl Into<String>) -> Self {
        Self {
            long: long.into(),
            short: short.into(),
            importance,
        }
    }
}

const GAP: &str = "  ";
const SHORTEST_BAR: usize = 8;
const LONGEST_BAR: usize = 30;

/// The line of a moment in at most `width` columns; without a width, as long as it gets and without a bar.
pub(super) fn line(moment: &Moment, width: Option<usize>, characters: BarCharacters) -> String {
    let mut fields = fields(moment);
    let long = joined(&fields, |field| &field.long);
    let Some(width) = width else { return long };
    if text::width(&long) <= width {
        return with_bar(moment, long, width, characters);
    }
    loop {
        let short = joined(&fields, |field| &field.short);
        let least = fields.iter().map(|field| field.importance).min();
        if text::width(&short) <= width || fields.len() <= 1 {
            return with_bar(moment, short, width, characters);
        }
        fields.retain(|field| Some(field.importance) != least);
    }
}

fn joined(fields: &[Field], spelling: impl Fn(&Field) -> &String) -> String {
    fields
        .iter()
        .map(|field| spelling(field).as_str())
        .collect::<Vec<_>>()
        .join(GAP)
}

fn fields(moment: &Moment) -> Vec<Field> {
    let elapsed = text::clock(moment.elapsed);
    let elapsed = Field::new(70, elapsed.clone(), elapsed);
    let asking = match moment.phase {
        Phase::Asking => "asking the server".to_owned(),
        Phase::AskingAgain(retry) => format!("asking again ({retry})"),
        Phase::Receiving => return known(moment, elapsed),
    };
    vec![Field::new(100, asking.clone(), asking), elapsed]
}

fn known(moment: &Moment, elapsed: Field) -> Vec<Field> {
    let snapshot = moment.snapshot();
    let rows_per_second = snapshot.rows_per_second() as u64;
    let bytes = text::bytes(moment.bytes as f64);
    let speed = format!("{}/s", text::bytes(snapshot.bytes_per_second()));
    let mut fields = Vec::new();
    if let Some(share) = moment.share_done() {
        let share = (share * 100.0).floor();
        fields.push(Field::new(100, format!("{share:2} %"), format!("{share:2}%")));
    }
    fields.extend([
        Field::new(
            95,
            text::counted(moment.rows, "row"),
            format!("{} rows", text::short_count(moment.rows)),
        ),
        Field::new(
            40,
            format!("{} rows/s", text::count(rows_per_second)),
            format!("{}/s", text::short_count(rows_per_second)),
        ),
        Field::new(50, bytes.clone(), bytes),
        Field::new(80, speed.clone(), speed),
        elapsed,
        match moment.time_left() {
            Some(left) => {
                let left = format!("{} left", text::clock(left));
                Field::new(90, left.clone(), left)
            }
            None => Field::new(90, "time left unknown", "left unknown"),
        },
    ]);
    if let Some(Slices { total, running, done }) = moment.slices {
        fields.push(Field::new(
            60,
            format!("{done} of {total} slices, {running} running"),
            format!("{done}/{total} slices +{running}"),
        ));
    }
    fields
}

/// The line behind a bar, when the share is known and there is room for one.
fn with_bar(moment: &Moment, line: String, width: usize, characters: BarCharacters) -> String {
    let room = width.saturating_sub(text::width(&line) + GAP.len()).min(LONGEST_BAR);
    let Some(share) = moment.share_done().filter(|_| room >= SHORTEST_BAR) else {
        return line;
    };
    let full = (share * room as f64) as usize;
    let tip = if full < room { characters.tip() } else { "" };
    let empty = " ".repeat(room.saturating_sub(full + 1));
    format!("{}{tip}{empty}{GAP}{line}", characters.full().repeat(full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment() -> Moment {
        Moment {
            phase: Phase::Receiving,
            rows: 12_345_678,
            bytes: 1_975_308_480,
            elapsed: Duration::from_secs(62),
            expected: Some(48_000_000),
            kept: 0,
            slices: None,
        }
    }

    fn sliced() -> Moment {
        Moment {
            slices: Some(Slices {
                total: 16,
                running: 4,
                done: 3,
            }),
            ..moment()
        }
    }

    /// The lines of typical moments at a width, each between bars that show where it ends.
    fn at(width: usize, characters: BarCharacters) -> String {
        let start = Moment::default();
        let again = Moment {
            phase: Phase::AskingAgain(2),
            elapsed: Duration::from_secs(3),
            ..start
        };
        let first = Moment {
            phase: Phase::Receiving,
            ..start
        };
        let unknown = Moment {
            expected: None,
            ..sliced()
        };
        let more_than_expected = Moment {
            expected: Some(12_000_000),
            ..moment()
        };
        let resumed = Moment {
            kept: 30_000_000,
            ..sliced()
        };
        let days = Moment {
            elapsed: Duration::from_secs(400_000),
            ..sliced()
        };
        [
            start,
            again,
            first,
            moment(),
            sliced(),
            unknown,
            more_than_expected,
            resumed,
            days,
        ]
        .iter()
        .map(|moment| {
            let line = line(moment, Some(width), characters);
            assert!(text::width(&line) <= width, "{line}");
            format!("|{line}{}|", " ".repeat(width - text::width(&line)))
        })
        .collect::<Vec<_>>()
        .join("\n")
    }

    #[test]
    fn at_120_columns() {
        insta::assert_snapshot!(at(117, BarCharacters::Unicode));
    }

    #[test]
    fn at_80_columns() {
        insta::assert_snapshot!(at(77, BarCharacters::Unicode));
    }

    #[test]
    fn at_40_columns() {
        insta::assert_snapshot!(at(37, BarCharacters::Unicode));
    }

    #[test]
    fn in_ascii_at_80_columns() {
        let lines = at(77, BarCharacters::Ascii);
        assert!(lines.is_ascii() && lines.contains("=>"), "{lines}");
        assert_eq!(
            lines.replace('=', "━").replace('>', "╸"),
            at(77, BarCharacters::Unicode)
        );
    }

    #[test]
    fn in_a_file_the_line_is_whole() {
        insta::assert_snapshot!(line(&sliced(), None, BarCharacters::Unicode),
            @"25 %  12,345,678 rows  199,123 rows/s  2.0 GB  31.9 MB/s  1:02  2:59 left  3 of 16 slices, 4 running");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            (rows, bytes, kept) in any::<(u64, u64, u32)>(),
            seconds in 0u64..100_000_000,
            expected in any::<Option<u64>>(),
            slices in any::<Option<(u16, u16)>>(),
            width in 30usize..200,
        ) {
            let moment = Moment {
                phase: Phase::Receiving,
                rows: rows / 2,
                bytes,
                elapsed: Duration::from_secs(seconds),
                expected,
                kept: u64::from(kept),
                slices: slices.map(|(running, done)| Slices {
                    total: usize::from(running) + usize::from(done),
                    running: running.into(),
                    done: done.into(),
                }),
            };
            let line = line(&moment, Some(width), BarCharacters::Unicode);
            prop_assert!(text::width(&line) <= width, "{}", line);
            prop_assert!(!line.contains("100 %") && !line.contains("100%"), "{}", line);
        }
    }
}
