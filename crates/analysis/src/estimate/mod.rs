//! How large a result will be, before it is run.
//!
//! Rows come from partitions, and sizes from Arrow types and the lengths of text. Parquet keeps the bytes of each column
//! in the footer of a file, and no server tells them: of the functions that the service has (Micromegas 0.33, as its source
//! registers them), `list_partitions()` knows a file's size and rows as a whole, none reads a footer, and its scans give the
//! planner unknown statistics but for the bounds of the sort column. So lengths are learnt from what results show
//! ([`LearntLengths`]), or sampled.

mod partitions;
mod rows;
mod sample;
mod selectivity;
mod texts;

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use futures::future::try_join;
use lakepilot_catalog::ColumnReader;
use lakepilot_query::{Clock, Error, ErrorKind, Query, QueryService, QueryServiceExt, Result, SystemClock};
use serde::Serialize;

pub use sample::TextLengths;

use crate::learnt::ColumnKeys;
use crate::source::Source;
use crate::{LearntLengths, SchemaAnalysis, SizeBasis, SizeModel, TimeBounds, model, syntax};
use partitions::ScannedRows;
use rows::Rows;

/// What an estimate of rows stands on, from the firmest to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EstimateBasis {
    /// The rows were counted, or the form of the query says how many there are.
    Exact,
    /// The row counts of partitions, clipped to the time range as if rows were spread evenly over it.
    PartitionMetadata,
    /// Partitions, and the share of a sample of rows that the filters let through.
    SampledSelectivity,
    /// Nothing that is known: the expected number is a guess, and only the interval is meant.
    Unknown,
}

impl EstimateBasis {
    /// The basis as a few words for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact count",
            Self::PartitionMetadata => "partition metadata",
            Self::SampledSelectivity => "sampled selectivity",
            Self::Unknown => "unknown",
        }
    }
}

/// An expected number of rows, the interval in which it lies, and what they stand on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RowEstimate {
    /// The fewest rows there can be.
    pub low: u64,
    /// The number to expect.
    pub expected: f64,
    /// The most rows there can be; `None` when there is no bound that is known.
    pub high: Option<u64>,
    /// What the numbers stand on.
    pub basis: EstimateBasis,
}

/// What the service would read of one view instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScanEstimate {
    /// The view set.
    pub view_set: String,
    /// The instance; `None` when it is not written as a literal.
    pub instance: Option<String>,
    /// The time of the rows that are read, by the range of the call and the filters of the query.
    pub time_bounds: TimeBounds,
    /// How many partitions are opened.
    pub partitions_touched: u64,
    /// How many partitions of the instance the time range of the call rules out.
    pub partitions_pruned: u64,
    /// How many files there are among the partitions that are opened; an empty partition has none.
    pub files: u64,
    /// The size of those files, in bytes: at most this is read.
    pub file_bytes: u64,
    /// The part of the files that the columns of the query make up, in bytes, by the sizes that are assumed.
    pub read_bytes: f64,
    /// The rows in the time bounds, before other filters.
    pub rows: RowEstimate,
}

/// How large a result will be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultEstimate {
    /// The columns, and the size of a row.
    #[serde(flatten)]
    pub schema: SchemaAnalysis,
    /// The rows of the result.
    pub rows: RowEstimate,
    /// The bytes of the result: the expected rows times the size of one.
    pub estimated_bytes: f64,
    /// What is read, view instance by view instance, in the order of the text.
    pub scans: Vec<ScanEstimate>,
}

impl ResultEstimate {
    /// Refuses a result that is expected to be larger than the caller wants: the guard before a query is run.
    ///
    /// # Errors
    /// `ResourceExhausted` with the estimate, what it stands on and the limit.
    pub fn ensure_within(&self, max_rows: Option<u64>, max_bytes: Option<u64>) -> Result<()> {
        let basis = self.rows.basis.as_str();
        if let Some(most) = max_rows.filter(|&most| self.rows.expected > most as f64) {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the query is estimated at {:.0} rows ({basis}), more than the {most} that are allowed; \
                     narrow its time range or raise the limit",
                    self.rows.expected
                ),
            ));
        }
        if let Some(most) = max_bytes.filter(|&most| self.estimated_bytes > most as f64) {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the query is estimated at {:.0} bytes ({basis}), more than the {most} that are allowed; \
                     narrow its time range, select fewer columns or raise the limit",
                    self.estimated_bytes
                ),
            ));
        }
        Ok(())
    }
}

/// How an estimate is made.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EstimateOptions {
    /// The sizes that are assumed where a type does not tell; `None` for the defaults.
    pub sizes: Option<SizeModel>,
    /// How many rows are read to learn the lengths of text and how much filters let through; `None` for no sample.
    pub sample_rows: Option<u64>,
    /// Whether the rows are counted, which is as dear as the query itself.
    pub count: bool,
    /// The lengths of text that earlier queries learnt, used where neither `sizes` nor a sample tells one.
    pub learnt: Option<LearntLengths>,
}

