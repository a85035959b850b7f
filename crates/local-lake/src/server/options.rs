//! How a lake is served.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::server::token::BearerToken;

/// Where and how a [`FlightServer`](crate::FlightServer) listens.
///
/// ```
/// use lakepilot_local_lake::{BearerToken, ServeOptions};
/// # fn main() -> lakepilot_query::Result<()> {
/// let options = ServeOptions {
///     listen: "127.0.0.1:0".parse().expect("an address"),
///     token: Some(BearerToken::new("mm_local_1234")?),
///     ..ServeOptions::default()
/// };
/// assert!(!format!("{options:?}").contains("mm_local"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The address and the port; port 0 is any free one. `127.0.0.1:50051` unless set. An address that other machines can
    /// reach is refused without a [`token`](Self::token).
    pub listen: SocketAddr,
    /// The certificate and the key, to speak TLS and nothing else.
    pub tls: Option<TlsIdentity>,
    /// The token that every call must bring as `authorization: Bearer TOKEN`. Only the health service is open to all.
    pub token: Option<BearerToken>,
    /// The longest message that a client may send, in bytes; it bounds the batches of an ingestion. 256 MiB unless set.
    pub max_message_bytes: usize,
    /// How long queries that are under way may go on once the server is told to stop; after that they end with an error.
    /// 10 seconds unless set.
    pub shutdown_grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 50051).into(),
            tls: None,
            token: None,
            max_message_bytes: 256 << 20,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// The certificate that a server shows and the key to it, both in PEM.
#[derive(Clone)]
pub struct TlsIdentity {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl TlsIdentity {
    /// The text of a certificate, or of a chain that begins with it, and of its private key. They are read when the server
    /// is bound.
    pub fn from_pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}
