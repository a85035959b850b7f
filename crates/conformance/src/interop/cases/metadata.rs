//! What a server says of itself, and rows into it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use lakepilot_query::{
    BulkIngestion, Error, QueryResult, RecordBatchStream, Result, SchemaFilter, ServerMetadata, TableFilter,
};

use crate::interop::case::{Found, Outcome, Verdict};
use crate::interop::dialect::Dialect;
use crate::interop::target::{InteropTarget, offered};
use crate::suite::{ensure, ensure_equal};

/// The columns that Flight SQL lays down, and how many rows there are.
fn check(answer: Result<QueryResult>, columns: &[&str]) -> Outcome {
    let Found(verdict, detail) = offered(answer.as_ref().map(|_| String::new()).map_err(copied))?;
    let Ok(answer) = answer else {
        return Ok(Found(verdict, detail));
    };
    let names: Vec<&str> = answer
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    ensure_equal("the columns", names, columns.to_vec())?;
    let rows = answer.num_rows();
    Ok(Found(
        Verdict::Good,
        format!("{rows} row{}", if rows == 1 { "" } else { "s" }),
    ))
}

fn copied(error: &Error) -> Error {
    Error::new(error.kind(), error.message())
}

pub(super) async fn catalogs(target: &InteropTarget) -> Outcome {
    check(target.client().await?.catalogs().await, &["catalog_name"])
}

pub(super) async fn schemas(target: &InteropTarget) -> Outcome {
    let answer = target.client().await?.schemas(&SchemaFilter::default()).await;
    check(answer, &["catalog_name", "db_schema_name"])
}

pub(super) async fn tables(target: &InteropTarget) -> Outcome {
    let client = target.client().await?;
    let names = ["catalog_name", "db_schema_name", "table_name", "table_type"];
    let plain = check(client.tables(&TableFilter::default()).await, &names)?;
    if plain.0 != Verdict::Good {
        return Ok(plain);
    }
    let filter = TableFilter {
        include_schema: true,
        ..TableFilter::default()
    };
    let full = [&names[..], &["table_schema"]].concat();
    check(client.tables(&filter).await, &full)
}

pub(super) async fn table_types(target: &InteropTarget) -> Outcome {
    check(target.client().await?.table_types().await, &["table_type"])
}

pub(super) async fn sql_info(target: &InteropTarget) -> Outcome {
    let answer = target.client().await?.server_info(&[]).await;
    if let (Ok(info), true) = (&answer, target.dialect == Dialect::Pyarrow) {
        ensure_equal("its name", info.name(), Some("pyarrow interop"))?;
    }
    offered(answer.map(|info| format!("{} facts", info.len())))
}

pub(super) async fn ingestion(target: &InteropTarget) -> Outcome {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).map_err(Error::from)?;
    let rows = RecordBatchStream::from_batches(batch.schema(), vec![batch.clone(), batch.slice(0, 0), batch]);
    let taken = target.client().await?.ingest("numbers", rows).await?;
    ensure(taken == Some(2_000), || {
        format!("the server took {taken:?} of 2000 rows")
    })?;
    Ok(Found::good(""))
}
