//! What any client has to do at the least.

use anyhow::{Context, Result, ensure};
use arrow_flight::Ticket;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Request};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Asked;
use crate::meter::{Measured, Meter};

/// Reads the HTTP/2 stream of `DoGet`, gives the window back, and looks at nothing.
pub(crate) async fn http2(asked: &Asked, frame_bytes: u32, window_bytes: u32) -> Result<Measured> {
    let address = asked
        .url
        .strip_prefix("grpc://")
        .context("the floor is for grpc://HOST:PORT")?;
    let mut meter = Meter::start()?;
    let socket = TcpStream::connect(address).await.context("connect")?;
    socket.set_nodelay(true)?;
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(window_bytes)
        .initial_connection_window_size(window_bytes.saturating_mul(2))
        .max_frame_size(frame_bytes)
        .handshake::<_, Bytes>(socket)
        .await?;
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}/arrow.flight.protocol.FlightService/DoGet"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if asked.preserve_dictionary {
        request = request.header("preserve_dictionary", "true");
    }
    let (response, mut sender) = client.send_request(request.body(())?, false)?;
    sender.send_data(ticket(&asked.sql), true)?;
    let mut body = response.await?.into_body();
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        meter.batch();
        bytes += data.len() as u64;
        body.flow_control().release_capacity(data.len())?;
    }
    let status = body
        .trailers()
        .await?
        .and_then(|trailers| trailers.get("grpc-status").cloned());
    ensure!(
        status.as_ref().is_some_and(|status| status == "0"),
        "the call ended with the status {status:?}"
    );
    let measured = meter.stop()?;
    connection.abort();
    Ok(Measured { bytes, ..measured })
}

fn ticket(sql: &str) -> Bytes {
    let statement = TicketStatementQuery {
        statement_handle: sql.to_owned().into(),
    };
    let ticket = Ticket::new(statement.as_any().encode_to_vec());
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(ticket.encoded_len() as u32);
    bytes.put_slice(&ticket.encode_to_vec());
    bytes.freeze()
}

/// Reads so many bytes from the port of the blast server that has no protocol.
pub(crate) async fn socket(address: &str, bytes: u64) -> Result<Measured> {
    const BUFFER_BYTES: usize = 256 * 1024;
    let mut meter = Meter::start()?;
    let mut socket = TcpStream::connect(address).await.context("connect")?;
    socket.write_u64_le(bytes).await?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut read = 0;
    loop {
        let length = socket.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        meter.batch();
        read += length as u64;
    }
    ensure!(read == bytes, "{read} bytes came instead of {bytes}");
    Ok(Measured { bytes, ..meter.stop()? })
}
