//! Queries in every spelling.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    CommandPreparedStatementQuery,
};
use arrow_flight::{Action, FlightDescriptor, IpcMessage, Ticket};
use futures::TryStreamExt;
use lakepilot_local_lake::MockServedLake;
use lakepilot_query::{Dictionaries, Error, ErrorKind, Position, Query, RecordBatchStream, TimeRange};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::fixture::{
    Log, Thinking, answering, batch, client, flat_batch, get, only_ticket, packed, serve, soon, statement,
    statement_ticket, status, ticket, unending, unpacked, with,
};

const SQL: &str = "SELECT name, number FROM things";
const RANGE: [(&str, &str); 2] = [
    ("query_range_begin", "2026-01-01T00:00:00+01:00"),
    ("query_range_end", "2026-01-02T00:00:00.000000001Z"),
];

fn in_range() -> Query {
    let range = TimeRange::new(
        "2025-12-31T23:00:00Z".parse().unwrap(),
        "2026-01-02T00:00:00.000000001Z".parse().unwrap(),
    );
    Query::new(SQL).unwrap().with_time_range(range.unwrap())
}

#[tokio::test]
async fn a_ticket_is_a_query_packed_and_not() {
    let (lake, seen) = answering();
    let server = serve(lake);
    let mut client = client(&server).await;
    for ticket in [ticket(SQL), Ticket::new(statement_ticket(SQL).encode_to_vec())] {
        let (schema, batches) = get(&mut client, Request::new(ticket)).await.unwrap();
        assert_eq!(schema, flat_batch().schema());
        assert_eq!(batches, [flat_batch(), flat_batch()]);
        assert_eq!(seen.last(), Query::new(SQL).unwrap());
    }
}

#[tokio::test]
async fn get_flight_info_tells_the_schema_that_comes_and_a_ticket_for_it() {
    let (lake, _) = answering();
    let server = serve(lake);
    let mut client = client(&server).await;
    for (metadata, expected) in [(vec![], flat_batch()), (vec![("preserve_dictionary", "true")], batch())] {
        let request = || with(statement(SQL), &metadata);
        let info = client.get_flight_info(request()).await.unwrap().into_inner();
        let told = info.clone().try_decode_schema().unwrap();
        assert_eq!(SchemaRef::new(told), expected.schema());
        assert_eq!((info.total_records, info.total_bytes), (-1, -1));
        assert_eq!(info.flight_descriptor, Some(statement(SQL)));

        let schema = client.get_schema(request()).await.unwrap().into_inner();
        assert_eq!(SchemaRef::new(Schema::try_from(&schema).unwrap()), expected.schema());

        let (schema, batches) = get(&mut client, with(only_ticket(&info), &metadata)).await.unwrap();
        assert_eq!(schema, expected.schema());
        assert_eq!(batches, [expected.clone(), expected]);
    }
}

#[tokio::test]
async fn the_ticket_of_a_plain_query_is_that_of_the_real_service() {
    let (lake, _) = answering();
    let server = serve(lake);
    let info = client(&server)
        .await
        .get_flight_info(statement(SQL))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(only_ticket(&info).ticket, statement_ticket(SQL).encode_to_vec());
}

#[tokio::test]
async fn metadata_is_part_of_the_query() {
    let (lake, seen) = answering();
    let server = serve(lake);
    let mut client = client(&server).await;
    get(&mut client, with(ticket(SQL), &RANGE)).await.unwrap();
    assert_eq!(seen.last(), in_range());

    let mut all = RANGE.to_vec();
    all.extend([
        ("limit", "10"),
        ("preserve_dictionary", "true"),
        ("x-client-type", "test"),
    ]);
    get(&mut client, with(ticket(SQL), &all)).await.unwrap();
    let expected = in_range().with_limit(10).with_dictionaries(Dictionaries::Preserved);
    assert_eq!(seen.last(), expected);

    get(&mut client, with(ticket(SQL), &RANGE[..1])).await.unwrap();
    assert_eq!(seen.last(), Query::new(SQL).unwrap());
}

#[tokio::test]
async fn metadata_that_is_sent_once_travels_in_the_ticket() {
    let (lake, seen) = answering();
    let server = serve(lake);
    let mut client = client(&server).await;
    let mut metadata = RANGE.to_vec();
    metadata.extend([("limit", "10"), ("preserve_dictionary", "true")]);
    let info = client
        .get_flight_info(with(statement(SQL), &metadata))
        .await
        .unwrap()
        .into_inner();
    let planned = seen.last();
    let (schema, _) = get(&mut client, Request::new(only_ticket(&info))).await.unwrap();
    assert_eq!(schema, batch().schema());
    assert_eq!(
        seen.last(),
        in_range().with_limit(10).with_dictionaries(Dictionaries::Preserved)
    );
    assert_eq!(seen.last(), planned);

    // What the second call says comes first.
    get(&mut client, with(only_ticket(&info), &[("limit", "3")]))
        .await
        .unwrap();
    assert_eq!(seen.last().limit(), Some(3));
    assert_eq!(seen.last().time_range(), planned.time_range());
}

