//! The server over a lake.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::CommandStatementIngest;
use lakepilot_local_lake::{FlightServer, ServedLake, ServiceOptions};
use lakepilot_query::{Dictionaries, Query, QueryService, QueryServiceExt};
use tonic::{Code, Request};

use super::fixture::{
    batch, client, get, on_any_port, only_ticket, serve, soon, sql_client, statement, status, ticket, with,
};
use crate::engine::fixture::{ENTRIES_AN_HOUR, Fixture, HOURS, PROCESSES, THREADS, at, range};

const STATEMENTS: &[&str] = &[
    "SELECT * FROM log_entries ORDER BY time",
    "SELECT * FROM processes",
    "SELECT * FROM streams",
    "SELECT * FROM blocks",
    "SELECT * FROM measures",
    "SELECT count(*), max(time), min(level), target FROM log_entries GROUP BY target",
    "SELECT CASE WHEN level > 1 THEN exe END AS exe, level + 1 AS next, 1 / level AS part FROM log_entries",
    "SELECT p.exe, l.msg FROM processes p LEFT JOIN log_entries l ON l.process_id = p.process_id",
    "SELECT 1 AS one, NULL AS nothing, 'x' AS text UNION ALL SELECT 2, NULL, 'y'",
    "SELECT row_number() OVER (ORDER BY time) AS n, first_value(target) OVER (ORDER BY time) AS t FROM log_entries",
    "SELECT * FROM list_partitions()",
    "SELECT * FROM list_view_sets()",
    "SELECT time, msg FROM retire_partitions('log_entries', 'global', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z')",
    "SELECT array_agg(target) AS targets, struct(level, target) AS pair FROM log_entries GROUP BY level, target",
    "CREATE TABLE t AS SELECT 1 AS one",
    "SET datafusion.execution.batch_size = 100",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
];

#[tokio::test]
async fn the_schema_told_ahead_is_the_one_delivered() {
    let fixture = Fixture::new();
    let service = &fixture.service;
    for sql in STATEMENTS {
        for dictionaries in [Dictionaries::Flattened, Dictionaries::Preserved] {
            let query = Query::new(*sql).unwrap().with_dictionaries(dictionaries);
            let told = service.result_schema(&query).await.unwrap();
            let delivered = service.run(&query).await.unwrap().schema();
            assert_eq!(told, delivered, "{sql}");
        }
    }
}

#[tokio::test]
async fn rows_over_the_wire_are_those_in_process() {
    let fixture = Fixture::new();
    let service = &fixture.service;
    let server = serve(service.clone());
    let mut client = client(&server).await;
    let sql = "SELECT * FROM log_entries ORDER BY time, msg";
    let expected = service
        .collect(&Query::new(sql).unwrap())
        .await
        .unwrap()
        .to_batch()
        .unwrap();
    assert_eq!(expected.num_rows(), HOURS as usize * ENTRIES_AN_HOUR);
    let whole = |schema: &SchemaRef, batches: &[RecordBatch]| arrow::compute::concat_batches(schema, batches).unwrap();
    let (schema, batches) = get(&mut client, Request::new(ticket(sql))).await.unwrap();
    assert_eq!(whole(&schema, &batches), expected);
    let info = client.get_flight_info(statement(sql)).await.unwrap().into_inner();
    assert_eq!(
        SchemaRef::new(info.clone().try_decode_schema().unwrap()),
        expected.schema()
    );
    let (schema, batches) = get(&mut client, Request::new(only_ticket(&info))).await.unwrap();
    assert_eq!(whole(&schema, &batches), expected);

    let metadata = [("preserve_dictionary", "true")];
    let (schema, batches) = get(&mut client, with(ticket(sql), &metadata)).await.unwrap();
    let query = Query::new(sql).unwrap().with_dictionaries(Dictionaries::Preserved);
    let expected = service.collect(&query).await.unwrap().to_batch().unwrap();
    assert_eq!(whole(&schema, &batches), expected);
}

