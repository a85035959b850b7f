//! Statements that change something, prepared statements and transactions, on a server that has all of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use lakepilot_query::{
    BulkIngestion, ErrorKind, PreparedStatements, Query, RecordBatchStream, Result, TransactionService, UpdateService,
};

use crate::answers::batch;
use crate::memory_server::MemoryServer;

fn parameters(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("$1", column)]).unwrap()
}

async fn numbers(stream: RecordBatchStream) -> Result<Vec<i64>> {
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    Ok(batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect())
}

fn query() -> Query {
    Query::new("SELECT n FROM numbers").unwrap()
}

#[tokio::test]
async fn an_update_tells_how_many_rows_it_changed_or_that_nobody_has_counted() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    assert_eq!(client.update("INSERT INTO numbers VALUES (4)").await.unwrap(), Some(1));
    assert_eq!(server.numbers(), [1, 2, 3, 4]);
    assert_eq!(client.update("DELETE FROM numbers").await.unwrap(), Some(4));
    assert_eq!(client.update("TRUNCATE numbers").await.unwrap(), None);
    assert_eq!(server.numbers(), [0; 0]);

    let error = client.update("SELECT nonsense").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidQuery, "{error}");
}

#[tokio::test]
async fn a_prepared_query_runs_with_one_value_and_another() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let statement = client
        .prepare_statement("SELECT CAST($1 AS BIGINT) AS n")
        .await
        .unwrap();
    assert_eq!(statement.schema(), batch(&[]).schema());
    assert_eq!(statement.parameter_schema().field(0).name(), "$1");
    for value in [42, -1] {
        let stream = statement.run(Some(parameters(&[value]))).await.unwrap();
        assert_eq!(numbers(stream).await.unwrap(), [value]);
    }
    assert_eq!(server.seen().open_statements, 1);
    statement.close().await.unwrap();
    assert_eq!(server.seen().open_statements, 0);
}

#[tokio::test]
async fn a_prepared_update_runs_once_for_each_row_of_parameters() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let statement = client
        .prepare_statement("INSERT INTO numbers VALUES ($1)")
        .await
        .unwrap();
    assert!(statement.schema().fields().is_empty());
    assert_eq!(statement.update(Some(parameters(&[7, 8]))).await.unwrap(), Some(2));
    assert_eq!(statement.update(Some(parameters(&[]))).await.unwrap(), Some(0));
    assert_eq!(server.numbers(), [1, 2, 3, 7, 8]);

    let plain = client
        .prepare_statement("INSERT INTO numbers VALUES (9)")
        .await
        .unwrap();
    assert_eq!(plain.update(None).await.unwrap(), Some(1));
    assert_eq!(server.numbers(), [1, 2, 3, 7, 8, 9]);
}

#[tokio::test]
async fn a_statement_that_is_dropped_is_closed_and_one_that_was_forgotten_is_not_found() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let statement = client.prepare_statement("SELECT 1").await.unwrap();
    assert_eq!(numbers(statement.run(None).await.unwrap()).await.unwrap(), [1]);
    drop(statement);
    server.until(|seen| seen.open_statements == 0).await;

    let transaction = client.begin().await.unwrap();
    let statement = transaction.prepare_statement("SELECT n FROM numbers").await.unwrap();
    transaction.rollback().await.unwrap();
    let error = match statement.run(None).await {
        Ok(stream) => numbers(stream).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn what_a_transaction_does_is_seen_outside_after_its_commit_only() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let transaction = client.begin().await.unwrap();
    assert_eq!(
        transaction.update("INSERT INTO numbers VALUES (4)").await.unwrap(),
        Some(1)
    );
    let inside = transaction.run(&query()).await.unwrap();
    assert_eq!(numbers(inside).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(server.numbers(), [1, 2, 3]);
    let statement = transaction
        .prepare_statement("INSERT INTO numbers VALUES ($1)")
        .await
        .unwrap();
    assert_eq!(statement.update(Some(parameters(&[5]))).await.unwrap(), Some(1));
    transaction.commit().await.unwrap();
    assert_eq!(server.numbers(), [1, 2, 3, 4, 5]);
    let seen = server.seen();
    assert_eq!((seen.open_transactions, seen.committed, seen.rolled_back), (0, 1, 0));
}

#[tokio::test]
async fn a_rollback_undoes_all_or_what_came_after_a_savepoint() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let transaction = client.begin().await.unwrap();
    transaction.update("INSERT INTO numbers VALUES (4)").await.unwrap();
    let savepoint = transaction.savepoint("before").await.unwrap();
    transaction.update("DELETE FROM numbers").await.unwrap();
    transaction.rollback_to(&savepoint).await.unwrap();
    let inside = transaction.run(&query()).await.unwrap();
    assert_eq!(numbers(inside).await.unwrap(), [1, 2, 3, 4]);
    transaction.release(savepoint.clone()).await.unwrap();
    let error = transaction.rollback_to(&savepoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    transaction.rollback().await.unwrap();
    assert_eq!(server.numbers(), [1, 2, 3]);
    assert_eq!(server.seen().rolled_back, 1);
}

#[tokio::test]
async fn a_transaction_that_is_let_go_is_rolled_back() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let transaction = client.begin().await.unwrap();
    transaction.update("DELETE FROM numbers").await.unwrap();
    drop(transaction);
    server.until(|seen| seen.rolled_back == 1).await;
    assert_eq!(server.numbers(), [1, 2, 3]);
}

#[tokio::test]
async fn rows_are_ingested_beside_all_this() {
    let server = MemoryServer::start().await;
    let client = server.client().await;
    let rows = RecordBatchStream::from_batches(batch(&[]).schema(), vec![batch(&[4]), batch(&[5, 6])]);
    assert_eq!(client.ingest("numbers", rows).await.unwrap(), Some(3));
    assert_eq!(server.numbers(), [1, 2, 3, 4, 5, 6]);
}
