//! Under which name the length of a result's column is kept.

use arrow::datatypes::Schema;
use lakepilot_query::Query;

use crate::estimate::with_model;

/// The columns of views that the columns of a result are.
pub(crate) struct ColumnKeys {
    outputs: Vec<Output>,
}

/// A column of a result: its name, where the text tells it, and the view and column that it passes on.
struct Output {
    name: Option<String>,
    base: Option<(&'static str, &'static str)>,
}

impl ColumnKeys {
    /// The columns of the result of a query; none is known when the text is not one query.
    pub(crate) fn of(query: &Query) -> Self {
        let outputs = with_model(query, |model| {
            let columns = model.top().and_then(|top| top.output()).unwrap_or_default();
            columns
                .iter()
                .map(|column| Output {
                    name: column.name.as_deref().map(str::to_owned),
                    base: model
                        .base_column(column.origin)
                        .map(|(scan, column)| (model.scans[scan].view.name, column.name)),
                })
                .collect()
        });
        Self {
            outputs: outputs.unwrap_or_default(),
        }
    }

    /// The key of each column of a schema: of the view's column where it passes one on, else of its name.
    pub(crate) fn for_schema(&self, schema: &Schema) -> Vec<String> {
        let is_same_count = self.outputs.len() == schema.fields().len();
        schema
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let by_name = || {
                    self.outputs
                        .iter()
                        .find(|output| output.name.as_deref() == Some(field.name().as_str()))
                };
                // A server whose view has more columns than are known here shifts what a `*` brings.
                let output = if is_same_count {
                    self.outputs.get(index)
                } else {
                    by_name()
                };
                match output.and_then(|output| output.base) {
                    Some((view, column)) => key(Some(view), column),
                    _ => key(None, field.name()),
                }
            })
            .collect()
    }
}

/// A view and its column, or the name of a column alone. No view has a dot in its name.
pub(crate) fn key(view: Option<&str>, column: &str) -> String {
    format!("{}.{column}", view.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn check(sql: &str, columns: &[&str], expected: &[&str]) {
        let fields: Vec<Field> = columns
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, false))
            .collect();
        let keys = ColumnKeys::of(&Query::new(sql).unwrap()).for_schema(&Schema::new(fields));
        assert_eq!(keys, expected, "{sql}");
    }

    #[test]
    fn a_column_is_kept_under_the_view_it_comes_from() {
        check(
            "SELECT msg AS text, upper(exe) AS loud, exe FROM log_entries",
            &["text", "loud", "exe"],
            &["log_entries.msg", ".loud", "log_entries.exe"],
        );
        check(
            "WITH x AS (SELECT l.msg, p.exe AS program FROM log_entries l JOIN processes p USING (process_id)) \
             SELECT program, msg FROM x",
            &["program", "msg"],
            &["processes.exe", "log_entries.msg"],
        );
        check("SELECT 'a' AS letter", &["letter"], &[".letter"]);
        check("this is not SQL", &["letter"], &[".letter"]);
    }

    #[test]
    fn a_newer_server_shifts_nothing() {
        check(
            "SELECT * FROM log_stats",
            &[
                "time_bin",
                "new_column",
                "process_id",
                "level",
                "target",
                "count",
                "audience",
            ],
            &[
                "log_stats.time_bin",
                ".new_column",
                "log_stats.process_id",
                "log_stats.level",
                "log_stats.target",
                "log_stats.count",
                "log_stats.audience",
            ],
        );
    }
}
