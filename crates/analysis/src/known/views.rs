//! The view sets that every lake has, with the schemas of the service (Micromegas 0.33), and its table functions.
//!
//! An operator may add view sets, and a newer service columns: what is not here is not thereby wrong.

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// A dictionary of text.
    Text,
    /// Text.
    PlainText,
    /// A time in nanoseconds, UTC.
    Time,
    Int32,
    Int64,
    UInt32,
    Float64,
    Boolean,
    /// A dictionary of JSONB.
    Properties,
    Bytes,
    TextList,
}

impl ColumnType {
    #[cfg(test)]
    fn data_type(self) -> arrow::datatypes::DataType {
        use std::sync::Arc;

        use arrow::datatypes::{DataType, Field, TimeUnit};

        let dictionary = |value| DataType::Dictionary(Box::new(DataType::Int32), Box::new(value));
        match self {
            Self::Text => dictionary(DataType::Utf8),
            Self::PlainText => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Properties => dictionary(DataType::Binary),
            Self::Bytes => DataType::Binary,
            Self::TextList => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        }
    }
}

/// A column of a known view.
#[derive(Debug)]
pub(crate) struct KnownColumn {
    pub(crate) name: &'static str,
    pub(crate) column_type: ColumnType,
    pub(crate) nullable: bool,
}

impl KnownColumn {
    #[cfg(test)]
    pub(crate) fn field(&self) -> arrow::datatypes::Field {
        arrow::datatypes::Field::new(self.name, self.column_type.data_type(), self.nullable)
    }

    /// What [`SizeModel::default`](crate::SizeModel) makes of the column, without making a schema for it.
    pub(crate) fn default_bytes(&self) -> f64 {
        let is_uuid = matches!(self.name, "process_id" | "stream_id" | "block_id" | "parent_process_id");
        let bytes = match self.column_type {
            ColumnType::Text | ColumnType::PlainText if is_uuid => 40.0,
            ColumnType::Text | ColumnType::PlainText | ColumnType::Properties | ColumnType::Bytes => 54.0,
            ColumnType::Time | ColumnType::Int64 | ColumnType::Float64 => 8.0,
            ColumnType::Int32 | ColumnType::UInt32 => 4.0,
            ColumnType::Boolean => 0.125,
            ColumnType::TextList => 4.0 + 4.0 * 54.125,
        };
        if self.nullable { bytes + 0.125 } else { bytes }
    }
}

/// Which columns the time range of a call filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeColumns {
    /// Rows are instants.
    Point(&'static str),
    /// Rows last from one column to the other: those that overlap the range are kept.
    Interval(&'static str, &'static str),
    /// The view is small, and is read without a range.
    Metadata,
}

/// What the instances of a view set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instances {
    /// Only `global`, which is a table.
    Global,
    /// `global`, and one for each process.
    GlobalAndProcess,
    /// One for each process.
    Process,
    /// One for each stream.
    Stream,
    /// One for each process or each stream: versions of the service differ.
    ProcessOrStream,
}

impl Instances {
    /// Whether the view set is also a table of its own.
    pub(crate) fn has_global(self) -> bool {
        matches!(self, Self::Global | Self::GlobalAndProcess)
    }
}

/// A known view set, or a known table function.
#[derive(Debug)]
pub(crate) struct KnownView {
    pub(crate) name: &'static str,
    pub(crate) time: TimeColumns,
    pub(crate) instances: Instances,
    /// Empty where the columns are not known here.
    pub(crate) columns: &'static [KnownColumn],
}

impl KnownView {
    pub(crate) fn column(&self, name: &str) -> Option<&'static KnownColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether reading all of it is dear, so that a time range is wanted.
    pub(crate) fn is_timed(&self) -> bool {
        self.time != TimeColumns::Metadata
    }

    /// Whether the range of a call filters the view by the column.
    pub(crate) fn is_time_column(&self, name: &str) -> bool {
        match self.time {
            TimeColumns::Point(time) => name == time,
            TimeColumns::Interval(begin, end) => name == begin || name == end,
            TimeColumns::Metadata => false,
        }
    }
}

const fn column(name: &'static str, column_type: ColumnType) -> KnownColumn {
    KnownColumn {
        name,
        column_type,
        nullable: false,
    }
}

const fn optional(name: &'static str, column_type: ColumnType) -> KnownColumn {
    KnownColumn {
        name,
        column_type,
        nullable: true,
    }
}

const fn view(
    name: &'static str,
    time: TimeColumns,
    instances: Instances,
    columns: &'static [KnownColumn],
) -> KnownView {
    KnownView {
        name,
        time,
        instances,
        columns,
    }
}

/// The view set of a name.
pub(crate) fn known_view(name: &str) -> Option<&'static KnownView> {
    VIEWS.iter().find(|view| view.name == name)
}

/// The names of the view sets.
pub(crate) fn known_view_names() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|view| view.name)
}

/// The table function of a name, where its columns are known.
pub(crate) fn known_table_function(name: &str) -> Option<&'static KnownView> {
    TABLE_FUNCTIONS.iter().find(|function| function.name == name)
}

