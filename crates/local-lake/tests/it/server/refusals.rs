//! What the server does not offer, and what it cannot read.

use arrow_flight::sql::{
    ActionBeginTransactionRequest, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementSubstraitPlan, CommandStatementUpdate, ProstMessageExt,
};
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket};
use futures::{TryStreamExt, stream};
use tonic::{Code, Status};

use super::fixture::{answering, client, packed, serve, statement, ticket, with};

fn check(status: Status, code: Code, says: &str) {
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(says), "{says}: {status}");
}

#[tokio::test]
async fn what_is_not_offered_is_said_so_with_what_to_do_instead() {
    let server = serve(answering().0);
    let mut client = client(&server).await;
    let no = |status, says| check(status, Code::Unimplemented, says);
    let handshake = stream::iter([HandshakeRequest::default()]);
    no(client.handshake(handshake).await.unwrap_err(), "Bearer TOKEN");
    no(
        client.list_flights(Criteria::default()).await.unwrap_err(),
        "CommandGetTables",
    );
    no(
        client.poll_flight_info(statement("SELECT 1")).await.unwrap_err(),
        "GetFlightInfo",
    );
    let messages = stream::iter([FlightData::default()]);
    no(client.do_exchange(messages).await.unwrap_err(), "DoPut");

    let begin = packed(&ActionBeginTransactionRequest {});
    let mut act = async |kind: &str| {
        client
            .do_action(Action::new(kind, begin.clone()))
            .await
            .map(|_| ())
            .unwrap_err()
    };
    no(act("BeginTransaction").await, "BeginTransaction");
    no(act("CancelFlightInfo").await, "end the call");
    no(act("Sing").await, "Sing");

    let mut describe = async |command: Vec<u8>| {
        client
            .get_flight_info(FlightDescriptor::new_cmd(command))
            .await
            .unwrap_err()
    };
    let substrait = CommandStatementSubstraitPlan::default();
    no(describe(packed(&substrait)).await, "send SQL");
    let update = CommandStatementUpdate::default();
    no(describe(packed(&update)).await, "run them as queries");
    no(
        describe(packed(&CommandPreparedStatementUpdate::default())).await,
        "run them as queries",
    );
    let mut unknown = update.as_any();
    unknown.type_url = "type.googleapis.com/arrow.flight.protocol.sql.CommandOfTheFuture".to_owned();
    no(
        describe(prost::Message::encode_to_vec(&unknown)).await,
        "CommandOfTheFuture",
    );

    let parameters = FlightData {
        flight_descriptor: Some(FlightDescriptor::new_cmd(packed(
            &CommandPreparedStatementQuery::default(),
        ))),
        ..FlightData::default()
    };
    no(
        client.do_put(stream::iter([parameters])).await.unwrap_err(),
        "parameters",
    );
}

#[tokio::test]
async fn only_the_actions_that_are_offered_are_listed() {
    let server = serve(answering().0);
    let actions = client(&server).await.list_actions(Empty {}).await.unwrap().into_inner();
    let actions: Vec<_> = actions.try_collect().await.unwrap();
    let names: Vec<_> = actions.iter().map(|action| action.r#type.as_str()).collect();
    assert_eq!(names, ["CreatePreparedStatement", "ClosePreparedStatement"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_invalid_argument() {
    let server = serve(answering().0);
    let mut client = client(&server).await;
    let bad = |status, says| check(status, Code::InvalidArgument, says);
    for damaged in [b"\xff\xff".as_slice(), b"SELECT 1", b"\x0a\x50"] {
        let status = client.do_get(Ticket::new(damaged.to_vec())).await.unwrap_err();
        bad(status, "neither from this server nor a statement");
        let descriptor = FlightDescriptor::new_cmd(damaged.to_vec());
        bad(
            client.get_flight_info(descriptor).await.unwrap_err(),
            "not a message of Flight SQL",
        );
    }
    let path = FlightDescriptor::new_path(vec!["log_entries".to_owned()]);
    bad(client.get_flight_info(path).await.unwrap_err(), "not a command");
    bad(client.do_get(ticket(" ")).await.unwrap_err(), "the SQL text is empty");
    let action = Action::new("CreatePreparedStatement", "nonsense");
    bad(
        client.do_action(action).await.map(|_| ()).unwrap_err(),
        "ActionCreatePreparedStatementRequest",
    );

    let bad_range = [
        ("query_range_begin", "yesterday"),
        ("query_range_end", "2026-01-01T00:00:00Z"),
    ];
    for (metadata, says) in [
        (bad_range.as_slice(), "query_range_begin"),
        (&[("limit", "many")], "limit"),
    ] {
        bad(
            client.do_get(with(ticket("SELECT 1"), metadata)).await.unwrap_err(),
            says,
        );
        bad(
            client
                .get_flight_info(with(statement("SELECT 1"), metadata))
                .await
                .unwrap_err(),
            says,
        );
    }
}