async fn count(
    client: &mut arrow_flight::flight_service_client::FlightServiceClient<tonic::transport::Channel>,
    sql: &str,
    metadata: &[(&str, &str)],
) -> usize {
    let (_, batches) = get(client, with(ticket(sql), metadata)).await.unwrap();
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[tokio::test]
async fn ranges_include_both_ends_and_backwards_ones_hold_nothing() {
    let fixture = Fixture::new();
    let server = serve(fixture.service.clone());
    let mut client = client(&server).await;
    let text = |seconds| at(seconds).to_rfc3339();
    let log = "SELECT * FROM log_entries";
    let spans = format!("SELECT * FROM view_instance('thread_spans', '{}')", THREADS[0]);
    let (begin, end) = (text(600), text(1200));
    let forwards = [("query_range_begin", begin.as_str()), ("query_range_end", end.as_str())];
    assert_eq!(count(&mut client, log, &forwards).await, 2);
    let in_process = Query::new(spans.as_str())
        .unwrap()
        .with_time_range(range(at(600), at(1200)));
    let expected = fixture.service.collect(&in_process).await.unwrap().num_rows();
    assert!(expected > 0);
    assert_eq!(count(&mut client, &spans, &forwards).await, expected);

    let backwards = [("query_range_begin", end.as_str()), ("query_range_end", begin.as_str())];
    assert_eq!(count(&mut client, log, &backwards).await, 0);
    assert_eq!(count(&mut client, &spans, &backwards).await, 0);
    let instance = format!("SELECT * FROM view_instance('log_entries', '{}')", PROCESSES[0]);
    assert_eq!(count(&mut client, &instance, &backwards).await, 0);
    // What is not filtered by time is still there.
    assert_eq!(
        count(&mut client, "SELECT * FROM list_view_sets()", &backwards).await,
        8
    );

    let one_end = [("query_range_begin", begin.as_str())];
    assert_eq!(
        count(&mut client, log, &one_end).await,
        HOURS as usize * ENTRIES_AN_HOUR
    );
    let limited = [("limit", "4")];
    assert_eq!(count(&mut client, log, &limited).await, 4);
}

#[tokio::test]
async fn errors_have_the_codes_and_the_texts_of_the_real_service() {
    let fixture = Fixture::new();
    let server = serve(fixture.service.clone());
    let mut client = client(&server).await;
    for (sql, code, says) in [
        (
            "SELECT *\nFROM nope",
            Code::InvalidArgument,
            "table 'datafusion.public.nope' not found (at line 2, column 6) (query_id=",
        ),
        (
            "SELECT nope FROM log_entries",
            Code::InvalidArgument,
            "No field named nope.",
        ),
        ("SELECT foo(1)", Code::InvalidArgument, "Invalid function 'foo'."),
        ("SELEC 1", Code::InvalidArgument, "SQL error: ParserError("),
        ("SELECT 1; SELECT 2", Code::Unimplemented, "error building dataframe"),
        ("SELECT 1 / 0", Code::Internal, ""),
    ] {
        for _ in 0..2 {
            let status = get(&mut client, Request::new(ticket(sql))).await.unwrap_err();
            assert_eq!(status.code(), code, "{sql}: {status}");
            assert!(status.message().contains(says), "{sql}: {status}");
            let id = status
                .message()
                .rsplit_once("(query_id=")
                .unwrap()
                .1
                .trim_end_matches(')');
            uuid::Uuid::parse_str(id).unwrap();
            assert_eq!(status.message().matches("query_id=").count(), 1);
        }
    }
}

#[tokio::test]
async fn a_retirement_happens_when_it_is_drained_and_not_when_it_is_planned() {
    let fixture = Fixture::new();
    let server = serve(fixture.service.clone());
    let mut client = client(&server).await;
    let listing = "SELECT * FROM list_partitions() WHERE view_set_name = 'log_entries' AND view_instance_id = 'global'";
    let before = count(&mut client, listing, &[]).await;
    assert_eq!(before, HOURS as usize);
    let sql = format!(
        "SELECT time, msg FROM retire_partitions('log_entries', 'global', '{}', '{}')",
        at(0).to_rfc3339(),
        at(3600).to_rfc3339()
    );
    let info = client.get_flight_info(statement(&sql)).await.unwrap().into_inner();
    assert_eq!(count(&mut client, listing, &[]).await, before);
    let (_, batches) = get(&mut client, Request::new(only_ticket(&info))).await.unwrap();
    assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= 2);
    assert_eq!(count(&mut client, listing, &[]).await, before - 1);
}

#[tokio::test]
async fn a_server_keeps_the_lake_only_while_it_runs() {
    let fixture = Fixture::new();
    let service = Arc::new(fixture.service.clone());
    let server = FlightServer::bind(Arc::clone(&service) as Arc<dyn ServedLake>, on_any_port());
    let server = server.unwrap().spawn();
    let mut client = client(&server).await;
    count(&mut client, "SELECT 1", &[]).await;
    soon(server.shutdown()).await.unwrap();
    drop(client);
    soon(async {
        while Arc::strong_count(&service) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn rows_are_taken_from_administrators_only() {
    let options = ServiceOptions {
        administration: false,
        ..ServiceOptions::default()
    };
    let fixture = Fixture::with_options(options);
    let server = serve(fixture.service.clone());
    let command = CommandStatementIngest {
        table: "processes".to_owned(),
        ..CommandStatementIngest::default()
    };
    let error = sql_client(&server)
        .await
        .execute_ingest(command, futures::stream::iter([Ok(batch())]))
        .await
        .unwrap_err();
    assert_eq!(status(error).code(), Code::PermissionDenied);
}
