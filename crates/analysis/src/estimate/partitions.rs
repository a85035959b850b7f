//! What the catalogue says of the view instances that a query reads.

use lakepilot_catalog::{ColumnReader, GLOBAL_INSTANCE};
use lakepilot_query::{Query, QueryService, QueryServiceExt, Result, TimeRange, quote_literal};

use super::rows::Rows;
use super::selectivity::LakeFacts;
use super::{EstimateBasis, ScanEstimate, with_model};
use crate::TimeBounds;
use crate::known::{KnownView, TimeColumns};
use crate::model::InstanceRef;

/// The view set that has each process.
const PROCESSES: &str = "processes";

/// A view instance that a query reads, and how.
pub(crate) struct PlannedScan {
    view: &'static KnownView,
    instance: Option<String>,
    /// The time of its rows by all filters, in nanoseconds.
    lower: Option<i64>,
    upper: Option<i64>,
    /// Whether it has a bound whose value is not known before the query runs.
    has_unknown_bound: bool,
    /// The share of the view's columns that the query names, by the sizes that are assumed.
    column_share: f64,
}

/// A partition, as far as an estimate needs it.
pub(crate) struct ListedPartition {
    view_set: String,
    instance: String,
    /// The earliest and the latest event time, in nanoseconds; `None` when it has no rows.
    events: Option<(i64, i64)>,
    has_file: bool,
    file_bytes: u64,
    rows: u64,
}

/// What a scan gives, as the rest of the estimate needs it.
pub(crate) struct ScannedRows {
    pub(crate) rows: Rows,
    /// How long the time of those rows is, in nanoseconds, where it is known.
    pub(crate) span_nanos: Option<f64>,
}

/// The scans of a query, in the order of the model.
pub(crate) fn scans(query: &Query) -> Vec<PlannedScan> {
    with_model(query, |model| {
        model
            .scans
            .iter()
            .enumerate()
            .map(|(id, scan)| {
                let bounds = scan.bounds(query.time_range());
                PlannedScan {
                    view: scan.view,
                    instance: match scan.instance {
                        InstanceRef::Global => Some(GLOBAL_INSTANCE.to_owned()),
                        InstanceRef::Literal(instance, _) => Some(instance.to_owned()),
                        InstanceRef::Dynamic => None,
                    },
                    lower: bounds.lower,
                    upper: bounds.upper,
                    has_unknown_bound: bounds.lower_unknown || bounds.upper_unknown,
                    column_share: model.column_share(id),
                }
            })
            .collect()
    })
    .unwrap_or_default()
}

