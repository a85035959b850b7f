//! The statements that retire partitions by name.

use lakepilot_catalog::Partition;
use lakepilot_query::{quote_literal, quote_time};

use crate::ByMetadata;
use crate::function::Call;

/// Retires the partitions of these files. A file belongs to one partition, for ever.
pub(crate) fn by_file<'a>(partitions: impl Iterator<Item = &'a Partition>) -> Call {
    let files: Vec<String> = partitions
        .filter_map(|partition| partition.file_path.as_deref())
        .map(|path| format!("({})", quote_literal(path)))
        .collect();
    Call::of_sql(
        "retire_partition_by_file",
        format!(
            "SELECT retire_partition_by_file(file_path) AS msg FROM (VALUES {}) AS planned(file_path)",
            files.join(", ")
        ),
    )
}

/// Retires the partitions of these metadata, where the server still lists them with the date that they were planned with:
/// the function itself does not look at the date, and would take what was written anew in their place.
pub(crate) fn by_metadata<'a>(partitions: impl Iterator<Item = &'a Partition>, form: ByMetadata) -> Call {
    let rows: Vec<String> = partitions
        .map(|partition| {
            let hash: String = partition
                .file_schema_hash
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let columns = [
                quote_literal(&partition.view_set_name),
                quote_literal(&partition.view_instance_id),
                quote_time(partition.begin_insert_time),
                quote_time(partition.end_insert_time),
                quote_literal(&hash),
                quote_time(partition.updated),
            ];
            format!("({})", columns.join(", "))
        })
        .collect();
    let schema = match form {
        ByMetadata::WithSchema => ", listed.file_schema_hash",
        ByMetadata::WithoutSchema | ByMetadata::No => "",
    };
    // The values are texts that are converted as columns: a conversion in each row takes the server three times as long to
    // plan.
    Call::of_sql(
        "retire_partition_by_metadata",
        format!(
            "SELECT retire_partition_by_metadata(listed.view_set_name, listed.view_instance_id, \
             listed.begin_insert_time, listed.end_insert_time{schema}) AS msg \
             FROM list_partitions() AS listed JOIN (SELECT view_set, instance, {} AS begin_time, {} AS end_time, \
             decode(hash, 'hex') AS schema_hash, {} AS updated_at FROM (VALUES {}) AS \
             texts(view_set, instance, begin_text, end_text, hash, updated_text)) AS planned \
             ON listed.view_set_name = planned.view_set AND listed.view_instance_id = planned.instance \
             AND listed.begin_insert_time = planned.begin_time AND listed.end_insert_time = planned.end_time \
             AND listed.file_schema_hash = planned.schema_hash AND listed.updated = planned.updated_at",
            timestamp("begin_text"),
            timestamp("end_text"),
            timestamp("updated_text"),
            rows.join(", ")
        ),
    )
}

/// A column of texts as times of the type that the catalogue has them in.
fn timestamp(column: &str) -> String {
    format!("arrow_cast({column}, 'Timestamp(Nanosecond, Some(\"+00:00\"))')")
}