static VIEWS: &[KnownView] = &[
    view(
        "log_entries",
        TimeColumns::Point("time"),
        Instances::GlobalAndProcess,
        LOG_ENTRIES,
    ),
    view(
        "measures",
        TimeColumns::Point("time"),
        Instances::GlobalAndProcess,
        MEASURES,
    ),
    view(
        "log_stats",
        TimeColumns::Point("time_bin"),
        Instances::Global,
        LOG_STATS,
    ),
    view(
        "thread_spans",
        TimeColumns::Interval("begin", "end"),
        Instances::Stream,
        THREAD_SPANS,
    ),
    view(
        "async_events",
        TimeColumns::Point("time"),
        Instances::Process,
        ASYNC_EVENTS,
    ),
    view(
        "net_spans",
        TimeColumns::Interval("begin_time", "end_time"),
        Instances::ProcessOrStream,
        &[],
    ),
    view(
        "otel_spans",
        TimeColumns::Interval("start_time", "end_time"),
        Instances::Process,
        &[],
    ),
    view("images", TimeColumns::Point("time"), Instances::Process, &[]),
    view("processes", TimeColumns::Metadata, Instances::Global, PROCESSES),
    view("streams", TimeColumns::Metadata, Instances::Global, STREAMS),
    view("blocks", TimeColumns::Metadata, Instances::Global, BLOCKS),
];

static TABLE_FUNCTIONS: &[KnownView] = &[
    view(
        "list_partitions",
        TimeColumns::Metadata,
        Instances::Global,
        LIST_PARTITIONS,
    ),
    view(
        "list_view_sets",
        TimeColumns::Metadata,
        Instances::Global,
        LIST_VIEW_SETS,
    ),
    view("retire_partitions", TimeColumns::Metadata, Instances::Global, MESSAGES),
    view(
        "materialize_partitions",
        TimeColumns::Metadata,
        Instances::Global,
        MESSAGES,
    ),
    view(
        "regenerate_partitions",
        TimeColumns::Metadata,
        Instances::Global,
        MESSAGES,
    ),
];

const LOG_ENTRIES: &[KnownColumn] = &[
    column("process_id", ColumnType::Text),
    column("stream_id", ColumnType::Text),
    column("block_id", ColumnType::Text),
    column("insert_time", ColumnType::Time),
    column("exe", ColumnType::Text),
    column("username", ColumnType::Text),
    column("computer", ColumnType::Text),
    column("time", ColumnType::Time),
    column("target", ColumnType::Text),
    column("level", ColumnType::Int32),
    column("msg", ColumnType::PlainText),
    column("properties", ColumnType::Properties),
    column("process_properties", ColumnType::Properties),
    column("audience", ColumnType::Text),
];

const MEASURES: &[KnownColumn] = &[
    column("process_id", ColumnType::Text),
    column("stream_id", ColumnType::Text),
    column("block_id", ColumnType::Text),
    column("insert_time", ColumnType::Time),
    column("exe", ColumnType::Text),
    column("username", ColumnType::Text),
    column("computer", ColumnType::Text),
    column("time", ColumnType::Time),
    column("target", ColumnType::Text),
    column("name", ColumnType::Text),
    column("unit", ColumnType::Text),
    column("value", ColumnType::Float64),
    column("properties", ColumnType::Properties),
    column("process_properties", ColumnType::Properties),
    column("audience", ColumnType::Text),
];

const LOG_STATS: &[KnownColumn] = &[
    optional("time_bin", ColumnType::Time),
    column("process_id", ColumnType::Text),
    column("level", ColumnType::Int32),
    column("target", ColumnType::Text),
    optional("count", ColumnType::Int64),
    optional("audience", ColumnType::Text),
];

const THREAD_SPANS: &[KnownColumn] = &[
    column("id", ColumnType::Int64),
    column("parent", ColumnType::Int64),
    column("depth", ColumnType::UInt32),
    column("hash", ColumnType::UInt32),
    column("begin", ColumnType::Time),
    column("end", ColumnType::Time),
    column("duration", ColumnType::Int64),
    column("name", ColumnType::Text),
    column("target", ColumnType::Text),
    column("filename", ColumnType::Text),
    column("line", ColumnType::UInt32),
    column("properties", ColumnType::Properties),
];

const ASYNC_EVENTS: &[KnownColumn] = &[
    column("stream_id", ColumnType::Text),
    column("block_id", ColumnType::Text),
    column("time", ColumnType::Time),
    column("event_type", ColumnType::Text),
    column("span_id", ColumnType::Int64),
    column("parent_span_id", ColumnType::Int64),
    column("depth", ColumnType::UInt32),
    column("hash", ColumnType::UInt32),
    column("name", ColumnType::Text),
    column("filename", ColumnType::Text),
    column("target", ColumnType::Text),
    column("line", ColumnType::UInt32),
    column("properties", ColumnType::Properties),
];

