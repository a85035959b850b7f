//! The view sets of the embedded lake, with the schemas of the real service (Micromegas 0.33).

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Which columns of a view the time range of a query filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumns {
    /// Rows are instants: both ends of the range are included.
    Point(&'static str),
    /// Rows have a begin and an end: those that overlap the range are kept.
    Interval {
        /// The column of the begin.
        begin: &'static str,
        /// The column of the end.
        end: &'static str,
    },
}

impl TimeColumns {
    /// The column that holds the earliest time of a row.
    pub fn begin(&self) -> &'static str {
        match self {
            Self::Point(column) => column,
            Self::Interval { begin, .. } => begin,
        }
    }

    /// The column that holds the latest time of a row.
    pub fn end(&self) -> &'static str {
        match self {
            Self::Point(column) => column,
            Self::Interval { end, .. } => end,
        }
    }
}

/// Which instances a view set has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// `global` alone.
    Global,
    /// `global`, and one for each process.
    GlobalAndProcess,
    /// One for each process.
    Process,
    /// One for each stream.
    Stream,
}

impl Instances {
    /// Whether there is an instance of all processes, which is also a table of its own.
    pub fn has_global(self) -> bool {
        matches!(self, Self::Global | Self::GlobalAndProcess)
    }

    /// The column of the source rows that says to which instance, other than `global`, a row belongs.
    pub fn key_column(self) -> Option<&'static str> {
        match self {
            Self::Global => None,
            Self::GlobalAndProcess | Self::Process => Some("process_id"),
            Self::Stream => Some("stream_id"),
        }
    }
}

/// A kind of table: one schema, and the instances that have it.
#[derive(Debug)]
pub struct ViewSet {
    name: &'static str,
    schema: SchemaRef,
    time: TimeColumns,
    instances: Instances,
    sort_column: &'static str,
    schema_hash: [u8; 1],
}

impl ViewSet {
    /// The name, which is also the table of the global instance.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The schema of every instance.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Which columns a time range filters.
    pub fn time(&self) -> TimeColumns {
        self.time
    }

    /// Which instances there are.
    pub fn instances(&self) -> Instances {
        self.instances
    }

    /// The column by which the rows of a partition are sorted.
    pub fn sort_column(&self) -> &'static str {
        self.sort_column
    }

    /// The hash that partitions of the present schema carry: as on the real service, the version of the schema in a byte.
    pub fn schema_hash(&self) -> &[u8] {
        &self.schema_hash
    }

    /// The schema of the source rows from which instances are materialised: the view's, and before it the columns that
    /// tell the instance and the insert time where the view does not have them.
    pub(crate) fn source_schema(&self) -> SchemaRef {
        let mut fields: Vec<Arc<Field>> = [
            Field::new("process_id", dictionary(DataType::Utf8), false),
            Field::new("stream_id", dictionary(DataType::Utf8), false),
            Field::new("insert_time", timestamp(), false),
        ]
        .into_iter()
        .filter(|field| {
            needs_source_column(self.instances, field.name()) && self.schema.index_of(field.name()).is_err()
        })
        .map(Arc::new)
        .collect();
        fields.extend(self.schema.fields().iter().cloned());
        Arc::new(Schema::new(fields))
    }
}

fn needs_source_column(instances: Instances, column: &str) -> bool {
    column == "insert_time" || instances.key_column() == Some(column)
}

/// All view sets.
pub fn view_sets() -> &'static [ViewSet] {
    static VIEW_SETS: LazyLock<Vec<ViewSet>> = LazyLock::new(build);
    &VIEW_SETS
}

/// The view set of a name.
pub fn view_set(name: &str) -> Option<&'static ViewSet> {
    view_sets().iter().find(|view_set| view_set.name == name)
}

/// The type of every time in the lake: nanoseconds, with the zone as the real service spells it.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()))
}

pub(crate) fn dictionary(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
}

fn build() -> Vec<ViewSet> {
    let view = |name, instances, time, sort_column, schema_version, fields: Vec<Field>| ViewSet {
        name,
        schema: Arc::new(Schema::new(fields)),
        time,
        instances,
        sort_column,
        schema_hash: [schema_version],
    };
    let point = TimeColumns::Point;
    let interval = |begin, end| TimeColumns::Interval { begin, end };
    vec![
        view(
            "processes",
            Instances::Global,
            interval("insert_time", "last_update_time"),
            "insert_time",
            3,
            processes(),
        ),
        view(
            "streams",
            Instances::Global,
            interval("insert_time", "last_update_time"),
            "insert_time",
            3,
            streams(),
        ),
        view(
            "blocks",
            Instances::Global,
            interval("begin_time", "insert_time"),
            "insert_time",
            3,
            blocks(),
        ),
        view(
            "log_entries",
            Instances::GlobalAndProcess,
            point("time"),
            "time",
            7,
            log_entries(),
        ),
        view(
            "log_stats",
            Instances::Global,
            point("time_bin"),
            "time_bin",
            2,
            log_stats(),
        ),
        view(
            "measures",
            Instances::GlobalAndProcess,
            point("time"),
            "time",
            8,
            measures(),
        ),
        view(
            "thread_spans",
            Instances::Stream,
            interval("begin", "end"),
            "begin",
            2,
            thread_spans(),
        ),
        view(
            "async_events",
            Instances::Process,
            point("time"),
            "time",
            4,
            async_events(),
        ),
    ]
}

fn text(name: &str) -> Field {
    Field::new(name, dictionary(DataType::Utf8), false)
}

fn properties(name: &str) -> Field {
    Field::new(name, dictionary(DataType::Binary), false)
}

