//! The exact columns and types.

use lakepilot_query::{Dictionaries, Query, TimeRange};

use crate::suite::case::{Observations, Outcome};
use crate::suite::{Context, spell};

const VIEWS: &[&str] = &["log_entries", "measures", "log_stats", "processes", "streams", "blocks"];
const FUNCTIONS: &[&str] = &["list_partitions()", "list_view_sets()"];

pub(super) async fn views(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    for view in VIEWS {
        note(context, &mut seen, view, view, None).await?;
    }
    for (view_set, instance) in [
        ("log_entries", &context.process_id),
        ("measures", &context.process_id),
        ("async_events", &context.process_id),
        ("thread_spans", &context.stream_id),
    ] {
        let name = format!("instance of {view_set}");
        let from = Context::instance(view_set, instance);
        note(context, &mut seen, &name, &from, Some(context.all_time)).await?;
    }
    Ok(seen)
}

pub(super) async fn functions(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    for function in FUNCTIONS {
        note(context, &mut seen, function, function, None).await?;
    }
    Ok(seen)
}

async fn note(
    context: &Context,
    seen: &mut Observations,
    name: &str,
    from: &str,
    range: Option<TimeRange>,
) -> lakepilot_query::Result<()> {
    let query = Query::new(format!("SELECT * FROM {from} LIMIT 1"))?.with_time_range(range);
    let prepared = match context.service().prepare(&query).await {
        Ok(prepared) => spell::schema(&prepared.schema()),
        Err(error) => spell::error(&error),
    };
    seen.note(format!("{name}, prepared"), prepared);
    let delivered = context.collect(&query).await?;
    seen.note(format!("{name}, delivered"), spell::schema(&delivered.schema));
    let preserved = context
        .collect(&query.with_dictionaries(Dictionaries::Preserved))
        .await?;
    seen.note(format!("{name}, with dictionaries"), spell::schema(&preserved.schema));
    Ok(())
}
