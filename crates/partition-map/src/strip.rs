//! A map as lines for a terminal.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::bar::Span;
use crate::map::PartitionMap;
use crate::row::{Instance, Row};
use crate::scale::CLASSES;
use crate::text;
use crate::{ColorBy, StripOptions};

/// One more than the classes: nothing in it, then the least to the most.
const BLOCKS: [char; CLASSES + 1] = ['▁', '▂', '▃', '▄', '▅', '▆', '█'];
const ASCII_BLOCKS: [char; CLASSES + 1] = ['_', '.', ':', '-', '=', '+', '#'];

const RED: &str = "\u{1b}[91m";
const YELLOW: &str = "\u{1b}[93m";
const BLUE: &str = "\u{1b}[94m";
const FAINT: &str = "\u{1b}[2m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// What a cell of a strip holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    partitions: u64,
    planned: u64,
    has_rows: bool,
    value: f64,
    overlaps: bool,
    in_gap: bool,
}

impl PartitionMap {
    /// The map as lines of text: under each view set a line for each instance, in it a cell for each stretch of time,
    /// the higher the more. What a plan takes is red, or an `x` where there are no colours; what overlaps is yellow, or
    /// a `!`. A dot is a gap.
    ///
    /// No line is wider than the options say, and each ends with a line break.
    pub fn to_strip(&self, options: &StripOptions) -> String {
        let rows = self.rows_up_to(options.most_rows);
        let mut told = wrapped(&text::summary(self), options.width);
        if let Some(plan) = text::plan_summary(self) {
            told.push_str(&wrapped(&plan, options.width));
        }
        let Some(span) = self.span() else {
            return told;
        };
        let strip = Strip::new(self, span, &rows.iter().map(|row| &**row).collect::<Vec<_>>(), options);
        told.push_str(&strip.axis());
        let mut view_set = None;
        for row in &rows {
            if view_set != Some(&row.label.view_set) {
                view_set = Some(&row.label.view_set);
                let name = text::fitted(&text::printable(&row.label.view_set), options.width, strip.ellipsis());
                told.push_str(&strip.styled(BOLD, &name));
                told.push('\n');
            }
            told.push_str(&strip.row(row));
        }
        told.push_str(&strip.legend());
        told
    }
}

/// Lines that break between words.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.width() > width {
            lines.push_str("\n  ");
            used = 2;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += word.width();
    }
    lines.push('\n');
    lines
}

struct Strip<'a> {
    map: &'a PartitionMap,
    options: &'a StripOptions,
    span: Span,
    /// Columns of the labels, without the space behind them.
    labels: usize,
    cells: usize,
    /// The least and the most value of a cell.
    scale: crate::scale::Scale,
}

impl<'a> Strip<'a> {
    fn new(map: &'a PartitionMap, span: Span, rows: &[&Row], options: &'a StripOptions) -> Self {
        let longest = rows
            .iter()
            .map(|row| label(row, usize::MAX, "").width())
            .max()
            .unwrap_or(0);
        let most = if options.width >= 100 {
            40
        } else {
            (options.width / 4).max(10)
        };
        let labels = longest.clamp(6, most);
        let mut strip = Self {
            map,
            options,
            span,
            labels,
            cells: options.width - labels - 1,
            scale: map.scale(map.options.color_by),
        };
        let values = rows.iter().flat_map(|row| strip.cells_of(row)).map(|cell| cell.value);
        strip.scale = crate::scale::Scale::over(values);
        strip
    }

