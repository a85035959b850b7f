//! The queries that estimates are held against.

use lakepilot_query::{Query, Result, TimeRange, quote_literal, quote_time};

use super::Facts;

/// What kind of query it is: goals differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Rows of views, with no filter but time.
    Time,
    /// Rows of views, with a `LIMIT` and no filter but time.
    Limit,
    /// Rows of views that pass a filter on something else than time.
    Filter,
    /// Groups and distinct values.
    Aggregate,
    /// Rows of several views.
    Join,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Time, Self::Limit, Self::Filter, Self::Aggregate, Self::Join];

    /// The group in a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "no filter but time",
            Self::Limit => "limit",
            Self::Filter => "filters",
            Self::Aggregate => "groups",
            Self::Join => "joins",
        }
    }
}

/// Which part of the lake's time goes beside the SQL.
#[derive(Clone, Copy)]
enum Range {
    /// No range at all.
    None,
    /// All of it.
    All,
    /// A part, from a share of the whole to another.
    Part(f64, f64),
}

use Group::{Aggregate, Filter, Join, Limit, Time};
use Range::{All, None as NoRange, Part};

/// A query of the collection, with the names and times of a lake in it.
#[derive(Clone, Debug)]
pub struct AccuracyQuery {
    /// What kind it is.
    pub group: Group,
    /// The text, with words in curly brackets for what is filled in from the lake.
    pub template: &'static str,
    /// The query.
    pub query: Query,
}

/// The middle half of the time.
const MIDDLE: Range = Part(0.25, 0.75);
/// The last tenth of the time.
const LAST: Range = Part(0.9, 1.0);
/// A short while.
const SHORT: Range = Part(0.50, 0.53);
/// A while from the begin.
const FIRST: Range = Part(0.0, 0.4);

