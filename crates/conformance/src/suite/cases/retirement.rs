//! Retirement: what goes, what stays, what is said.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use lakepilot_admin::{ApplyOptions, RetirementPlan, Silent};
use lakepilot_catalog::{GLOBAL_INSTANCE, Partition, PartitionFilter};
use lakepilot_query::{Query, quote_literal};

use crate::suite::case::{Failure, Observations, Outcome, ensure, ensure_equal};
use crate::suite::{Context, spell};

fn microsecond() -> TimeDelta {
    TimeDelta::microseconds(1)
}

fn literal(time: DateTime<Utc>) -> String {
    quote_literal(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn retire(view_set: &str, instance: &str, begin: DateTime<Utc>, end: DateTime<Utc>) -> String {
    format!(
        "SELECT msg FROM retire_partitions({}, {}, {}, {})",
        quote_literal(view_set),
        quote_literal(instance),
        literal(begin),
        literal(end)
    )
}

async fn all(context: &Context) -> lakepilot_query::Result<Vec<Partition>> {
    context.catalog().partitions(&PartitionFilter::all()).await
}

/// The partitions of `before` that are not in `after`.
fn gone<'a>(before: &'a [Partition], after: &[Partition]) -> Vec<&'a Partition> {
    before.iter().filter(|partition| !after.contains(partition)).collect()
}

/// A partition with rows of the instance of log entries of the context's process, which is made when it is not there.
async fn a_partition(context: &Context) -> Result<Partition, Failure> {
    context.use_instances().await?;
    let partitions = context.partitions("log_entries", &context.process_id).await?;
    partitions
        .into_iter()
        .rfind(|partition| partition.num_rows > 0)
        .ok_or_else(|| Failure::new("an instance that was read has no partition"))
}

pub(super) async fn instances_on_use(context: &Context) -> Outcome {
    let plan = context.admin().plan_process(&context.process_id, None).await?;
    apply(context, &plan).await?;
    let before = context.partitions("log_entries", &context.process_id).await?;
    ensure_equal("partitions before it is read", before.len(), 0)?;

    for view_set in ["log_entries", "measures"] {
        let instance = Context::instance(view_set, &context.process_id);
        let of_process = format!("{view_set} WHERE process_id = {}", quote_literal(&context.process_id));
        let expected = context.count(&of_process, context.all_time).await?;
        ensure(expected > 0, || format!("the process has no rows in {view_set}"))?;
        ensure_equal(view_set, context.count(&instance, context.all_time).await?, expected)?;
        let rows: u64 = context
            .partitions(view_set, &context.process_id)
            .await?
            .iter()
            .map(|partition| partition.num_rows)
            .sum();
        ensure_equal("rows of its partitions", rows as i64, expected)?;
    }
    Ok(Observations::default())
}

pub(super) async fn prepare_does_not_run(context: &Context) -> Outcome {
    let partition = a_partition(context).await?;
    let before = all(context).await?;
    let sql = retire(
        &partition.view_set_name,
        &partition.view_instance_id,
        partition.begin_insert_time,
        partition.end_insert_time,
    );
    let prepared = context.service().prepare(&Query::new(sql)?).await?;
    ensure_equal("partitions that are gone", gone(&before, &all(context).await?).len(), 0)?;
    let mut seen = Observations::default();
    seen.note("the schema of a retirement", spell::schema(&prepared.schema()));
    Ok(seen)
}

