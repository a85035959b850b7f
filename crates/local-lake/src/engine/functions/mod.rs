//! The SQL functions of the lake.

mod arguments;
mod jsonb;
mod listings;
mod materialize;
mod messages;
mod retire;
mod retire_one;
mod view_instance;

use std::sync::Arc;

use datafusion::prelude::SessionContext;

use self::listings::{Listing, ListingFunction};
use self::materialize::{Materialization, Materialize};
use self::retire::RetirePartitions;
use self::retire_one::{retire_partition_by_file, retire_partition_by_metadata};
use self::view_instance::ViewInstance;
use crate::engine::options::ServiceOptions;
use crate::store::Lake;

pub(crate) use self::messages::MessageTable;
pub(crate) use self::retire_one::is_action;

/// Registers every function that the options allow.
pub(crate) fn register(context: &SessionContext, lake: &Lake, options: &ServiceOptions) {
    context.register_udtf("view_instance", Arc::new(ViewInstance::new(lake.clone())));
    for (name, listing) in [
        ("list_partitions", Listing::Partitions),
        ("list_view_sets", Listing::ViewSets),
    ] {
        context.register_udtf(name, Arc::new(ListingFunction::new(lake.clone(), listing)));
    }
    for function in jsonb::functions() {
        context.register_udf(function);
    }
    if !options.administration {
        return;
    }
    context.register_udtf(
        "retire_partitions",
        Arc::new(RetirePartitions::new(lake.clone(), options.fault)),
    );
    for kind in [Materialization::Missing, Materialization::All] {
        context.register_udtf(kind.function(), Arc::new(Materialize::new(lake.clone(), kind)));
    }
    context.register_udf(retire_partition_by_metadata(lake.clone(), options.fault));
    context.register_udf(retire_partition_by_file(lake.clone(), options.fault));
}
