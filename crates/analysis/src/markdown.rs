//! The SQL in Markdown files.

use std::ops::Range;

use lakepilot_query::{QueryService, Result};

use crate::source::Source;
use crate::{Analysis, Analyzer, CallRange, Fixed, Location};

/// Where the SQL blocks of a Markdown text are: what stands between fences whose first word is `sql`, in bytes.
///
/// ```
/// let text = "Errors of today:\n\n```sql\nSELECT 1\n```\n";
/// let blocks = lakepilot_analysis::sql_blocks(text);
/// assert_eq!(blocks.len(), 1);
/// assert_eq!(&text[blocks[0].clone()], "SELECT 1\n");
/// ```
pub fn sql_blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut open: Option<Fence> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let next = offset + line.len();
        match &open {
            Some(fence) if fence.is_closed_by(line) => {
                if fence.is_sql {
                    blocks.push(fence.content..offset);
                }
                open = None;
            }
            Some(_) => {}
            None => open = Fence::opened_by(line, next),
        }
        offset = next;
    }
    // A block that is never closed goes to the end.
    if let Some(fence) = open.filter(|fence| fence.is_sql) {
        blocks.push(fence.content..text.len());
    }
    blocks
}

/// The line that opens a block of code.
struct Fence {
    character: char,
    length: usize,
    is_sql: bool,
    /// Where the next line begins.
    content: usize,
}

