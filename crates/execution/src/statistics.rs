//! What a run has done, and where its time went.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::estimate::Estimate;
use crate::metering::Used;
use crate::sink::SinkSummary;

/// The statistics of a run. Times are in seconds, sizes in bytes.
///
/// Parts of a run go on at the same time: while the consumer has a batch, the next one is on its way, and slices wait side by
/// side. So the times below do not add up to the whole: each tells how long that part was at it, all slices together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Batches that the consumer got.
    pub batches_processed: u64,
    /// Rows that the consumer got.
    pub rows_processed: u64,
    /// The whole time of the run.
    pub total_time: f64,
    /// The mean time that the consumer took for a batch.
    pub avg_batch_time: f64,
    /// Bytes of the messages that the rows came in; `None` when the service has no transport, or does not tell.
    pub wire_bytes: Option<u64>,
    /// Bytes of the rows in memory.
    pub decoded_bytes: u64,
    /// From the start to the first batch; `None` when there was none.
    pub time_to_first_batch: Option<f64>,
    /// From asking to the schema: the server's planning, and the way there and back.
    pub planning_time: f64,
    /// Waiting for the server and the network, from the schema on.
    pub waiting_time: f64,
    /// Turning messages into record batches.
    pub decode_time: f64,
    /// Merging and splitting batches to their size.
    pub merge_time: f64,
    /// The consumer or sink, taking batches.
    pub consumer_time: f64,
    /// The sink, before the first batch and after the last: opening, writing the end, syncing, giving the file its name.
    pub sink_time: f64,
    /// What the sink says that encoding took it, on all of its threads; zero for a consumer that is no sink. A part of
    /// `consumer_time` and `sink_time`.
    pub encoding_time: f64,
    /// The consumer had nothing to do, because rows were still on their way: what a server and a network without delay
    /// would save.
    pub starved_time: f64,
    /// How long the consumer took for a batch.
    pub batch_latency: Latency,
    /// The most bytes of rows that were held at one time, over all streams and slices: in queues, while they are merged, with
    /// the consumer and in the sink, and a batch for each stream that is being decoded.
    pub peak_in_flight_bytes: u64,
    /// The bytes that the sink has written, encoded; zero for a sink that writes none.
    pub bytes_written: u64,
    /// How many slices the query was cut into; 1 when it ran whole.
    pub slices: u64,
    /// How often the query, or a slice of it, was asked again.
    pub retries: u64,
    /// The estimate, when one arrived.
    pub estimate: Option<EstimateReport>,
    /// The server's names for the queries of the run, as far as it tells them. Micromegas 0.33 tells one only in an error,
    /// so that these are the attempts that failed and were made again.
    pub query_ids: Vec<String>,
}

impl Statistics {
    /// Rows per second over the whole run; zero for a run that took no time.
    pub fn rows_per_second(&self) -> f64 {
        per_second(self.rows_processed, self.total_time)
    }

