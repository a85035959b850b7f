//! Where the rows of a run go.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use lakepilot_execution::{Compression, DiscardSink, FileFormat, PartsDirectory, PartsRequest};
use lakepilot_query::{Error, ErrorKind, Result};

use super::Target;
use crate::args::{RunArgs, RunOutputArgs};
use crate::context::Context;
use crate::output::{self, DataFormat, RowsOptions};
use crate::progress::RowsGo;

/// Where the rows go, before anything is made there.
pub(super) enum Place {
    /// They are counted and dropped.
    Nowhere,
    Stdout(DataFormat),
    File(PathBuf, DataFormat),
    Directory(PathBuf, FileFormat),
}

impl Place {
    pub(super) fn of(args: &RunArgs) -> Result<Self> {
        let RunOutputArgs {
            output,
            output_dir,
            format,
            ..
        } = &args.output;
        if let Some(directory) = &args.resume {
            let request = request_of(directory)?;
            if format.is_some_and(|format| directory_format(Some(format)).ok() != Some(request.format)) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "the parts are of the format {}; leave --format out",
                        request.format.extension()
                    ),
                ));
            }
            return Ok(Self::Directory(directory.clone(), request.format));
        }
        let named = output_dir
            .as_ref()
            .or(output.as_ref().filter(|path| is_directory(path)));
        if let Some(url) = named.and_then(|path| path.to_str()).filter(|path| path.contains("://")) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "parts are written into a directory of this machine, not to {url}; name one, or a single object"
                ),
            ));
        }
        if let Some(directory) = output_dir {
            return Ok(Self::Directory(directory.clone(), directory_format(*format)?));
        }
        match output {
            Some(path) if is_directory(path) => Ok(Self::Directory(path.clone(), directory_format(*format)?)),
            Some(path) => Ok(Self::File(path.clone(), DataFormat::choose(*format, Some(path))?)),
            None => Ok(format.map_or(Self::Nowhere, Self::Stdout)),
        }
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path, _) => Some(path),
            _ => None,
        }
    }

    /// Whether rows go where a line of progress would be drawn.
    pub(super) fn rows_go(&self) -> RowsGo {
        match self {
            Self::Stdout(_) if io::stdout().is_terminal() => RowsGo::ToTerminal,
            _ => RowsGo::Elsewhere,
        }
    }

    /// Makes the sink, or names the directory, which has to be of the same server as `earlier`.
    pub(super) fn target(
        &self,
        compression: Option<Compression>,
        earlier: Option<&PartsRequest>,
        context: &Context,
    ) -> Result<Target> {
        let rows = |format, output| {
            output::sink(&RowsOptions {
                format,
                output,
                compression,
                max_display_rows: usize::MAX,
            })
        };
        Ok(match self {
            Self::Nowhere => Target::Sink(Box::new(DiscardSink)),
            Self::Stdout(format) => Target::Sink(rows(*format, None)?),
            Self::File(path, format) => Target::Sink(rows(*format, Some(path.clone()))?),
            Self::Directory(path, format) => {
                let url = context.url()?;
                if let Some(request) = earlier
                    && request.server != url
                {
                    return Err(Error::new(
                        ErrorKind::InvalidInput,
                        format!(
                            "the directory {} holds parts of a run on another server ({}, not {}); give that one as --url, \
                             or choose another directory",
                            path.display(),
                            request.server,
                            url
                        ),
                    ));
                }
                let format = output::encoding(*format, compression)?;
                Target::Directory(PartsDirectory::new(path, format, url))
            }
        })
    }
}

/// A directory, or what is to become one.
fn is_directory(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(std::path::is_separator) || path.is_dir()
}

fn directory_format(format: Option<DataFormat>) -> Result<FileFormat> {
    match format {
        None => Ok(FileFormat::Parquet),
        Some(format) => format.of_file().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "a directory of parts holds no tables: use --format parquet, arrow, csv, ndjson or json",
            )
        }),
    }
}

pub(super) fn request_of(directory: &Path) -> Result<PartsRequest> {
    PartsRequest::read(directory)?.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "the directory {} has no manifest.json; name one that a run has written to",
                directory.display()
            ),
        )
    })
}
