//! A server under test.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::{array::AsArray, compute::cast, datatypes::DataType};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Error, ErrorKind, Query, QueryResult, QueryServiceExt, Result};

use super::case::{Found, Outcome, Verdict};
use super::dialect::Dialect;
use crate::suite::{Failure, spell};

/// Ends the server at an address, as a machine that fails does. Returns when it is gone.
pub type EndServer = Arc<dyn Fn(&str) -> std::io::Result<()> + Send + Sync>;

/// A server, or several replicas of one, and how to talk to it.
pub struct InteropTarget {
    /// What it is called in reports.
    pub name: String,
    /// What it understands.
    pub dialect: Dialect,
    /// Its addresses: one, or those of its replicas.
    pub urls: Vec<String>,
    /// How to end one of the replicas, where that may be done.
    pub end_server: Option<EndServer>,
}

impl InteropTarget {
    /// A single server.
    pub fn new(name: impl Into<String>, dialect: Dialect, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dialect,
            urls: vec![url.into()],
            end_server: None,
        }
    }

    pub(super) fn config(&self) -> Result<ClientConfig> {
        let mut urls = self.urls.iter();
        let first = urls
            .next()
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a target has no address"))?;
        urls.try_fold(ClientConfig::new(first)?, ClientConfig::with_replica)
    }

    pub(super) async fn client(&self) -> Result<FlightClient> {
        FlightClient::connect(self.config()?).await
    }

    pub(super) async fn collect(&self, sql: &str) -> Result<QueryResult> {
        self.client().await?.collect(&Query::new(sql)?).await
    }

    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        spell::rows(&self.collect(sql).await?)
    }
}

/// The first column as numbers; those of Ballista and Spark are not of one type.
pub(super) fn numbers(result: &QueryResult) -> Result<Vec<i64>, Failure> {
    let batch = concat_batches(&result.schema, &result.batches).map_err(Error::from)?;
    let column = batch
        .columns()
        .first()
        .ok_or_else(|| Failure::new("the result has no column"))?;
    let column = cast(column, &DataType::Int64).map_err(Error::from)?;
    Ok(column.as_primitive::<Int64Type>().values().to_vec())
}

/// What it means that the server does not offer something: no failure.
pub(super) fn offered(result: Result<String>) -> Outcome {
    match result {
        Ok(detail) => Ok(Found::good(detail)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(Found(Verdict::NotOffered, error.to_string())),
        Err(error) => Err(error.into()),
    }
}
