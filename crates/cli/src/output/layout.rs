//! Rows of text as a table that fits the terminal.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A column below this width says too little: the rows are then written one field a line.
const LEAST_WIDTH: usize = 10;
/// Between two columns: a space, a line, a space.
const SEPARATOR_WIDTH: usize = 3;
/// The length of a UUID.
const IDENTIFIER_LENGTH: usize = 36;
/// The lines that a value gets where every field has its own.
const MOST_LINES: usize = 4;

/// A heading, and where the values of its column stand.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) name: String,
    pub(crate) numeric: bool,
    /// Left out of a table that would be too wide with it.
    pub(crate) optional: bool,
}

impl Heading {
    pub(crate) fn text(name: impl Into<String>) -> Self {
        Self {
            name: printable(&name.into()),
            numeric: false,
            optional: false,
        }
    }

    pub(crate) fn number(name: impl Into<String>) -> Self {
        Self {
            numeric: true,
            ..Self::text(name)
        }
    }

    /// The heading, of a column that a narrow terminal may do without.
    pub(crate) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// Draws rows under their headings, each row on one line.
///
/// With a `width`, columns that are too wide are cut with an ellipsis, the widest first, but identifiers are never cut,
/// since a part of one is of no use. Where that does not fit, optional columns are left out, the last first; where even
/// that does not, every field gets a line of its own. Without a width (the output is a file or a pipe) nothing is cut.
pub(crate) fn table(headings: &[Heading], rows: &[Vec<String>], width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let spans: Vec<Span> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| Span::of(heading, rows.iter().filter_map(|row| row.get(column))))
        .collect();
    let Some(width) = width else {
        let natural: Vec<_> = spans.iter().map(|span| span.natural).enumerate().collect();
        return horizontal(headings, &rows, &natural);
    };
    let mut columns: Vec<usize> = (0..headings.len()).collect();
    loop {
        let shown: Vec<Span> = columns.iter().map(|column| spans[*column]).collect();
        if let Some(widths) = fit(&shown, width) {
            let widths: Vec<_> = columns.into_iter().zip(widths).collect();
            return horizontal(headings, &rows, &widths);
        }
        match columns.iter().rposition(|column| headings[*column].optional) {
            Some(last) => columns.remove(last),
            None => return vertical(headings, &rows, width),
        };
    }
}

/// How wide a column would be, and how narrow it may become.
#[derive(Clone, Copy)]
struct Span {
    natural: usize,
    least: usize,
}

impl Span {
    fn of<'a>(heading: &Heading, cells: impl Iterator<Item = &'a String> + Clone) -> Self {
        let natural = cells
            .clone()
            .map(|cell| cell.width())
            .fold(heading.name.width(), usize::max);
        let whole = heading.numeric || heading.optional || cells.clone().any(|cell| is_identifier(cell));
        Self {
            natural,
            least: if whole { natural } else { natural.min(LEAST_WIDTH) },
        }
    }
}

/// Whether the text has the shape of a UUID, which processes and streams go by.
fn is_identifier(text: &str) -> bool {
    text.len() == IDENTIFIER_LENGTH
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The widths that columns get in a table of `total`, or `None` when it cannot hold them.
fn fit(spans: &[Span], total: usize) -> Option<Vec<usize>> {
    let separators = SEPARATOR_WIDTH * spans.len().saturating_sub(1) + 2;
    let available = total.checked_sub(separators)?;
    if spans.iter().map(|span| span.least).sum::<usize>() > available {
        return None;
    }
    let mut widths: Vec<usize> = spans.iter().map(|span| span.natural).collect();
    let mut excess = widths.iter().sum::<usize>().saturating_sub(available);
    while excess > 0 {
        let (widest, _) = widths
            .iter()
            .enumerate()
            .filter(|(column, width)| **width > spans[*column].least)
            .max_by_key(|(_, width)| **width)?;
        widths[widest] -= 1;
        excess -= 1;
    }
    Some(widths)
}

/// Draws the columns that `widths` names by their index.
fn horizontal(headings: &[Heading], rows: &[Vec<String>], widths: &[(usize, usize)]) -> String {
    let cell = |text: &str, column: usize, width: usize| {
        Cell::new(truncate(text, width)).set_alignment(if headings[column].numeric {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        })
    };
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled);
    let style = table.style_mut();
    *style = presets::UTF8_NO_BORDERS;
    style.row_separator = presets::UTF8_FULL_CONDENSED.row_separator;
    table.set_header(
        widths
            .iter()
            .map(|(column, width)| cell(&headings[*column].name, *column, *width)),
    );
    for row in rows {
        table.add_row(
            widths
                .iter()
                .map(|(column, width)| cell(row.get(*column).map_or("", String::as_str), *column, *width)),
        );
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Draws a field a line; a value that is longer than the rest of its line goes on below it, for a few lines.
fn vertical(headings: &[Heading], rows: &[Vec<String>], width: usize) -> String {
    let name_width = headings.iter().map(|heading| heading.name.width()).max().unwrap_or(0);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&format!("── row {}\n", index + 1));
        for (column, heading) in headings.iter().enumerate() {
            let padding = " ".repeat(name_width - heading.name.width());
            let line = format!("{}{padding}  ", heading.name);
            let indent = if line.width() + LEAST_WIDTH <= width {
                line.width()
            } else {
                0
            };
            text.push_str(&flow(line, row.get(column).map_or("", String::as_str), indent, width));
        }
    }
    text
}

