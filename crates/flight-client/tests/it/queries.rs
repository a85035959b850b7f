//! Queries in both spellings, and what travels beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray, DictionaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::sql::TicketStatementQuery;
use arrow_flight::{FlightData, FlightInfo};
use futures::{StreamExt, TryStreamExt, stream};
use lakepilot_flight_client::{Attribution, FlightClient, QuerySpelling};
use lakepilot_query::{Dictionaries, ErrorKind, Query, QueryService, QueryServiceExt, TimeRange, parse_time};
use prost::Message;
use tonic::Status;

use crate::answers::{
    answering, bare_ticket, batch, client, client_with, config, messages, query, schema, sending, sql_of, unpack,
};
use crate::server::{Script, Step, TestServer};

const SPELLINGS: [QuerySpelling; 3] = [
    QuerySpelling::Adaptive,
    QuerySpelling::FlightInfo,
    QuerySpelling::DirectTicket,
];

#[tokio::test]
async fn a_query_by_flight_info_redeems_the_ticket_it_was_given() {
    let server = TestServer::start(answering(sending(&[batch(&[1, 2]), batch(&[3])]))).await;
    let result = client(&server).await.collect(&query()).await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2, 3]));

    let calls = server.calls();
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet"]);
    assert_eq!(sql_of(&calls[0].body), "SELECT n FROM numbers");
    assert_eq!(calls[1].body, bare_ticket("SELECT n FROM numbers").ticket);
}

#[tokio::test]
async fn a_query_by_direct_ticket_is_one_call() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let result = client_with(&server, QuerySpelling::DirectTicket)
        .await
        .collect(&query())
        .await
        .unwrap();
    assert_eq!(result.num_rows(), 1);
    assert_eq!(server.methods(), ["DoGet"]);
    let ticket: TicketStatementQuery = unpack(&server.calls()[0].body);
    assert_eq!(ticket.statement_handle, "SELECT n FROM numbers".as_bytes());
}

#[tokio::test]
async fn tickets_that_are_the_sql_are_made_here_from_the_second_query_on() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let client = client(&server).await;
    for _ in 0..3 {
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
    }
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet", "DoGet", "DoGet"]);
    let calls = server.calls();
    assert!(
        calls[1..]
            .iter()
            .all(|call| call.body == bare_ticket("SELECT n FROM numbers").ticket)
    );
    // What travels beside the SQL may be in the ticket of another server.
    client.collect(&query().with_limit(5)).await.unwrap();
    client.collect(&query().with_limit(5)).await.unwrap();
    assert_eq!(server.methods()[4..], ["GetFlightInfo", "DoGet", "DoGet"]);
    assert_eq!(server.calls()[6].header("limit"), Some("5"));
}

#[tokio::test]
async fn a_server_that_is_asked_for_flights_each_time_is() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let client = client_with(&server, QuerySpelling::FlightInfo).await;
    for _ in 0..2 {
        client.collect(&query()).await.unwrap();
    }
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet", "GetFlightInfo", "DoGet"]);
}

#[tokio::test]
async fn a_refused_ticket_of_ours_has_the_server_asked_again() {
    let gets = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&gets);
    let rows = sending(&[batch(&[1])]);
    let script = answering(rows.clone()).on_get(move |_| match counted.fetch_add(1, Ordering::Relaxed) {
        1 => Err(Status::invalid_argument("no such ticket")),
        _ => Ok(rows.clone()),
    });
    let server = TestServer::start(script).await;
    let client = client(&server).await;
    client.collect(&query()).await.unwrap();
    let refused = client.collect(&query()).await.unwrap_err();
    assert!(refused.message().contains("no such ticket"), "{refused}");
    client.collect(&query()).await.unwrap();
    assert_eq!(
        server.methods(),
        ["GetFlightInfo", "DoGet", "DoGet", "GetFlightInfo", "DoGet"]
    );
}

#[tokio::test]
async fn a_broken_connection_is_made_again_within_the_query() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let client = client(&server).await;
    client.collect(&query()).await.unwrap();
    client.collect(&query()).await.unwrap();
    server.kill_connections();
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
}

