//! What it took to bring the rows of one result here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Counts what a transport does for one [`RecordBatchStream`](crate::RecordBatchStream).
///
/// The transport keeps one and adds to it; the stream carries a clone ([`with_transfer`](crate::RecordBatchStream::with_transfer)),
/// which whoever reads the stream looks at, while it goes on or after it. Clones share the counts.
///
/// ```
/// use std::time::Duration;
///
/// use lakepilot_query::TransferMeter;
///
/// let meter = TransferMeter::new();
/// meter.received(1_500, Duration::from_micros(20));
/// meter.received(500, Duration::from_micros(10));
/// let transfer = meter.so_far();
/// assert_eq!(transfer.wire_bytes, 2_000);
/// assert_eq!(transfer.decode_time, Duration::from_micros(30));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TransferMeter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    wire_bytes: AtomicU64,
    decode_nanos: AtomicU64,
    query_id: Mutex<Option<String>>,
}

/// The counts of a [`TransferMeter`] at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// The bytes of all messages that have arrived, as the transport got them: compressed, where the server compresses,
    /// and without the framing of the protocols below (well under one per cent).
    pub wire_bytes: u64,
    /// Time spent turning messages into record batches.
    pub decode_time: Duration,
    /// The server's name for the query, where it tells one.
    pub query_id: Option<String>,
}

impl TransferMeter {
    /// A meter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// A message of so many bytes was received, and decoded in this time.
    pub fn received(&self, bytes: u64, decoded_in: Duration) {
        let nanos = u64::try_from(decoded_in.as_nanos()).unwrap_or(u64::MAX);
        self.0.wire_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.decode_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The server has told its name for the query.
    pub fn set_query_id(&self, query_id: impl Into<String>) {
        *self.0.query_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(query_id.into());
    }

    /// What was counted so far.
    pub fn so_far(&self) -> Transfer {
        Transfer {
            wire_bytes: self.0.wire_bytes.load(Ordering::Relaxed),
            decode_time: Duration::from_nanos(self.0.decode_nanos.load(Ordering::Relaxed)),
            query_id: self.0.query_id.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