impl EstimateOptions {
    /// The same options with a sample of some rows.
    #[must_use]
    pub fn with_sample_rows(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.sample_rows = rows.into();
        self
    }

    /// The same options with a count of the rows.
    #[must_use]
    pub fn with_count(mut self, count: bool) -> Self {
        self.count = count;
        self
    }

    /// The same options with lengths of text that earlier queries learnt.
    #[must_use]
    pub fn with_learnt(mut self, learnt: impl Into<Option<LearntLengths>>) -> Self {
        self.learnt = learnt.into();
        self
    }

    /// The same options with other sizes.
    #[must_use]
    pub fn with_sizes(mut self, sizes: SizeModel) -> Self {
        self.sizes = Some(sizes);
        self
    }
}

/// Estimates the result of a query from its schema and the partitions that it reads.
///
/// The query is planned and not run, and the catalogue is asked once, however many views and columns there are. A sample
/// or a count, when the options ask for one, runs a query of its own.
///
/// # Errors
/// As [`QueryService::prepare`] for the query, and [`QueryService::run`] for the catalogue.
pub async fn estimate_result(
    service: &dyn QueryService,
    query: &Query,
    options: &EstimateOptions,
) -> Result<ResultEstimate> {
    let scans = partitions::scans(query);
    let (prepared, listed) = try_join(service.prepare(query), partitions::list(service, &scans)).await?;
    let mut sizes = options.sizes.clone().unwrap_or_else(|| SizeModel::for_query(query));
    let mut bases = BTreeMap::new();
    let mut counted = None;
    let mut selectivity = None;
    if let Some(rows) = options.sample_rows.filter(|&rows| rows > 0) {
        let sampled = sample::read(service, query, rows).await?;
        sampled.lengths.apply(&mut sizes);
        bases.extend(
            sampled
                .lengths
                .columns()
                .map(|column| (column.clone(), SizeBasis::Sampled)),
        );
        counted = sampled.all_rows;
        if counted.is_none() {
            selectivity = sample::selectivity(service, query, rows).await?;
        }
    }
    if options.count {
        counted = Some(count(service, query).await?);
    }
    let nothing = LearntLengths::default();
    let learnt = options.learnt.as_ref().unwrap_or(&nothing);
    bases.extend(lengths(query, learnt, &prepared.schema(), &mut sizes));
    let facts = partitions::facts(&listed);
    let (scans, scanned): (Vec<ScanEstimate>, Vec<ScannedRows>) =
        partitions::estimates(&scans, &listed, query).into_iter().unzip();
    let rows = match counted {
        Some(rows) => Rows::exactly(rows as f64),
        None => {
            with_model(query, |model| rows::of_query(model, &scanned, facts, selectivity)).unwrap_or_else(Rows::unknown)
        }
    };
    let rows = match query.limit() {
        Some(limit) => rows.at_most(limit as f64),
        None => rows,
    };
    let schema = SchemaAnalysis::with_bases(&prepared.schema(), &sizes, &bases);
    Ok(ResultEstimate {
        estimated_bytes: rows.likely * schema.estimated_row_bytes,
        rows: rows.estimate(),
        schema,
        scans,
    })
}

/// Puts the lengths of a result's columns into a model of sizes, where it has none: what was learnt of each, else what the
/// query tells, else what was learnt of others of its name.
fn lengths(
    query: &Query,
    learnt: &LearntLengths,
    schema: &Schema,
    sizes: &mut SizeModel,
) -> BTreeMap<String, SizeBasis> {
    let is_learnt = |columns: Vec<String>| columns.into_iter().map(|column| (column, SizeBasis::Learnt));
    let keys = ColumnKeys::of(query).for_schema(schema);
    let mut bases: BTreeMap<String, SizeBasis> = is_learnt(learnt.apply(&keys, true, schema, sizes)).collect();
    bases.extend(with_model(query, |model| texts::apply(model, learnt, schema, sizes)).unwrap_or_default());
    bases.extend(is_learnt(learnt.apply(&keys, false, schema, sizes)));
    bases
}

/// Calls a function with the model of a query; `None` when the text is not one query.
pub(crate) fn with_model<T>(query: &Query, read: impl FnOnce(&model::Model<'_>) -> T) -> Option<T> {
    let source = Source::new(query.sql());
    let statements = syntax::parse(&source);
    let [statement] = statements.as_slice() else {
        return None;
    };
    match &statement.parsed {
        Ok(sqlparser::ast::Statement::Query(parsed)) => Some(read(&model::build(parsed, SystemClock.now()))),
        _ => None,
    }
}

async fn count(service: &dyn QueryService, query: &Query) -> Result<u64> {
    // The text may end in a comment, and in a semicolon.
    let sql = query.sql().trim_end().trim_end_matches(';');
    let counting = query
        .clone()
        .with_limit(None)
        .with_sql(format!("SELECT count(*) AS row_count FROM ({sql}\n) AS counted"))?;
    let row = service
        .first_row(&counting)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "the service answered a COUNT(*) with no row"))?;
    let rows: i64 = ColumnReader::new(&row, "COUNT(*)").required("row_count")?.value(0)?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
