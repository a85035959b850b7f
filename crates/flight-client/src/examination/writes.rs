//! Statements and an ingestion that add no rows.

use std::sync::Arc;

use arrow::datatypes::Schema;
use lakepilot_query::{
    BulkIngestion, PreparedStatements, Query, QueryService, RecordBatchStream, TransactionService, UpdateService,
    quote_identifier,
};

use super::probing::{Probing, right, wrong};

const CALLS: [&str; 4] = [
    "StatementUpdate",
    "PreparedStatementUpdate",
    "StatementUpdate in a transaction",
    "StatementIngest",
];

/// Tries what changes a table, if one is given for that.
pub(super) async fn writes(probing: &mut Probing<'_>, table: Option<&str>) {
    let Some(table) = table else {
        for call in CALLS {
            probing.not_tried(call, "it could change something: name a table for it with --write");
        }
        return;
    };
    let client = probing.client;
    let quoted = quote_identifier(table);
    let none = format!("SELECT * FROM {quoted} WHERE 1 = 0");
    let insert = format!("INSERT INTO {quoted} {none}");
    probing
        .call_once(CALLS[0], async || right(changed(client.update(&insert).await?)?, ()))
        .await;
    probing
        .call_once(CALLS[1], async || {
            let statement = client.prepare_statement(&insert).await?;
            right(changed(statement.update(None).await?)?, ())
        })
        .await;
    probing
        .call_once(CALLS[2], async || {
            let transaction = client.begin().await?;
            let detail = changed(transaction.update(&insert).await?)?;
            transaction.rollback().await?;
            right(format!("{detail}, rolled back"), ())
        })
        .await;
    probing
        .call_once(CALLS[3], async || {
            let schema = client.run(&Query::new(&none)?).await?.schema();
            if *schema == Schema::empty() {
                return Err(wrong(format!("the columns of {table} are not told")));
            }
            let rows = RecordBatchStream::from_batches(Arc::clone(&schema), Vec::new());
            right(changed(client.ingest(table, rows).await?)?, ())
        })
        .await;
}

/// What was changed, which is to be nothing.
fn changed(rows: Option<u64>) -> lakepilot_query::Result<String> {
    match rows {
        Some(0) => Ok("no rows added".to_owned()),
        None => Ok("no rows added; the server does not count them".to_owned()),
        Some(rows) => Err(wrong(format!(
            "the server says that it added {rows} rows, where there were none"
        ))),
    }
}