/// Lists the partitions that queries read of all the scans, with one query. Partitions of another schema than the
/// current one of their view set are ignored by queries.
pub(crate) async fn list(service: &dyn QueryService, scans: &[PlannedScan]) -> Result<Vec<ListedPartition>> {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for scan in scans {
        if let Some(instance) = &scan.instance {
            wanted.push((scan.view.name, instance));
            if scan.view.instances.has_global() {
                wanted.push((scan.view.name, GLOBAL_INSTANCE));
            }
            // How many processes there are tells how much of a whole is one of them.
            wanted.push((PROCESSES, GLOBAL_INSTANCE));
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let instances: Vec<String> = wanted
        .iter()
        .map(|(view_set, instance)| {
            format!(
                "(p.view_set_name = {} AND p.view_instance_id = {})",
                quote_literal(view_set),
                quote_literal(instance)
            )
        })
        .collect();
    let sql = format!(
        "SELECT p.view_set_name, p.view_instance_id, p.min_event_time, p.max_event_time, \
         p.file_path IS NOT NULL AS has_file, p.file_size, p.num_rows \
         FROM list_partitions() AS p \
         LEFT JOIN list_view_sets() AS v ON p.view_set_name = v.view_set_name \
         WHERE (v.current_schema_hash IS NULL OR v.current_schema_hash = p.file_schema_hash) AND ({})",
        instances.join(" OR ")
    );
    let result = service
        .collect(&Query::new(sql)?)
        .await
        .map_err(|error| error.context("listing partitions"))?;
    let mut listed = Vec::with_capacity(result.num_rows());
    for batch in &result.batches {
        let columns = ColumnReader::new(batch, "list_partitions()");
        let view_set = columns.required::<String>("view_set_name")?;
        let instance = columns.required::<String>("view_instance_id")?;
        let earliest = columns.required::<chrono::DateTime<chrono::Utc>>("min_event_time")?;
        let latest = columns.required::<chrono::DateTime<chrono::Utc>>("max_event_time")?;
        let has_file = columns.required::<bool>("has_file")?;
        let file_bytes = columns.required::<u64>("file_size")?;
        let rows = columns.required::<u64>("num_rows")?;
        for row in 0..columns.num_rows() {
            let nanos = |time: chrono::DateTime<chrono::Utc>| time.timestamp_nanos_opt();
            listed.push(ListedPartition {
                view_set: view_set.value(row)?,
                instance: instance.value(row)?,
                events: earliest
                    .get(row)?
                    .and_then(nanos)
                    .zip(latest.get(row)?.and_then(nanos).map(last_nanosecond)),
                has_file: has_file.value(row)?,
                file_bytes: file_bytes.value(row)?,
                rows: rows.value(row)?,
            });
        }
    }
    Ok(listed)
}

/// The catalogue of the service keeps microseconds and cuts off the rest, so that the last row may be later than it says.
fn last_nanosecond(latest: i64) -> i64 {
    if latest % 1_000 == 0 {
        latest.saturating_add(999)
    } else {
        latest
    }
}

/// How many processes the lake has, as far as partitions tell.
pub(crate) fn facts(listed: &[ListedPartition]) -> LakeFacts {
    let of_processes = listed
        .iter()
        .filter(|partition| partition.view_set == PROCESSES && partition.instance == GLOBAL_INSTANCE);
    let rows = repeated(of_processes.map(|partition| partition.rows as f64));
    LakeFacts {
        processes: (rows.likely >= 1.0).then_some(rows.likely),
    }
}

/// The rows of partitions that may have the same rows: those of the largest at least, all of them at most. Between the two
/// the geometric mean is off by the least factor.
fn repeated(counts: impl Iterator<Item = f64>) -> Rows {
    let (most, sum) = counts.fold((0.0, 0.0), |(most, sum), count| (f64::max(most, count), sum + count));
    Rows {
        low: most,
        likely: (most * sum).sqrt(),
        high: sum,
        basis: EstimateBasis::PartitionMetadata,
    }
}

/// What each scan reads of what is listed.
pub(crate) fn estimates(
    scans: &[PlannedScan],
    listed: &[ListedPartition],
    query: &Query,
) -> Vec<(ScanEstimate, ScannedRows)> {
    let facts = facts(listed);
    scans
        .iter()
        .map(|scan| estimate(scan, listed, facts, query.time_range()))
        .collect()
}

fn estimate(
    scan: &PlannedScan,
    listed: &[ListedPartition],
    facts: LakeFacts,
    call: Option<TimeRange>,
) -> (ScanEstimate, ScannedRows) {
    let mut estimate = ScanEstimate {
        view_set: scan.view.name.to_owned(),
        instance: scan.instance.clone(),
        time_bounds: TimeBounds {
            begin_nanos: scan.lower,
            end_nanos: scan.upper,
        },
        partitions_touched: 0,
        partitions_pruned: 0,
        files: 0,
        file_bytes: 0,
        read_bytes: 0.0,
        rows: Rows::exactly(0.0).estimate(),
    };
    let mut opened: Vec<&ListedPartition> = Vec::new();
    for partition in of_instance(scan, listed, scan.instance.as_deref()) {
        // Only the range of the call keeps partitions closed.
        if !overlaps(
            partition,
            call.map(|range| range.begin_nanos()),
            call.map(|range| range.end_nanos()),
        ) {
            estimate.partitions_pruned += 1;
            continue;
        }
        estimate.partitions_touched += 1;
        if partition.has_file {
            estimate.files += 1;
            estimate.file_bytes += partition.file_bytes;
        }
        opened.push(partition);
    }
    estimate.read_bytes = estimate.file_bytes as f64 * scan.column_share;
    let mut rows = if matches!(scan.view.name, PROCESSES | "streams") {
        repeated(opened.iter().map(|partition| partition.rows as f64))
    } else {
        clipped(scan, opened.iter().copied())
    };
    // An instance of one process is made when it is first read: that there is nothing yet says nothing.
    let is_made_on_demand = scan.instance.as_deref() != Some(GLOBAL_INSTANCE);
    if opened.is_empty() && estimate.partitions_pruned == 0 && is_made_on_demand {
        let of_all = clipped(scan, of_instance(scan, listed, Some(GLOBAL_INSTANCE)));
        rows = Rows {
            likely: facts
                .processes
                .map_or(0.0, |processes| of_all.likely / processes.max(1.0)),
            ..Rows::unknown()
        };
        opened.extend(of_instance(scan, listed, Some(GLOBAL_INSTANCE)));
    }
    if scan.has_unknown_bound {
        rows.low = 0.0;
        rows.basis = EstimateBasis::Unknown;
    }
    if !scan.view.is_timed() && call.is_some() {
        // Of the partitions that are left open, the service may yet leave rows out.
        rows.low = 0.0;
    }
    estimate.rows = rows.estimate();
    let span_nanos = span_nanos(scan, &opened);
    (estimate, ScannedRows { rows, span_nanos })
}

/// The partitions of an instance of the view set that a scan reads.
fn of_instance<'l>(
    scan: &'l PlannedScan,
    listed: &'l [ListedPartition],
    instance: Option<&'l str>,
) -> impl Iterator<Item = &'l ListedPartition> {
    listed
        .iter()
        .filter(move |partition| partition.view_set == scan.view.name && Some(partition.instance.as_str()) == instance)
}