pub(super) async fn containment(context: &Context) -> Outcome {
    let partition = a_partition(context).await?;
    let (begin, end) = (partition.begin_insert_time, partition.end_insert_time);
    let (view_set, instance) = (&partition.view_set_name, &partition.view_instance_id);
    let second = TimeDelta::seconds(1);
    let before = all(context).await?;
    for (what, from, to) in [
        ("a range that begins in it", begin + microsecond(), end + second),
        ("a range that ends in it", begin - second, end - microsecond()),
    ] {
        context.rows(&retire(view_set, instance, from, to), None).await?;
        ensure(all(context).await?.contains(&partition), || {
            format!("{what} has retired it")
        })?;
    }
    // The second of these ranges may have held others of the instance.
    let before_exact = all(context).await?;
    let messages = context.rows(&retire(view_set, instance, begin, end), None).await?;
    let after = all(context).await?;
    ensure(!after.contains(&partition), || {
        "its exact range has not retired it".to_owned()
    })?;
    for other in gone(&before, &after) {
        let is_of_it = other.view_set_name == *view_set && other.view_instance_id == *instance;
        ensure(is_of_it && other.end_insert_time <= end, || {
            format!(
                "{}/{} lost a partition too",
                other.view_set_name, other.view_instance_id
            )
        })?;
    }
    for other in gone(&before_exact, &after) {
        ensure(other.is_within(begin, end), || {
            "a partition outside of the range is gone".to_owned()
        })?;
    }
    let mut seen = Observations::default();
    seen.note("what a retirement says", spell::first_words(&messages));
    Ok(seen)
}

pub(super) async fn nothing_to_retire(context: &Context) -> Outcome {
    let partition = a_partition(context).await?;
    let (begin, end) = (partition.begin_insert_time, partition.end_insert_time);
    let long_ago = DateTime::UNIX_EPOCH + TimeDelta::days(365);
    let before = all(context).await?;
    let mut seen = Observations::default();
    for (name, view_set, instance, from, to) in [
        (
            "a range without partitions",
            "log_entries",
            context.process_id.as_str(),
            long_ago,
            long_ago,
        ),
        ("an unknown view set", "nope", "global", long_ago, end),
        ("an unknown instance", "log_entries", "nope", long_ago, end),
        (
            "begin after end",
            "log_entries",
            context.process_id.as_str(),
            end + TimeDelta::days(1),
            begin - TimeDelta::days(1),
        ),
        ("a quote in a name", "log'entries", "'; DROP", long_ago, end),
    ] {
        let answer = match context.rows(&retire(view_set, instance, from, to), None).await {
            Ok(rows) => format!("{} rows", rows.len()),
            Err(error) => spell::error(&error),
        };
        seen.note(name, answer);
    }
    ensure_equal("partitions that are gone", gone(&before, &all(context).await?).len(), 0)?;
    Ok(seen)
}

pub(super) async fn one_by_one(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    let answer = async |sql: &str| {
        let rows = context.rows(sql, None).await;
        rows.map_or_else(
            |error| spell::error(&error),
            |rows| {
                rows.iter()
                    .map(|row| row.split(':').next().unwrap_or(""))
                    .collect::<Vec<_>>()
                    .join(", ")
            },
        )
    };
    seen.note(
        "by a file that is not there",
        answer("SELECT retire_partition_by_file('nope.parquet')").await,
    );
    let nobodys = "SELECT retire_partition_by_metadata('log_entries', 'nobody', \
                   arrow_cast('1990-01-01T00:00:00Z', 'Timestamp(Nanosecond, Some(\"UTC\"))'), \
                   arrow_cast('1990-01-02T00:00:00Z', 'Timestamp(Nanosecond, Some(\"UTC\"))'), decode('07', 'hex'))";
    seen.note("by metadata of nothing, in constants", answer(nobodys).await);
    let by_metadata = |of: &Partition, end: DateTime<Utc>| {
        let listed = format!(
            "list_partitions() WHERE view_set_name = {} AND view_instance_id = {} AND begin_insert_time = {} AND \
             end_insert_time = {}",
            quote_literal(&of.view_set_name),
            quote_literal(&of.view_instance_id),
            literal(of.begin_insert_time),
            literal(of.end_insert_time)
        );
        let end = format!("arrow_cast({}, 'Timestamp(Nanosecond, Some(\"UTC\"))')", literal(end));
        format!(
            "SELECT retire_partition_by_metadata(view_set_name, view_instance_id, begin_insert_time, {end}, \
             file_schema_hash) FROM {listed}"
        )
    };
    let partition = a_partition(context).await?;
    let wrong_end = partition.end_insert_time + microsecond();
    seen.note(
        "by metadata that are not right",
        answer(&by_metadata(&partition, wrong_end)).await,
    );
    ensure(all(context).await?.contains(&partition), || {
        "wrong metadata have retired a partition".to_owned()
    })?;

    let before = all(context).await?;
    seen.note(
        "by metadata",
        answer(&by_metadata(&partition, partition.end_insert_time)).await,
    );
    ensure_equal(
        "gone by metadata",
        gone(&before, &all(context).await?),
        vec![&partition],
    )?;

    let partition = a_partition(context).await?;
    let before = all(context).await?;
    let file = partition.file_path.as_deref().unwrap_or_default();
    seen.note(
        "by file",
        answer(&format!("SELECT retire_partition_by_file({})", quote_literal(file))).await,
    );
    let after = context.settled(|listed| !listed.contains(&partition)).await?;
    ensure_equal("gone by file", gone(&before, &after), vec![&partition])?;
    Ok(seen)
}

