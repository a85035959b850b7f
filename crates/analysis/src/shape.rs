//! What a query is, for whoever runs it: what it reads, over which time, and whether it can be cut by time.

use lakepilot_query::{Error, ErrorKind, Query, Result, TimeRange, quote_time};
use serde::Serialize;

use crate::model::{InstanceRef, Model};
use crate::source::Source;
use crate::{CallRange, Span};

/// A view instance that a query reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewRead {
    /// The view set: `log_entries`.
    pub view_set: String,
    /// The instance: `global`, or the id of a process or a stream; `None` when it is not written as a literal.
    pub instance: Option<String>,
    /// Where it is named.
    #[serde(flatten)]
    pub span: Span,
    /// The time of the rows that can reach the result, by the range of the call and the filters beside the view.
    pub time_bounds: TimeBounds,
    /// Whether it is telemetry, which wants a time range, or metadata, which does not.
    pub is_telemetry: bool,
}

/// The times between which rows lie, both included; `None` where there is no bound, or none that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeBounds {
    /// The earliest time, in nanoseconds since the Unix epoch.
    pub begin_nanos: Option<i64>,
    /// The latest time, in nanoseconds since the Unix epoch.
    pub end_nanos: Option<i64>,
}

impl TimeBounds {
    /// The range between the two, when there are two and they are in order.
    pub fn time_range(&self) -> Option<TimeRange> {
        let time = chrono::DateTime::from_timestamp_nanos;
        TimeRange::new(time(self.begin_nanos?), time(self.end_nanos?)).ok()
    }
}

impl Serialize for TimeBounds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let text = |nanos: Option<i64>| {
            nanos.map(|nanos| lakepilot_query::to_rfc3339(chrono::DateTime::from_timestamp_nanos(nanos)))
        };
        let mut bounds = serializer.serialize_struct("TimeBounds", 2)?;
        bounds.serialize_field("begin", &text(self.begin_nanos))?;
        bounds.serialize_field("end", &text(self.end_nanos))?;
        bounds.end()
    }
}

/// In which order the slices of a query have to follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SliceOrder {
    /// Any: the query has no `ORDER BY`.
    Any,
    /// From the first to the last: it is ordered by time.
    Ascending,
    /// From the last to the first: it is ordered by time, latest first.
    Descending,
}

/// How a query is cut by time.
///
/// A slice of a view of instants is the same query over a part of the time range. A view of rows that last (spans) is cut
/// at their begin: a row belongs to the slice in which it begins, and one that began before the range to the first. The
/// service would return it with every slice that it overlaps, so each slice gets a condition as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slicing {
    /// The column by which rows belong to a slice.
    pub column: String,
    /// In which order the slices have to follow each other for the rows to be in the order of the query.
    pub order: SliceOrder,
    /// Where the condition of a slice goes, for rows that last; `None` for instants, which need none.
    #[serde(skip)]
    condition: Option<ConditionSite>,
}

/// Where a condition can be put into the text, and how the column is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConditionSite {
    /// The expression after `WHERE`; empty, and behind the `FROM`, where there is none.
    pub(crate) existing: std::ops::Range<usize>,
    /// The column, quoted. It is the only one of its name, since only one view is read there.
    pub(crate) column: String,
}

impl Slicing {
    pub(crate) fn new(column: &str, order: SliceOrder, condition: Option<ConditionSite>) -> Self {
        Self {
            column: column.to_owned(),
            order,
            condition,
        }
    }

    /// The query of each slice of the range, in the order in which they have to follow each other. Together they
    /// return the rows of the query over the whole range, each once.
    ///
    /// # Errors
    /// `InvalidInput` when the query is not the one that was analysed, so that its text has other places, or when it has
    /// a limit beside the SQL, which would count the rows of each slice.
    pub fn queries(&self, query: &Query, slices: &[TimeRange]) -> Result<Vec<Query>> {
        if query.limit().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a query with a limit is not cut into slices: each would return that many rows",
            ));
        }
        let mut slices: Vec<TimeRange> = slices.to_vec();
        slices.sort_by_key(TimeRange::begin_nanos);
        let mut queries = Vec::with_capacity(slices.len());
        for (index, slice) in slices.iter().enumerate() {
            let sliced = match &self.condition {
                None => query.clone(),
                Some(site) => query.clone().with_sql(site.insert(query.sql(), *slice, index == 0)?)?,
            };
            queries.push(sliced.with_time_range(*slice));
        }
        if self.order == SliceOrder::Descending {
            queries.reverse();
        }
        Ok(queries)
    }

    /// The text of the query before and after the place where the condition of a slice goes, for whoever makes the condition
    /// themselves: one that binds at least as strongly as a comparison. `None` for a view of instants, which needs none.
    ///
    /// # Errors
    /// `InvalidInput` when the text is not the one that was analysed.
    pub fn around_condition(&self, sql: &str) -> Result<Option<(String, String)>> {
        self.condition.as_ref().map(|site| site.around(sql)).transpose()
    }
}

