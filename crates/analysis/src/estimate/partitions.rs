//! What the catalogue says of the view instances that a query reads.

use lakepilot_catalog::ColumnReader;
use lakepilot_query::{Query, QueryService, QueryServiceExt, Result, TimeRange, quote_literal};

use super::rows::Rows;
use super::{EstimateBasis, ScanEstimate, with_model};
use crate::TimeBounds;
use crate::known::{KnownView, TimeColumns};
use crate::model::InstanceRef;

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
                        InstanceRef::Global => Some("global".to_owned()),
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
    let mut instances: Vec<String> = scans
        .iter()
        .filter_map(|scan| {
            let instance = scan.instance.as_ref()?;
            Some(format!(
                "(p.view_set_name = {} AND p.view_instance_id = {})",
                quote_literal(scan.view.name),
                quote_literal(instance)
            ))
        })
        .collect();
    instances.sort();
    instances.dedup();
    if instances.is_empty() {
        return Ok(Vec::new());
    }
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
                events: earliest.get(row)?.and_then(nanos).zip(latest.get(row)?.and_then(nanos)),
                has_file: has_file.value(row)?,
                file_bytes: file_bytes.value(row)?,
                rows: rows.value(row)?,
            });
        }
    }
    Ok(listed)
}

/// What each scan reads of what is listed.
pub(crate) fn estimates(scans: &[PlannedScan], listed: &[ListedPartition], query: &Query) -> Vec<ScanEstimate> {
    scans
        .iter()
        .map(|scan| estimate(scan, listed, query.time_range()))
        .collect()
}

fn estimate(scan: &PlannedScan, listed: &[ListedPartition], call: Option<TimeRange>) -> ScanEstimate {
    let of_instance = listed.iter().filter(|partition| {
        partition.view_set == scan.view.name && Some(&partition.instance) == scan.instance.as_ref()
    });
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
    let mut rows = Rows {
        basis: EstimateBasis::PartitionMetadata,
        ..Rows::exactly(0.0)
    };
    let mut any = false;
    for partition in of_instance {
        any = true;
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
        add_rows(&mut rows, scan, partition);
    }
    estimate.read_bytes = estimate.file_bytes as f64 * scan.column_share;
    // An instance of one process is made when it is first read: that there is nothing yet says nothing.
    let is_made_on_demand = scan.instance.as_deref() != Some("global");
    if !any && is_made_on_demand {
        rows = Rows::unknown();
    }
    if scan.has_unknown_bound {
        rows.low = 0.0;
        rows.basis = EstimateBasis::Unknown;
    }
    if !scan.view.is_timed() {
        // The same process is in several partitions, and comes out once.
        rows.low = 0.0;
    }
    estimate.rows = rows.estimate();
    estimate
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