#[tokio::test]
async fn the_bytes_and_the_decoding_of_a_result_are_counted() {
    let messages = messages(schema(), &[batch(&[1, 2]), batch(&[3])]);
    let bytes: usize = messages
        .iter()
        .map(|message| message.data_header.len() + message.data_body.len())
        .sum();
    let server = TestServer::start(answering(sending(&[batch(&[1, 2]), batch(&[3])]))).await;
    let stream = client(&server).await.run(&query()).await.unwrap();
    let meter = stream.transfer().unwrap().clone();
    let of_the_schema = meter.so_far();
    assert!(of_the_schema.wire_bytes > 0 && of_the_schema.wire_bytes < bytes as u64);
    stream.try_collect::<Vec<_>>().await.unwrap();
    let transfer = meter.so_far();
    assert_eq!(transfer.wire_bytes, bytes as u64);
    assert!(transfer.decode_time > of_the_schema.decode_time);
    assert_eq!(transfer.query_id, None, "the service tells none");
}

#[tokio::test]
async fn what_belongs_to_a_query_is_on_every_call() {
    let time = |text| parse_time(text, Default::default()).unwrap();
    let range = TimeRange::new(time("2026-01-31T12:00:00Z"), time("2026-01-31T12:00:00.000000001Z")).unwrap();
    let query = query()
        .with_time_range(range)
        .with_limit(7)
        .with_dictionaries(Dictionaries::Preserved);
    let server = TestServer::start(answering(sending(&[]))).await;
    let config = config(&server)
        .with_bearer_token("token-1")
        .unwrap()
        .with_api_key("key-1")
        .unwrap()
        .with_header("X-Tenant-Id", "production")
        .unwrap()
        .with_attribution(
            Attribution::new()
                .with_entrypoint("test")
                .unwrap()
                .with_notebook("nb")
                .unwrap(),
        );
    let client = FlightClient::connect(config).await.unwrap();
    client.collect(&query).await.unwrap();

    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet"]);
    for call in server.calls() {
        for (name, value) in [
            ("query_range_begin", "2026-01-31T12:00:00Z"),
            ("query_range_end", "2026-01-31T12:00:00.000000001Z"),
            ("limit", "7"),
            ("preserve_dictionary", "true"),
            ("authorization", "Bearer token-1"),
            ("x-api-key", "key-1"),
            ("x-tenant-id", "production"),
            ("x-client-type", "lakepilot"),
            ("x-client-agent", "none"),
            ("x-client-entrypoint", "test"),
            ("x-client-notebook", "nb"),
        ] {
            assert_eq!(call.header(name), Some(value), "{name} on {}", call.method);
        }
        assert!(call.header("x-client-session").is_some());
        assert!(call.header("user-agent").unwrap().starts_with("lakepilot/"));
    }
}

#[tokio::test]
async fn what_a_query_does_not_set_is_not_sent() {
    for spelling in SPELLINGS {
        let server = TestServer::start(answering(sending(&[]))).await;
        client_with(&server, spelling).await.collect(&query()).await.unwrap();
        for call in server.calls() {
            for name in [
                "query_range_begin",
                "query_range_end",
                "limit",
                "preserve_dictionary",
                "authorization",
            ] {
                assert_eq!(call.header(name), None, "{name} on {}", call.method);
            }
        }
    }
}

#[tokio::test]
async fn an_empty_result_has_its_schema() {
    for spelling in SPELLINGS {
        let server = TestServer::start(answering(sending(&[]))).await;
        let result = client_with(&server, spelling).await.collect(&query()).await.unwrap();
        assert_eq!(result.schema, schema());
        assert!(result.batches.is_empty());
    }
}

#[tokio::test]
async fn the_schema_is_there_before_the_first_row() {
    let mut steps = sending(&[]);
    steps.push(Step::Hang);
    let server = TestServer::start(answering(steps)).await;
    let stream = client(&server).await.run(&query()).await.unwrap();
    assert_eq!(stream.schema(), schema());
}

