//! Knows a query before it runs.
//!
//! # Example
//! ```
//! use lakepilot_analysis::{Analyzer, CallRange, Severity};
//!
//! let sql = "SELECT time, msg FROM log_entries ORDER BY time DESC";
//! let analysis = Analyzer::default().check(sql, CallRange::default());
//! let rules: Vec<&str> = analysis.findings().map(|finding| finding.rule).collect();
//! assert_eq!(rules, ["missing-time-range", "order-by-without-limit"]);
//! assert_eq!(analysis.worst(), Some(Severity::Warning));
//! ```

mod analyzer;
mod clauses;
mod config;
mod context;
mod documentation;
mod estimate;
mod finding;
mod fix;
mod ignore;
mod known;
mod markdown;
mod model;
mod nearest;
mod plain_scan;
mod render;
mod report;
mod rules;
mod schema;
mod shape;
mod size;
mod slicing;
mod source;
mod syntax;

pub use analyzer::{Analysis, Analyzer, StatementAnalysis, validate};
pub use config::{Config, Level};
pub use context::{CallRange, RuleContext};
pub use documentation::{rule_markdown, rules_markdown};
pub use estimate::{
    EstimateBasis, EstimateOptions, ResultEstimate, RowEstimate, ScanEstimate, TextLengths, estimate_result,
};
pub use finding::{Finding, Severity, TextEdit};
pub use fix::{Fixed, apply_fixes};
pub use markdown::sql_blocks;
pub use plain_scan::{PlainScan, plain_scan};
pub use render::{Checked, TextStyle, github_annotations, render_text, sarif};
pub use report::Report;
pub use rules::{Rule, RuleInfo, all as all_rules, find as find_rule};
pub use schema::{ColumnEstimate, SchemaAnalysis, analyze_schema, analyze_schema_with};
pub use shape::{QueryShape, SliceOrder, Sliceable, Slicing, TimeBounds, ViewRead};
pub use size::SizeModel;
pub use source::{Location, Span};