/// How long the time of the rows is that a scan reads of its partitions.
fn span_nanos(scan: &PlannedScan, opened: &[&ListedPartition]) -> Option<f64> {
    let events = opened.iter().filter_map(|partition| partition.events);
    let (earliest, latest) = events.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))?;
    let begin = scan.lower.map_or(earliest, |lower| lower.max(earliest));
    let end = scan.upper.map_or(latest, |upper| upper.min(latest));
    (begin <= end).then(|| end.abs_diff(begin) as f64)
}

/// The rows of partitions, as far as their time lies in the bounds of a scan.
fn clipped<'p>(scan: &PlannedScan, partitions: impl Iterator<Item = &'p ListedPartition>) -> Rows {
    let mut rows = Rows {
        basis: EstimateBasis::PartitionMetadata,
        ..Rows::exactly(0.0)
    };
    for partition in partitions {
        add_rows(&mut rows, scan, partition);
    }
    rows
}

fn overlaps(partition: &ListedPartition, lower: Option<i64>, upper: Option<i64>) -> bool {
    match partition.events {
        None => lower.is_none() && upper.is_none(),
        Some((earliest, latest)) => {
            lower.is_none_or(|lower| latest >= lower) && upper.is_none_or(|upper| earliest <= upper)
        }
    }
}

/// Adds the rows of a partition in the bounds: all, none, or the part of its time that lies in them.
fn add_rows(sum: &mut Rows, scan: &PlannedScan, partition: &ListedPartition) {
    let Some((earliest, latest)) = partition.events else {
        return;
    };
    let is_metadata = scan.view.time == TimeColumns::Metadata;
    let lower = scan.lower.filter(|_| !is_metadata).unwrap_or(i64::MIN);
    let upper = scan.upper.filter(|_| !is_metadata).unwrap_or(i64::MAX);
    let rows = partition.rows as f64;
    if earliest > upper || latest < lower {
        return;
    }
    sum.high += rows;
    if earliest >= lower && latest <= upper {
        sum.low += rows;
        sum.likely += rows;
        return;
    }
    let length = latest.abs_diff(earliest) as f64 + 1.0;
    let inside = latest.min(upper).abs_diff(earliest.max(lower)) as f64 + 1.0;
    sum.likely += rows * inside / length;
}
