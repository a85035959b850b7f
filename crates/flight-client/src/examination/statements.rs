//! Prepared statements, transactions and plans, in ways that change nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{CommandStatementSubstraitPlan, SubstraitPlan};
use futures::TryStreamExt;
use lakepilot_query::{
    ErrorKind, PreparedStatement, PreparedStatements, QueryResult, RecordBatchStream, Result, Transaction,
    TransactionService,
};

use super::probing::{Probing, right, wrong};
use super::queries::is_one;
use crate::client::packed;

const SQL: &str = "SELECT 1";

/// A query with a parameter, in the two spellings that servers have.
const WITH_PARAMETER: [&str; 2] = ["SELECT CAST($1 AS BIGINT) AS n", "SELECT CAST(? AS BIGINT) AS n"];

/// The value of the parameter.
const VALUE: i64 = 42;

const NOT_PREPARED: &str = "nothing can be prepared";

/// Prepares queries, and runs them.
pub(super) async fn prepared(probing: &mut Probing<'_>) {
    let client = probing.client;
    let can_prepare = probing
        .call("CreatePreparedStatement", async || {
            let statement = client.prepare_statement(SQL).await?;
            let columns = statement.schema().fields().len();
            // A server may not tell.
            if columns > 1 {
                return Err(wrong(format!("the schema has {columns} columns, and is to have one")));
            }
            right(if columns == 1 { "schema told" } else { "schema not told" }, ())
        })
        .await
        .is_some();
    if !can_prepare {
        for call in [
            "PreparedStatementQuery",
            "PreparedStatementQuery with parameters",
            "ClosePreparedStatement",
        ] {
            probing.not_tried(call, NOT_PREPARED);
        }
        return;
    }
    probing
        .call("PreparedStatementQuery", async || {
            let statement = client.prepare_statement(SQL).await?;
            is_one(&collected(statement.run(None).await?).await?, 1)?;
            right(SQL, ())
        })
        .await;
    probing
        .call("PreparedStatementQuery with parameters", async || {
            let (statement, sql) = with_parameter(client).await?;
            let parameters = parameter(&statement.parameter_schema())?;
            is_one(&collected(statement.run(Some(parameters)).await?).await?, VALUE)?;
            right(sql, ())
        })
        .await;
    probing
        .call("ClosePreparedStatement", async || {
            client.prepare_statement(SQL).await?.close().await?;
            right("", ())
        })
        .await;
}

async fn with_parameter(client: &impl PreparedStatements) -> Result<(Box<dyn PreparedStatement>, &'static str)> {
    let [numbered, plain] = WITH_PARAMETER;
    match client.prepare_statement(numbered).await {
        Ok(statement) => Ok((statement, numbered)),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidQuery | ErrorKind::Internal) => {
            // The first refusal says what the server thinks of parameters.
            let statement = client.prepare_statement(plain).await.map_err(|_| error)?;
            Ok((statement, plain))
        }
        Err(error) => Err(error),
    }
}

/// The value in the type and under the name that the server tells for it, if it does.
fn parameter(schema: &SchemaRef) -> Result<RecordBatch> {
    let number: ArrayRef = Arc::new(Int64Array::from(vec![VALUE]));
    let field = match schema.fields().first() {
        Some(field) if *field.data_type() != DataType::Null => field.as_ref().clone(),
        Some(field) => Field::new(field.name(), DataType::Int64, true),
        None => Field::new("$1", DataType::Int64, true),
    };
    let column = cast(&number, field.data_type())
        .map_err(|_| wrong(format!("the parameter is said to be {}", field.data_type())))?;
    Ok(RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column])?)
}

async fn collected(stream: RecordBatchStream) -> Result<QueryResult> {
    let schema = stream.schema();
    let batches = stream.try_collect().await?;
    Ok(QueryResult { schema, batches })
}

/// Begins transactions, and ends them with nothing in them.
pub(super) async fn transactions(probing: &mut Probing<'_>) {
    const REST: [&str; 4] = [
        "EndTransaction",
        "StatementQuery in a transaction",
        "BeginSavepoint",
        "EndSavepoint",
    ];
    let client = probing.client;
    let begun = probing
        .call("BeginTransaction", async || {
            let transaction = client.begin().await?;
            right("rolled back", transaction)
        })
        .await;
    let Some(transaction) = begun else {
        for call in REST {
            probing.not_tried(call, "no transaction can be begun");
        }
        return;
    };
    probing
        .call(REST[0], async || {
            client.begin().await?.commit().await?;
            client.begin().await?.rollback().await?;
            right("an empty one committed, another rolled back", ())
        })
        .await;
    probing
        .call(REST[1], async || {
            let query = lakepilot_query::Query::new(SQL)?;
            is_one(&collected(transaction.run(&query).await?).await?, 1)?;
            right(SQL, ())
        })
        .await;
    savepoints(probing, transaction.as_ref()).await;
    // It has nothing in it; a server that does not end it has been told of that in the report.
    if let Err(error) = transaction.rollback().await {
        tracing::debug!(%error, "the transaction was not rolled back");
    }
}

async fn savepoints(probing: &mut Probing<'_>, transaction: &dyn Transaction) {
    let marked = probing
        .call_once("BeginSavepoint", async || {
            let savepoint = transaction.savepoint("lakepilot_doctor").await?;
            right("", savepoint)
        })
        .await;
    let Some(savepoint) = marked else {
        probing.not_tried("EndSavepoint", "there is no savepoint");
        return;
    };
    probing
        .call_once("EndSavepoint", async || {
            transaction.rollback_to(&savepoint).await?;
            transaction.release(savepoint.clone()).await?;
            right("rolled back to, and released", ())
        })
        .await;
}

/// Sends a plan without anything in it, which a server that takes plans refuses.
pub(super) async fn substrait(probing: &mut Probing<'_>) {
    const CALL: &str = "StatementSubstraitPlan";
    let (client, home) = (probing.client, probing.home.clone());
    probing
        .call_once(CALL, async || {
            let command = packed(&CommandStatementSubstraitPlan {
                plan: Some(SubstraitPlan::default()),
                transaction_id: None,
            });
            client
                .flight_info_at(&home, command, None, client.query_deadline())
                .await?;
            right("an empty plan is taken", ())
        })
        .await;
    probing.refusal_was_meant(CALL, "an empty plan");
}