#[tokio::test]
async fn a_prepared_statement_tells_dictionaries_and_runs_by_its_handle() {
    let (lake, seen) = answering();
    let server = serve(lake);
    let mut client = client(&server).await;
    let request = ActionCreatePreparedStatementRequest {
        query: SQL.to_owned(),
        transaction_id: None,
    };
    let action = |kind: &str, body| Action::new(kind, body);
    let answers = client
        .do_action(action("CreatePreparedStatement", packed(&request)))
        .await
        .unwrap();
    let answers: Vec<_> = answers.into_inner().try_collect().await.unwrap();
    assert_eq!(answers.len(), 1);
    let prepared: ActionCreatePreparedStatementResult = unpacked(&answers[0].body);
    assert_eq!(prepared.prepared_statement_handle, SQL.as_bytes());
    let told = Schema::try_from(IpcMessage(prepared.dataset_schema.clone())).unwrap();
    assert_eq!(SchemaRef::new(told), batch().schema());
    // The Python client reads it as a stream.
    let stream = arrow::ipc::reader::StreamReader::try_new(prepared.dataset_schema.as_ref(), None).unwrap();
    assert_eq!(stream.schema(), batch().schema());

    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: prepared.prepared_statement_handle.clone(),
    };
    let descriptor = FlightDescriptor::new_cmd(packed(&command));
    let info = client
        .get_flight_info(with(descriptor, &RANGE))
        .await
        .unwrap()
        .into_inner();
    let told = info.clone().try_decode_schema().unwrap();
    for ticket in [only_ticket(&info), Ticket::new(packed(&command))] {
        let (schema, batches) = get(&mut client, with(ticket, &RANGE)).await.unwrap();
        assert_eq!(*schema, told);
        assert_eq!(batches.len(), 2);
        assert_eq!(seen.last(), in_range());
    }

    let close = ActionClosePreparedStatementRequest {
        prepared_statement_handle: prepared.prepared_statement_handle,
    };
    let closed = client
        .do_action(action("ClosePreparedStatement", packed(&close)))
        .await
        .unwrap();
    assert!(closed.into_inner().try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn dictionaries_of_a_lake_that_keeps_them_are_flattened_on_the_way() {
    let mut lake = MockServedLake::new();
    lake.expect_result_schema().returning(|_| Ok(batch().schema()));
    lake.expect_run()
        .returning(|_| Ok(RecordBatchStream::from_batches(batch().schema(), vec![batch()])));
    let server = serve(lake);
    let mut client = client(&server).await;
    let info = client.get_flight_info(statement(SQL)).await.unwrap().into_inner();
    let told = info.clone().try_decode_schema().unwrap();
    let (schema, batches) = get(&mut client, Request::new(only_ticket(&info))).await.unwrap();
    assert_eq!(schema, flat_batch().schema());
    assert_eq!(*schema, told);
    assert_eq!(batches, [flat_batch()]);
}

#[tokio::test]
async fn a_result_of_no_rows_has_its_schema() {
    let mut lake = MockServedLake::new();
    lake.expect_run()
        .returning(|_| Ok(RecordBatchStream::from_batches(batch().schema(), Vec::new())));
    let server = serve(lake);
    let (schema, batches) = get(&mut client(&server).await, Request::new(ticket(SQL)))
        .await
        .unwrap();
    assert_eq!(schema, flat_batch().schema());
    assert!(batches.is_empty());
}

#[tokio::test]
async fn an_error_of_planning_is_the_status_of_the_call() {
    let error = || {
        Error::new(ErrorKind::InvalidQuery, "error building dataframe: table 'x' not found")
            .with_position(Position { line: 1, column: 15 })
    };
    let mut lake = MockServedLake::new();
    lake.expect_run().returning(move |_| Err(error()));
    lake.expect_result_schema().returning(move |_| Err(error()));
    lake.expect_prepare().returning(move |_| Err(error()));
    let server = serve(lake);
    let mut client = client(&server).await;
    let request = ActionCreatePreparedStatementRequest {
        query: SQL.to_owned(),
        transaction_id: None,
    };
    let action = Action::new("CreatePreparedStatement", packed(&request));
    for status in [
        client.do_get(ticket(SQL)).await.unwrap_err(),
        client.get_flight_info(statement(SQL)).await.unwrap_err(),
        client.get_schema(statement(SQL)).await.unwrap_err(),
        client.do_action(action).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::InvalidArgument);
        let says = "error building dataframe: table 'x' not found (at line 1, column 15) (query_id=";
        assert!(status.message().starts_with(says), "{status}");
    }
}

