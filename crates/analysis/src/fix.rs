//! Applying the fixes of findings.

use crate::{Analyzer, CallRange, Finding, TextEdit};

/// How often a fixed text is analysed again: a fix may bring another finding to light, and none brings many.
const MOST_ROUNDS: usize = 8;

/// A text after its fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The text.
    pub text: String,
    /// How many findings were fixed.
    pub fixed: usize,
}

impl Analyzer {
    /// Applies every fix, and looks again until there is none: what is returned has no finding with a fix.
    ///
    /// A fix leaves the rows of the result as they are. Findings without one stay.
    pub fn fix(&self, sql: &str, call: impl Into<CallRange>) -> Fixed {
        let call = call.into();
        let mut fixed = Fixed {
            text: sql.to_owned(),
            fixed: 0,
        };
        for _ in 0..MOST_ROUNDS {
            let analysis = self.check(&fixed.text, call);
            let (text, count) = apply_fixes(&fixed.text, analysis.findings());
            if count == 0 {
                break;
            }
            fixed.text = text;
            fixed.fixed += count;
        }
        fixed
    }
}

/// Applies the fixes of findings about a text, and tells of how many findings.
///
/// The edits of a fix are applied together or not at all; of two that overlap, the first in the text is applied.
pub fn apply_fixes<'f>(text: &str, findings: impl IntoIterator<Item = &'f Finding>) -> (String, usize) {
    let mut fixes: Vec<Vec<&TextEdit>> = findings
        .into_iter()
        .filter_map(|finding| finding.fix.as_ref())
        .map(|edits| {
            let mut edits: Vec<&TextEdit> = edits.iter().collect();
            edits.sort_by_key(|edit| edit.span);
            edits
        })
        .filter(|edits| edits.iter().all(|edit| text.get(edit.span.range()).is_some()))
        .collect();
    fixes.sort_by_key(|edits| edits.first().map(|edit| edit.span));
    let mut chosen: Vec<&TextEdit> = Vec::new();
    let mut count = 0;
    let mut free_from = 0;
    for edits in fixes {
        let Some((first, last)) = edits.first().zip(edits.last()) else {
            continue;
        };
        if first.span.start.offset < free_from {
            continue;
        }
        // Two insertions at one place would be one text with no order between its halves.
        free_from = last.span.end.offset.max(last.span.start.offset + 1);
        chosen.extend(edits);
        count += 1;
    }
    let mut fixed = String::with_capacity(text.len() + 16);
    let mut done = 0;
    for edit in chosen {
        let range = edit.span.range();
        fixed.push_str(&text[done..range.start]);
        fixed.push_str(&edit.replacement);
        done = range.end;
    }
    fixed.push_str(&text[done..]);
    (fixed, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str) {
        let analyzer = Analyzer::default();
        let fixed = analyzer.fix(before, CallRange::default());
        assert_eq!(fixed.text, after);
        assert_eq!(analyzer.fix(after, CallRange::default()).fixed, 0, "{after}");
    }

    #[test]
    fn times_get_their_zone() {
        check(
            "SELECT msg FROM log_entries WHERE time BETWEEN '2026-01-31 12:00:00' AND '2026-02-01' -- é",
            "SELECT msg FROM log_entries WHERE time BETWEEN '2026-01-31 12:00:00Z' AND '2026-02-01T00:00:00Z' -- é",
        );
        check(
            "SELECT 'é', msg FROM log_entries WHERE TIMESTAMP '2026-01-31T12:00:00' < time",
            "SELECT 'é', msg FROM log_entries WHERE TIMESTAMP '2026-01-31T12:00:00Z' < time",
        );
    }

    #[test]
    fn a_sort_that_nobody_sees_is_removed() {
        check(
            "WITH l AS (SELECT msg FROM log_entries ORDER BY time DESC, lower(msg) NULLS FIRST) SELECT msg FROM l",
            "WITH l AS (SELECT msg FROM log_entries) SELECT msg FROM l",
        );
        let seen = "SELECT array_agg(msg) FROM (SELECT msg FROM log_entries ORDER BY time) AS l";
        check(seen, seen);
    }

    #[test]
    fn a_level_in_quotes_loses_them() {
        check(
            "SELECT msg FROM log_entries WHERE level = '2' OR '3' <> level",
            "SELECT msg FROM log_entries WHERE level = 2 OR 3 <> level",
        );
        let order = "SELECT msg FROM log_entries WHERE level <= '2'";
        check(order, order);
    }

    #[test]
    fn a_comment_that_ignores_nothing_is_removed() {
        check(
            "SELECT count(*) FROM processes -- lakepilot: ignore wide-row\nWHERE exe = 'x'",
            "SELECT count(*) FROM processes \nWHERE exe = 'x'",
        );
    }
}
