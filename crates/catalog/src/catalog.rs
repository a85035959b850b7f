//! The catalogue of a lake, asked through its query service.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lakepilot_query::{Query, QueryService, Result, TimeRange, quote_literal};

use crate::reader::ColumnReader;
use crate::{Block, Partition, PartitionFilter, Process, ProcessFilter, Stream, StreamFilter, ViewSet};

/// What a lake says about itself. A clone asks the same service.
///
/// Every method runs one query and returns values in memory. Columns that an older server does not send read as
/// `None`, columns that a newer one sends besides are ignored.
///
/// # Errors
/// Every method returns the errors of [`QueryService::run`], and `Protocol` when the answer lacks a column that every
/// server sends, or has one of another type; the message names the column and what the server sent.
#[derive(Clone)]
pub struct Catalog {
    service: Arc<dyn QueryService>,
}

impl Catalog {
    /// The catalogue of the lake behind a service.
    pub fn new(service: Arc<dyn QueryService>) -> Self {
        Self { service }
    }

    /// The service that is asked.
    pub fn service(&self) -> &Arc<dyn QueryService> {
        &self.service
    }

    /// The partitions that match, ordered by view set, instance and insert time.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn partitions(&self, filter: &PartitionFilter) -> Result<Vec<Partition>> {
        if filter.is_never() {
            return Ok(Vec::new());
        }
        let query = Query::new(filter.to_sql())?;
        let mut partitions = self.rows(&query, "list_partitions()", Partition::read).await?;
        partitions.retain(|partition| filter.matches(partition));
        partitions.sort_by(Partition::listing_order);
        Ok(partitions)
    }

    /// The view sets, ordered by name.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn view_sets(&self) -> Result<Vec<ViewSet>> {
        let query = Query::new("SELECT * FROM list_view_sets()")?;
        let mut view_sets = self.rows(&query, "list_view_sets()", ViewSet::read).await?;
        view_sets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(view_sets)
    }

    /// The processes that match, the latest started first.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn processes(&self, filter: &ProcessFilter) -> Result<Vec<Process>> {
        self.rows(&filter.to_query()?, "processes", Process::read).await
    }

    /// The process with this id, if the lake knows it.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn find_process(&self, process_id: &str) -> Result<Option<Process>> {
        let filter = ProcessFilter::all().with_process_id(process_id).with_limit(1);
        let processes = self.processes(&filter).await?;
        Ok(processes.into_iter().find(|process| process.process_id == process_id))
    }

    /// The streams that match, the latest known first.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn streams(&self, filter: &StreamFilter) -> Result<Vec<Stream>> {
        self.rows(&filter.to_query()?, "streams", Stream::read).await
    }

    /// All streams of a process: what to look under for views that are kept per stream.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn streams_of_process(&self, process_id: &str) -> Result<Vec<Stream>> {
        let mut streams = self.streams(&StreamFilter::all().with_process_id(process_id)).await?;
        // What is retired may hang on it, so the server's word is not enough.
        streams.retain(|stream| stream.process_id.as_deref() == Some(process_id));
        Ok(streams)
    }

    /// The blocks of a process in the order in which they reached the lake. A busy process has a great many; a range
    /// keeps the blocks that overlap it.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn blocks_of_process(&self, process_id: &str, range: Option<TimeRange>) -> Result<Vec<Block>> {
        self.blocks_where("process_id", process_id, range).await
    }

    /// The blocks of a stream in the order in which they reached the lake; a range keeps the blocks that overlap it.
    ///
    /// # Errors
    /// Those of every method of [`Catalog`].
    pub async fn blocks_of_stream(&self, stream_id: &str, range: Option<TimeRange>) -> Result<Vec<Block>> {
        self.blocks_where("stream_id", stream_id, range).await
    }

    async fn blocks_where(&self, column: &str, id: &str, range: Option<TimeRange>) -> Result<Vec<Block>> {
        let sql = format!(
            "SELECT {} FROM blocks WHERE {column} = {} ORDER BY insert_time, block_id",
            Block::COLUMNS,
            quote_literal(id)
        );
        let query = Query::new(sql)?.with_time_range(range);
        self.rows(&query, "blocks", Block::read).await
    }

    /// Runs a query and reads its rows, batch by batch.
    async fn rows<T>(
        &self,
        query: &Query,
        of: &str,
        read: impl Fn(&ColumnReader<'_>) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let context = |error: lakepilot_query::Error| error.context(format!("read {of}"));
        let mut batches = self.service.run(query).await.map_err(context)?;
        // An answer without rows has to have the columns too: "nothing there" decides what is believed gone.
        let mut rows = read(&ColumnReader::new(&RecordBatch::new_empty(batches.schema()), of))?;
        while let Some(batch) = batches.try_next().await.map_err(context)? {
            rows.extend(read(&ColumnReader::new(&batch, of))?);
        }
        Ok(rows)
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}
