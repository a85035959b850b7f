//! `lakepilot query`: rows, printed or saved.

use lakepilot_execution::{BatchSize, BatchedExecutor, ExecutionOptions, NoProgress};
use lakepilot_query::{Dictionaries, Result};

use crate::args::QueryArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::guard;
use crate::output::{self, DataFormat, RowsOptions};

pub(crate) async fn query(args: QueryArgs, context: &Context) -> Result<Outcome> {
    let format = DataFormat::choose(args.format, args.output.as_deref())?;
    let options = RowsOptions {
        format,
        output: args.output,
        compression: args.compression,
        max_display_rows: args.max_display_rows,
    };
    // A table of the first rows does not need the rest; one row more tells that there are more.
    let shown = (format == DataFormat::Table).then(|| args.max_display_rows as u64 + 1);
    let limit = match (args.limit, shown) {
        (Some(limit), Some(shown)) => Some(limit.min(shown)),
        (limit, shown) => limit.or(shown),
    };
    let query = context
        .query(&args.sql)?
        .with_limit(limit)
        .with_dictionaries(dictionaries(args.preserve_dictionary));
    let mut sink = output::sink(&options)?;
    let service = context.service().await?;
    guard::ensure_within(args.limits, service.as_ref(), &query, context).await?;
    let execution = ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_timeouts(args.attempts.timeouts())
        .with_retry(args.attempts.retry_policy());
    let executor = BatchedExecutor::new(service, execution);
    executor.execute(&query, sink.as_mut(), &NoProgress).await?;
    context.tell_written(options.output.as_deref());
    Ok(Outcome::Done)
}

pub(crate) fn dictionaries(preserve: bool) -> Dictionaries {
    if preserve {
        Dictionaries::Preserved
    } else {
        Dictionaries::Flattened
    }
}
