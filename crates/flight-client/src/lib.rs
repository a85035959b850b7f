//! A client for Arrow Flight SQL, and for the Micromegas analytics service above all.
//!
//! [`FlightClient`] is a [`QueryService`](lakepilot_query::QueryService): it runs queries and gets a stream of record
//! batches, or prepares them and gets their schema, over gRPC. [`ClientConfig`] says where the server is and how to talk
//! to it; everything in it is checked when it is set, so that a client that was made has nothing left to complain of but
//! the server.
//!
//! What else a server may offer is a small trait of `lakepilot_query` each, which `FlightClient` implements too:
//! [`ServerMetadata`](lakepilot_query::ServerMetadata) lists catalogues, schemas, tables and keys, and what the server says
//! of itself; [`UpdateService`](lakepilot_query::UpdateService) runs statements that change something,
//! [`PreparedStatements`](lakepilot_query::PreparedStatements) keeps statements to run with parameters,
//! [`TransactionService`](lakepilot_query::TransactionService) begins transactions,
//! [`BulkIngestion`](lakepilot_query::BulkIngestion) loads rows. So a mock of what most programs need is two methods.
//!
//! # Example
//! ```
//! # use lakepilot_flight_client::{ClientConfig, FlightClient};
//! use std::time::Duration;
//!
//! use futures::TryStreamExt;
//! use lakepilot_query::{Query, QueryService, Result, TimeRange, parse_time};
//!
//! async fn print_errors(url: &str, token: &str) -> Result<()> {
//!     let config = ClientConfig::new(url)?
//!         .with_bearer_token(token)?
//!         .with_header("x-tenant-id", "production")?
//!         .with_query_deadline(Duration::from_secs(60));
//!     let client = FlightClient::connect(config).await?;
//!
//!     let now = chrono::Utc::now();
//!     let query = Query::new("SELECT time, msg FROM log_entries WHERE level <= 2")?
//!         .with_time_range(TimeRange::new(parse_time("6h", now)?, now)?);
//!     let mut batches = client.run(&query).await?;
//!     while let Some(batch) = batches.try_next().await? {
//!         println!("{} rows", batch.num_rows());
//!     }
//!     Ok(())
//! }
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # // Nothing listens on a port that was just given back.
//! # let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
//! # let error = runtime.block_on(print_errors(&format!("grpc://{address}"), "token")).unwrap_err();
//! # assert_eq!(error.kind(), lakepilot_query::ErrorKind::Unavailable);
//! ```
//!
//! # How it behaves
//! - **A query** is `GetFlightInfo` and then `DoGet` of every endpoint; or one `DoGet`, where the server's tickets turn out to
//!   hold the SQL and nothing else, see [`QuerySpelling`]. The time range, the limit and the wish for dictionaries travel
//!   beside it, on every call.
//! - **Parts.** The endpoints of a result are fetched side by side within one budget of bytes. Where the server says that they
//!   are ordered their batches come in that order, else as they arrive. A part that is about to expire is renewed.
//! - **Locations.** A part of a result that lies on another server is fetched from there, from the first of its locations
//!   that answers; one that does not is tried last for a minute. [`ClientConfig::with_location_rewrite`] is for names that
//!   only mean something inside of a cluster. Credentials go along only to the same host, and never from TLS to plain text:
//!   a server could name any address.
//! - **Replicas.** With several servers ([`ClientConfig::with_replica`]) a client goes to one of them, and on to the next when
//!   it is gone.
//! - **TLS.** A server's certificate is checked against the authorities of the system, Mozilla's, and those that are
//!   [given](ClientConfig::with_ca_certificate), for the host or [another name](ClientConfig::with_tls_server_name). Servers that
//!   ask for one are shown a [client certificate](ClientConfig::with_client_certificate).
//! - **Proxies.** [`ProxySettings`] says which servers are reached by `CONNECT` through which HTTP proxy; the environment is read
//!   only when it is told to.
//! - **Credentials** are fixed headers, a [`CredentialProvider`] that is asked before every call, or a
//!   [user name and a password](ClientConfig::with_basic_login) that Flight's `Handshake` makes a token of. What a server refuses
//!   is renewed once.
//! - **Calling off.** Dropping a stream, or the future of a call, ends the call on the server. A result in several parts is
//!   called off with `CancelFlightInfo` too, where the server has it.
//! - **Time.** Every wait for the server has a limit that nobody has to set: connecting, a call with one answer
//!   ([`ClientConfig::with_plan_timeout`]), the first batch of a result, the gap between two. Running out is `TimedOut`, and
//!   names the call. A whole query has a limit when [`ClientConfig::with_query_deadline`] sets one. After a server was silent
//!   for longer than a limit the next call makes a new connection: the old one may be dead without anybody having been told.
//! - **Secrets.** Headers and tokens are in no `Debug` output, error or log of this crate. What a server writes into its own
//!   messages is passed on.
//! - **Errors** are told apart by [`ErrorKind`](lakepilot_query::ErrorKind). `Unavailable` is a server that cannot be reached
//!   now; `Protocol` is one that was reached and cannot be talked to, be it for its certificate or for what it answers.
//!   Nothing that a server sends makes this crate panic: Arrow's reader does on some damaged messages, and tonic on some
//!   headers, which is caught, and needs `panic = "unwind"`, the default.
//! - **Speed.** Frames of 256 KiB and windows of 32 MiB a stream, TCP_NODELAY, and on Linux TCP_QUICKACK after every read.
//!
//! # Features
//! - `mock`: `MockCredentialProvider`, made by `mockall`.
//! - `fuzzing`: `decode_messages`, which the fuzz target in `fuzz/` calls. Not for use.

mod address;
mod attribution;
mod call;
mod client;
mod config;
mod connection;
mod credentials;
mod deadline;
mod examination;
mod expiry;
mod failure;
mod headers;
mod ingestion;
mod ipc;
mod login;
mod messages;
mod parts;
mod poll;
mod pool;
mod prepared;
mod proxy;
mod put;
mod quick_ack;
mod results;
mod retry_info;
mod server_metadata;
mod sql_info;
mod status;
mod tickets;
mod tls;
mod transaction;
mod transport;
mod update;

pub use attribution::Attribution;
pub use client::FlightClient;
pub use config::{ClientConfig, QuerySpelling};
#[cfg(feature = "mock")]
pub use credentials::MockCredentialProvider;
pub use credentials::{CredentialProvider, StaticCredentials};
pub use examination::{
    CallReport, Claim, ConnectionFacts, Examination, ExaminationOptions, ResultFacts, ServerFacts, Verdict, examine,
};
#[cfg(any(test, feature = "fuzzing"))]
pub use ipc::decode_messages;
pub use proxy::ProxySettings;
