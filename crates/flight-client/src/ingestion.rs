//! Rows into a table of the server.

use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use async_trait::async_trait;
use lakepilot_query::{BulkIngestion, RecordBatchStream, Result};

use crate::client::{FlightClient, packed};
use crate::deadline::Deadline;
use crate::status::Call;

#[async_trait]
impl BulkIngestion for FlightClient {
    async fn ingest(&self, table: &str, batches: RecordBatchStream) -> Result<Option<u64>> {
        let home = self.shared.connections.home();
        let deadline = Deadline::of_ingestion(self.shared.config.limits);
        let command = packed(&ingest_command(table));
        let answer = self.put(&home, Call::Ingest, command, batches, deadline).await?;
        self.changed_rows(Call::Ingest, answer)
    }
}

fn ingest_command(table: &str) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    }
}
