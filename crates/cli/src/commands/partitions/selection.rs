//! What the options of a command mean: which partitions, which guards, on which server.

use chrono::{DateTime, Utc};
use lakepilot_admin::{Guards, PartitionAdmin, Protected, Selection};
use lakepilot_query::{Error, ErrorKind, Result, parse_time};

use crate::args::{GuardArgs, ProtectArgs, SelectionArgs};
use crate::config;
use crate::context::Context;
use crate::learning::server_name;

/// The partitions that the options and the time range mean.
pub(super) fn selection(args: &SelectionArgs, context: &Context) -> Result<Selection> {
    let mut selection = Selection::everything()
        .with_min_bytes(args.min_size)
        .with_max_bytes(args.max_size)
        .older_than(time(args.older_than.as_deref(), "--older-than")?)
        .newer_than(time(args.newer_than.as_deref(), "--newer-than")?);
    if !args.view_set.is_empty() {
        selection = selection.in_view_sets_like(args.view_set.iter().cloned());
    }
    if !args.instance.is_empty() {
        selection = selection.with_instances_like(args.instance.iter().cloned());
    }
    if args.non_global {
        selection = selection.without_global();
    }
    if let Some(process) = &args.process {
        selection = selection.with_process(process);
    }
    if args.empty || args.not_empty {
        selection = selection.with_empty(args.empty);
    }
    if args.incompatible {
        selection = selection.incompatible();
    }
    if args.orphaned {
        selection = selection.orphaned();
    }
    Ok(match context.time_range()? {
        Some(range) => selection.within(range),
        None => selection,
    })
}

/// The time of an option.
pub(super) fn time(text: Option<&str>, option: &str) -> Result<Option<DateTime<Utc>>> {
    text.map(|text| parse_time(text, Utc::now()).map_err(|error| error.context(option)))
        .transpose()
}

/// The guards of the options and of `lakepilot.toml`.
pub(super) fn guards(args: &GuardArgs, context: &Context) -> Result<Guards> {
    Ok(Guards::none()
        .with_min_age(Some(args.min_age).filter(|age| !age.is_zero()))
        .with_keep_newest(args.keep_newest)
        .with_max_partitions(args.max_partitions)
        .with_max_bytes(args.max_bytes)
        .with_protected(protected(&args.protect, context)?))
}

/// What no plan may touch, by the options and by `lakepilot.toml`.
pub(super) fn protected(args: &ProtectArgs, context: &Context) -> Result<Vec<Protected>> {
    let mut protected = Vec::new();
    for text in &args.protect {
        protected.push(protects(text).map_err(|error| error.context("--protect"))?);
    }
    if let Some((path, texts)) = config::protected()? {
        for text in &texts {
            protected.push(protects(text).map_err(|error| error.context(format!("{}: protect", path.display())))?);
        }
        if !texts.is_empty() {
            let told = texts
                .iter()
                .map(|text| crate::output::printable(text))
                .collect::<Vec<_>>();
            context
                .messages
                .tell(format!("protected by {}: {}", path.display(), told.join(", ")));
        }
    }
    Ok(protected)
}

/// `view set/instance`, either of them a pattern. Ids have no slash in them; a view set has none either.
fn protects(text: &str) -> Result<Protected> {
    let (view_set, instance) = text.split_once('/').ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!(
                "'{text}' is not VIEW_SET/INSTANCE: write both, such as log_entries/global, with * for all of them"
            ),
        )
    })?;
    Ok(Protected {
        view_set: view_set.parse()?,
        instance: instance.parse()?,
    })
}

/// Administration of the server of the command line.
pub(super) async fn admin(context: &Context) -> Result<PartitionAdmin> {
    Ok(PartitionAdmin::new(context.service().await?).with_server(server_name(context.url()?)))
}
