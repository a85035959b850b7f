//! The text that is analysed, and places in it.

use std::cell::OnceCell;
use std::ops::Range;

use serde::Serialize;
use sqlparser::tokenizer::{Location as ParserLocation, Span as ParserSpan};

/// A place in a text. It is written as `{"line", "column", "offset"}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// The line, from 1. Lines end with a line feed.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// The offset from the beginning of the text, in bytes from 0. It lies between two characters.
    pub offset: usize,
}

/// A piece of a text: from `start` up to, and without, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Where it begins.
    pub start: Location,
    /// Where what follows it begins.
    pub end: Location,
}

impl Span {
    /// The span as byte offsets, to cut it out of the text.
    pub fn range(&self) -> Range<usize> {
        self.start.offset..self.end.offset
    }
}

/// How many characters lie between two entries of the table that finds a character in a text that is not ASCII.
const STRIDE: usize = 64;

/// Where lines begin and characters lie, made when the first place is asked for: most texts have no finding.
struct Index {
    /// For each line, the offset of its first byte and the number of characters before it.
    lines: Vec<(usize, usize)>,
    /// The offset of every `STRIDE`th character; empty for ASCII, where characters are bytes.
    checkpoints: Vec<usize>,
}

/// A text with an index of its lines.
pub(crate) struct Source<'a> {
    text: &'a str,
    index: OnceCell<Index>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            index: OnceCell::new(),
        }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The byte offset of a place as the parser counts it; the end of the text for a place beyond it.
    pub(crate) fn offset(&self, location: ParserLocation) -> usize {
        self.offset_at(location.line as usize, location.column as usize)
    }

    /// The byte range of a span as the parser counts it; its end is excluded, as the tokeniser has it.
    pub(crate) fn range(&self, span: ParserSpan) -> Range<usize> {
        let start = self.offset(span.start);
        start..self.offset(span.end).max(start)
    }

    /// The byte offset of a line and a column, both from 1; the end of the text for a place beyond it.
    pub(crate) fn offset_at(&self, line: usize, column: usize) -> usize {
        let index = self.index();
        let Some(&(line_offset, line_characters)) = index.lines.get(line.saturating_sub(1)) else {
            return self.text.len();
        };
        let column = column.saturating_sub(1);
        if index.checkpoints.is_empty() {
            return (line_offset + column).min(self.text.len());
        }
        let character = line_characters + column;
        let Some(&checkpoint) = index.checkpoints.get(character / STRIDE) else {
            return self.text.len();
        };
        let rest = &self.text[checkpoint..];
        rest.char_indices()
            .nth(character % STRIDE)
            .map_or(self.text.len(), |(offset, _)| checkpoint + offset)
    }

    /// The span between two byte offsets. They are moved back to where a character begins, and into the text.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.location(range.start);
        let end = self.location(range.end.max(range.start));
        Span { start, end }
    }

    fn location(&self, offset: usize) -> Location {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let index = self.index();
        let line = index
            .lines
            .partition_point(|&(start, _)| start <= offset)
            .saturating_sub(1);
        let (line_offset, line_characters) = index.lines[line];
        let column = if index.checkpoints.is_empty() {
            offset - line_offset
        } else {
            self.characters_before(index, offset) - line_characters
        };
        Location {
            line: line + 1,
            column: column + 1,
            offset,
        }
    }

    fn characters_before(&self, index: &Index, offset: usize) -> usize {
        let entry = index
            .checkpoints
            .partition_point(|&checkpoint| checkpoint <= offset)
            .saturating_sub(1);
        let checkpoint = index.checkpoints[entry];
        entry * STRIDE + self.text[checkpoint..offset].chars().count()
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut lines = vec![(0, 0)];
            if self.text.is_ascii() {
                let ends = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
                lines.extend(ends.map(|(offset, _)| (offset + 1, offset + 1)));
                return Index {
                    lines,
                    checkpoints: Vec::new(),
                };
            }
            let mut checkpoints = Vec::new();
            for (count, (offset, character)) in self.text.char_indices().enumerate() {
                if count % STRIDE == 0 {
                    checkpoints.push(offset);
                }
                if character == '\n' {
                    lines.push((offset + 1, count + 1));
                }
            }
            Index { lines, checkpoints }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn offsets_and_places_are_inverse(text in "[a-zé漢🚀\n\r ]{0,300}") {
            let source = Source::new(&text);
            for (offset, _) in text.char_indices() {
                let place = source.span(offset..offset).start;
                prop_assert_eq!(place.offset, offset);
                prop_assert_eq!(source.offset_at(place.line, place.column), offset);
            }
        }

        #[test]
        fn no_place_leaves_the_text(text in ".{0,80}", a in 0usize..200, b in 0usize..200) {
            let source = Source::new(&text);
            let span = source.span(a..b);
            prop_assert!(text.get(span.range()).is_some());
            prop_assert!(text.is_char_boundary(source.offset_at(a, b)));
        }
    }

    #[test]
    fn columns_count_characters() {
        let source = Source::new("é\nαβγ δ");
        let place = source.span(3 + 7..3 + 7).start;
        assert_eq!((place.line, place.column, place.offset), (2, 5, 10));
    }
}
