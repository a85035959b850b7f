//! A Flight SQL server that does next to nothing, so that what is measured is the client.
//!
//! Its answers are encoded when it starts, and streamed from memory over and over. `log_entries` in a statement asks for
//! rows of that shape, `LIMIT n` for so many of them (in whole batches), `list_partitions` for partitions, and anything else
//! is answered with one row. The header `preserve_dictionary` is understood. A second port sends bare bytes, with no HTTP/2
//! around them.

mod answers;
mod plain;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

pub use answers::Answers;
use service::FlightCalls;

/// A server that has its ports.
#[derive(Debug)]
pub struct Blast {
    answers: Arc<Answers>,
    flight: TcpListener,
    bytes: TcpListener,
}

impl Blast {
    /// Takes two ports, the second one a free one.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn listen(address: SocketAddr, answers: Arc<Answers>) -> Result<Self> {
        Ok(Self {
            answers,
            flight: TcpListener::bind(address).await.context("listen")?,
            bytes: TcpListener::bind((address.ip(), 0)).await.context("listen")?,
        })
    }

    /// Where it speaks Flight SQL.
    ///
    /// # Errors
    /// When the system does not tell the port.
    pub fn address(&self) -> Result<SocketAddr> {
        self.flight.local_addr().context("the address of the server")
    }

    /// Where it sends bytes: whoever connects says how many, as eight bytes, the lowest first.
    ///
    /// # Errors
    /// When the system does not tell the port.
    pub fn bytes_address(&self) -> Result<SocketAddr> {
        self.bytes.local_addr().context("the address of the server")
    }

    /// Serves for as long as it is polled.
    ///
    /// # Errors
    /// When a port fails.
    pub async fn serve(self) -> Result<()> {
        let server = Server::builder()
            .add_service(FlightCalls::new(Arc::clone(&self.answers)))
            .serve_with_incoming(TcpIncoming::from(self.flight).with_nodelay(Some(true)));
        tokio::select! {
            served = server => served.context("serve"),
            served = plain::serve(self.bytes, self.answers) => served.context("serve bare bytes"),
        }
    }
}
