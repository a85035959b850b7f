//! When a server wants to be asked again, from what it adds to a status.
//!
//! It says so in a `google.rpc.RetryInfo` among the details of the status (`google/rpc/error_details.proto`), or in the
//! trailer `grpc-retry-pushback-ms` (gRPC proposal A6).

use std::time::Duration;

use arrow_flight::sql::Any;
use prost::Message;
use tonic::Status;

const RETRY_INFO: &str = "google.rpc.RetryInfo";
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// `google.rpc.Status`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long the server wants not to be asked again; `None` where it does not say, or says it in a way that is not one.
pub(crate) fn retry_after(status: &Status) -> Option<Duration> {
    from_details(status.details()).or_else(|| from_pushback(status))
}

fn from_details(details: &[u8]) -> Option<Duration> {
    let details = RpcStatus::decode(details).ok()?.details;
    let info = details.into_iter().find(|detail| {
        let (_, name) = detail.type_url.rsplit_once('/').unwrap_or_default();
        name == RETRY_INFO
    })?;
    let delay = RetryInfo::decode(info.value).ok()?.retry_delay?;
    let seconds = Duration::from_secs(u64::try_from(delay.seconds).ok()?);
    seconds.checked_add(Duration::from_nanos(u64::try_from(delay.nanos).ok()?))
}

fn from_pushback(status: &Status) -> Option<Duration> {
    let milliseconds = status.metadata().get(PUSHBACK)?.to_str().ok()?;
    // A negative number is a wish not to be asked again at all.
    milliseconds.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;
    use tonic::metadata::MetadataMap;

    fn with_delay(seconds: i64, nanos: i32) -> Status {
        let info = RetryInfo {
            retry_delay: Some(ProtoDuration { seconds, nanos }),
        };
        let any = |name: &str, value: Vec<u8>| Any {
            type_url: format!("type.googleapis.com/{name}"),
            value: value.into(),
        };
        let details = RpcStatus {
            details: vec![
                any("google.rpc.ErrorInfo", vec![10, 1, b'x']),
                any(RETRY_INFO, info.encode_to_vec()),
            ],
        };
        Status::with_details(Code::ResourceExhausted, "busy", details.encode_to_vec().into())
    }

    #[test]
    fn a_delay_is_read_from_the_details_or_from_the_trailer() {
        assert_eq!(
            retry_after(&with_delay(2, 500_000_000)),
            Some(Duration::from_millis(2_500))
        );
        let mut metadata = MetadataMap::new();
        metadata.insert(PUSHBACK, "1500".parse().unwrap());
        let status = Status::with_metadata(Code::Unavailable, "busy", metadata);
        assert_eq!(retry_after(&status), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn what_is_no_delay_is_none() {
        assert_eq!(retry_after(&with_delay(-1, 0)), None);
        assert_eq!(retry_after(&with_delay(1, -1)), None);
        for details in [&b""[..], b"garbage", &[0x1a, 0xff, 0xff]] {
            let status = Status::with_details(Code::Unavailable, "busy", details.to_vec().into());
            assert_eq!(retry_after(&status), None);
        }
        for text in ["-1", "soon", ""] {
            let mut metadata = MetadataMap::new();
            metadata.insert(PUSHBACK, text.parse().unwrap());
            assert_eq!(
                retry_after(&Status::with_metadata(Code::Unavailable, "busy", metadata)),
                None
            );
        }
    }
}
