//! How right the estimator is: what it says of queries, beside what they return.

mod facts;
mod measure;
mod queries;
mod report;
mod statistics;

pub use facts::Facts;
pub use measure::{LakeAccuracy, Measured, Sizes, measure_accuracy};
pub use queries::{AccuracyQuery, Group, accuracy_queries};
pub use report::{Goals, accuracy_markdown, accuracy_table};
