//! Who sends telemetry: the processes of a generated lake and their streams.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, StringArray};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::columns::{Names, keyed};
use super::plan::{Counts, Kind, mixed};

const EXES: [&str; 8] = [
    "api-gateway",
    "matchmaker",
    "game-server",
    "asset-baker",
    "telemetry-relay",
    "build-agent",
    "world-editor",
    "game-client",
];
const USERS: [(&str, &str); 6] = [
    ("svc-backend", "Backend Service"),
    ("svc-build", "Build Service"),
    ("alvarez", "Inés Álvarez"),
    ("okafor", "Chidi Okafor"),
    ("tanaka", "田中 陽子"),
    ("obrien", "Niamh O'Brien"),
];
const COMPUTERS: [&str; 7] = [
    "rack1-node03",
    "rack1-node07",
    "rack2-node01",
    "rack2-node11",
    "ws-lyon-14",
    "ws-montreal-02",
    "ws-kyoto-08",
];
const DISTROS: [&str; 3] = ["Ubuntu 24.04.2 LTS", "Debian GNU/Linux 12", "Windows 11 23H2"];
const CPUS: [(&str, i64); 3] = [
    ("AMD EPYC 7763 64-Core Processor", 2_445_406_000),
    ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", 1_995_312_000),
    ("AMD Ryzen 9 7950X 16-Core Processor", 4_491_562_000),
];
const REGIONS: [&str; 4] = ["eu-west", "us-east", "ca-central", "ap-northeast"];
const THREADS: [&str; 3] = ["main", "worker-1", "render"];

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Log,
    Metrics,
    /// Spans and async events of the thread of this number in its process.
    Thread(usize),
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) process: usize,
    pub(super) role: Role,
    /// JSONB.
    pub(super) properties: Vec<u8>,
}

impl Stream {
    pub(super) fn tag(&self) -> &'static str {
        match self.role {
            Role::Log => "log",
            Role::Metrics => "metrics",
            Role::Thread(_) => "cpu",
        }
    }
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: String,
    pub(super) exe: &'static str,
    pub(super) username: &'static str,
    pub(super) realname: &'static str,
    pub(super) computer: &'static str,
    pub(super) distro: &'static str,
    pub(super) cpu_brand: &'static str,
    pub(super) tsc_frequency: i64,
    pub(super) start_ticks: i64,
    pub(super) parent: Option<String>,
    /// JSONB.
    pub(super) properties: Vec<u8>,
    /// When it runs.
    pub(super) windows: Range<usize>,
    /// How much it tells beside the others.
    pub(super) weight: f64,
    /// The streams of its threads, by their places in the fleet.
    pub(super) threads: Range<usize>,
}

impl Process {
    pub(super) fn log(&self) -> usize {
        self.threads.start - 2
    }

    pub(super) fn metrics(&self) -> usize {
        self.threads.start - 1
    }
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) processes: Vec<Process>,
    pub(super) streams: Vec<Stream>,
}

impl Fleet {
    pub(super) fn new(processes: usize, windows: usize, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(mixed(seed, u64::MAX));
        let mut fleet = Self {
            processes: Vec::with_capacity(processes),
            streams: Vec::new(),
        };
        for number in 0..processes {
            fleet.add_process(number, windows, &mut random);
        }
        fleet
    }

    fn add_process(&mut self, number: usize, windows: usize, random: &mut SmallRng) {
        let threads = 1 + number % THREADS.len();
        let first = self.streams.len();
        let roles = [Role::Log, Role::Metrics]
            .into_iter()
            .chain((0..threads).map(Role::Thread));
        for role in roles {
            let properties = match role {
                Role::Thread(thread) => jsonb(&[
                    ("thread-name", THREADS[thread]),
                    ("thread-id", &(1000 + thread).to_string()),
                ]),
                Role::Log | Role::Metrics => jsonb(&[]),
            };
            self.streams.push(Stream {
                id: uuid(random),
                process: number,
                role,
                properties,
            });
        }
        let (username, realname) = USERS[random.random_range(0..USERS.len())];
        let (cpu_brand, tsc_frequency) = CPUS[random.random_range(0..CPUS.len())];
        let version = format!("1.{}.{}", random.random_range(0..6), random.random_range(0..20));
        let region = REGIONS[random.random_range(0..REGIONS.len())];
        let parent = (number % 3 == 2).then(|| self.processes[0].id.clone());
        self.processes.push(Process {
            id: uuid(random),
            exe: EXES[number % EXES.len()],
            username,
            realname,
            computer: COMPUTERS[random.random_range(0..COMPUTERS.len())],
            distro: DISTROS[random.random_range(0..DISTROS.len())],
            cpu_brand,
            tsc_frequency,
            start_ticks: random.random_range(1_000_000_000..1_000_000_000_000),
            parent,
            properties: jsonb(&[
                ("instance", &number.to_string()),
                ("region", region),
                ("version", &version),
            ]),
            windows: life(number, windows, random),
            weight: 1.0 / (1.0 + number as f64 * 0.35),
            threads: first + 2..first + 2 + threads,
        });
    }

