//! What the selection options of a command mean.

use lakepilot_catalog::PartitionFilter;
use lakepilot_query::Result;

use crate::args::SelectionArgs;
use crate::context::Context;

/// The partitions that the options and the time range mean.
pub(super) fn filter(args: &SelectionArgs, context: &Context) -> Result<PartitionFilter> {
    let mut filter = PartitionFilter::all();
    if let Some(view_set) = &args.view_set {
        filter = filter.with_view_sets([view_set]);
    }
    if let Some(instance) = &args.instance {
        filter = filter.with_instances([instance]);
    }
    if args.non_global {
        filter = filter.non_global();
    }
    if let Some(range) = context.time_range()? {
        filter = filter.overlapping(range);
    }
    Ok(filter)
}