impl Fence {
    fn opened_by(line: &str, content: usize) -> Option<Self> {
        let line = line.trim();
        let character = line.chars().next().filter(|character| matches!(character, '`' | '~'))?;
        let length = line.chars().take_while(|&next| next == character).count();
        let info = &line[length..];
        // Backticks within the line make it code in a line, not a fence.
        if length < 3 || (character == '`' && info.contains('`')) {
            return None;
        }
        let language = info
            .trim_start()
            .split(|next: char| next.is_whitespace() || matches!(next, '{' | ','))
            .next();
        Some(Self {
            character,
            length,
            is_sql: language.is_some_and(|language| language.eq_ignore_ascii_case("sql")),
            content,
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.chars().all(|next| next == self.character) && line.chars().count() >= self.length
    }
}

impl Analyzer {
    /// Checks the SQL blocks of a Markdown text as [`check`](Self::check) does, each as a text of its own. Places are
    /// those in the whole text. A text without SQL has no statements.
    pub fn check_markdown(&self, text: &str, call: impl Into<CallRange>) -> Analysis {
        let call = call.into();
        let mut all = Analysis { statements: Vec::new() };
        for (block, start) in placed_blocks(text) {
            all.add_moved(self.check(&text[block], call), start);
        }
        all
    }

    /// Checks the SQL blocks of a Markdown text as [`check_online`](Self::check_online) does, each as a text of its own.
    ///
    /// # Errors
    /// As [`check_online`](Self::check_online).
    pub async fn check_markdown_online(
        &self,
        service: &dyn QueryService,
        text: &str,
        call: impl Into<CallRange>,
    ) -> Result<Analysis> {
        let call = call.into();
        let mut all = Analysis { statements: Vec::new() };
        for (block, start) in placed_blocks(text) {
            all.add_moved(self.check_online(service, &text[block], call).await?, start);
        }
        Ok(all)
    }

    /// Applies every fix to the SQL blocks of a Markdown text, as [`fix`](Self::fix) does. What is around them stays.
    pub fn fix_markdown(&self, text: &str, call: impl Into<CallRange>) -> Fixed {
        let call = call.into();
        let mut fixed = Fixed {
            text: String::with_capacity(text.len() + 16),
            fixed: 0,
        };
        let mut done = 0;
        for block in sql_blocks(text) {
            let of_block = self.fix(&text[block.clone()], call);
            fixed.text.push_str(&text[done..block.start]);
            fixed.text.push_str(&of_block.text);
            fixed.fixed += of_block.fixed;
            done = block.end;
        }
        fixed.text.push_str(&text[done..]);
        fixed
    }
}

/// The SQL blocks of a text, each with the place where it begins.
fn placed_blocks(text: &str) -> Vec<(Range<usize>, Location)> {
    let source = Source::new(text);
    sql_blocks(text)
        .into_iter()
        .map(|block| {
            let start = source.span(block.start..block.start).start;
            (block, start)
        })
        .collect()
}

impl Location {
    /// The same place after what stands before `start`, which is the beginning of a line.
    fn move_by(&mut self, start: Location) {
        self.line += start.line - 1;
        self.offset += start.offset;
    }
}

impl Analysis {
    /// Adds the analysis of a piece of the text that begins at `start`.
    fn add_moved(&mut self, mut piece: Self, start: Location) {
        piece.move_by(start);
        self.statements.append(&mut piece.statements);
    }

    fn move_by(&mut self, start: Location) {
        for statement in &mut self.statements {
            let edits = statement.findings.iter_mut().flat_map(|finding| {
                let edits = finding.fix.iter_mut().flatten().map(|edit| &mut edit.span);
                std::iter::once(&mut finding.span).chain(edits)
            });
            let shape = statement.shape.iter_mut().flat_map(|shape| shape.spans_mut());
            for span in std::iter::once(&mut statement.span).chain(edits).chain(shape) {
                span.start.move_by(start);
                span.end.move_by(start);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_between_sql_fences() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<&str> = sql_blocks(text).into_iter().map(|block| &text[block]).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("```sql\na\n```\n```\nb\n```\n~~~ SQL {.x}\nc\n~~~", &["a\n", "c\n"]);
        check("````sql\na\n```\nb\n````\n", &["a\n```\nb\n"]);
        check("  - item\n    ```sql\n    a\n    ```\n", &["    a\n"]);
        check("```sql\na", &["a"]);
        check("```python\n```sql\na\n```\n", &[]);
        check("`sql` ```sql```\n", &[]);
        check("", &[]);
    }

    #[test]
    fn places_are_those_of_the_file() {
        let text = "# é\n\n```sql\nSELECT nope FROM processes;\n```\n\n```sql\n\n  SELECT * FROM log_entries\n  WHERE time > '2026-01-01'\n```\n";
        let analysis = Analyzer::default().check_markdown(text, CallRange::default());
        assert_eq!(analysis.statements.len(), 2);
        for finding in analysis.findings() {
            let start = finding.span.start;
            let line = text.lines().nth(start.line - 1).unwrap();
            let from_line: String = line.chars().skip(start.column - 1).collect();
            assert!(text[start.offset..].starts_with(&from_line), "{finding:?}");
        }
        let fixed = crate::apply_fixes(text, analysis.findings());
        assert!(fixed.0.contains("'2026-01-01T00:00:00Z'\n```"), "{}", fixed.0);
        let whole = Analyzer::default().fix_markdown(text, CallRange::default());
        assert_eq!((whole.text, whole.fixed), fixed);
    }

    #[tokio::test]
    async fn the_place_that_a_service_names_is_that_of_the_file() {
        let mut service = lakepilot_query::MockQueryService::new();
        service.expect_prepare().returning(|query| {
            assert_eq!(query.sql(), "SELECT msg FROM log_entries");
            let position = lakepilot_query::Position { line: 1, column: 8 };
            let error = lakepilot_query::Error::new(lakepilot_query::ErrorKind::InvalidQuery, "msg cannot be had");
            Err(error.with_position(position))
        });
        let text = "# é\n```sql\nSELECT msg FROM log_entries\n```\n";
        let analysis = Analyzer::default()
            .check_markdown_online(&service, text, CallRange::default())
            .await
            .unwrap();
        let rejected = analysis.findings().find(|finding| finding.rule == "rejected-by-server");
        let span = rejected.unwrap().span;
        assert_eq!((&text[span.range()], span.start.line, span.start.column), ("msg", 3, 8));
    }
}
