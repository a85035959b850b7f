//! The messages of a result, taken from the HTTP/2 stream with as few copies as can be.
//!
//! tonic's own reader copies every frame behind the one before and cuts messages out of that, wherever they come to lie.
//! Numbers that lie askew have to be copied once more before Arrow can use them, into memory that is new each time. Here a
//! message that came in one frame is used where it is, and any other one is put together in a buffer that is the right size
//! from the start, that has its columns on the boundaries that Arrow wants, and that is used again when its batch is gone.
//!
//! What goes over the wire is the same gRPC: five bytes before each message (whether it is compressed, and its length), and
//! the status in the trailers.

use std::future::poll_fn;

use arrow_flight::{FlightData, Ticket};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tower::Service;

use crate::pool::BufferPool;

const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// Whether the message is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// The tag of `FlightData.data_body`: field 1000, bytes of a length that is told. It is the last field in what every known
/// server sends; were it not, the columns would lie askew and be copied, no more.
const BODY_TAG: [u8; 2] = [0xc2, 0x3e];

/// Where the columns of a message begin in it is within its first bytes, behind the message's header.
const MOST_HEAD_BYTES: usize = 64 * 1024;

/// The answer to one `DoGet`.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Body,
    status: StatusCode,
    /// The server told the status before the body, so that no trailers are waited for.
    is_told: bool,
    /// What has come and was not looked at yet.
    rest: Bytes,
    pool: BufferPool,
    max_message_bytes: usize,
}

impl Messages {
    /// Sends the request, and waits for the head of the answer.
    pub(crate) async fn get(
        mut channel: Channel,
        request: Request<Ticket>,
        max_message_bytes: usize,
    ) -> Result<Self, Status> {
        let request = http_request(request);
        poll_fn(|context| channel.poll_ready(context))
            .await
            .map_err(|error| Status::from_error(error.into()))?;
        let response = channel
            .call(request)
            .await
            .map_err(|error| Status::from_error(error.into()))?;
        let status = Status::from_header_map(response.headers());
        if let Some(status) = &status
            && status.code() != Code::Ok
        {
            return Err(status.clone());
        }
        Ok(Self {
            status: response.status(),
            is_told: status.is_some(),
            body: response.into_body(),
            rest: Bytes::new(),
            pool: BufferPool::new(),
            max_message_bytes,
        })
    }

    /// The next message, or `None` when the server has ended the stream well.
    pub(crate) async fn next(&mut self) -> Result<Option<FlightData>, Status> {
        let Some(prefix) = self.prefix().await? else {
            return Ok(None);
        };
        let length = self.length(prefix)?;
        let message = self.message(length).await?;
        FlightData::decode(message)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }

    /// `None` at the end of the stream.
    async fn prefix(&mut self) -> Result<Option<[u8; PREFIX_BYTES]>, Status> {
        let mut prefix = [0; PREFIX_BYTES];
        let mut filled = 0;
        while filled < PREFIX_BYTES {
            if self.rest.is_empty() {
                match self.frame().await? {
                    Some(data) => self.rest = data,
                    None if filled == 0 => return Ok(None),
                    None => return Err(cut_short()),
                }
            }
            let part = self.rest.split_to((PREFIX_BYTES - filled).min(self.rest.len()));
            prefix[filled..filled + part.len()].copy_from_slice(&part);
            filled += part.len();
        }
        Ok(Some(prefix))
    }

    fn length(&self, prefix: [u8; PREFIX_BYTES]) -> Result<usize, Status> {
        let mut prefix = &prefix[..];
        // In tonic's words, which are how the kinds of these errors are known.
        match prefix.get_u8() {
            0 => {}
            1 => {
                return Err(Status::internal(
                    "protocol error: received message with compressed-flag but no grpc-encoding was specified",
                ));
            }
            flag => {
                return Err(Status::internal(format!(
                    "protocol error: received message with invalid compression flag: {flag} (valid flags are 0 and 1) while receiving response with status: {}",
                    self.status
                )));
            }
        }
        let length = prefix.get_u32() as usize;
        if length > self.max_message_bytes {
            return Err(Status::out_of_range(format!(
                "Error, decoded message length too large: found {length} bytes, the limit is: {} bytes",
                self.max_message_bytes
            )));
        }
        Ok(length)
    }

