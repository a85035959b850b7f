//! Sinks that hand batches to the caller's own code.

use std::future::Future;
use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::Result;

use super::{BatchSink, SinkSummary};

/// Calls a function with each batch and its number.
pub struct CallbackSink<F> {
    callback: F,
}

impl<F> CallbackSink<F>
where
    F: FnMut(u64, RecordBatch) -> Result<()> + Send,
{
    /// A sink that calls `callback`; its error ends the run.
    pub fn new(callback: F) -> Self {
        Self { callback }
    }
}

#[async_trait]
impl<F> BatchSink for CallbackSink<F>
where
    F: FnMut(u64, RecordBatch) -> Result<()> + Send,
{
    async fn start(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()> {
        (self.callback)(index, batch)
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        Ok(SinkSummary::default())
    }

    async fn abort(&mut self) {}
}

type BoxFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Calls an async function with each batch and its number, and waits for it.
pub struct AsyncCallbackSink {
    callback: Box<dyn FnMut(u64, RecordBatch) -> BoxFuture + Send>,
}

impl AsyncCallbackSink {
    /// A sink that calls `callback`; its error ends the run.
    pub fn new<F, Fut>(mut callback: F) -> Self
    where
        F: FnMut(u64, RecordBatch) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            callback: Box::new(move |index, batch| Box::pin(callback(index, batch))),
        }
    }
}

#[async_trait]
impl BatchSink for AsyncCallbackSink {
    async fn start(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()> {
        (self.callback)(index, batch).await
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        Ok(SinkSummary::default())
    }

    async fn abort(&mut self) {}
}

/// Drops every batch: to count rows, or to measure.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiscardSink;

#[async_trait]
impl BatchSink for DiscardSink {
    fn keeps_batches(&self) -> bool {
        false
    }

    async fn start(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, _index: u64, _batch: RecordBatch) -> Result<()> {
        Ok(())
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        Ok(SinkSummary::default())
    }

    async fn abort(&mut self) {}
}
