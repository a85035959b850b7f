//! The guard before a query is run: a result that is expected to be too large is refused.

use lakepilot_analysis::{EstimateBasis, EstimateOptions, ResultEstimate, estimate_result};
use lakepilot_query::{Query, QueryService, Result};

use crate::args::LimitArgs;
use crate::context::Context;
use crate::messages::Messages;

/// Estimates the result of a query when there are limits, and refuses the query when the estimate is above one of them.
/// Where nothing is known of the rows, that is told and the query is let through.
///
/// # Errors
/// `ResourceExhausted` (exit code 8) with the estimate and the limit; and what the service says when it cannot plan the
/// query or list its partitions.
pub(crate) async fn ensure_within(
    limits: LimitArgs,
    service: &dyn QueryService,
    query: &Query,
    context: &Context,
) -> Result<Option<ResultEstimate>> {
    if limits.max_rows.is_none() && limits.max_bytes.is_none() {
        return Ok(None);
    }
    let options = EstimateOptions::default().with_learnt(context.learning().known());
    let estimate = estimate_result(service, query, &options).await?;
    check(limits, &estimate, context.messages)?;
    Ok(Some(estimate))
}

/// As [`ensure_within`], for an estimate that has been made.
///
/// # Errors
/// `ResourceExhausted`.
pub(crate) fn check(limits: LimitArgs, estimate: &ResultEstimate, messages: Messages) -> Result<()> {
    estimate.ensure_within(limits.max_rows, limits.max_bytes)?;
    let is_limited = limits.max_rows.is_some() || limits.max_bytes.is_some();
    if is_limited && estimate.rows.basis == EstimateBasis::Unknown && estimate.rows.high.is_none() {
        messages.warn("nothing is known of how many rows the query returns: the limits are not checked");
    }
    Ok(())
}
