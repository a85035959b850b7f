//! Where rows go: a table on the terminal, or a format into a file or standard output.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use lakepilot_execution::{BatchSink, Compression, FileFormat, FileSink, SinkSummary, WriterSink, sink_to_url};
use lakepilot_query::{Error, ErrorKind, Result};

use super::{DataFormat, Heading, encoding, print, table, write_file};
use crate::terminal;

/// What a command says about its rows.
#[derive(Clone, Debug)]
pub(crate) struct RowsOptions {
    pub(crate) format: DataFormat,
    pub(crate) output: Option<PathBuf>,
    /// `None` for what the format has by default.
    pub(crate) compression: Option<Compression>,
    /// The most rows that a table shows.
    pub(crate) max_display_rows: usize,
}

/// The sink for the options.
///
/// # Errors
/// `InvalidInput` when a binary format would go to a terminal; those of creating a file.
pub(crate) fn sink(options: &RowsOptions) -> Result<Box<dyn BatchSink>> {
    let Some(format) = options.format.of_file() else {
        if options.compression.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a table is not compressed: leave --compression out, or choose another --format",
            ));
        }
        if let Some(url) = options.output.as_deref().and_then(url_of) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a table is for this machine, not for {url}: choose another --format"),
            ));
        }
        return Ok(Box::new(TableSink::new(
            options.max_display_rows,
            options.output.clone(),
        )));
    };
    let format = match format {
        FileFormat::ArrowFile if options.output.is_none() => FileFormat::ArrowStream,
        format => format,
    };
    let format = encoding(format, options.compression)?;
    match &options.output {
        Some(place) => match url_of(place) {
            Some(url) => sink_to_url(url, format),
            None => Ok(Box::new(FileSink::create(place, format)?)),
        },
        None => {
            let binary = matches!(options.format, DataFormat::Parquet | DataFormat::Arrow);
            if binary && io::stdout().is_terminal() {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a binary format is not for a terminal: add -o FILE, or send standard output to a file or a pipe",
                ));
            }
            Ok(Box::new(WriterSink::new(
                BufWriter::new(Stdout),
                format,
                "to standard output",
            )))
        }
    }
}

/// The text of a place that is a URL, and no path.
pub(crate) fn url_of(place: &Path) -> Option<&str> {
    place.to_str().filter(|place| place.contains("://"))
}

/// Standard output as a writer that can move between threads.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        io::stdout().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Gathers the first rows and draws them as a table when all have arrived, or enough.
pub(crate) struct TableSink {
    most_rows: usize,
    output: Option<PathBuf>,
    schema: SchemaRef,
    rows: Vec<Vec<String>>,
    more: bool,
}

impl TableSink {
    pub(crate) fn new(most_rows: usize, output: Option<PathBuf>) -> Self {
        Self {
            most_rows,
            output,
            schema: Schema::empty().into(),
            rows: Vec::new(),
            more: false,
        }
    }

    fn draw(&self) -> String {
        let headings: Vec<Heading> = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                if field.data_type().is_numeric() {
                    Heading::number(field.name())
                } else {
                    Heading::text(field.name())
                }
            })
            .collect();
        if headings.is_empty() {
            return String::new();
        }
        let width = if self.output.is_some() {
            None
        } else {
            terminal::stdout_width()
        };
        let mut text = table(&headings, &self.rows, width);
        let count = self.rows.len();
        let rows = if count == 1 { "row" } else { "rows" };
        text.push_str(&if self.more {
            format!("({count} {rows} shown, and there are more: raise --max-display-rows, or use --format csv)\n")
        } else {
            format!("({count} {rows})\n")
        });
        text
    }
}

#[async_trait]
impl BatchSink for TableSink {
    async fn start(&mut self, schema: SchemaRef) -> Result<()> {
        self.schema = schema;
        Ok(())
    }

    async fn write(&mut self, _index: u64, batch: RecordBatch) -> Result<()> {
        let room = self.most_rows.saturating_sub(self.rows.len());
        self.more |= batch.num_rows() > room;
        self.rows
            .extend(text_rows(&batch.slice(0, room.min(batch.num_rows())))?);
        Ok(())
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        let text = self.draw();
        match &self.output {
            Some(path) => write_file(path, text.as_bytes())?,
            None => print(&text)?,
        }
        Ok(SinkSummary::default())
    }

    async fn abort(&mut self) {}
}

/// The rows of a batch as text.
pub(crate) fn text_rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::new().with_display_error(true);
    let formatters = batch
        .columns()
        .iter()
        .map(|column| Ok(ArrayFormatter::try_new(column.as_ref(), &options)?))
        .collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows())
        .map(|row| {
            formatters
                .iter()
                .map(|formatter| formatter.value(row).to_string())
                .collect()
        })
        .collect())
}