    /// Bytes per second over the whole run; zero for a run that took no time.
    pub fn bytes_per_second(&self) -> f64 {
        per_second(self.decoded_bytes, self.total_time)
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Percentiles of a time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// An estimate beside what came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EstimateReport {
    /// The estimate.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// How far it was off: the larger of estimated and true over the smaller, 1 when it was right. Zero rows count as one.
    pub q_error: f64,
}

/// Gathers statistics while a run goes on.
pub(crate) struct Recorder {
    statistics: Statistics,
    latencies: Option<Histogram<u64>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            statistics: Statistics::default(),
            // Three digits of everything between a microsecond and an hour; without it, percentiles stay zero.
            latencies: Histogram::new_with_bounds(1, 3_600_000_000, 3).ok(),
        }
    }

    pub(crate) fn first_batch(&mut self, elapsed: Duration) {
        self.statistics.time_to_first_batch.get_or_insert(elapsed.as_secs_f64());
    }

    /// What the run has taken of the service.
    pub(crate) fn used(&mut self, used: Used) {
        let statistics = &mut self.statistics;
        statistics.planning_time += used.planning.as_secs_f64();
        statistics.waiting_time += used.waiting.as_secs_f64();
        statistics.decode_time += used.decoding.as_secs_f64();
        statistics.wire_bytes = added(statistics.wire_bytes, used.wire_bytes);
        statistics.query_ids.extend(used.query_ids);
    }

    pub(crate) fn merged(&mut self, time: Duration) {
        self.statistics.merge_time += time.as_secs_f64();
    }

    pub(crate) fn starved(&mut self, time: Duration) {
        self.statistics.starved_time += time.as_secs_f64();
    }

    /// The sink was opened or finished.
    pub(crate) fn in_sink(&mut self, time: Duration) {
        self.statistics.sink_time += time.as_secs_f64();
    }

    pub(crate) fn consumed(&mut self, rows: u64, bytes: u64, time: Duration) {
        let statistics = &mut self.statistics;
        statistics.batches_processed += 1;
        statistics.rows_processed += rows;
        statistics.decoded_bytes += bytes;
        statistics.consumer_time += time.as_secs_f64();
        statistics.avg_batch_time = statistics.consumer_time / statistics.batches_processed as f64;
        if let Some(latencies) = &mut self.latencies {
            latencies.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    /// The rows that the consumer has got so far.
    pub(crate) fn rows(&self) -> u64 {
        self.statistics.rows_processed
    }

    pub(crate) fn wrote(&mut self, summary: &SinkSummary) {
        self.statistics.bytes_written += summary.bytes_written;
        self.statistics.encoding_time += summary.encoding_time.as_secs_f64();
    }

    /// Adds what another run has done, of which the times may overlap with those of this one.
    pub(crate) fn absorb(&mut self, other: &Self) {
        let (statistics, more) = (&mut self.statistics, &other.statistics);
        statistics.batches_processed += more.batches_processed;
        statistics.rows_processed += more.rows_processed;
        statistics.decoded_bytes += more.decoded_bytes;
        statistics.bytes_written += more.bytes_written;
        statistics.planning_time += more.planning_time;
        statistics.waiting_time += more.waiting_time;
        statistics.decode_time += more.decode_time;
        statistics.merge_time += more.merge_time;
        statistics.consumer_time += more.consumer_time;
        statistics.sink_time += more.sink_time;
        statistics.encoding_time += more.encoding_time;
        statistics.starved_time += more.starved_time;
        statistics.wire_bytes = added(statistics.wire_bytes, more.wire_bytes);
        statistics.query_ids.extend(more.query_ids.iter().cloned());
        if statistics.batches_processed > 0 {
            statistics.avg_batch_time = statistics.consumer_time / statistics.batches_processed as f64;
        }
        if let (Some(latencies), Some(more)) = (&mut self.latencies, &other.latencies) {
            // Both have the bounds that every recorder has, so this cannot fail.
            let _ = latencies.add(more);
        }
    }

    pub(crate) fn finish(mut self, elapsed: Duration, peak_bytes: usize, estimate: Option<Estimate>) -> Statistics {
        self.statistics.total_time = elapsed.as_secs_f64();
        self.statistics.peak_in_flight_bytes = peak_bytes as u64;
        if let Some(latencies) = self.latencies.filter(|latencies| !latencies.is_empty()) {
            let seconds = |micros: u64| micros as f64 / 1e6;
            self.statistics.batch_latency = Latency {
                p50: seconds(latencies.value_at_quantile(0.50)),
                p95: seconds(latencies.value_at_quantile(0.95)),
                p99: seconds(latencies.value_at_quantile(0.99)),
                max: seconds(latencies.max()),
            };
        }
        self.statistics.estimate = estimate.map(|estimate| EstimateReport {
            q_error: q_error(estimate.rows, self.statistics.rows_processed),
            estimate,
        });
        self.statistics
    }
}

fn added(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
    }
}

fn q_error(estimated: u64, actual: u64) -> f64 {
    let (estimated, actual) = (estimated.max(1) as f64, actual.max(1) as f64);
    (estimated / actual).max(actual / estimated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_and_the_percentiles_are_of_the_consumer() {
        let mut recorder = Recorder::new();
        for millis in [10, 20, 30, 1000] {
            recorder.consumed(5, 100, Duration::from_millis(millis));
        }
        let statistics = recorder.finish(Duration::from_secs(2), 7, None);
        assert_eq!(
            (
                statistics.batches_processed,
                statistics.rows_processed,
                statistics.decoded_bytes
            ),
            (4, 20, 400)
        );
        assert!((statistics.avg_batch_time - 0.265).abs() < 1e-9);
        assert!((statistics.batch_latency.p50 - 0.020).abs() < 1e-3);
        assert!((statistics.batch_latency.max - 1.0).abs() < 1e-2);
        assert_eq!(statistics.rows_per_second(), 10.0);
    }

    #[test]
    fn q_error_is_the_same_both_ways() {
        assert_eq!(q_error(50, 100), 2.0);
        assert_eq!(q_error(100, 50), 2.0);
        assert_eq!(q_error(0, 0), 1.0);
    }
}