/// What people ask of logs, metrics and spans. Words in curly brackets are filled in from the lake.
const QUERIES: &[(Group, Range, &str)] = &[
    // Rows by time.
    (Time, All, "SELECT time, process_id, level, msg FROM log_entries"),
    (Time, MIDDLE, "SELECT time, process_id, level, msg FROM log_entries"),
    (Time, LAST, "SELECT time, level, target, msg FROM log_entries"),
    (
        Time,
        SHORT,
        "SELECT time, level, target, msg FROM log_entries ORDER BY time",
    ),
    (Time, All, "SELECT * FROM log_entries"),
    (Time, FIRST, "SELECT * FROM log_entries"),
    (Time, MIDDLE, "SELECT msg FROM log_entries"),
    (
        Time,
        NoRange,
        "SELECT time, msg FROM log_entries WHERE time >= {q1} AND time < {mid}",
    ),
    (
        Time,
        All,
        "SELECT time, exe, msg FROM log_entries WHERE time BETWEEN {mid} AND {q3}",
    ),
    (Time, LAST, "SELECT exe, username, computer, target FROM log_entries"),
    (
        Time,
        MIDDLE,
        "SELECT time, properties, process_properties FROM log_entries",
    ),
    (
        Time,
        All,
        "SELECT time, msg FROM view_instance('log_entries', {process})",
    ),
    (
        Time,
        MIDDLE,
        "SELECT time, level, msg FROM view_instance('log_entries', {process}) ORDER BY time",
    ),
    (
        Time,
        FIRST,
        "SELECT upper(target) AS target, concat(exe, ': ', msg) AS line FROM log_entries",
    ),
    (
        Time,
        MIDDLE,
        "SELECT time, substr(msg, 1, 20) AS start, length(msg) AS size FROM log_entries",
    ),
    (
        Time,
        MIDDLE,
        "SELECT time, CAST(level AS VARCHAR) AS level FROM log_entries",
    ),
    (
        Time,
        LAST,
        "SELECT time, row_number() OVER (ORDER BY time) AS n FROM log_entries",
    ),
    (
        Time,
        MIDDLE,
        "WITH recent AS (SELECT time, msg FROM log_entries WHERE time > {mid}) SELECT * FROM recent",
    ),
    (
        Time,
        LAST,
        "SELECT l.msg FROM (SELECT time, level, msg FROM log_entries) AS l",
    ),
    (
        Time,
        LAST,
        "SELECT time, msg AS what FROM log_entries UNION ALL SELECT time, name FROM measures",
    ),
    (Time, All, "SELECT time, name, value FROM measures"),
    (Time, MIDDLE, "SELECT * FROM measures"),
    (
        Time,
        SHORT,
        "SELECT time, name, unit, value FROM measures ORDER BY time",
    ),
    (
        Time,
        MIDDLE,
        "SELECT time, name, value FROM view_instance('measures', {process})",
    ),
    (
        Time,
        All,
        "SELECT begin, \"end\", duration, name FROM view_instance('thread_spans', {stream})",
    ),
    (Time, MIDDLE, "SELECT * FROM view_instance('thread_spans', {stream})"),
    (
        Time,
        LAST,
        "SELECT name, target, filename, line FROM view_instance('thread_spans', {stream})",
    ),
    (
        Time,
        All,
        "SELECT time, event_type, name, span_id FROM view_instance('async_events', {process})",
    ),
    (Time, All, "SELECT * FROM view_instance('async_events', {process})"),
    (Time, All, "SELECT * FROM log_stats"),
    (Time, NoRange, "SELECT * FROM processes"),
    (
        Time,
        NoRange,
        "SELECT process_id, exe, username, start_time FROM processes",
    ),
    (Time, NoRange, "SELECT * FROM streams"),
    (Time, NoRange, "SELECT stream_id, process_id, tags FROM streams"),
    (Time, All, "SELECT * FROM blocks"),
    (
        Time,
        All,
        "SELECT block_id, stream_id, begin_time, end_time, nb_objects, payload_size FROM blocks",
    ),
    // Limits.
    (Limit, All, "SELECT time, level, msg FROM log_entries LIMIT 100"),
    (
        Limit,
        All,
        "SELECT time, level, msg FROM log_entries ORDER BY time DESC LIMIT 1000",
    ),
    (Limit, SHORT, "SELECT time, msg FROM log_entries LIMIT 100000000"),
    (
        Limit,
        All,
        "SELECT time, msg FROM log_entries ORDER BY time LIMIT 50 OFFSET 1000",
    ),
    (Limit, All, "SELECT * FROM measures LIMIT 500"),
    (Limit, NoRange, "SELECT * FROM streams LIMIT 5"),
    // Filters.
    (
        Filter,
        All,
        "SELECT time, process_id, msg FROM log_entries WHERE level <= 2",
    ),
    (Filter, MIDDLE, "SELECT time, msg FROM log_entries WHERE level = 4"),
    (Filter, MIDDLE, "SELECT time, msg FROM log_entries WHERE level <> 4"),
    (
        Filter,
        All,
        "SELECT time, msg FROM log_entries WHERE level BETWEEN 2 AND 3",
    ),
    (
        Filter,
        All,
        "SELECT time, level, msg FROM log_entries WHERE level <= 3 AND msg LIKE '%error%'",
    ),
    (
        Filter,
        All,
        "SELECT time, level, msg FROM log_entries WHERE msg ILIKE '%failed%'",
    ),
    (
        Filter,
        MIDDLE,
        "SELECT time, msg FROM log_entries WHERE target = {target}",
    ),
    (
        Filter,
        MIDDLE,
        "SELECT time, msg FROM log_entries WHERE exe = {exe} AND level <= 4",
    ),
    (
        Filter,
        All,
        "SELECT time, level, msg FROM log_entries WHERE process_id = {process}",
    ),
    (
        Filter,
        All,
        "SELECT time, msg FROM log_entries WHERE level IN (1, 2) OR target = {target}",
    ),
    (
        Filter,
        All,
        "SELECT time, msg FROM log_entries WHERE time > {q3} AND level <= 3",
    ),
    (Filter, LAST, "SELECT time, msg FROM log_entries WHERE length(msg) > 40"),
    (
        Filter,
        MIDDLE,
        "SELECT time, msg FROM log_entries WHERE msg IS NOT NULL",
    ),
    (Filter, All, "SELECT time, value FROM measures WHERE name = {measure}"),
    (
        Filter,
        MIDDLE,
        "SELECT time, name, value FROM measures WHERE value > 100",
    ),
    (
        Filter,
        All,
        "SELECT time, value FROM measures WHERE name LIKE 'r%' AND process_id = {process}",
    ),
    (
        Filter,
        All,
        "SELECT begin, duration FROM view_instance('thread_spans', {stream}) WHERE name = {span}",
    ),
    (
        Filter,
        All,
        "SELECT name, duration FROM view_instance('thread_spans', {stream}) WHERE duration > 1000000",
    ),
    (
        Filter,
        NoRange,
        "SELECT stream_id, tags FROM streams WHERE process_id = {process}",
    ),
    (
        Filter,
        NoRange,
        "SELECT process_id, exe FROM processes WHERE exe = {exe}",
    ),
    // Groups.
    (Aggregate, All, "SELECT count(*) AS n FROM log_entries"),
    (
        Aggregate,
        All,
        "SELECT level, count(*) AS n FROM log_entries GROUP BY level",
    ),
    (
        Aggregate,
        All,
        "SELECT process_id, count(*) AS n, max(time) AS last FROM log_entries GROUP BY process_id",
    ),
    (
        Aggregate,
        MIDDLE,
        "SELECT target, level, count(*) AS n FROM log_entries GROUP BY target, level",
    ),
    (
        Aggregate,
        MIDDLE,
        "SELECT date_trunc('minute', time) AS minute, count(*) AS n FROM log_entries GROUP BY minute",
    ),
    (
        Aggregate,
        All,
        "SELECT name, avg(value) AS average, max(value) AS most FROM measures GROUP BY name",
    ),
    (Aggregate, All, "SELECT DISTINCT exe FROM log_entries"),
    (Aggregate, All, "SELECT DISTINCT process_id, stream_id FROM log_entries"),
    (
        Aggregate,
        All,
        "SELECT msg, count(*) AS n FROM log_entries GROUP BY msg ORDER BY n DESC LIMIT 20",
    ),
    (
        Aggregate,
        All,
        "SELECT name, count(*) AS n, sum(duration) AS total FROM view_instance('thread_spans', {stream}) \
         GROUP BY name ORDER BY total DESC LIMIT 10",
    ),
    (
        Aggregate,
        All,
        "SELECT exe FROM log_entries GROUP BY exe HAVING count(*) > 10",
    ),
    // Joins.
    (
        Join,
        MIDDLE,
        "SELECT l.time, l.msg, p.distro FROM log_entries l JOIN processes p ON l.process_id = p.process_id",
    ),
    (
        Join,
        LAST,
        "SELECT l.time, l.msg, s.tags FROM log_entries l LEFT JOIN streams s ON l.stream_id = s.stream_id",
    ),
    (
        Join,
        All,
        "SELECT m.time, m.value FROM measures m JOIN processes p ON m.process_id = p.process_id WHERE p.exe = {exe}",
    ),
    (
        Join,
        NoRange,
        "SELECT s.stream_id, p.exe FROM streams s JOIN processes p USING (process_id)",
    ),
    (
        Join,
        All,
        "SELECT time, msg FROM log_entries WHERE process_id IN (SELECT process_id FROM processes WHERE exe = {exe})",
    ),
];

/// The collection, with what a lake has.
///
/// # Errors
/// `InvalidInput` when the lake's times are none that a range can have.
pub fn accuracy_queries(facts: &Facts) -> Result<Vec<AccuracyQuery>> {
    let values = [
        ("{process}", quote_literal(&facts.process)),
        ("{stream}", quote_literal(&facts.stream)),
        ("{target}", quote_literal(&facts.target)),
        ("{exe}", quote_literal(&facts.exe)),
        ("{measure}", quote_literal(&facts.measure)),
        ("{span}", quote_literal(&facts.span)),
        ("{q1}", quote_time(facts.at(0.25))),
        ("{mid}", quote_time(facts.at(0.5))),
        ("{q3}", quote_time(facts.at(0.75))),
    ];
    QUERIES
        .iter()
        .map(|&(group, range, template)| {
            let sql = values
                .iter()
                .fold(template.to_owned(), |sql, (word, value)| sql.replace(word, value));
            let range = match range {
                NoRange => None,
                All => Some(facts.range),
                Part(from, to) => Some(TimeRange::new(facts.at(from), facts.at(to))?),
            };
            Ok(AccuracyQuery {
                group,
                template,
                query: Query::new(sql)?.with_time_range(range),
            })
        })
        .collect()
}