impl ConditionSite {
    /// The text before and after the place of a condition.
    fn around(&self, sql: &str) -> Result<(String, String)> {
        let (Some(before), Some(existing), Some(after)) = (
            sql.get(..self.existing.start),
            sql.get(self.existing.clone()),
            sql.get(self.existing.end..),
        ) else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the query is not the one that was analysed; analyse it again before it is cut",
            ));
        };
        // A comment at the end of the condition that is there must not swallow the bracket.
        Ok(if existing.is_empty() {
            (format!("{before}\nWHERE "), format!("\n{after}"))
        } else {
            (format!("{before}({existing}\n) AND "), after.to_owned())
        })
    }

    /// The text with the condition that a row begins in the slice. The first slice also takes what began before it.
    fn insert(&self, sql: &str, slice: TimeRange, is_first: bool) -> Result<String> {
        let (before, after) = self.around(sql)?;
        let column = &self.column;
        let mut condition = format!("{column} <= {}", quote_time(slice.end()));
        if !is_first {
            condition = format!("{column} >= {} AND {condition}", quote_time(slice.begin()));
        }
        Ok(format!("{before}{condition}{after}"))
    }
}

/// Whether a query can be cut by time, and if not, why.
#[derive(Clone, Debug, PartialEq)]
pub enum Sliceable {
    /// It can.
    Yes(Slicing),
    /// It cannot, or it is not known to be safe.
    No {
        /// Why, as a lowercase fragment.
        reason: String,
        /// What in the text is the reason.
        span: Span,
    },
}

impl Sliceable {
    /// How it is cut, if it can be.
    pub fn slicing(&self) -> Option<&Slicing> {
        match self {
            Self::Yes(slicing) => Some(slicing),
            Self::No { .. } => None,
        }
    }
}

impl Serialize for Sliceable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Yes(slicing) => {
                map.serialize_entry("ok", &true)?;
                map.serialize_entry("reason", &None::<String>)?;
                map.serialize_entry("column", &slicing.column)?;
                map.serialize_entry("order", &slicing.order)?;
            }
            Self::No { reason, span } => {
                map.serialize_entry("ok", &false)?;
                map.serialize_entry("reason", reason)?;
                map.serialize_entry("start", &span.start)?;
                map.serialize_entry("end", &span.end)?;
            }
        }
        map.end()
    }
}

/// What a query is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryShape {
    /// The views that it reads, in the order of the text. A view that is named twice is here twice.
    pub views: Vec<ViewRead>,
    /// The tables and table functions that it reads and that are not view sets that every lake has.
    pub other_tables: Vec<String>,
    /// The time of all telemetry that can reach the result: around the bounds of all views of it.
    pub time_bounds: TimeBounds,
    /// Whether it can be cut by time.
    pub sliceable: Sliceable,
}

impl QueryShape {
    /// The shape of what is not a query, to be written out.
    pub(crate) fn of_no_query(span: Span) -> Self {
        Self {
            views: Vec::new(),
            other_tables: Vec::new(),
            time_bounds: TimeBounds::default(),
            sliceable: Sliceable::No {
                reason: "it is not a query".to_owned(),
                span,
            },
        }
    }

    /// Every place that it names, to be moved.
    pub(crate) fn spans_mut(&mut self) -> impl Iterator<Item = &mut Span> {
        let reason = match &mut self.sliceable {
            Sliceable::No { span, .. } => Some(span),
            Sliceable::Yes(_) => None,
        };
        self.views.iter_mut().map(|view| &mut view.span).chain(reason)
    }

    pub(crate) fn new(source: &Source<'_>, model: &Model<'_>, call: CallRange, sliceable: Sliceable) -> Self {
        let call = call.time_range();
        let views: Vec<ViewRead> = model
            .scans
            .iter()
            .map(|scan| ViewRead {
                view_set: scan.view.name.to_owned(),
                instance: match scan.instance {
                    InstanceRef::Global => Some("global".to_owned()),
                    InstanceRef::Literal(id, _) => Some(id.to_owned()),
                    InstanceRef::Dynamic => None,
                },
                span: source.span(source.range(sqlparser::ast::Spanned::span(scan.name))),
                time_bounds: {
                    let bounds = scan.bounds(call);
                    TimeBounds {
                        begin_nanos: bounds.lower,
                        end_nanos: bounds.upper,
                    }
                },
                is_telemetry: scan.view.is_timed(),
            })
            .collect();
        let tables = model.tables.iter().map(|table| table.name.to_string());
        let calls = model
            .table_calls
            .iter()
            .filter(|call| call.lowercase != "view_instance");
        let other_tables = tables.chain(calls.map(|call| call.name.to_string())).collect();
        Self {
            time_bounds: around(
                views
                    .iter()
                    .filter(|view| view.is_telemetry)
                    .map(|view| view.time_bounds),
            ),
            views,
            other_tables,
            sliceable,
        }
    }
}

/// The shortest bounds around all of them.
fn around(mut all: impl Iterator<Item = TimeBounds>) -> TimeBounds {
    let Some(first) = all.next() else {
        return TimeBounds::default();
    };
    all.fold(first, |sum, bounds| TimeBounds {
        begin_nanos: sum
            .begin_nanos
            .zip(bounds.begin_nanos)
            .map(|(left, right)| left.min(right)),
        end_nanos: sum.end_nanos.zip(bounds.end_nanos).map(|(left, right)| left.max(right)),
    })
}