/// The value after the start of its line, broken at the width and continued at the indent, and cut after a few lines.
fn flow(start: String, value: &str, indent: usize, width: usize) -> String {
    let mut lines = vec![if start.width() <= width {
        start
    } else {
        truncate(&start, width)
    }];
    let mut used = lines[0].width();
    for character in value.chars() {
        let character_width = character.width().unwrap_or(0);
        if used + character_width > width {
            if lines.len() == MOST_LINES {
                if let Some(last) = lines.last_mut() {
                    *last = truncate(&format!("{last}{character}"), width);
                }
                break;
            }
            let moved = lines
                .last_mut()
                .map_or_else(String::new, |last| take_word(last, indent, width));
            lines.push(" ".repeat(indent) + &moved);
            used = indent + moved.width();
        }
        used += character_width;
        if let Some(last) = lines.last_mut() {
            last.push(character);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Takes the word that a line ends with off the line, when it is short, so that it is not broken; a long one may be.
fn take_word(line: &mut String, indent: usize, width: usize) -> String {
    match line.rfind(' ') {
        Some(space) if space > indent && line[space + 1..].width() * 2 < width - indent => line.split_off(space + 1),
        _ => String::new(),
    }
}

/// The text in at most `width` columns of the terminal; what is cut is marked with an ellipsis.
fn truncate(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for character in text.chars() {
        let character_width = character.width().unwrap_or(0);
        if used + character_width + 1 > width {
            break;
        }
        used += character_width;
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// The text on one line, with nothing in it that a terminal obeys: a log message is not to move the cursor.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|character| {
            let escaped: Box<dyn Iterator<Item = char>> = if character.is_control() {
                Box::new(character.escape_default())
            } else {
                Box::new(std::iter::once(character))
            };
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headings() -> Vec<Heading> {
        vec![Heading::text("time"), Heading::number("level"), Heading::text("msg")]
    }

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec![
                "2026-01-01T00:00:00Z".into(),
                "4".into(),
                "a request took rather long to answer".into(),
            ],
            vec![
                "2026-01-01T00:00:01Z".into(),
                "12".into(),
                "line\nbreak \u{1b}[31m red".into(),
            ],
        ]
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        insta::assert_snapshot!(table(&headings(), &rows(), Some(120)));
    }

    #[test]
    fn a_narrower_one_cuts_the_widest_column() {
        insta::assert_snapshot!(table(&headings(), &rows(), Some(50)));
    }

    #[test]
    fn a_very_narrow_one_gets_a_field_a_line() {
        insta::assert_snapshot!(table(&headings(), &rows(), Some(24)));
    }

    #[test]
    fn identifiers_stay_whole_and_optional_columns_go_first() {
        let headings = [
            Heading::text("instance"),
            Heading::number("rows"),
            Heading::number("bytes").optional(),
            Heading::text("insert time").optional(),
        ];
        let rows = [vec![
            "81f024fc-940c-4d62-8666-6041b8edd90a".to_owned(),
            "2,592".to_owned(),
            "295.1 kB".to_owned(),
            "2026-11-21T11:00:00Z to 2026-11-24T11:00:00Z".to_owned(),
        ]];
        let drawn = [80, 62, 50, 40].map(|width| format!("{width} columns\n{}", table(&headings, &rows, Some(width))));
        insta::assert_snapshot!(drawn.join("\n"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            cells in proptest::collection::vec(proptest::collection::vec(".{0,60}", 4), 0..6),
            width in 20usize..160,
        ) {
            let headings: Vec<_> = ["a", "long heading", "名前", "d"].map(Heading::text).into();
            for line in table(&headings, &cells, Some(width)).lines() {
                prop_assert!(line.width() <= width, "{} > {width}: {line}", line.width());
            }
        }

        #[test]
        fn nothing_is_cut_without_a_width(cells in proptest::collection::vec("[a-z ]{0,200}", 3)) {
            let text = table(&headings(), std::slice::from_ref(&cells), None);
            for cell in &cells {
                prop_assert!(text.contains(cell.trim()));
            }
        }
    }
}
