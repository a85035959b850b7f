//! `lakepilot partitions`: list, draw, retire and materialise.

mod list;
mod map;
mod materialise;
mod retire;
mod selection;

use chrono::Utc;
use lakepilot_admin::{PartitionAdmin, ViewInstance};
use lakepilot_query::{Result, parse_time};

use crate::args::PartitionsCommand;
use crate::context::Context;
use crate::exit::Outcome;

pub(crate) async fn partitions(command: PartitionsCommand, context: &Context) -> Result<Outcome> {
    match command {
        PartitionsCommand::List(args) => list::list(args, context).await,
        PartitionsCommand::Map(args) => map::map(args, context).await,
        PartitionsCommand::Retire(args) => {
            let range = context.required_time_range()?;
            let instance = ViewInstance::new(args.view_set, args.instance);
            let admin = PartitionAdmin::new(context.service().await?);
            let plan = admin.plan_range(&instance, range).await?;
            retire::retire(&admin, plan, args.confirm, context).await
        }
        PartitionsCommand::RetireInstances(args) => retire::retire_instances(args, context).await,
        PartitionsCommand::RetireProcess(args) => {
            context.refuse_time_range("--older-than says which partitions of the process are meant")?;
            let cutoff = args
                .older_than
                .as_deref()
                .map(|text| parse_time(text, Utc::now()).map_err(|error| error.context("--older-than")))
                .transpose()?;
            let admin = PartitionAdmin::new(context.service().await?);
            let plan = admin.plan_process(&args.process_id, cutoff).await?;
            retire::retire(&admin, plan, args.confirm, context).await
        }
        PartitionsCommand::Materialize(args) => materialise::materialise(args, false, context).await,
        PartitionsCommand::Regenerate(args) => materialise::materialise(args, true, context).await,
    }
}
