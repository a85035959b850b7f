//! Tells when a role that listens answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

/// The address with a free port where it names port 0: the service's builders take an address, and tell no port.
pub(crate) async fn with_port(listen: SocketAddr) -> Result<SocketAddr> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("find a free port on {}", listen.ip()))?;
    Ok(listener.local_addr()?)
}

/// Says so on standard output as soon as something accepts on the address. Whoever runs the role ends this with it.
pub(crate) async fn announce(scheme: &str, address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("listening on {scheme}://{address}");
}
