//! Knows a query before it runs.
//!
//! Three things are told of SQL that nobody has run yet:
//!
//! - **What is wrong with it.** [`Analyzer`] parses a text as the service does and checks every statement against some
//!   thirty rules ([`all_rules`]). Bad SQL is not an error of this crate: it is a [`Finding`], with its place in the text,
//!   why it matters, what to do and, where that is safe, the fix as text edits. Findings are rendered for people
//!   ([`render_text`]), code hosts ([`sarif`], [`github_annotations`]) and programs (everything is `Serialize`).
//! - **What it is.** [`QueryShape`] has the view instances that are read, the time of the rows that can reach the result,
//!   and whether the query can be cut by time without changing its result ([`Sliceable`]).
//! - **How large its result is.** [`analyze_schema`] asks a service for the schema and computes the size of a row from its
//!   Arrow types ([`SizeModel`]); [`estimate_result`] adds the number of rows, from one query of the catalogue. How long
//!   text is on average is learnt from a sample, and from every query that ran ([`LearningService`]), which a
//!   [`LengthStore`] keeps.
//!
//! Everything is derived from one model of a statement, made in one walk over the parser's tree, in which each name is
//! resolved and each filter on time is evaluated. The model never guesses: what it does not know, it says so, and the
//! rules that would need it are silent. Nothing here recurses along a text, so no text is too deep, and time grows with its
//! length.
//!
//! # Example
//! ```
//! use lakepilot_analysis::{Analyzer, CallRange, Checked, Severity, TextStyle, render_text};
//!
//! let sql = "SELECT time, msg FROM log_entries ORDER BY time DESC";
//! let analysis = Analyzer::default().check(sql, CallRange::default());
//! let rules: Vec<&str> = analysis.findings().map(|finding| finding.rule).collect();
//! assert_eq!(rules, ["missing-time-range", "order-by-without-limit"]);
//! assert_eq!(analysis.worst(), Some(Severity::Warning));
//!
//! let shape = analysis.statements[0].shape.as_ref().expect("it is a query");
//! assert_eq!(shape.views[0].view_set, "log_entries");
//! assert!(shape.sliceable.slicing().is_some());
//!
//! let checked = Checked { name: "errors.sql", text: sql, analysis: &analysis };
//! assert!(render_text(&checked, TextStyle::default()).contains("errors.sql:1:35"));
//! ```
//!
//! # Features
//! - `mock`: `MockLengthStore`, made by `mockall`.

mod analyzer;
mod clauses;
mod config;
mod context;
mod dialect;
mod documentation;
mod estimate;
mod finding;
mod fix;
mod ignore;
mod known;
mod learnt;
mod lengths;
mod markdown;
mod model;
mod nearest;
mod render;
mod report;
mod rules;
mod schema;
mod shape;
mod size;
mod slicing;
mod source;
mod syntax;
mod tokens;

pub use analyzer::{Analysis, Analyzer, StatementAnalysis, validate};
pub use config::{Config, Level};
pub use context::{CallRange, RuleContext};
pub use documentation::{rule_markdown, rules_markdown};
pub use estimate::{
    EstimateBasis, EstimateOptions, ResultEstimate, RowEstimate, ScanEstimate, TextLengths, estimate_result,
};
pub use finding::{Finding, Severity, TextEdit};
pub use fix::{Fixed, apply_fixes};
#[cfg(feature = "mock")]
pub use learnt::MockLengthStore;
pub use learnt::{FileLengthStore, LearningService, LearntLengths, LengthObserver, LengthStore, LoadedLengths};
pub use markdown::sql_blocks;
pub use nearest::nearest as nearest_names;
pub use render::{Checked, TextStyle, github_annotations, render_text, sarif};
pub use report::Report;
pub use rules::{Rule, RuleInfo, all as all_rules, find as find_rule};
pub use schema::{ColumnEstimate, SchemaAnalysis, analyze_schema, analyze_schema_with};
pub use shape::{QueryShape, SliceOrder, Sliceable, Slicing, TimeBounds, ViewRead};
pub use size::{SizeBasis, SizeModel};
pub use source::{Location, Span};