#[tokio::test]
async fn an_error_in_mid_stream_comes_after_the_batches_before_it() {
    let mut lake = MockServedLake::new();
    lake.expect_run().returning(|_| {
        let error = Error::new(ErrorKind::ResourceExhausted, "out of memory").with_query_id("of-the-lake");
        let batches = futures::stream::iter([Ok(batch()), Ok(batch()), Err(error)]);
        Ok(RecordBatchStream::new(batch().schema(), batches))
    });
    let server = serve(lake);
    let messages = client(&server).await.do_get(ticket(SQL)).await.unwrap().into_inner();
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages.map_err(Into::into));
    assert_eq!(batches.try_next().await.unwrap(), Some(flat_batch()));
    assert_eq!(batches.try_next().await.unwrap(), Some(flat_batch()));
    let status = status(batches.try_next().await.unwrap_err());
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "out of memory (query_id=of-the-lake)");
}

#[tokio::test]
async fn dropping_the_stream_drops_the_query() {
    let (lake, dropped) = unending();
    let server = serve(lake);
    let mut client = client(&server).await;
    let mut messages = client.do_get(ticket(SQL)).await.unwrap().into_inner();
    messages.message().await.unwrap().unwrap();
    assert!(!dropped.is_cancelled());
    drop(messages);
    soon(dropped.cancelled()).await;
}

#[tokio::test]
async fn dropping_a_call_that_waits_for_its_plan_drops_the_plan() {
    let (begun, dropped) = (CancellationToken::new(), CancellationToken::new());
    let server = serve(Thinking {
        begun: begun.clone(),
        dropped: dropped.clone(),
    });
    let mut client = client(&server).await;
    let call = tokio::spawn(async move { client.do_get(ticket(SQL)).await.map(|_| ()) });
    soon(begun.cancelled()).await;
    assert!(!dropped.is_cancelled());
    call.abort();
    soon(dropped.cancelled()).await;
}

#[tokio::test]
async fn large_batches_come_in_messages_of_two_megabytes() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000); 20_000]));
    let large = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let sent = large.clone();
    let mut lake = MockServedLake::new();
    lake.expect_run()
        .returning(move |_| Ok(RecordBatchStream::from_batches(sent.schema(), vec![sent.clone()])));
    let server = serve(lake);
    let mut client = client(&server).await;
    let messages = client.do_get(ticket(SQL)).await.unwrap().into_inner();
    let messages: Vec<_> = messages.try_collect().await.unwrap();
    let sizes: Vec<usize> = messages.iter().skip(1).map(|message| message.encoded_len()).collect();
    assert_eq!(sizes.len(), 10);
    assert!(
        sizes.iter().all(|bytes| (1 << 20..5 << 19).contains(bytes)),
        "{sizes:?}"
    );
    let (_, batches) = get(&mut client, Request::new(ticket(SQL))).await.unwrap();
    assert_eq!(
        arrow::compute::concat_batches(&large.schema(), &batches).unwrap(),
        large
    );
}

#[tokio::test]
async fn every_query_is_logged_once_with_what_came_of_it() {
    let log = Log::default();
    let _subscriber = log.listen();
    let mut lake = MockServedLake::new();
    lake.expect_run().returning(|query| match query.sql() {
        "bad" => Err(Error::new(ErrorKind::InvalidQuery, "no such thing").with_query_id("its-id")),
        _ => Ok(RecordBatchStream::from_batches(
            batch().schema(),
            vec![batch(), batch()],
        )),
    });
    let server = serve(lake);
    let mut client = client(&server).await;
    let mut metadata = RANGE.to_vec();
    metadata.extend([("limit", "9"), ("x-client-type", "python"), ("x-client-session", "s1")]);
    get(&mut client, with(ticket("good"), &metadata)).await.unwrap();
    client.do_get(ticket("bad")).await.unwrap_err();
    let messages = client.do_get(ticket("left")).await.unwrap();
    drop(messages);
    drop(client);
    server.shutdown().await.unwrap();

    let queries = log.lines_with(" query ");
    let of = |sql: &str| {
        let mut lines = queries.iter().filter(|line| line.contains(&format!("sql=\"{sql}\"")));
        let line = lines.next().unwrap_or_else(|| panic!("{sql} in {queries:#?}")).as_str();
        assert_eq!(lines.next(), None);
        line
    };
    for part in [
        "rows=6",
        "outcome=\"complete\"",
        "limit=9",
        "attribution=type=python session=s1",
        "range=\"2025-12-31T23:00:00Z/2026-01-02T00:00:00.000000001Z\"",
        "duration_ms=",
        "client=127.0.0.1:",
        "query_id=",
    ] {
        assert!(of("good").contains(part), "{part} in {}", of("good"));
    }
    for part in [
        "rows=0",
        "outcome=\"failed\"",
        "error=\"no such thing (query_id=its-id)\"",
    ] {
        assert!(of("bad").contains(part), "{part} in {}", of("bad"));
    }
    assert!(of("left").contains("outcome="));
}
