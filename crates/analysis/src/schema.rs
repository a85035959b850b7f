//! The schema of a result, and the size of its rows, before it is run.

use std::collections::BTreeMap;

use arrow::datatypes::{Field, Schema};
use lakepilot_query::{Query, QueryService, Result};
use serde::Serialize;

use crate::{SizeBasis, SizeModel};

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnEstimate {
    /// The name of the column.
    pub name: String,
    /// The Arrow type, as text: `Utf8`, `Timestamp(ns, "UTC")`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// How many bytes of each row it takes on average.
    pub estimated_bytes: f64,
    /// What that number stands on.
    pub basis: SizeBasis,
}

/// The columns of a result and the size of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SchemaAnalysis {
    /// The columns, in their order.
    pub columns: Vec<ColumnEstimate>,
    /// How many bytes a row takes on average: the sum of the columns.
    pub estimated_row_bytes: f64,
}

impl SchemaAnalysis {
    /// The analysis of a schema under a model of sizes.
    pub fn new(schema: &Schema, model: &SizeModel) -> Self {
        Self::with_bases(schema, model, &BTreeMap::new())
    }

    /// The analysis under a model that knows lengths of other origin than the caller.
    pub(crate) fn with_bases(schema: &Schema, model: &SizeModel, bases: &BTreeMap<String, SizeBasis>) -> Self {
        let basis = |field: &Field| {
            if model.known_bytes.contains_key(field.name()) {
                bases.get(field.name()).copied().unwrap_or(SizeBasis::Given)
            } else {
                model.basis_of(field)
            }
        };
        let columns: Vec<ColumnEstimate> = schema
            .fields()
            .iter()
            .map(|field| ColumnEstimate {
                name: field.name().clone(),
                data_type: field.data_type().to_string(),
                nullable: field.is_nullable(),
                estimated_bytes: model.field_bytes(field),
                basis: basis(field),
            })
            .collect();
        let estimated_row_bytes = columns.iter().map(|column| column.estimated_bytes).sum();
        Self {
            columns,
            estimated_row_bytes,
        }
    }
}

/// Asks the service for the schema of a query, without running it, and estimates the size of a row from it.
///
/// # Errors
/// As [`QueryService::prepare`]: `InvalidQuery` when the SQL is not accepted.
pub async fn analyze_schema(service: &dyn QueryService, query: &Query) -> Result<SchemaAnalysis> {
    analyze_schema_with(service, query, &SizeModel::for_query(query)).await
}

/// As [`analyze_schema`], under the caller's model of sizes.
///
/// # Errors
/// As [`QueryService::prepare`].
pub async fn analyze_schema_with(
    service: &dyn QueryService,
    query: &Query,
    model: &SizeModel,
) -> Result<SchemaAnalysis> {
    let prepared = service.prepare(query).await?;
    Ok(SchemaAnalysis::new(&prepared.schema(), model))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::DataType;
    use lakepilot_query::{Error, ErrorKind, MockQueryService, PreparedQuery};

    use super::*;

    #[tokio::test]
    async fn the_schema_is_asked_for_and_never_run() {
        let mut service = MockQueryService::new();
        let schema = Arc::new(Schema::new(vec![
            Field::new("level", DataType::Int32, false),
            Field::new("msg", DataType::Utf8, true),
        ]));
        service
            .expect_prepare()
            .returning(move |_| Ok(PreparedQuery::new(Arc::clone(&schema))));
        let analysis = analyze_schema(&service, &Query::new("SELECT level, msg FROM log_entries").unwrap())
            .await
            .unwrap();
        let json = serde_json::to_value(&analysis).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "columns": [
                    {"name": "level", "type": "Int32", "nullable": false, "estimated_bytes": 4.0, "basis": "type"},
                    {
                        "name": "msg",
                        "type": "Utf8",
                        "nullable": true,
                        "estimated_bytes": 54.125,
                        "basis": "assumed",
                    },
                ],
                "estimated_row_bytes": 58.125,
            })
        );
    }

    #[tokio::test]
    async fn a_refusal_is_passed_on() {
        let mut service = MockQueryService::new();
        service
            .expect_prepare()
            .returning(|_| Err(Error::new(ErrorKind::InvalidQuery, "no such table")));
        let error = analyze_schema(&service, &Query::new("SELECT 1 FROM nope").unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    }
}