fn plain(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn time(name: &str) -> Field {
    Field::new(name, timestamp(), false)
}

/// The columns that say where an event of a log or a metric came from.
fn origin() -> Vec<Field> {
    vec![
        text("process_id"),
        text("stream_id"),
        text("block_id"),
        time("insert_time"),
        text("exe"),
        text("username"),
        text("computer"),
        time("time"),
        text("target"),
    ]
}

fn log_entries() -> Vec<Field> {
    let mut fields = origin();
    fields.extend([
        plain("level", DataType::Int32),
        plain("msg", DataType::Utf8),
        properties("properties"),
        properties("process_properties"),
        text("audience"),
    ]);
    fields
}

fn measures() -> Vec<Field> {
    let mut fields = origin();
    fields.extend([
        text("name"),
        text("unit"),
        plain("value", DataType::Float64),
        properties("properties"),
        properties("process_properties"),
        text("audience"),
    ]);
    fields
}

fn log_stats() -> Vec<Field> {
    vec![
        optional("time_bin", timestamp()),
        text("process_id"),
        plain("level", DataType::Int32),
        text("target"),
        optional("count", DataType::Int64),
        optional("audience", dictionary(DataType::Utf8)),
    ]
}

fn thread_spans() -> Vec<Field> {
    vec![
        plain("id", DataType::Int64),
        plain("parent", DataType::Int64),
        plain("depth", DataType::UInt32),
        plain("hash", DataType::UInt32),
        time("begin"),
        time("end"),
        plain("duration", DataType::Int64),
        text("name"),
        text("target"),
        text("filename"),
        plain("line", DataType::UInt32),
        properties("properties"),
    ]
}

fn async_events() -> Vec<Field> {
    vec![
        text("stream_id"),
        text("block_id"),
        time("time"),
        text("event_type"),
        plain("span_id", DataType::Int64),
        plain("parent_span_id", DataType::Int64),
        plain("depth", DataType::UInt32),
        plain("hash", DataType::UInt32),
        text("name"),
        text("filename"),
        text("target"),
        plain("line", DataType::UInt32),
        properties("properties"),
    ]
}

fn processes() -> Vec<Field> {
    vec![
        plain("process_id", DataType::Utf8),
        optional("exe", DataType::Utf8),
        optional("username", DataType::Utf8),
        optional("realname", DataType::Utf8),
        optional("computer", DataType::Utf8),
        optional("distro", DataType::Utf8),
        optional("cpu_brand", DataType::Utf8),
        optional("tsc_frequency", DataType::Int64),
        optional("start_time", timestamp()),
        optional("start_ticks", DataType::Int64),
        optional("insert_time", timestamp()),
        optional("parent_process_id", DataType::Utf8),
        optional("properties", dictionary(DataType::Binary)),
        optional("last_update_time", timestamp()),
        optional("last_block_end_ticks", DataType::Int64),
        optional("last_block_end_time", timestamp()),
        optional("audience", dictionary(DataType::Utf8)),
    ]
}

fn streams() -> Vec<Field> {
    vec![
        plain("stream_id", DataType::Utf8),
        optional("process_id", DataType::Utf8),
        optional("dependencies_metadata", DataType::Binary),
        optional("objects_metadata", DataType::Binary),
        optional("tags", tags()),
        optional("properties", dictionary(DataType::Binary)),
        optional("insert_time", timestamp()),
        optional("format", DataType::Utf8),
        optional("last_update_time", timestamp()),
        optional("audience", dictionary(DataType::Utf8)),
    ]
}

pub(crate) fn tags() -> DataType {
    DataType::List(Arc::new(Field::new("tag", DataType::Utf8, false)))
}

fn blocks() -> Vec<Field> {
    vec![
        plain("block_id", DataType::Utf8),
        plain("stream_id", DataType::Utf8),
        plain("process_id", DataType::Utf8),
        time("begin_time"),
        plain("begin_ticks", DataType::Int64),
        time("end_time"),
        plain("end_ticks", DataType::Int64),
        plain("nb_objects", DataType::Int32),
        plain("object_offset", DataType::Int64),
        plain("payload_size", DataType::Int64),
        time("insert_time"),
        plain("streams.dependencies_metadata", DataType::Binary),
        plain("streams.objects_metadata", DataType::Binary),
        optional("streams.tags", tags()),
        properties("streams.properties"),
        time("streams.insert_time"),
        plain("streams.format", DataType::Utf8),
        time("processes.start_time"),
        plain("processes.start_ticks", DataType::Int64),
        plain("processes.tsc_frequency", DataType::Int64),
        plain("processes.exe", DataType::Utf8),
        plain("processes.username", DataType::Utf8),
        plain("processes.realname", DataType::Utf8),
        plain("processes.computer", DataType::Utf8),
        plain("processes.distro", DataType::Utf8),
        plain("processes.cpu_brand", DataType::Utf8),
        time("processes.insert_time"),
        optional("processes.parent_process_id", DataType::Utf8),
        properties("processes.properties"),
        text("audience"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_and_sort_columns_are_columns() {
        for view_set in view_sets() {
            for column in [view_set.time().begin(), view_set.time().end(), view_set.sort_column()] {
                assert!(
                    view_set.schema().index_of(column).is_ok(),
                    "{}: {column}",
                    view_set.name()
                );
            }
        }
    }

    #[test]
    fn source_rows_tell_their_instance_and_insert_time() {
        for view_set in view_sets() {
            let source = view_set.source_schema();
            assert!(source.index_of("insert_time").is_ok(), "{}", view_set.name());
            if let Some(key) = view_set.instances().key_column() {
                assert!(source.index_of(key).is_ok(), "{}: {key}", view_set.name());
            }
        }
    }
}