#[tokio::test]
async fn an_error_in_mid_stream_comes_after_the_batches_before_it() {
    let mut steps = sending(&[batch(&[1]), batch(&[2])]);
    steps.push(Step::Fail(Status::internal(
        "error building data stream: Arrow error: Divide by zero error (query_id=5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f)",
    )));
    let server = TestServer::start(answering(steps)).await;
    let mut stream = client(&server).await.run(&query()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), batch(&[1]));
    assert_eq!(stream.next().await.unwrap().unwrap(), batch(&[2]));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.query_id(), Some("5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f"));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_statement_without_a_result_is_an_empty_one() {
    let server = TestServer::start(Script::new().on_flight_info(|_| Ok(FlightInfo::new()))).await;
    let result = client(&server).await.collect(&query()).await.unwrap();
    assert!(result.schema.fields().is_empty() && result.batches.is_empty());
    assert_eq!(server.methods(), ["GetFlightInfo"]);
}

#[tokio::test]
async fn many_queries_share_one_client() {
    let server = TestServer::start(answering(sending(&[batch(&[1, 2, 3])]))).await;
    let client = client(&server).await;
    let rows: Vec<usize> = stream::iter(0..50)
        .map(|_| {
            let client = client.clone();
            async move { client.collect(&query()).await.map(|result| result.num_rows()) }
        })
        .buffer_unordered(10)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rows, [3; 50]);
}

#[tokio::test]
async fn a_large_batch_is_over_the_usual_limit_and_arrives() {
    let numbers: Vec<i64> = (0..2_000_000).collect();
    let large = batch(&numbers);
    let encoder = FlightDataEncoderBuilder::new()
        .with_max_flight_data_size(usize::MAX)
        .with_schema(schema())
        .build(stream::iter([Ok(large.clone())]));
    let messages: Vec<FlightData> = encoder.try_collect().await.unwrap();
    assert!(messages.iter().any(|message| message.encoded_len() > 15_000_000));
    let server = TestServer::start(answering(messages.into_iter().map(Step::Send).collect())).await;

    let result = client(&server).await.collect(&query()).await.unwrap();
    assert_eq!(result.batches, [large]);

    let small = config(&server).with_max_message_bytes(1_000_000).unwrap();
    let error = FlightClient::connect(small)
        .await
        .unwrap()
        .collect(&query())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(error.message().contains("raise the limit"), "{error}");
}

#[tokio::test]
async fn dictionaries_replaced_in_mid_stream_are_read_rightly() {
    let field = Field::new(
        "name",
        DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        true,
    );
    let schema = Arc::new(Schema::new(vec![field]));
    let part = |values: &[&str]| {
        let column = Arc::new(values.iter().copied().collect::<DictionaryArray<Int32Type>>());
        RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap()
    };
    let encoder = FlightDataEncoderBuilder::new()
        .with_dictionary_handling(DictionaryHandling::Resend)
        .with_schema(Arc::clone(&schema))
        .build(stream::iter([Ok(part(&["a", "b", "a"])), Ok(part(&["c", "a"]))]));
    let messages: Vec<FlightData> = encoder.try_collect().await.unwrap();
    let server = TestServer::start(answering(messages.into_iter().map(Step::Send).collect())).await;
    let result = client(&server)
        .await
        .collect(&query().with_dictionaries(Dictionaries::Preserved))
        .await
        .unwrap();
    let names: Vec<Vec<String>> = result
        .batches
        .iter()
        .map(|batch| {
            let column = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
            column
                .as_string::<i32>()
                .iter()
                .map(|name| name.unwrap().to_owned())
                .collect()
        })
        .collect();
    assert_eq!(names, [vec!["a", "b", "a"], vec!["c", "a"]]);
}

#[tokio::test]
async fn a_lazy_client_connects_with_its_first_call_and_again_when_it_has_to() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let client = FlightClient::connect_lazily(config(&server)).unwrap();
    assert!(server.calls().is_empty());
    assert_eq!(
        client
            .collect(&Query::new("SELECT 1").unwrap())
            .await
            .unwrap()
            .num_rows(),
        1
    );
    assert_eq!(client.url(), server.url());
}

#[test]
fn a_lazy_client_outside_of_a_runtime_is_an_error() {
    let config = lakepilot_flight_client::ClientConfig::new("grpc://localhost").unwrap();
    assert_eq!(
        FlightClient::connect_lazily(config).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
