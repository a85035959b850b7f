//! What bad queries end with.

use lakepilot_query::{Query, TimeRange, quote_literal};

use crate::suite::case::{Observations, Outcome};
use crate::suite::{Context, spell};

pub(super) async fn kinds(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    let spans = format!(
        "SELECT * FROM {}",
        Context::instance("thread_spans", &context.stream_id)
    );
    let narrow = "1990-01-01T00:00:00Z";
    let no_zone = format!(
        "SELECT * FROM retire_partitions('log_entries', {}, '1990-01-01 00:00:00', '1990-01-02 00:00:00')",
        quote_literal(&context.process_id)
    );
    let aggregate = format!("SELECT count(*) FROM retire_partitions('log_entries', 'nobody', '{narrow}', '{narrow}')");
    let cases: &[(&str, &str, Option<TimeRange>)] = &[
        ("an unknown table", "SELECT * FROM nope", None),
        ("an unknown column", "SELECT nope FROM log_entries", None),
        ("an unknown function", "SELECT nope(1)", None),
        ("an unknown table function", "SELECT * FROM nope(1)", None),
        ("a syntax error", "SELEC 1", None),
        ("a syntax error at the end", "SELECT time FROM log_entries WHERE", None),
        ("two statements", "SELECT 1; SELECT 2", None),
        (
            "a division by zero",
            "SELECT level / (level - level) FROM log_entries",
            None,
        ),
        ("a bad cast", "SELECT CAST(msg AS BIGINT) FROM log_entries", None),
        (
            "a comparison of unlike types",
            "SELECT 1 FROM log_entries WHERE time > 5",
            None,
        ),
        (
            "an instance of an unknown process",
            "SELECT * FROM view_instance('log_entries', '00000000-0000-4000-8000-000000000000')",
            Some(context.all_time),
        ),
        (
            "an instance with an id that is none",
            "SELECT * FROM view_instance('log_entries', 'nope')",
            Some(context.all_time),
        ),
        (
            "an instance of an unknown view set",
            "SELECT * FROM view_instance('nope', 'global')",
            Some(context.all_time),
        ),
        (
            "an instance with one argument",
            "SELECT * FROM view_instance('log_entries')",
            None,
        ),
        ("spans without a time range", &spans, None),
        ("a retirement with times without a zone", &no_zone, None),
        ("an aggregate over a retirement", &aggregate, None),
    ];
    for (name, sql, range) in cases {
        let query = Query::new(*sql)?.with_time_range(*range);
        let run = context.collect(&query).await;
        seen.note(format!("{name}, run"), told(run.map(|result| result.num_rows())));
        let prepared = context.service().prepare(&query).await;
        let prepared = prepared.map_or_else(|error| spell::error(&error), |_| "accepted".to_owned());
        seen.note(format!("{name}, prepared"), prepared);
    }
    Ok(seen)
}

fn told(answer: lakepilot_query::Result<usize>) -> String {
    match answer {
        Ok(0) => "no rows".to_owned(),
        Ok(_) => "rows".to_owned(),
        Err(error) => spell::error(&error),
    }
}
