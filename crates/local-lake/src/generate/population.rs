//! Who sends telemetry: processes and their streams.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Builder;

use super::GenerateOptions;
use super::schedule::{Schedule, Window};

/// Ticks of the clock of every process in a second.
pub(crate) const TICKS_PER_SECOND: i64 = 3_000_000_000;
const EXECUTABLES: [(&str, &str); 8] = [
    ("api-gateway", "svc-api"),
    ("game-server", "svc-game"),
    ("matchmaker", "svc-match"),
    ("telemetry-ingestion", "svc-telemetry"),
    ("asset-builder", "builder"),
    ("session-store", "svc-session"),
    ("editor", "mara"),
    ("report-worker", "svc-report"),
];
/// One in so many processes has view instances of its own from the start.
const ONE_MATERIALISED_IN: usize = 2;

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Log,
    Metrics,
    /// Spans of a thread; the number of the thread.
    Thread(u32),
    /// Events of asynchronous spans.
    Async,
}

impl StreamKind {
    pub(crate) const ALL: [Self; 5] = [Self::Log, Self::Metrics, Self::Thread(0), Self::Thread(1), Self::Async];

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Metrics => "metrics",
            Self::Thread(_) | Self::Async => "cpu",
        }
    }

    pub(crate) fn properties(self) -> String {
        match self {
            Self::Thread(0) => r#"{"thread-name":"main"}"#.to_owned(),
            Self::Thread(number) => format!(r#"{{"thread-name":"worker-{number}"}}"#),
            _ => "{}".to_owned(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) id: String,
    pub(crate) kind: StreamKind,
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) id: String,
    pub(crate) exe: String,
    pub(crate) username: String,
    pub(crate) computer: String,
    pub(crate) start_time: DateTime<Utc>,
    pub(crate) parent: Option<String>,
    pub(crate) properties: Vec<u8>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) materialised: bool,
}

/// All processes, the most talkative first.
#[derive(Debug)]
pub(crate) struct Population {
    processes: Vec<Process>,
    /// The running sums of how much each process says.
    shares: Vec<f64>,
    last_update: DateTime<Utc>,
}

impl Population {
    pub(crate) fn new(options: &GenerateOptions, schedule: &Schedule) -> Result<Self> {
        let mut random = SmallRng::seed_from_u64(options.seed ^ 0x5EED_0F90_C355_E5E5);
        let seconds = (schedule.end() - schedule.begin()).num_seconds();
        let mut processes: Vec<Process> = Vec::new();
        for index in 0..options.processes as usize {
            // The first has been there from the begin; the others start at some time in the first half.
            let delay = if index == 0 { 0 } else { random.random_range(0..seconds / 2) };
            let parent = (index >= EXECUTABLES.len()).then(|| processes[index % EXECUTABLES.len()].id.clone());
            processes.push(process(index, schedule.begin() + TimeDelta::seconds(delay), parent, &mut random)?);
        }
        let mut sum = 0.0;
        let shares = (0..processes.len())
            .map(|index| {
                sum += 1.0 / (index as f64 + 1.0);
                sum
            })
            .collect();
        Ok(Self {
            processes,
            shares,
            last_update: schedule.end() - TimeDelta::seconds(1),
        })
    }

    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// When the lake heard of its processes last.
    pub(crate) fn last_update(&self) -> DateTime<Utc> {
        self.last_update
    }

    /// The process that says the next thing in a window: a talkative one more often, and only one that has started.
    pub(crate) fn pick(&self, window: &Window, random: &mut SmallRng) -> usize {
        let whole = self.shares.last().copied().unwrap_or(1.0);
        let at = random.random_range(0.0..whole);
        let index = self.shares.partition_point(|sum| *sum <= at).min(self.processes.len() - 1);
        if self.runs_in(index, window) { index } else { 0 }
    }

    /// Whether a process runs during the whole of a window.
    pub(crate) fn runs_in(&self, index: usize, window: &Window) -> bool {
        index == 0 || self.processes[index].start_time.timestamp_nanos_opt().unwrap_or(i64::MAX) <= window.first_event()
    }

    /// The view instances that there are from the start.
    pub(crate) fn materialised(&self) -> Vec<(&'static str, String)> {
        let mut instances = Vec::new();
        for process in self.processes.iter().filter(|process| process.materialised) {
            instances.extend(["log_entries", "measures", "async_events"].map(|view| (view, process.id.clone())));
            let threads = process.streams.iter().filter(|stream| matches!(stream.kind, StreamKind::Thread(_)));
            instances.extend(threads.map(|stream| ("thread_spans", stream.id.clone())));
        }
        instances
    }

    /// A text of each process as the values of a dictionary whose keys are the numbers of the processes.
    pub(crate) fn texts(&self, text: impl Fn(&Process) -> &str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(self.processes.iter().map(text)))
    }

    /// The properties of each process, likewise.
    pub(crate) fn properties(&self) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(self.processes.iter().map(|process| &process.properties)))
    }
}

/// The id of the block that a stream of a process sent in a window.
pub(crate) fn block_id(process: usize, kind: StreamKind, window: &Window) -> String {
    let kind = match kind {
        StreamKind::Log => 0,
        StreamKind::Metrics => 1,
        StreamKind::Async => 2,
        StreamKind::Thread(number) => 16 + u64::from(number),
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(window.index.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ kind).to_be_bytes());
    bytes[8..].copy_from_slice(&(process as u64).wrapping_mul(0xD1B5_4A32_D192_ED03).to_be_bytes());
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

fn process(index: usize, start_time: DateTime<Utc>, parent: Option<String>, random: &mut SmallRng) -> Result<Process> {
    let (exe, username) = EXECUTABLES[index % EXECUTABLES.len()];
    let region = ["eu-west", "us-east", "ap-south"][random.random_range(0..3)];
    let version = format!("{}.{}.{}", random.random_range(1..4), random.random_range(0..20), random.random_range(0..90));
    Ok(Process {
        id: id(random),
        exe: exe.to_owned(),
        username: username.to_owned(),
        computer: format!("{region}-{:02}", random.random_range(1..40)),
        start_time,
        parent,
        properties: jsonb(&format!(r#"{{"region":"{region}","version":"{version}"}}"#))?,
        streams: StreamKind::ALL.map(|kind| Stream { id: id(random), kind }).into(),
        materialised: index % ONE_MATERIALISED_IN == 0,
    })
}

fn id(random: &mut SmallRng) -> String {
    Builder::from_random_bytes(random.random()).into_uuid().to_string()
}

/// JSON text as the JSONB bytes that property columns hold.
pub(crate) fn jsonb(text: &str) -> Result<Vec<u8>> {
    jsonb::parse_owned_jsonb(text.as_bytes())
        .map(jsonb::OwnedJsonb::to_vec)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("encode properties: {error}")))
}
