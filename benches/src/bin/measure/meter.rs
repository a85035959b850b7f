//! Wall time, processor time and memory of this process.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Started before the work, and asked after it. No thread may end in between: its processor time would go with it.
pub(crate) struct Meter {
    start: Instant,
    processor: Duration,
    first_batch: Option<Duration>,
}

/// What a piece of work took.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// For work of many calls, what each took.
    pub(crate) calls: Vec<f64>,
    pub(crate) processor_seconds: f64,
    pub(crate) peak_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) first_batch_seconds: Option<f64>,
}

impl Measured {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "seconds": self.seconds,
            "calls": self.calls,
            "cpu_seconds": self.processor_seconds,
            "peak_rss_bytes": self.peak_bytes,
            "rows": self.rows,
            "bytes": self.bytes,
            "first_batch_seconds": self.first_batch_seconds,
        })
    }
}

impl Meter {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            processor: own_usage()?.0,
            start: Instant::now(),
            first_batch: None,
        })
    }

    /// A batch has come.
    pub(crate) fn batch(&mut self) {
        if self.first_batch.is_none() {
            self.first_batch = Some(self.start.elapsed());
        }
    }

    pub(crate) fn stop(self) -> Result<Measured> {
        let elapsed = self.start.elapsed();
        let (processor, peak_bytes) = own_usage()?;
        Ok(Measured {
            seconds: elapsed.as_secs_f64(),
            processor_seconds: processor.saturating_sub(self.processor).as_secs_f64(),
            peak_bytes,
            first_batch_seconds: self.first_batch.map(|time| time.as_secs_f64()),
            ..Measured::default()
        })
    }
}

/// Processor time of this process, and the most memory that was resident, in bytes.
fn own_usage() -> Result<(Duration, u64)> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").context("processor time is measured on Linux only")? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        nanos += text
            .split_whitespace()
            .next()
            .and_then(|nanos| nanos.parse::<u64>().ok())
            .with_context(|| format!("{} tells no time", path.display()))?;
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let peak_kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .context("/proc/self/status tells no peak of memory")?;
    Ok((Duration::from_nanos(nanos), peak_kib * 1024))
}
