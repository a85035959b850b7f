//! Rows of text as a table that fits the terminal.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A column below this width says too little: the rows are then written one field a line.
const LEAST_WIDTH: usize = 10;
/// Between two columns: a space, a line, a space.
const SEPARATOR_WIDTH: usize = 3;

/// A heading, and where the values of its column stand.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) name: String,
    pub(crate) numeric: bool,
}

impl Heading {
    pub(crate) fn text(name: impl Into<String>) -> Self {
        Self {
            name: printable(&name.into()),
            numeric: false,
        }
    }

    pub(crate) fn number(name: impl Into<String>) -> Self {
        Self {
            numeric: true,
            ..Self::text(name)
        }
    }
}

/// Draws rows under their headings, each row on one line.
///
/// With a `width`, columns that are too wide are cut with an ellipsis, the widest first; where even that does not fit,
/// every field gets a line of its own. Without one (the output is a file or a pipe) nothing is cut.
pub(crate) fn table(headings: &[Heading], rows: &[Vec<String>], width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let natural: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .fold(heading.name.width(), usize::max)
        })
        .collect();
    let widths = match width {
        None => Some(natural),
        Some(width) => fit(&natural, width),
    };
    match widths {
        Some(widths) => horizontal(headings, &rows, &widths),
        None => vertical(headings, &rows, width),
    }
}

/// The widths that columns get in a table of `total`, or `None` when it cannot hold them.
fn fit(natural: &[usize], total: usize) -> Option<Vec<usize>> {
    let separators = SEPARATOR_WIDTH * natural.len().saturating_sub(1) + 2;
    let available = total.checked_sub(separators)?;
    let mut widths = natural.to_vec();
    let mut excess = widths.iter().sum::<usize>().saturating_sub(available);
    while excess > 0 {
        let widest = widths.iter().copied().max()?;
        if widest <= LEAST_WIDTH {
            return None;
        }
        let next = widths
            .iter()
            .copied()
            .filter(|width| *width < widest)
            .max()
            .unwrap_or(0)
            .max(LEAST_WIDTH);
        let count = widths.iter().filter(|width| **width == widest).count();
        let step = (widest - next).min(excess.div_ceil(count)).max(1);
        for width in widths.iter_mut().filter(|width| **width == widest) {
            let cut = step.min(excess);
            *width -= cut;
            excess -= cut;
        }
    }
    Some(widths)
}

fn horizontal(headings: &[Heading], rows: &[Vec<String>], widths: &[usize]) -> String {
    let cell = |text: &str, column: usize, heading: &Heading| {
        Cell::new(truncate(text, widths[column])).set_alignment(if heading.numeric {
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
        headings
            .iter()
            .enumerate()
            .map(|(column, heading)| cell(&heading.name, column, heading)),
    );
    for row in rows {
        table.add_row(
            headings
                .iter()
                .enumerate()
                .map(|(column, heading)| cell(row.get(column).map_or("", String::as_str), column, heading)),
        );
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    text.shrink_to_fit();
    text
}

fn vertical(headings: &[Heading], rows: &[Vec<String>], width: Option<usize>) -> String {
    let name_width = headings.iter().map(|heading| heading.name.width()).max().unwrap_or(0);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text.push_str(&format!("── row {}\n", index + 1));
        for (column, heading) in headings.iter().enumerate() {
            let padding = " ".repeat(name_width - heading.name.width());
            let line = format!(
                "{}{padding}  {}",
                heading.name,
                row.get(column).map_or("", String::as_str)
            );
            let line = match width {
                Some(width) => truncate(&line, width),
                None => line,
            };
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
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