const PROCESSES: &[KnownColumn] = &[
    column("process_id", ColumnType::PlainText),
    optional("exe", ColumnType::PlainText),
    optional("username", ColumnType::PlainText),
    optional("realname", ColumnType::PlainText),
    optional("computer", ColumnType::PlainText),
    optional("distro", ColumnType::PlainText),
    optional("cpu_brand", ColumnType::PlainText),
    optional("tsc_frequency", ColumnType::Int64),
    optional("start_time", ColumnType::Time),
    optional("start_ticks", ColumnType::Int64),
    optional("insert_time", ColumnType::Time),
    optional("parent_process_id", ColumnType::PlainText),
    optional("properties", ColumnType::Properties),
    optional("last_update_time", ColumnType::Time),
    optional("last_block_end_ticks", ColumnType::Int64),
    optional("last_block_end_time", ColumnType::Time),
    optional("audience", ColumnType::Text),
];

const STREAMS: &[KnownColumn] = &[
    column("stream_id", ColumnType::PlainText),
    optional("process_id", ColumnType::PlainText),
    optional("dependencies_metadata", ColumnType::Bytes),
    optional("objects_metadata", ColumnType::Bytes),
    optional("tags", ColumnType::TextList),
    optional("properties", ColumnType::Properties),
    optional("insert_time", ColumnType::Time),
    optional("format", ColumnType::PlainText),
    optional("last_update_time", ColumnType::Time),
    optional("audience", ColumnType::Text),
];

const BLOCKS: &[KnownColumn] = &[
    column("block_id", ColumnType::PlainText),
    column("stream_id", ColumnType::PlainText),
    column("process_id", ColumnType::PlainText),
    column("begin_time", ColumnType::Time),
    column("begin_ticks", ColumnType::Int64),
    column("end_time", ColumnType::Time),
    column("end_ticks", ColumnType::Int64),
    column("nb_objects", ColumnType::Int32),
    column("object_offset", ColumnType::Int64),
    column("payload_size", ColumnType::Int64),
    column("insert_time", ColumnType::Time),
    column("streams.dependencies_metadata", ColumnType::Bytes),
    column("streams.objects_metadata", ColumnType::Bytes),
    optional("streams.tags", ColumnType::TextList),
    column("streams.properties", ColumnType::Properties),
    column("streams.insert_time", ColumnType::Time),
    column("streams.format", ColumnType::PlainText),
    column("processes.start_time", ColumnType::Time),
    column("processes.start_ticks", ColumnType::Int64),
    column("processes.tsc_frequency", ColumnType::Int64),
    column("processes.exe", ColumnType::PlainText),
    column("processes.username", ColumnType::PlainText),
    column("processes.realname", ColumnType::PlainText),
    column("processes.computer", ColumnType::PlainText),
    column("processes.distro", ColumnType::PlainText),
    column("processes.cpu_brand", ColumnType::PlainText),
    column("processes.insert_time", ColumnType::Time),
    optional("processes.parent_process_id", ColumnType::PlainText),
    column("processes.properties", ColumnType::Properties),
    column("audience", ColumnType::Text),
];

const LIST_PARTITIONS: &[KnownColumn] = &[
    column("view_set_name", ColumnType::PlainText),
    column("view_instance_id", ColumnType::PlainText),
    column("begin_insert_time", ColumnType::Time),
    column("end_insert_time", ColumnType::Time),
    optional("min_event_time", ColumnType::Time),
    optional("max_event_time", ColumnType::Time),
    column("updated", ColumnType::Time),
    optional("file_path", ColumnType::PlainText),
    column("file_size", ColumnType::Int64),
    column("file_schema_hash", ColumnType::Bytes),
    column("source_data_hash", ColumnType::Bytes),
    column("num_rows", ColumnType::Int64),
    column("partition_format_version", ColumnType::Int32),
    optional("sort_order", ColumnType::TextList),
    optional("max_sort_key_time", ColumnType::Time),
];

const LIST_VIEW_SETS: &[KnownColumn] = &[
    column("view_set_name", ColumnType::PlainText),
    column("current_schema_hash", ColumnType::Bytes),
    column("schema", ColumnType::PlainText),
    column("has_view_maker", ColumnType::Boolean),
    column("global_instance_available", ColumnType::Boolean),
];

const MESSAGES: &[KnownColumn] = &[column("time", ColumnType::Time), column("msg", ColumnType::PlainText)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SizeModel;

    #[test]
    fn the_default_sizes_are_those_of_the_model() {
        let model = SizeModel::default();
        for column in VIEWS.iter().chain(TABLE_FUNCTIONS).flat_map(|view| view.columns) {
            assert_eq!(
                column.default_bytes(),
                model.field_bytes(&column.field()),
                "{}",
                column.name
            );
        }
    }

    #[test]
    fn the_time_columns_are_columns_of_times() {
        for view in VIEWS.iter().filter(|view| !view.columns.is_empty()) {
            let names = match view.time {
                TimeColumns::Point(time) => vec![time],
                TimeColumns::Interval(begin, end) => vec![begin, end],
                TimeColumns::Metadata => Vec::new(),
            };
            for name in names {
                assert_eq!(
                    view.column(name).map(|column| column.column_type),
                    Some(ColumnType::Time)
                );
            }
        }
    }
}