    /// How many objects a stream sends in a window.
    pub(super) fn objects(&self, stream: usize, counts: &Counts) -> usize {
        let Stream { process, role, .. } = self.streams[stream];
        match role {
            Role::Log => counts.of(Kind::LogEntries)[process],
            Role::Metrics => counts.of(Kind::Measures)[process],
            Role::Thread(thread) => {
                let (spans, pairs) = counts.of_thread(process, thread, self.processes[process].threads.len());
                2 * (spans + pairs)
            }
        }
    }

    /// A text of each process, as the columns of events have it.
    pub(super) fn process_names(&self, text: impl Fn(&Process) -> &str) -> Names {
        Names::new(self.processes.iter().map(text))
    }
}

/// The columns of events that follow from the process, as dictionaries: a key is the number of the process.
#[derive(Debug)]
pub(super) struct Origins {
    ids: ArrayRef,
    logs: ArrayRef,
    metrics: ArrayRef,
    properties: ArrayRef,
    exe: Names,
    username: Names,
    computer: Names,
    audience: ArrayRef,
}

impl Origins {
    pub(super) fn new(fleet: &Fleet) -> Self {
        let texts = |text: &dyn Fn(&Process) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(fleet.processes.iter().map(text)))
        };
        Self {
            ids: texts(&|process| process.id.clone()),
            logs: texts(&|process| fleet.streams[process.log()].id.clone()),
            metrics: texts(&|process| fleet.streams[process.metrics()].id.clone()),
            properties: Arc::new(BinaryArray::from_iter_values(
                fleet.processes.iter().map(|process| &process.properties),
            )),
            exe: fleet.process_names(|process| process.exe),
            username: fleet.process_names(|process| process.username),
            computer: fleet.process_names(|process| process.computer),
            audience: Arc::new(StringArray::from(vec![AUDIENCE])),
        }
    }

    /// The columns, for rows of the given processes.
    pub(super) fn columns(&self, processes: &Int32Array, role: Role) -> Vec<(&'static str, ArrayRef)> {
        let streams = match role {
            Role::Metrics => &self.metrics,
            Role::Log | Role::Thread(_) => &self.logs,
        };
        let none = Int32Array::from_value(0, processes.len());
        vec![
            ("process_id", keyed(processes.clone(), &self.ids)),
            ("stream_id", keyed(processes.clone(), streams)),
            ("exe", self.exe.of(processes)),
            ("username", self.username.of(processes)),
            ("computer", self.computer.of(processes)),
            ("process_properties", keyed(processes.clone(), &self.properties)),
            ("audience", keyed(none, &self.audience)),
        ]
    }

    pub(super) fn process_ids(&self, processes: &Int32Array) -> ArrayRef {
        keyed(processes.clone(), &self.ids)
    }
}

/// Whom rows of the lake are for.
pub(super) const AUDIENCE: &str = "default";

/// The first process and half of the others run all the time.
fn life(number: usize, windows: usize, random: &mut SmallRng) -> Range<usize> {
    let (begin, length): (f64, f64) = (random.random(), random.random());
    if number.is_multiple_of(2) {
        return 0..windows;
    }
    let first = (begin * 0.7 * windows as f64) as usize;
    let length = ((0.1 + 0.9 * length) * (windows - first) as f64) as usize;
    first..first + length.max(1)
}

pub(super) fn uuid(random: &mut SmallRng) -> String {
    uuid::Builder::from_random_bytes(random.random())
        .into_uuid()
        .to_string()
}

/// An object of texts.
pub(super) fn jsonb(properties: &[(&str, &str)]) -> Vec<u8> {
    let object: BTreeMap<String, jsonb::Value<'_>> = properties
        .iter()
        .map(|(key, value)| ((*key).to_owned(), jsonb::Value::String((*value).into())))
        .collect();
    jsonb::Value::Object(object).to_vec()
}
