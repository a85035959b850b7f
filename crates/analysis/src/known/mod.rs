//! What is known of every lake without asking one.

mod functions;
mod typical;
mod views;

pub(crate) use functions::{
    FunctionKind, function_kind, function_names, is_admin_table_function, is_table_function, table_function_names,
};
pub(crate) use typical::{printed_bytes, typical_bytes};
pub(crate) use views::{
    ColumnType, Instances, KnownColumn, KnownView, TimeColumns, known_table_function, known_view, known_view_names,
};
