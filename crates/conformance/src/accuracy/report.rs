//! What was measured, for a person.

use std::fmt::Write;
use std::time::Duration;

use super::measure::{LakeAccuracy, Measured, Sizes};
use super::queries::Group;
use super::statistics::{Spread, q_error};

/// What the estimator is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goals {
    /// The 90th percentile of the error of row sizes, with nothing known but the schema.
    pub row_bytes_p90: f64,
    /// The same, after a sample.
    pub sampled_row_bytes_p90: f64,
    /// The median of the error of row counts of queries with no filter but time.
    pub rows_p50: f64,
    /// The share of queries whose true number of rows lies in the interval.
    pub in_interval: f64,
    /// The most queries that an estimate runs.
    pub queries_run: u64,
}

impl Default for Goals {
    fn default() -> Self {
        Self {
            row_bytes_p90: 2.0,
            sampled_row_bytes_p90: 1.15,
            rows_p50: 1.1,
            in_interval: 0.9,
            queries_run: 1,
        }
    }
}

/// A number that has a goal.
struct Verdict {
    what: &'static str,
    reached: String,
    goal: String,
    is_good: bool,
}

impl Verdict {
    fn at_most(what: &'static str, reached: f64, goal: f64) -> Self {
        Self {
            what,
            reached: number(reached),
            goal: format!("at most {}", number(goal)),
            is_good: reached <= goal,
        }
    }
}

impl LakeAccuracy {
    fn size_errors(&self, of: impl Fn(&Sizes) -> f64) -> Option<Spread> {
        let errors = self
            .queries
            .iter()
            .filter_map(|query| Some(q_error(of(&query.sizes), query.row_bytes?)));
        Spread::of(errors)
    }

    fn row_errors(&self, group: Option<Group>, of: impl Fn(&Measured) -> f64) -> Option<Spread> {
        let queries = self
            .queries
            .iter()
            .filter(|query| group.is_none_or(|group| query.group == group));
        Spread::of(queries.map(|query| q_error(of(query), query.rows as f64)))
    }

    /// The share of all queries for which something holds.
    fn share(&self, holds: impl Fn(&Measured) -> bool) -> f64 {
        let count = self.queries.iter().filter(|query| holds(query)).count();
        count as f64 / self.queries.len().max(1) as f64
    }

    fn most_queries_run(&self) -> u64 {
        self.queries.iter().map(|query| query.queries_run).max().unwrap_or(0)
    }

    fn median_time(&self, of: impl Fn(&Measured) -> Duration) -> f64 {
        Spread::of(self.queries.iter().map(|query| of(query).as_secs_f64() * 1_000.0)).map_or(0.0, |times| times.p50)
    }

    fn verdicts(&self, goals: &Goals) -> Vec<Verdict> {
        let worst = f64::INFINITY;
        let p90 = |spread: Option<Spread>| spread.map_or(worst, |spread| spread.p90);
        let time_only = self.row_errors(Some(Group::Time), |query| query.expected_rows);
        let in_interval = self.share(|query| query.is_in_interval);
        let run = self.most_queries_run();
        vec![
            Verdict::at_most(
                "row size, from the schema, p90",
                p90(self.size_errors(|sizes| sizes.schema)),
                goals.row_bytes_p90,
            ),
            Verdict::at_most(
                "row size, sampled, p90",
                p90(self.size_errors(|sizes| sizes.sampled)),
                goals.sampled_row_bytes_p90,
            ),
            Verdict::at_most(
                "rows, no filter but time, p50",
                time_only.map_or(worst, |spread| spread.p50),
                goals.rows_p50,
            ),
            Verdict {
                what: "true rows in the interval",
                reached: percent(in_interval),
                goal: format!("at least {}", percent(goals.in_interval)),
                is_good: in_interval >= goals.in_interval,
            },
            Verdict {
                what: "queries that an estimate runs",
                reached: run.to_string(),
                goal: format!("at most {}", goals.queries_run),
                is_good: run <= goals.queries_run,
            },
        ]
    }

    /// Whether every goal is reached.
    pub fn reaches(&self, goals: &Goals) -> bool {
        self.verdicts(goals).iter().all(|verdict| verdict.is_good)
    }

    /// The rows of the tables of errors: what is measured, and how it came out.
    fn spreads(&self) -> Vec<(String, Option<Spread>)> {
        let mut spreads = vec![
            (
                "row size, guide's constants".to_owned(),
                self.size_errors(|sizes| sizes.guide),
            ),
            (
                "row size, from the schema".to_owned(),
                self.size_errors(|sizes| sizes.schema),
            ),
            (
                "row size, learnt from other queries".to_owned(),
                self.size_errors(|sizes| sizes.learnt),
            ),
            ("row size, sampled".to_owned(), self.size_errors(|sizes| sizes.sampled)),
        ];
        for group in Group::ALL {
            spreads.push((
                format!("rows, {}", group.as_str()),
                self.row_errors(Some(group), |query| query.expected_rows),
            ));
        }
        spreads.push((
            "rows, all".to_owned(),
            self.row_errors(None, |query| query.expected_rows),
        ));
        spreads.push((
            "rows, all, sampled".to_owned(),
            self.row_errors(None, |query| query.sampled_rows),
        ));
        spreads
    }