async fn apply(context: &Context, plan: &RetirementPlan) -> Result<(), Failure> {
    let report = context.admin().apply(plan, &ApplyOptions::default(), &Silent).await?;
    ensure(report.is_complete(), || {
        let first = report
            .partitions()
            .iter()
            .find(|partition| partition.outcome != lakepilot_admin::Outcome::Retired);
        format!(
            "not all is retired: {:?}, first {:?}, {:?}",
            report.counts(),
            first,
            report.first_failure()
        )
    })
}

pub(super) async fn process(context: &Context) -> Outcome {
    context.use_instances().await?;
    let before = all(context).await?;
    let plan = context.admin().plan_process(&context.process_id, None).await?;
    let planned: Vec<String> = plan
        .instances()
        .iter()
        .map(|instance| instance.instance().to_string())
        .collect();
    for wanted in [
        format!("log_entries/{}", context.process_id),
        format!("async_events/{}", context.process_id),
        format!("thread_spans/{}", context.stream_id),
    ] {
        ensure(planned.contains(&wanted), || {
            format!("{wanted} is not planned, but {planned:?}")
        })?;
    }
    apply(context, &plan).await?;

    let after = all(context).await?;
    let streams = context.catalog().streams_of_process(&context.process_id).await?;
    let mut ids: Vec<String> = streams.into_iter().map(|stream| stream.stream_id).collect();
    ids.push(context.process_id.clone());
    let is_of_it = |partition: &Partition| ids.contains(&partition.view_instance_id);
    ensure(!after.iter().any(is_of_it), || {
        "something of the process is left".to_owned()
    })?;
    ensure(gone(&before, &after).into_iter().all(is_of_it), || {
        "something that is not of the process is gone".to_owned()
    })?;
    // What is read again is there again: the rows were never in danger.
    let left = context
        .count(&Context::instance("log_entries", &context.process_id), context.all_time)
        .await?;
    ensure(left > 0, || "the log entries of the process are lost".to_owned())?;
    Ok(Observations::default())
}

pub(super) async fn non_global(context: &Context) -> Outcome {
    context.use_instances().await?;
    let before = all(context).await?;
    let plan = context.admin().plan_non_global().await?;
    ensure(!plan.is_empty(), || "there is nothing to retire".to_owned())?;
    apply(context, &plan).await?;
    let after = all(context).await?;
    let others = after.iter().filter(|partition| !partition.is_global()).count();
    ensure_equal("partitions that are not global", others, 0)?;
    let global = before
        .iter()
        .filter(|partition| partition.view_instance_id == GLOBAL_INSTANCE)
        .count();
    ensure_equal("partitions of global", after.len(), global)?;
    Ok(Observations::default())
}