    fn ellipsis(&self) -> &'static str {
        if self.options.unicode { "…" } else { ".." }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.options.colored {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    /// The cell that an instant lies in.
    fn cell_at(&self, at: f64) -> usize {
        if self.span.length() <= 0.0 {
            return 0;
        }
        let share = (at - self.span.begin) / self.span.length();
        ((share * self.cells as f64) as usize).min(self.cells - 1)
    }

    /// The cells that a span lies in; one that ends where a cell begins is not in that.
    fn cells_in(&self, span: Span) -> std::ops::RangeInclusive<usize> {
        let first = self.cell_at(span.begin);
        let mut last = self.cell_at(span.end);
        let width = self.span.length() / self.cells as f64;
        if last > first && span.end <= self.span.begin + width * last as f64 {
            last -= 1;
        }
        first..=last
    }

    fn cells_of(&self, row: &Row) -> Vec<Cell> {
        let color_by = self.map.options.color_by;
        let mut cells = vec![Cell::default(); self.cells];
        if let Some(span) = row.span().filter(|_| !row.is_shared()) {
            cells[self.cells_in(span)]
                .iter_mut()
                .for_each(|cell| cell.in_gap = true);
        }
        for bar in &row.bars {
            let range = self.cells_in(bar.span);
            let length = range.clone().count() as f64;
            for cell in &mut cells[range] {
                cell.partitions += bar.partitions;
                cell.planned += bar.planned;
                cell.has_rows |= bar.rows > 0;
                let value = self.map.value(bar, color_by);
                cell.value = match color_by {
                    // A long partition has its rows all along.
                    ColorBy::Rows | ColorBy::Bytes => cell.value + value / length,
                    ColorBy::Age => cell.value.max(value),
                };
            }
        }
        for overlap in &row.overlaps {
            cells[self.cells_in(*overlap)]
                .iter_mut()
                .for_each(|cell| cell.overlaps = true);
        }
        cells
    }

    fn row(&self, row: &Row) -> String {
        let label = label(row, self.labels, self.ellipsis());
        let mut line = format!("{label}{} ", " ".repeat(self.labels - label.width()));
        let mut style = "";
        for cell in self.cells_of(row) {
            let (character, next) = self.drawn(cell);
            if self.options.colored && next != style {
                if !style.is_empty() {
                    line.push_str(RESET);
                }
                line.push_str(next);
                style = next;
            }
            line.push(character);
        }
        if style.is_empty() {
            line.truncate(line.trim_end().len());
        } else {
            line.push_str(RESET);
        }
        line.push('\n');
        line
    }

    /// The character of a cell, and its colour.
    fn drawn(&self, cell: Cell) -> (char, &'static str) {
        if cell.partitions == 0 {
            return match (cell.in_gap, self.options.unicode) {
                (true, true) => ('·', FAINT),
                (true, false) => ('\'', FAINT),
                (false, _) => (' ', ""),
            };
        }
        let blocks = if self.options.unicode { BLOCKS } else { ASCII_BLOCKS };
        let class = if cell.has_rows {
            self.scale.class(cell.value.max(1.0))
        } else {
            0
        };
        let block = blocks[class];
        match (cell.planned > 0, cell.overlaps) {
            (true, _) if self.options.colored => (block, RED),
            (false, true) if self.options.colored => (block, YELLOW),
            (true, true) => ('X', ""),
            (true, false) => ('x', ""),
            (false, true) => ('!', ""),
            (false, false) => (block, BLUE),
        }
    }

    /// The times at both ends, and what is between them.
    fn axis(&self) -> String {
        let (begin, end) = (text::short_time(self.span.begin), text::short_time(self.span.end));
        let name = format!("{}, UTC", text::axis(self.map.options.axis));
        let indent = " ".repeat(self.labels + 1);
        if begin.len() + end.len() + 2 > self.cells {
            return wrapped(&format!("{name}: {begin} to {end}"), self.options.width);
        }
        let between = self.cells - begin.len() - end.len();
        let middle = if name.len() + 2 <= between { name } else { String::new() };
        format!(
            "{indent}{begin}{}{end}\n",
            self.styled(FAINT, &format!("{middle:^between$}"))
        )
    }

    fn legend(&self) -> String {
        let blocks = if self.options.unicode { BLOCKS } else { ASCII_BLOCKS };
        let color_by = self.map.options.color_by;
        let dash = if self.options.unicode { "…" } else { ".." };
        let mut parts = vec![format!(
            "{} {} to {} {} {} a cell",
            blocks[1],
            text::measured(self.scale.low, color_by),
            blocks[CLASSES],
            text::measured(self.scale.high, color_by),
            text::measure(color_by),
        )];
        if color_by == ColorBy::Age {
            parts[0] = format!(
                "{}{dash}{} written {} to {} ago",
                blocks[1],
                blocks[CLASSES],
                text::age(self.scale.low),
                text::age(self.scale.high)
            );
        }
        let bars = || self.map.rows.iter().flat_map(|row| &row.bars);
        if bars().any(|bar| bar.rows == 0) {
            parts.push(format!("{} no rows", blocks[0]));
        }
        let dot = if self.options.unicode { '·' } else { '\'' };
        if self.map.gaps() > 0 {
            parts.push(format!("{dot} gap"));
        }
        if self.map.totals().planned > 0 {
            let mark = if self.options.colored { "red" } else { "x" };
            parts.push(format!("{mark} to be retired"));
        }
        if self.map.overlaps() > 0 {
            let mark = if self.options.colored { "yellow" } else { "!" };
            parts.push(format!("{mark} overlap"));
        }
        let mut told = String::new();
        let _ = write!(told, "{}", wrapped(&parts.join("; "), self.options.width));
        told
    }
}

/// A row's label, indented under its view set.
fn label(row: &Row, columns: usize, ellipsis: &str) -> String {
    let name = match &row.label.instance {
        Instance::One { .. } => text::instance(&row.label),
        Instance::Many(count) => format!("+{} more", text::count(*count)),
    };
    text::fitted(&format!("  {name}"), columns, ellipsis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MapOptions;
    use crate::testing::{partition, time};
    use lakepilot_catalog::Partition;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    fn lake() -> Vec<Partition> {
        let mut all: Vec<_> = (0..48)
            .filter(|hour| !(20..26).contains(hour))
            .map(|hour| Partition {
                num_rows: 1 << (hour % 16),
                ..partition("log_entries", "global", hour * HOUR, (hour + 1) * HOUR)
            })
            .collect();
        all.push(partition("log_entries", "global", 40 * HOUR, 42 * HOUR));
        for stream in ["6fa4c5d0-4f0e-4a63-9cdb-8c7a36a1f0aa", "odd\n\u{1b}[31m"] {
            all.extend((10..16).map(|hour| partition("thread_spans", stream, hour * 2 * HOUR, (hour * 2 + 1) * HOUR)));
        }
        all.push(Partition {
            num_rows: 0,
            ..partition("measures", "global", 0, HOUR)
        });
        all
    }

    fn map() -> PartitionMap {
        let all = lake();
        let options = MapOptions::new(time(60 * HOUR));
        PartitionMap::new(&all, &all[..6], &options)
    }

    #[test]
    fn strips_fit_terminals() {
        let map = map();
        let options = StripOptions::default();
        insta::assert_snapshot!("80_columns", map.to_strip(&options));
        insta::assert_snapshot!("40_columns", map.to_strip(&options.with_width(40)));
        insta::assert_snapshot!("ascii", map.to_strip(&options.with_unicode(false)));
        insta::assert_snapshot!(
            "colors",
            map.to_strip(&options.with_colors(true)).replace('\u{1b}', "ESC")
        );
        insta::assert_snapshot!("few_rows", map.to_strip(&options.with_most_rows(1)));
    }

    #[test]
    fn an_empty_lake_is_told_in_a_line() {
        let map = PartitionMap::new(&[], &[], &MapOptions::new(time(0)));
        assert_eq!(
            map.to_strip(&StripOptions::default()),
            "0 partitions of 0 view instances, 0 rows, 0 B\n"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_it_may_be(
            width in 24usize..120,
            unicode in any::<bool>(),
            names in prop::collection::vec(".{0,50}", 1..6),
            spans in prop::collection::vec((0i64..1_000_000, 0i64..100_000), 1..12),
        ) {
            let all: Vec<_> = spans
                .iter()
                .enumerate()
                .map(|(index, (begin, length))| {
                    let name = |at: usize| names[at % names.len()].as_str();
                    partition(name(index), name(index + 1), *begin, begin + length)
                })
                .collect();
            let map = PartitionMap::new(&all, &all[..1], &MapOptions::new(time(2_000_000)));
            let strip = map.to_strip(&StripOptions::default().with_width(width).with_unicode(unicode));
            for line in strip.lines() {
                prop_assert!(line.width() <= width, "{} columns: {:?}", line.width(), line);
            }
        }
    }
}