    fn headline(&self) -> String {
        format!(
            "{}: {} queries over {} log entries",
            self.lake,
            self.queries.len(),
            self.log_entries
        )
    }

    /// How long estimates and queries took: of use where both ran on an idle machine.
    fn times(&self) -> String {
        format!(
            "an estimate takes {:.1} ms, the first batch of the query {:.1} ms (medians)",
            self.median_time(|query| query.estimate_time),
            self.median_time(|query| query.first_batch_time),
        )
    }
}

/// The tables of the lakes as plain text, with the queries whose estimates are worst.
pub fn accuracy_table(lakes: &[LakeAccuracy], goals: &Goals) -> String {
    let mut text = String::new();
    for lake in lakes {
        let _ = writeln!(text, "{}; {}\n", lake.headline(), lake.times());
        let _ = writeln!(
            text,
            "{:36}{:>8}{:>8}{:>8}{:>9}",
            "q-error", "queries", "p50", "p90", "max"
        );
        for (what, spread) in lake.spreads() {
            if let Some(spread) = spread {
                let _ = writeln!(
                    text,
                    "{what:36}{:>8}{:>8}{:>8}{:>9}",
                    spread.count,
                    number(spread.p50),
                    number(spread.p90),
                    number(spread.max)
                );
            }
        }
        text.push('\n');
        for verdict in lake.verdicts(goals) {
            let mark = if verdict.is_good { "ok    " } else { "MISSED" };
            let _ = writeln!(
                text,
                "{mark} {:32}{:>8}  {}",
                verdict.what, verdict.reached, verdict.goal
            );
        }
        let unbounded = lake.share(|query| !query.is_bounded);
        let _ = writeln!(
            text,
            "       intervals without an upper end {:>9}\n",
            percent(unbounded)
        );
    }
    text
}

/// The page of the documentation.
pub fn accuracy_markdown(lakes: &[LakeAccuracy], goals: &Goals) -> String {
    let mut text = String::from(
        "<!-- Generated by `cargo xtask accuracy --real`; do not edit. -->\n\
         # How right estimates are\n\n\
         Each query of a collection is estimated with `estimate_result`, then run. The q-error of an estimate is\n\
         `max(estimate / truth, truth / estimate)`: 1 is right, 2 is off by a factor of two in either direction.\n\n\
         - *guide's constants*: 50 bytes for text, 8 for a 64-bit number or a time, 4 for a 32-bit number, 16 for the rest.\n\
         - *from the schema*: from the Arrow types, and for text what is typical of a column or follows from an expression.\n\
         - *learnt*: with the average lengths that all the other queries of the collection taught.\n\
         - *sampled*: after the first 1,000 rows of the result.\n\
         - *rows*: from the partitions that `list_partitions()` tells, unless it says *sampled*.\n",
    );
    for lake in lakes {
        let _ = writeln!(text, "\n## {}\n", capitalised(&lake.lake));
        let _ = writeln!(text, "{}.\n", capitalised(&lake.headline()));
        text.push_str("| goal | reached | wanted | |\n|---|---:|---:|---|\n");
        for verdict in lake.verdicts(goals) {
            let mark = if verdict.is_good { "reached" } else { "**missed**" };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {mark} |",
                verdict.what, verdict.reached, verdict.goal
            );
        }
        text.push_str("\n| q-error | queries | p50 | p90 | max |\n|---|---:|---:|---:|---:|\n");
        for (what, spread) in lake.spreads() {
            if let Some(spread) = spread {
                let _ = writeln!(
                    text,
                    "| {what} | {} | {} | {} | {} |",
                    spread.count,
                    number(spread.p50),
                    number(spread.p90),
                    number(spread.max)
                );
            }
        }
        text.push_str("\n### Query by query\n\n");
        text.push_str(
            "| query | row bytes | schema | learnt | sampled | rows | expected | sampled | stands on |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---|\n",
        );
        for query in &lake.queries {
            markdown_row(&mut text, query);
        }
    }
    text
}

fn markdown_row(text: &mut String, query: &Measured) {
    let truth = query
        .row_bytes
        .map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.1}"));
    let outside = if query.is_in_interval { "" } else { " (outside)" };
    let _ = writeln!(
        text,
        "| `{}` | {truth} | {:.1} | {:.1} | {:.1} | {}{outside} | {:.0} | {:.0} | {} |",
        query.template.replace('|', "\\|"),
        query.sizes.schema,
        query.sizes.learnt,
        query.sizes.sampled,
        query.rows,
        query.expected_rows,
        query.sampled_rows,
        query.basis.as_str(),
    );
}

fn number(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}
