//! `lakepilot partitions`: list, draw, plan, retire, look again, materialise.

mod apply;
mod history;
mod list;
mod map;
mod materialise;
mod plan;
mod retention;
mod retire;
mod selection;

use lakepilot_query::Result;

use crate::args::{PartitionsCommand, RetentionCommand};
use crate::context::Context;
use crate::exit::Outcome;

pub(crate) async fn partitions(command: PartitionsCommand, context: &Context) -> Result<Outcome> {
    match command {
        PartitionsCommand::List(args) => list::list(args, context).await,
        PartitionsCommand::Map(args) => map::map(args, context).await,
        PartitionsCommand::PlanRetire(args) => plan::plan_retire(args, context).await,
        PartitionsCommand::Apply(args) => apply::apply_plan(args, context).await,
        PartitionsCommand::Verify(args) => plan::verify(args, context).await,
        PartitionsCommand::Retire(args) => retire::retire(args, context).await,
        PartitionsCommand::RetireInstances(args) => retire::retire_instances(args, context).await,
        PartitionsCommand::RetireProcess(args) => retire::retire_process(args, context).await,
        PartitionsCommand::Retention { command } => match command {
            RetentionCommand::Plan(args) => retention::plan(args, context).await,
            RetentionCommand::Apply(args) => retention::apply(args, context).await,
        },
        PartitionsCommand::History(args) => history::history(&args, context),
        PartitionsCommand::Materialize(args) => materialise::materialise(args, false, context).await,
        PartitionsCommand::Regenerate(args) => materialise::materialise(args, true, context).await,
    }
}
