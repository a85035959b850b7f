//! `lakepilot query`: rows, printed or saved.

use lakepilot_execution::{BatchSize, BatchedExecutor, ExecutionOptions, NoProgress};
use lakepilot_query::{Dictionaries, Query, Result};
use tokio_util::sync::CancellationToken;

use crate::args::QueryArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, DataFormat, RowsOptions};
use crate::{guard, signals};

pub(crate) async fn query(args: QueryArgs, context: &Context) -> Result<Outcome> {
    let format = DataFormat::choose(args.format, args.output.as_deref())?;
    let options = RowsOptions {
        format,
        output: args.output.clone(),
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
    // Its handlers stand before the first file is made.
    let signal = signals::listen()?;
    tokio::pin!(signal);
    let cancellation = CancellationToken::new();
    let mut sink = output::sink(&options)?;
    let executor = tokio::select! {
        biased;
        signal = &mut signal => return Ok(Outcome::Stopped(signal)),
        executor = executor(&args, &query, context, cancellation.clone()) => executor?,
    };
    let running = executor.execute(&query, sink.as_mut(), &NoProgress);
    tokio::pin!(running);
    tokio::select! {
        biased;
        signal = &mut signal => {
            cancellation.cancel();
            // Its outcome is that it was called off; what counts is that it has cleaned up, in an object store too.
            let _ = tokio::time::timeout(signals::CLEANUP_BOUND, running).await;
            return Ok(Outcome::Stopped(signal));
        }
        done = &mut running => done?,
    };
    context.tell_written(options.output.as_deref());
    Ok(Outcome::Done)
}

/// What runs the query, once it is known to be within the limits.
async fn executor(
    args: &QueryArgs,
    query: &Query,
    context: &Context,
    cancellation: CancellationToken,
) -> Result<BatchedExecutor> {
    let service = context.service_with(|config| args.attempts.make_room(config)).await?;
    guard::ensure_within(args.limits, service.as_ref(), query, context).await?;
    let execution = ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_timeouts(args.attempts.timeouts())
        .with_retry(args.attempts.retry_policy())
        .with_cancellation(cancellation);
    Ok(BatchedExecutor::new(service, execution))
}

pub(crate) fn dictionaries(preserve: bool) -> Dictionaries {
    if preserve {
        Dictionaries::Preserved
    } else {
        Dictionaries::Flattened
    }
}
