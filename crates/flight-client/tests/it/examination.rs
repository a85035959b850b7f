//! What an examination finds in servers that are well, that are not, and that say nothing.

use std::time::Duration;

use arrow_flight::FlightInfo;
use lakepilot_flight_client::{ClientConfig, Examination, ExaminationOptions, Verdict, examine};
use lakepilot_query::ErrorKind;
use tonic::Status;

use crate::answers::{answering, batch, config, numbered, sending};
use crate::memory_server::MemoryServer;
use crate::server::{Script, TestServer};

fn options() -> ExaminationOptions {
    ExaminationOptions {
        repeats: 2,
        ..ExaminationOptions::default()
    }
}

fn verdict(found: &Examination, call: &str) -> Verdict {
    found.calls.iter().find(|report| report.call == call).unwrap().verdict
}

fn detail<'a>(found: &'a Examination, call: &str) -> &'a str {
    &found.calls.iter().find(|report| report.call == call).unwrap().detail
}

fn agrees(found: &Examination, claim: &str) -> Option<bool> {
    found.claims.iter().find(|found| found.claim == claim).unwrap().agrees
}

#[tokio::test]
async fn a_server_that_has_everything_is_left_as_it_was() {
    let server = MemoryServer::start().await;
    let found = examine(server.config(), &options()).await.unwrap();
    assert!(found.usable, "{found:?}");
    let not_working: Vec<_> = found
        .calls
        .iter()
        .filter(|call| call.verdict != Verdict::Works)
        .map(|call| (call.call, call.verdict))
        .collect();
    assert_eq!(
        not_working,
        [
            ("DoGet of a ticket with SQL", Verdict::Refused),
            ("RenewFlightEndpoint", Verdict::Unimplemented),
            ("CancelQuery", Verdict::Unimplemented),
            ("DoExchange", Verdict::Unimplemented),
            ("StatementSubstraitPlan", Verdict::Unimplemented),
            ("StatementUpdate", Verdict::NotTried),
            ("PreparedStatementUpdate", Verdict::NotTried),
            ("StatementUpdate in a transaction", Verdict::NotTried),
            ("StatementIngest", Verdict::NotTried),
        ]
    );
    assert_eq!(server.numbers(), [1, 2, 3]);
    server
        .until(|seen| seen.open_statements == 0 && seen.open_transactions == 0)
        .await;
    // Those that were committed had nothing in them.
    assert_eq!(server.seen().committed, options().repeats);

    assert_eq!(found.server.name.as_deref(), Some("numbers in memory"));
    assert_eq!(agrees(&found, "transactions"), Some(true));
    assert_eq!(agrees(&found, "cancel"), Some(true));
    assert_eq!(agrees(&found, "Substrait"), Some(false));
    let result = found.connection.result.unwrap();
    assert_eq!((result.rows, result.batches, result.endpoints), (1, 1, 1));
    assert!(result.schema_told && !result.has_locations && result.wire_bytes > 100);
    assert!(found.connection.warm_query_ms.is_some_and(|time| time > 0.0));
}

#[tokio::test]
async fn a_table_that_is_named_for_it_is_written_to_without_a_row() {
    let server = MemoryServer::start().await;
    let options = ExaminationOptions {
        write_table: Some("numbers".to_owned()),
        ..options()
    };
    let found = examine(server.config(), &options).await.unwrap();
    for call in [
        "StatementUpdate",
        "PreparedStatementUpdate",
        "StatementUpdate in a transaction",
        "StatementIngest",
    ] {
        assert_eq!(
            verdict(&found, call),
            Verdict::Works,
            "{call}: {}",
            detail(&found, call)
        );
    }
    assert_eq!(agrees(&found, "read only"), Some(true));
    assert_eq!(server.numbers(), [1, 2, 3]);
}

#[tokio::test]
async fn a_server_that_answers_something_else_is_wrong_and_of_no_use() {
    let server = TestServer::start(answering(sending(&[batch(&[2])]))).await;
    let found = examine(config(&server), &options()).await.unwrap();
    assert_eq!(verdict(&found, "GetFlightInfo"), Verdict::Works);
    assert_eq!(verdict(&found, "DoGet"), Verdict::Wrong);
    assert!(detail(&found, "DoGet").contains("not 1"), "{}", detail(&found, "DoGet"));
    assert!(!found.usable);
    assert_eq!(found.failure.unwrap().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn listings_with_other_columns_are_wrong() {
    let script = Script::new()
        .on_flight_info(|_| Ok(FlightInfo::new().with_endpoint(numbered(0))))
        .on_get(|_| Ok(sending(&[batch(&[1])])));
    let server = TestServer::start(script).await;
    let found = examine(config(&server), &options()).await.unwrap();
    assert!(found.usable);
    for call in ["GetCatalogs", "GetTables", "GetImportedKeys", "GetXdbcTypeInfo"] {
        assert_eq!(verdict(&found, call), Verdict::Wrong, "{call}");
        assert!(
            detail(&found, call).contains("its columns are (n)"),
            "{}",
            detail(&found, call)
        );
    }
    assert_eq!(verdict(&found, "BeginTransaction"), Verdict::Unimplemented);
    assert_eq!(verdict(&found, "EndSavepoint"), Verdict::NotTried);
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_refuses() {
    let server = TestServer::start(Script::new().with_token("another")).await;
    let found = examine(config(&server), &options()).await.unwrap();
    assert_eq!(verdict(&found, "DoGet"), Verdict::Refused);
    assert_eq!(found.failure.unwrap().kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_asked_for_ever() {
    let server = TestServer::start(Script::new().silent()).await;
    let options = ExaminationOptions {
        patience: Duration::from_millis(100),
        ..options()
    };
    let found = examine(config(&server), &options).await.unwrap();
    let silent: Vec<_> = found
        .calls
        .iter()
        .filter(|call| call.verdict == Verdict::Wrong)
        .collect();
    assert_eq!(silent.len(), 3, "{silent:?}");
    assert!(
        silent
            .iter()
            .all(|call| call.detail.contains("was not answered within")
                || call.detail.contains("brought no batch within")),
        "{silent:?}"
    );
    assert_eq!(verdict(&found, "GetTables"), Verdict::NotTried);
    assert_eq!(found.failure.unwrap().kind(), ErrorKind::TimedOut);
    assert!(found.calls.len() > 20);
}

#[tokio::test]
async fn a_call_that_fails_at_its_second_time_is_wrong() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let script = answering(sending(&[batch(&[1])])).on_action(move |action| {
        if action.r#type == "CancelFlightInfo" && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            return Err(Status::not_found("gone already"));
        }
        Ok(vec![crate::server::Step::Send(arrow_flight::Result {
            body: prost::Message::encode_to_vec(&arrow_flight::CancelFlightInfoResult { status: 1 }).into(),
        })])
    });
    let server = TestServer::start(script).await;
    let found = examine(config(&server), &options()).await.unwrap();
    assert_eq!(verdict(&found, "CancelFlightInfo"), Verdict::Wrong);
    assert!(
        detail(&found, "CancelFlightInfo").starts_with("worked, and then at attempt 2: "),
        "{}",
        detail(&found, "CancelFlightInfo")
    );
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let server = TestServer::start(Script::new()).await;
    let url = server.url();
    server.stop().await;
    let error = examine(ClientConfig::new(url).unwrap(), &options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
