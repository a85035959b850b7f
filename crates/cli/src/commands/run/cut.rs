//! How a query is cut into slices: the word of the analyser, joined with what the executor wants.

use std::sync::Arc;

use lakepilot_analysis::{Analyzer, QueryShape, SliceOrder as OrderOfQuery, Sliceable, Slicing as Verdict, Span};
use lakepilot_execution::{PartsRequest, ScanPredicate, SliceOrder, SliceRule, Slicing, auto_slices};
use lakepilot_query::{Error, ErrorKind, Query, QueryService, Result, TimeRange};

use super::{Asked, Place};
use crate::args::{SliceArgs, SliceCut};
use crate::messages::Messages;
use crate::output::printable;

/// The query and how it is cut, if it is. Into a directory it always is, were it into one slice.
pub(super) async fn cut(
    asked: &Asked,
    args: &SliceArgs,
    place: &Place,
    service: &Arc<dyn QueryService>,
    messages: Messages,
) -> Result<(Query, Option<Slicing>)> {
    let directory = place.directory();
    let how = match (args.slices, directory) {
        (None, None) => return Ok((asked.query.clone(), None)),
        (None, Some(_)) => SliceCut::Auto,
        (Some(how), _) => how,
    };
    let shape = shape(&asked.query)?;
    let query = with_range(asked.query.clone(), shape.as_ref())?;
    let range = query.time_range().ok_or_else(no_range)?;
    let earlier = asked.earlier.as_ref();
    if let (Some(earlier), Some(directory)) = (earlier, directory) {
        refuse_another_range(earlier, &query, range, directory)?;
    }
    let verdict = match shape.as_ref().map(|shape| &shape.sliceable) {
        Some(Sliceable::Yes(verdict)) => verdict,
        Some(Sliceable::No { reason, span }) if args.slices.is_some() => {
            return Err(not_sliceable(query.sql(), reason, *span));
        }
        None if args.slices.is_some() => return Err(not_one_query()),
        refused => {
            if let Some(Sliceable::No { reason, .. }) = refused {
                messages.tell(format!("one part, since the query cannot be cut: {reason}"));
            }
            let whole = Slicing::new(SliceRule::Points, vec![range])?;
            return Ok((query, Some(whole)));
        }
    };
    let cutter = Cutter {
        service: Arc::clone(service),
        shape: shape.as_ref(),
        earlier,
        parallel: args.parallel.get(),
    };
    let slices = cutter.slices(how, range).await?;
    let slicing = Slicing::new(rule(verdict, query.sql())?, slices)?
        .with_order(order(verdict, args))
        .with_parallel(args.parallel.get());
    Ok((query, Some(slicing)))
}

/// What the analyser says of the text, if it is one query.
fn shape(query: &Query) -> Result<Option<QueryShape>> {
    let mut analysis = Analyzer::default().check(query.sql(), query.time_range());
    if analysis.statements.len() > 1 {
        return Err(not_one_query());
    }
    Ok(analysis.statements.pop().and_then(|statement| statement.shape))
}

fn not_one_query() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "the text is not one query, so it cannot be cut into slices; give one SELECT, or leave --slices out",
    )
}

/// The query with a range beside it: the one that was given, or the one that its filters say.
fn with_range(query: Query, shape: Option<&QueryShape>) -> Result<Query> {
    if query.time_range().is_some() {
        return Ok(query);
    }
    let range = shape
        .and_then(|shape| shape.time_bounds.time_range())
        .ok_or_else(no_range)?;
    Ok(query.with_time_range(range))
}

fn no_range() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "slices are pieces of a time range, and there is none: give --begin, and --end unless it is now",
    )
}

/// A range that is counted back from the present never is that of the earlier run; the refusal says how to go on.
fn refuse_another_range(
    earlier: &PartsRequest,
    query: &Query,
    range: TimeRange,
    directory: &std::path::Path,
) -> Result<()> {
    let Some(known) = earlier.time_range() else {
        return Ok(());
    };
    if earlier.sql != query.sql() || known == range {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!(
            "the directory {} holds parts of a run over {known}, and {range} is asked for; take that run up with \
             --resume {0}, or choose another directory",
            directory.display()
        ),
    ))
}

/// The slices of a range.
struct Cutter<'a> {
    service: Arc<dyn QueryService>,
    shape: Option<&'a QueryShape>,
    earlier: Option<&'a PartsRequest>,
    parallel: usize,
}

impl Cutter<'_> {
    async fn slices(self, how: SliceCut, range: TimeRange) -> Result<Vec<TimeRange>> {
        match how {
            SliceCut::Count(count) => Ok(range.split(count.get())),
            SliceCut::Every(length) => range.split_every(length).map_err(|error| error.context("--slices")),
            SliceCut::Auto => match self.earlier {
                // The partitions of today are not those of the earlier run.
                Some(earlier) => Ok(earlier.slices.clone()),
                None => self.along_partitions(range).await,
            },
        }
    }

    /// Along the partitions of the first view that is read: a query that can be cut reads one, or some that are alike.
    async fn along_partitions(self, range: TimeRange) -> Result<Vec<TimeRange>> {
        let views = self.shape.map_or(&[][..], |shape| &shape.views);
        let view = views.iter().find(|view| view.is_telemetry);
        match view.and_then(|view| Some((view.view_set.as_str(), view.instance.as_deref()?))) {
            Some((view_set, instance)) => auto_slices(self.service, view_set, instance, range, self.parallel).await,
            None => Ok(range.split(self.parallel)),
        }
    }
}

fn rule(verdict: &Verdict, sql: &str) -> Result<SliceRule> {
    Ok(match verdict.around_condition(sql)? {
        None => SliceRule::Points,
        Some((before, after)) => SliceRule::Intervals(ScanPredicate::new(before, verdict.column.as_str(), after)),
    })
}

fn order(verdict: &Verdict, args: &SliceArgs) -> SliceOrder {
    match verdict.order {
        _ if args.unordered => SliceOrder::Unordered,
        OrderOfQuery::Any if args.ordered => SliceOrder::Ascending,
        OrderOfQuery::Any => SliceOrder::Unordered,
        OrderOfQuery::Ascending => SliceOrder::Ascending,
        OrderOfQuery::Descending => SliceOrder::Descending,
    }
}

fn not_sliceable(sql: &str, reason: &str, span: Span) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "the query cannot be cut into slices: {reason}\n  at line {}, column {}\n{}\n  run it whole, without --slices",
            span.start.line,
            span.start.column,
            excerpt(sql, span)
        ),
    )
}

/// How many characters of a line are shown around the place.
const BEFORE: usize = 16;
const SHOWN: usize = 34;

/// The line of the place, as much of it as fits a narrow terminal, with marks under the place.
fn excerpt(sql: &str, span: Span) -> String {
    let line: Vec<char> = sql
        .lines()
        .nth(span.start.line - 1)
        .unwrap_or_default()
        .chars()
        .collect();
    let column = (span.start.column - 1).min(line.len());
    let from = if line.len() <= SHOWN {
        0
    } else {
        column.saturating_sub(BEFORE).min(line.len() - SHOWN)
    };
    let to = line.len().min(from + SHOWN);
    let shown: String = line[from..to].iter().collect();
    let end = if span.end.line == span.start.line {
        (span.end.column - 1).clamp(column + 1, to.max(column + 1))
    } else {
        to.max(column + 1)
    };
    format!(
        "    {}\n    {}{}",
        printable(&shown),
        " ".repeat(column - from),
        "^".repeat(end - column)
    )
}