    async fn message(&mut self, length: usize) -> Result<Bytes, Status> {
        if self.rest.is_empty() && length > 0 {
            self.rest = self.frame().await?.ok_or_else(cut_short)?;
        }
        if self.rest.len() >= length {
            return Ok(self.rest.split_to(length));
        }
        let head = &self.rest[..self.rest.len().min(MOST_HEAD_BYTES)];
        let mut buffer = self.pool.take(length, body_offset(head).unwrap_or(0));
        loop {
            let part = self.rest.split_to((length - buffer.len()).min(self.rest.len()));
            buffer.extend(&part);
            if buffer.len() == length {
                return Ok(buffer.into_bytes());
            }
            self.rest = self.frame().await?.ok_or_else(cut_short)?;
        }
    }

    /// The data of the next frame; `None` when the stream has ended and its status is good.
    async fn frame(&mut self) -> Result<Option<Bytes>, Status> {
        let mut trailers = None;
        while let Some(frame) = self.body.frame().await {
            match frame?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(other) => {
                    trailers = other.into_trailers().ok();
                    break;
                }
            }
        }
        if self.is_told {
            return Ok(None);
        }
        // Asked again after the end, it is the same end.
        self.is_told = true;
        final_status(trailers.as_ref(), self.status).map(|()| None)
    }
}

/// Sends the request, and tells how the server has compressed its answer, which is not read.
pub(crate) async fn response_encoding(
    mut channel: Channel,
    request: Request<Ticket>,
) -> Result<Option<String>, Status> {
    let request = http_request(request);
    poll_fn(|context| channel.poll_ready(context))
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    let response = channel
        .call(request)
        .await
        .map_err(|error| Status::from_error(error.into()))?;
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    let encoding = response.headers().get("grpc-encoding");
    Ok(encoding
        .and_then(|value| value.to_str().ok())
        .filter(|value| *value != "identity")
        .map(str::to_owned))
}

fn http_request(request: Request<Ticket>) -> http::Request<Body> {
    let (metadata, _, ticket) = request.into_parts();
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + ticket.encoded_len());
    body.put_u8(0);
    body.put_u32(ticket.encoded_len() as u32);
    body.put_slice(&ticket.encode_to_vec());
    let mut request = http::Request::new(Body::new(Full::new(body.freeze())));
    *request.method_mut() = Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = Uri::from_static(DO_GET);
    let headers = request.headers_mut();
    *headers = metadata.into_headers();
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request
}

fn cut_short() -> Status {
    Status::internal("Unexpected EOF decoding stream.")
}

/// The status in the trailers; without one, what gRPC says that the HTTP status means
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn final_status(trailers: Option<&HeaderMap>, http: StatusCode) -> Result<(), Status> {
    if let Some(status) = trailers.and_then(Status::from_header_map) {
        return match status.code() {
            Code::Ok => Ok(()),
            _ => Err(status),
        };
    }
    let code = match http {
        StatusCode::OK => {
            return Err(Status::unknown(
                "protocol error: missing grpc-status trailer, stream was terminated without a final status \
                 (possible truncation by a proxy or load balancer)",
            ));
        }
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Err(Status::new(
        code,
        format!(
            "grpc-status header missing, mapped from HTTP status code {}",
            http.as_u16()
        ),
    ))
}

/// Where the bytes of `data_body` begin in a message, if the first bytes of it tell.
fn body_offset(message: &[u8]) -> Option<usize> {
    let mut rest = message;
    loop {
        if let Some(after) = rest.strip_prefix(&BODY_TAG) {
            let mut after = after;
            prost::encoding::decode_varint(&mut after).ok()?;
            return Some(message.len() - after.len());
        }
        // The fields before it are bytes and messages, each with its length.
        let tag = prost::encoding::decode_varint(&mut rest).ok()?;
        if tag & 7 != 2 {
            return None;
        }
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
        rest = rest.get(length..)?;
    }
}

#[cfg(test)]
mod tests;
