//! Plans that are saved, applied and verified: what goes is what was planned, partition by partition.

use chrono::{DateTime, Utc};
use lakepilot_admin::{
    ApplyOptions, Journal, PartitionAdmin, RetentionPolicy, RetirementPlan, Selection, Silent, StayReason,
};
use lakepilot_catalog::{Partition, PartitionFilter};
use lakepilot_query::{FixedClock, Query, quote_literal};

use crate::suite::case::{Failure, Observations, Outcome, ensure, ensure_equal};
use crate::suite::{Context, spell};

async fn all(context: &Context) -> lakepilot_query::Result<Vec<Partition>> {
    context.catalog().partitions(&PartitionFilter::all()).await
}

/// Applies a plan that went through a file and is resumed once it is done; what is gone has to be what was planned, and
/// nothing else.
async fn apply_and_compare(context: &Context, admin: &PartitionAdmin, plan: RetirementPlan) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(lakepilot_query::Error::from)?;
    let file = folder.path().join("plan.json");
    plan.save(&file)?;
    let plan = RetirementPlan::load(&file)?;
    let before = all(context).await?;
    for _ in 0..2 {
        let journal = Journal::open(&folder.path().join("journal"), &plan)?;
        let options = ApplyOptions::default()
            .with_statement_size(3)
            .with_journal(journal.into());
        let report = admin.apply(&plan, &options, &Silent).await?;
        ensure(report.is_complete(), || {
            format!(
                "not all is retired: {:?}, {:?}",
                report.counts(),
                report.first_failure()
            )
        })?;
        ensure_equal(
            "what the report says is retired",
            report.counts().retired,
            plan.totals().partitions,
        )?;
        let after = all(context).await?;
        for partition in &before {
            let planned = plan.partitions().any(|planned| planned == partition);
            ensure(planned != after.contains(partition), || {
                format!(
                    "{}/{} {} is {}",
                    partition.view_set_name,
                    partition.view_instance_id,
                    partition.begin_insert_time,
                    if planned {
                        "planned and there"
                    } else {
                        "gone and was not planned"
                    }
                )
            })?;
        }
    }
    Ok(())
}

pub(super) async fn plan_file(context: &Context) -> Outcome {
    context.use_instances().await?;
    let admin = context.admin().with_server("a server");
    let plan = admin.plan(Selection::everything().without_global()).await?;
    ensure(!plan.is_empty(), || "there is nothing to retire".to_owned())?;
    let capabilities = plan.capabilities();
    apply_and_compare(context, &admin, plan).await?;
    let mut seen = Observations::default();
    seen.note("what it offers to retire with", format!("{capabilities:?}"));
    Ok(seen)
}

/// A time within a partition of the instances that were used, so that some of them are older and one straddles it.
async fn a_cutoff(context: &Context) -> Result<(Partition, DateTime<Utc>), Failure> {
    let partitions = context
        .catalog()
        .partitions(&PartitionFilter::all().non_global())
        .await?;
    let straddles = partitions
        .into_iter()
        .filter(|partition| partition.begin_insert_time < partition.end_insert_time)
        .max_by_key(|partition| partition.end_insert_time)
        .ok_or_else(|| Failure::new("no partition of a process is longer than an instant"))?;
    let half = (straddles.end_insert_time - straddles.begin_insert_time) / 2;
    let cutoff = straddles.begin_insert_time + half;
    Ok((straddles, cutoff))
}

pub(super) async fn retention(context: &Context) -> Outcome {
    context.use_instances().await?;
    let (straddles, cutoff) = a_cutoff(context).await?;
    let policy = RetentionPolicy::from_toml(
        "version = 1\n[guards]\nmin_age = \"0s\"\n[[rule]]\nkeep_for = \"7d\"\n[[except]]\nview_sets = [\"measures\"]",
    )?;
    let admin = context
        .admin()
        .with_clock(FixedClock(cutoff + chrono::TimeDelta::days(7)));
    let before = all(context).await?;
    let plan = admin.plan_retention(&policy).await?;
    for partition in &before {
        let old =
            !partition.is_global() && partition.end_insert_time <= cutoff && partition.view_set_name != "measures";
        let planned = plan.partitions().any(|planned| planned == partition);
        ensure(old == planned, || {
            format!(
                "{}/{} {} should be planned: {old}; is: {planned}",
                partition.view_set_name, partition.view_instance_id, partition.begin_insert_time
            )
        })?;
    }
    let staying = plan.instances().iter().flat_map(|instance| instance.staying());
    let told = staying
        .filter(|stays| stays.partition == straddles)
        .map(|stays| stays.reason)
        .collect::<Vec<_>>();
    let expected = if straddles.view_set_name == "measures" {
        vec![]
    } else {
        vec![StayReason::Straddling]
    };
    ensure(told == expected || told == [StayReason::Straddling], || {
        format!("the one that straddles is told as {told:?}")
    })?;
    apply_and_compare(context, &admin, plan).await?;
    ensure(all(context).await?.contains(&straddles), || {
        "the partition that straddles the cut-off is gone".to_owned()
    })?;
    Ok(Observations::default())
}

/// A healthy lake has none; one that an older version of the service wrote to does.
pub(super) async fn incompatible(context: &Context) -> Outcome {
    let view_sets = context.catalog().view_sets().await?;
    let is_old = |partition: &Partition| {
        let of = view_sets
            .iter()
            .find(|view_set| view_set.name == partition.view_set_name);
        of.is_some_and(|view_set| view_set.current_schema_hash != partition.file_schema_hash)
    };
    let admin = context.admin();
    let plan = admin
        .plan(Selection::everything().without_global().incompatible())
        .await?;
    for partition in all(context).await?.iter().filter(|partition| !partition.is_global()) {
        let planned = plan.partitions().any(|planned| planned == partition);
        ensure_equal("whether a partition is planned", planned, is_old(partition))?;
    }
    apply_and_compare(context, &admin, plan).await?;
    Ok(Observations::default())
}

/// What the retirement of many in one statement relies on.
pub(super) async fn all_or_none(context: &Context) -> Outcome {
    context.use_instances().await?;
    let partitions = context.partitions("log_entries", &context.process_id).await?;
    let partition = partitions
        .iter()
        .rfind(|partition| partition.file_path.is_some())
        .ok_or_else(|| Failure::new("an instance that was read has no partition"))?;
    let file = quote_literal(partition.file_path.as_deref().unwrap_or_default());
    let mut seen = Observations::default();
    for (name, files) in [
        ("the missing one last", [&file, "'nope'"]),
        ("the missing one first", ["'nope'", &file]),
    ] {
        let sql = format!(
            "SELECT retire_partition_by_file(file_path) AS msg FROM (VALUES ({})) AS planned(file_path)",
            files.join("), (")
        );
        let rows = context
            .collect(&Query::new(sql)?)
            .await
            .and_then(|result| spell::rows(&result));
        let failed = match &rows {
            Ok(rows) => rows.iter().any(|row| !row.starts_with("SUCCESS")),
            Err(_) => true,
        };
        ensure(failed, || {
            "a statement with a file that is not there succeeded".to_owned()
        })?;
        seen.note(
            name,
            rows.map_or_else(|error| spell::error(&error), |rows| format!("{} rows", rows.len())),
        );
        ensure(all(context).await?.contains(partition), || {
            format!("{name}: the other one was retired all the same")
        })?;
    }
    Ok(seen)
}
