//! DataFusion's errors as ours, with the kinds and the texts of the real service.

use std::error::Error as _;

use datafusion::error::DataFusionError;
use lakepilot_query::{Error, ErrorKind, Position};

/// The step of a query that failed, as the real service names it at the head of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Planning,
    Limit,
    PhysicalPlan,
    Execution,
    Streaming,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "error building dataframe",
            Self::Limit => "error building dataframe with limit",
            Self::PhysicalPlan => "error creating physical plan",
            Self::Execution => "error executing plan",
            Self::Streaming => "error building data stream",
        }
    }
}

/// The error of a query that failed at a step.
///
/// The message is the root of the error, its place in the SQL where the parser or the planner knows it, and DataFusion's
/// notes and hints.
pub(crate) fn query_error(step: Step, error: DataFusionError, query_id: &str) -> Error {
    let root = error.find_root();
    let mut message = format!("{}: {}", step.as_str(), root.strip_backtrace());
    let mut position = None;
    if let Some(diagnostic) = error.diagnostic() {
        if let Some(span) = diagnostic.span {
            position = Some(Position {
                line: span.start.line,
                column: span.start.column,
            });
            message.push_str(&format!(" (at line {}, column {})", span.start.line, span.start.column));
        }
        for note in &diagnostic.notes {
            message.push_str(&format!("\nnote: {}", note.message));
        }
        for help in &diagnostic.helps {
            message.push_str(&format!("\nhelp: {}", help.message));
        }
    }
    let failure = Error::new(kind_of(root), message).with_query_id(query_id);
    let failure = match position {
        Some(position) => failure.with_position(position),
        None => failure,
    };
    failure.with_source(error)
}

/// The kind of the root of an error. An `Execution` error counts as the caller's: functions report bad arguments so.
/// An `ArrowError` (a division by zero, a bad cast) counts as the service's, as it does there.
fn kind_of(root: &DataFusionError) -> ErrorKind {
    match root {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Execution(_)
        | DataFusionError::Configuration(_) => ErrorKind::InvalidQuery,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::ResourceExhausted,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        _ => store_kind(root).unwrap_or(ErrorKind::Internal),
    }
}

/// A full disk is told as what it is; every other failure of the store is the service's own business.
fn store_kind(root: &DataFusionError) -> Option<ErrorKind> {
    let kind = root.source()?.downcast_ref::<Error>()?.kind();
    (kind == ErrorKind::ResourceExhausted).then_some(kind)
}

/// An error of the store on its way through DataFusion.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Runs work on the store where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> lakepilot_query::Result<T> + Send + 'static,
) -> Result<T, DataFusionError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(external),
        // It panicked, or the runtime is going down.
        Err(error) => Err(external(Error::new(
            ErrorKind::Internal,
            format!("a task on the catalogue ended early: {error}"),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::error::ArrowError;

    #[test]
    fn every_root_has_its_kind() {
        let plan = || DataFusionError::Plan("p".into());
        for (error, kind) in [
            (plan(), ErrorKind::InvalidQuery),
            (plan().context("while planning"), ErrorKind::InvalidQuery),
            (DataFusionError::Execution("e".into()), ErrorKind::InvalidQuery),
            (DataFusionError::Configuration("c".into()), ErrorKind::InvalidQuery),
            (DataFusionError::NotImplemented("n".into()), ErrorKind::Unsupported),
            (
                DataFusionError::ResourcesExhausted("r".into()),
                ErrorKind::ResourceExhausted,
            ),
            (ArrowError::DivideByZero.into(), ErrorKind::Internal),
            (DataFusionError::Internal("i".into()), ErrorKind::Internal),
            (
                external(Error::new(ErrorKind::NotFound, "no process")),
                ErrorKind::Internal,
            ),
            (
                external(Error::new(ErrorKind::ResourceExhausted, "disk full")),
                ErrorKind::ResourceExhausted,
            ),
        ] {
            let text = error.to_string();
            let failure = query_error(Step::Streaming, error, "id");
            assert_eq!(failure.kind(), kind, "{text}");
            assert!(
                failure.message().starts_with("error building data stream: "),
                "{failure}"
            );
            assert_eq!(failure.query_id(), Some("id"));
        }
    }

    #[test]
    fn the_root_is_told_without_its_wrapping() {
        let failure = query_error(
            Step::Planning,
            DataFusionError::Plan("no such thing".into()).context("outer"),
            "q",
        );
        assert_eq!(
            failure.message(),
            "error building dataframe: Error during planning: no such thing"
        );
    }
}
