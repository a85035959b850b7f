//! How a server ends.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::decode::FlightRecordBatchStream;
use futures::{StreamExt, TryStreamExt};
use lakepilot_local_lake::{FlightServer, MockServedLake, ServeOptions, ServedLake, ServerHandle};
use lakepilot_query::RecordBatchStream;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::fixture::{Thinking, batch, client, get, on_any_port, soon, ticket, unending};

fn serve_with_grace(lake: impl ServedLake + 'static, grace: Duration) -> ServerHandle {
    let options = ServeOptions {
        shutdown_grace: grace,
        ..on_any_port()
    };
    FlightServer::bind(Arc::new(lake), options).unwrap().spawn()
}

#[tokio::test]
async fn an_idle_server_ends_at_once_and_frees_its_port() {
    let (lake, _) = super::fixture::answering();
    let server = serve_with_grace(lake, Duration::from_secs(3600));
    let mut client = client(&server).await;
    get(&mut client, Request::new(ticket("SELECT 1"))).await.unwrap();
    let address = server.local_addr();
    // The client is still connected.
    soon(server.shutdown()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    let again = ServeOptions {
        listen: address,
        ..ServeOptions::default()
    };
    FlightServer::bind(Arc::new(MockServedLake::new()), again).unwrap();
}

#[tokio::test]
async fn a_query_that_ends_within_the_grace_is_whole() {
    let release = CancellationToken::new();
    let released = release.clone();
    let mut lake = MockServedLake::new();
    lake.expect_run().return_once(move |_| {
        let last = async move {
            released.cancelled().await;
            Ok(batch())
        };
        let batches = futures::stream::iter([Ok(batch())]).chain(futures::stream::once(last));
        Ok(RecordBatchStream::new(batch().schema(), batches))
    });
    let server = serve_with_grace(lake, Duration::from_secs(3600));
    let address = server.local_addr();
    let messages = client(&server)
        .await
        .do_get(ticket("SELECT 1"))
        .await
        .unwrap()
        .into_inner();
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages.map_err(Into::into));
    batches.try_next().await.unwrap().unwrap();
    let shutdown = tokio::spawn(server.shutdown());
    // Nobody is let in any more, so that it has begun.
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    release.cancel();
    assert!(batches.try_next().await.unwrap().is_some());
    assert!(batches.try_next().await.unwrap().is_none());
    soon(shutdown).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_query_that_outlasts_the_grace_ends_with_an_error() {
    let (lake, dropped) = unending();
    let server = serve_with_grace(lake, Duration::ZERO);
    let mut messages = client(&server)
        .await
        .do_get(ticket("SELECT 1"))
        .await
        .unwrap()
        .into_inner();
    messages.message().await.unwrap().unwrap();
    let shutdown = tokio::spawn(server.shutdown());
    let status = soon(async {
        loop {
            if let Err(status) = messages.message().await {
                break status;
            }
        }
    })
    .await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("shutting down"), "{status}");
    soon(dropped.cancelled()).await;
    soon(shutdown).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_plan_that_outlasts_the_grace_ends_with_an_error() {
    let (begun, dropped) = (CancellationToken::new(), CancellationToken::new());
    let lake = Thinking {
        begun: begun.clone(),
        dropped: dropped.clone(),
    };
    let server = serve_with_grace(lake, Duration::ZERO);
    let mut client = client(&server).await;
    let call = tokio::spawn(async move { client.do_get(ticket("SELECT 1")).await.map(|_| ()) });
    soon(begun.cancelled()).await;
    soon(server.shutdown()).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
    assert!(dropped.is_cancelled());
}

#[tokio::test]
async fn a_client_that_stopped_reading_does_not_hold_the_server() {
    let (lake, dropped) = unending();
    let server = serve_with_grace(lake, Duration::ZERO);
    let mut client = client(&server).await;
    let mut messages = client.do_get(ticket("SELECT 1")).await.unwrap().into_inner();
    messages.message().await.unwrap().unwrap();
    // The windows are full some time from now, and the call stays open.
    soon(server.shutdown()).await.unwrap();
    soon(dropped.cancelled()).await;
    drop(messages);
}

#[tokio::test]
async fn dropping_the_handle_ends_the_server() {
    let server = serve_with_grace(MockServedLake::new(), Duration::ZERO);
    let address = server.local_addr();
    drop(server);
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
