//! What a time range beside the SQL does.

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_query::{TimeRange, quote_time};

use crate::suite::Context;
use crate::suite::case::{Observations, Outcome, ensure, ensure_equal};

fn nanosecond() -> TimeDelta {
    TimeDelta::nanoseconds(1)
}

pub(super) async fn inclusive_edges(context: &Context) -> Outcome {
    let (first, last) = (context.log_range.begin(), context.log_range.end());
    let total = context.count("log_entries", None).await?;
    let at = async |time: DateTime<Utc>| {
        let from = format!("log_entries WHERE time = {}", quote_time(time));
        context.count(&from, None).await
    };
    let in_range = async |begin, end| context.count("log_entries", TimeRange::new(begin, end)?).await;
    let (at_first, at_last) = (at(first).await?, at(last).await?);
    ensure(at_first > 0 && at_last > 0 && first < last, || {
        "the lake has no two log entries of different times".to_owned()
    })?;
    ensure_equal("from the first to the last", in_range(first, last).await?, total)?;
    ensure_equal("the instant of the first", in_range(first, first).await?, at_first)?;
    ensure_equal("the instant of the last", in_range(last, last).await?, at_last)?;
    ensure_equal(
        "a nanosecond less at both ends",
        in_range(first + nanosecond(), last - nanosecond()).await?,
        total - at_first - at_last,
    )?;
    let mut in_slices = 0;
    for slice in context.log_range.split(7) {
        in_slices += context.count("log_entries", slice).await?;
    }
    ensure_equal("in slices that share no instant", in_slices, total)?;
    Ok(Observations::default())
}

pub(super) async fn overlap(context: &Context) -> Outcome {
    let spans = Context::instance("thread_spans", &context.stream_id);
    let longest = format!("(SELECT * FROM {spans} ORDER BY duration DESC, id LIMIT 1)");
    let id: i64 = context
        .value(&format!("SELECT id AS value FROM {longest}"), context.all_time)
        .await?;
    let time = async |column: &str| {
        let sql = format!("SELECT \"{column}\" AS value FROM {longest}");
        context.value::<DateTime<Utc>>(&sql, context.all_time).await
    };
    let (begin, end) = (time("begin").await?, time("end").await?);
    ensure(end - begin > TimeDelta::nanoseconds(4), || {
        "the longest span is shorter than five nanoseconds".to_owned()
    })?;
    let has_it = async |from: DateTime<Utc>, to: DateTime<Utc>| {
        let found = context
            .count(&format!("{spans} WHERE id = {id}"), TimeRange::new(from, to)?)
            .await?;
        Ok::<_, lakepilot_query::Error>(found == 1)
    };
    let middle = begin + (end - begin) / 2;
    let second = TimeDelta::seconds(1);
    for (what, from, to, expected) in [
        ("an instant within it", middle, middle, true),
        ("the instant in which it begins", begin - second, begin, true),
        ("the instant in which it ends", end, end + second, true),
        ("a range around it", begin - second, end + second, true),
        (
            "a range that ends right before it",
            begin - second,
            begin - nanosecond(),
            false,
        ),
        (
            "a range that begins right after it",
            end + nanosecond(),
            end + second,
            false,
        ),
    ] {
        ensure_equal(what, has_it(from, to).await?, expected)?;
    }
    Ok(Observations::default())
}

/// Long before any event.
fn long_ago() -> lakepilot_query::Result<TimeRange> {
    let begin = DateTime::UNIX_EPOCH + TimeDelta::days(365);
    TimeRange::new(begin, begin + TimeDelta::days(1))
}

pub(super) async fn unfiltered(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    let process = Context::instance("log_entries", &context.process_id);
    for (name, from) in [
        ("log_entries", "log_entries"),
        ("measures", "measures"),
        ("log_stats", "log_stats"),
        ("processes", "processes"),
        ("streams", "streams"),
        ("blocks", "blocks"),
        ("an instance of log_entries", process.as_str()),
        ("list_partitions()", "list_partitions()"),
        ("list_view_sets()", "list_view_sets()"),
    ] {
        let all = context.count(from, None).await?;
        ensure(all > 0, || format!("the lake has no rows of {name}"))?;
        let kept = match context.count(from, long_ago()?).await? {
            0 => "none",
            some if some == all => "all",
            _ => "some",
        };
        seen.note(format!("rows of {name} in a range long before them"), kept);
        let wide = context.count(from, context.all_time).await?;
        let kept = if wide == all { "all" } else { "some" };
        seen.note(format!("rows of {name} in a range around them"), kept);
    }
    Ok(seen)
}
