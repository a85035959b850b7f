//! The lake, the proxy before it, and the client before that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lakepilot_fault_proxy::{Direction, FaultProxy, FaultSpace, Schedule};
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_local_lake::{FlightServer, ServeOptions, ServerHandle, TlsIdentity};
use lakepilot_query::Result;

use super::numbers::NumberedLake;

/// A lake behind a port, in plain text or over TLS.
pub(crate) struct Network {
    server: ServerHandle,
    address: SocketAddr,
    authority: Option<String>,
}

impl Network {
    pub(crate) fn plain() -> Self {
        Self::start(None, None)
    }

    pub(crate) fn tls() -> Self {
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = pair.cert.pem();
        let identity = TlsIdentity::from_pem(certificate.as_str(), pair.signing_key.serialize_pem());
        Self::start(Some(identity), Some(certificate))
    }

    fn start(tls: Option<TlsIdentity>, authority: Option<String>) -> Self {
        let options = ServeOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            tls,
            ..ServeOptions::default()
        };
        let server = FlightServer::bind(Arc::new(NumberedLake), options).unwrap();
        Self {
            address: server.local_addr(),
            server: server.spawn(),
            authority,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.authority.is_some()
    }

    pub(crate) fn proxy(&self, schedule: Schedule) -> FaultProxy {
        FaultProxy::start(self.address, schedule).unwrap()
    }

    /// A client that connects through the proxy with its first call, and waits for nothing for longer than the limit.
    pub(crate) fn client(&self, proxy: &FaultProxy, spelling: QuerySpelling, limit: Duration) -> Result<FlightClient> {
        let scheme = if self.is_tls() { "grpc+tls" } else { "grpc" };
        let mut config = ClientConfig::new(format!("{scheme}://{}", proxy.address()))?
            .with_connect_timeout(limit)
            .with_plan_timeout(limit)
            .with_first_batch_timeout(limit)
            .with_gap_timeout(limit)
            .with_spelling(spelling);
        if let Some(authority) = &self.authority {
            config = config.with_ca_certificate(authority)?;
        }
        FlightClient::connect_lazily(config)
    }

    pub(crate) async fn shut_down(self) {
        self.server.shutdown().await.unwrap();
    }
}

/// The space of faults on two connections that a run without faults went over.
pub(crate) fn space_of(proxy: &FaultProxy) -> FaultSpace {
    let bytes = |direction| proxy.transferred(0, direction);
    FaultSpace::new(2, bytes(Direction::ToServer), bytes(Direction::ToClient)).with_most_faults(3)
}
