//! Who does what.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ServerKind;
use super::clients::Clients;
use super::servers::Servers;

/// A column of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Library,
    Program,
    /// The published client of Micromegas, batch by batch.
    PythonStream,
    /// The published client of Micromegas, into one table.
    PythonTable,
    Adbc,
    MicromegasCrate,
    /// The HTTP/2 stream, not decoded.
    Http2,
    /// Bytes from a socket.
    Socket,
}

impl Client {
    /// Whether it is what people would use instead of Lakepilot.
    pub(super) fn is_published(self) -> bool {
        matches!(
            self,
            Self::PythonStream | Self::PythonTable | Self::Adbc | Self::MicromegasCrate
        )
    }

    /// Whether it sees rows; a whole program is watched from outside.
    pub(super) fn counts_rows(self) -> bool {
        !matches!(self, Self::Program | Self::Http2 | Self::Socket)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Library => "Lakepilot, library",
            Self::Program => "Lakepilot, program",
            Self::PythonStream => "micromegas (Python)",
            Self::PythonTable => "micromegas (Python), one table",
            Self::Adbc => "ADBC Flight SQL",
            Self::MicromegasCrate => "micromegas (Rust)",
            Self::Http2 => "floor: HTTP/2, not decoded",
            Self::Socket => "floor: bare socket",
        })
    }
}

/// One client's way of doing a work.
pub(super) struct Entry {
    pub(super) client: Client,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) bytes: Option<f64>,
    pub(super) reference: Client,
    pub(super) entries: Vec<Entry>,
}

/// What a work asks, and of whom.
struct Asked<'a> {
    clients: &'a Clients,
    url: &'a str,
    sql: String,
    dictionaries: bool,
}

impl Asked<'_> {
    fn entry(&self, client: Client, program: &Path, arguments: &[&str]) -> Entry {
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        if self.dictionaries {
            arguments.push("--preserve-dictionary".to_owned());
        }
        Entry {
            client,
            program: program.to_owned(),
            arguments,
        }
    }

    fn library(&self, work: &str, more: &[&str]) -> Entry {
        let arguments = [&[work, self.url, "--sql", &self.sql], more].concat();
        self.entry(Client::Library, &self.clients.measure, &arguments)
    }

    fn program(&self, command: &str, more: &[&str]) -> Entry {
        let program = self.clients.program.to_string_lossy();
        let arguments = [
            &[
                "process",
                "--",
                program.as_ref(),
                "--quiet",
                "--url",
                self.url,
                command,
                &self.sql,
            ],
            more,
        ]
        .concat();
        self.entry(Client::Program, &self.clients.measure, &arguments)
    }

    fn python(&self, client: Client, work: &str, more: &[&str]) -> Entry {
        let library = if client == Client::Adbc { "adbc" } else { "micromegas" };
        let script = self.clients.peers.to_string_lossy();
        let arguments = [&[script.as_ref(), library, work, self.url, &self.sql], more].concat();
        self.entry(client, &self.clients.python, &arguments)
    }

    fn rust(&self, work: &str, more: &[&str]) -> Entry {
        let arguments = [&[work, self.url, "--sql", &self.sql], more].concat();
        self.entry(Client::MicromegasCrate, &self.clients.micromegas, &arguments)
    }

    fn drain(&self) -> Vec<Entry> {
        vec![
            self.library("drain", &[]),
            self.program("run", &["--estimate", "none"]),
            self.python(Client::PythonStream, "drain", &[]),
            self.python(Client::PythonTable, "drain-table", &[]),
            self.python(Client::Adbc, "drain", &[]),
            self.rust("drain", &[]),
        ]
    }

    /// Many calls on one connection, by all that can.
    fn calls(&self, work: &str, calls: &str) -> Vec<Entry> {
        let calls = ["--calls", calls];
        let mut entries = vec![
            self.library(work, &calls),
            self.python(Client::PythonTable, work, &calls),
            self.rust(work, &calls),
        ];
        // Its driver asks for a schema with `GetSchema`, which the service does not know.
        if work != "schema" {
            entries.push(self.python(Client::Adbc, work, &calls));
        }
        entries
    }

    fn parquet(&self, folder: &Path) -> Vec<Entry> {
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        vec![
            self.library("parquet", &["--output", &file("library.parquet")]),
            self.program("run", &["--estimate", "none", "--output", &file("program.parquet")]),
            self.python(Client::PythonStream, "parquet", &["--output", &file("python.parquet")]),
            self.python(Client::Adbc, "parquet", &["--output", &file("adbc.parquet")]),
        ]
    }

    /// Whole processes: from nothing to an answer.
    fn cold(&self) -> Vec<Entry> {
        let whole = |entry: Entry| {
            let program = entry.program.to_string_lossy().into_owned();
            Entry {
                client: entry.client,
                program: self.clients.measure.clone(),
                arguments: ["process".to_owned(), "--".to_owned(), program]
                    .into_iter()
                    .chain(entry.arguments)
                    .collect(),
            }
        };
        vec![
            self.program("query", &[]),
            whole(self.python(Client::PythonTable, "drain-table", &[])),
            whole(self.python(Client::Adbc, "drain", &[])),
            whole(self.rust("drain", &[])),
        ]
    }
}

/// The works on a server, in the order in which they are told.
pub(super) fn of(kind: ServerKind, servers: &Servers, clients: &Clients, folder: &Path) -> Vec<Work> {
    match kind {
        ServerKind::Blast => blast(servers, clients, folder),
        ServerKind::Lake => lake(servers, clients, folder),
        ServerKind::Micromegas => micromegas(servers, clients),
    }
}

fn asked<'a>(servers: &'a Servers, clients: &'a Clients, sql: &str) -> Asked<'a> {
    Asked {
        clients,
        url: &servers.url,
        sql: sql.to_owned(),
        dictionaries: false,
    }
}

fn work(name: &'static str, title: impl Into<String>, entries: Vec<Entry>) -> Work {
    let reference = entries.first().map_or(Client::Library, |entry| entry.client);
    Work {
        name,
        title: title.into(),
        bytes: None,
        reference,
        entries,
    }
}

fn floors(asked: &Asked<'_>, servers: &Servers, bytes: f64) -> Vec<Entry> {
    let mut floors = vec![Entry {
        client: Client::Http2,
        ..asked.library("floor-http2", &[])
    }];
    if let Some(address) = &servers.bytes_address {
        floors.push(Entry {
            client: Client::Socket,
            program: asked.clients.measure.clone(),
            arguments: vec![
                "floor-socket".to_owned(),
                address.clone(),
                "--bytes".to_owned(),
                format!("{bytes:.0}"),
            ],
        });
    }
    floors
}

const LOG_ENTRIES: &str = "SELECT * FROM log_entries";
const PARQUET_ROWS: u64 = 1_000_000;

fn blast(servers: &Servers, clients: &Clients, folder: &Path) -> Vec<Work> {
    let (plain, dictionaries) = servers.row_bytes.unwrap_or_default();
    let mut works = Vec::new();
    for (name, dictionary, row_bytes) in [("drain-plain", false, plain), ("drain-dictionary", true, dictionaries)] {
        let bytes = row_bytes * servers.rows as f64;
        let asked = Asked {
            dictionaries: dictionary,
            ..asked(servers, clients, LOG_ENTRIES)
        };
        let mut entries = asked.drain();
        entries.extend(floors(&asked, servers, bytes));
        let shape = if dictionary { "dictionary columns kept" } else { "plain" };
        let title = format!(
            "Draining {:.2} GB of log entries, {shape}, from the blast server",
            bytes / 1e9
        );
        works.push(Work {
            bytes: Some(bytes),
            ..work(name, title, entries)
        });
    }
    for (round_trip, url) in &servers.delayed {
        let delayed = Asked {
            url,
            ..asked(servers, clients, LOG_ENTRIES)
        };
        let title = format!("Draining log entries, plain, over a round trip of {round_trip} ms");
        works.push(Work {
            bytes: Some(plain * servers.rows as f64),
            ..work(delayed_name(*round_trip), title, delayed.drain())
        });
    }
    let rows = asked(servers, clients, &format!("{LOG_ENTRIES} LIMIT {PARQUET_ROWS}"));
    works.push(Work {
        bytes: Some(plain * PARQUET_ROWS as f64),
        ..work(
            "parquet",
            "Writing 1,000,000 log entries from the blast server into a Parquet file (zstd)",
            rows.parquet(folder),
        )
    });
    works.extend(small(servers, clients, "the blast server", BLAST_NAMES));
    works
}

fn delayed_name(round_trip: u64) -> &'static str {
    match round_trip {
        0 => "round-trip-0",
        20 => "round-trip-20",
        40 => "round-trip-40",
        _ => "round-trip-80",
    }
}

/// Cold, warm, schema, at once.
type Names = [&'static str; 4];
const BLAST_NAMES: Names = ["small-cold", "small-warm", "schema", "at-once"];
const LAKE_NAMES: Names = ["lake-cold", "lake-warm", "lake-schema", "lake-at-once"];
const MICROMEGAS_NAMES: Names = ["service-cold", "service-warm", "service-schema", "service-at-once"];

fn small(servers: &Servers, clients: &Clients, server: &str, names: Names) -> Vec<Work> {
    let [cold, warm, schema, at_once] = names;
    let one = asked(servers, clients, "SELECT 1 AS one");
    let all = asked(servers, clients, LOG_ENTRIES);
    vec![
        work(cold, format!("SELECT 1 on {server}, as a whole process"), one.cold()),
        work(
            warm,
            format!("SELECT 1 on {server}, on a connection that is there (a call)"),
            one.calls("warm", "100"),
        ),
        work(
            schema,
            format!("The schema of a query on {server} (a call)"),
            all.calls("schema", "50"),
        ),
        work(
            at_once,
            format!("64 small queries at once on {server} (all of them)"),
            one.calls("at-once", "10"),
        ),
    ]
}

fn lake(servers: &Servers, clients: &Clients, folder: &Path) -> Vec<Work> {
    let all = asked(servers, clients, LOG_ENTRIES);
    let mut works = vec![
        work(
            "lake-drain",
            "Draining 1,000,000 log entries of the embedded lake",
            all.drain(),
        ),
        work(
            "lake-parquet",
            "Writing 1,000,000 log entries of the embedded lake into a Parquet file (zstd)",
            all.parquet(folder),
        ),
    ];
    works.extend(small(servers, clients, "the embedded lake", LAKE_NAMES));
    works
}

fn micromegas(servers: &Servers, clients: &Clients) -> Vec<Work> {
    let all = asked(servers, clients, LOG_ENTRIES);
    let mut works = vec![work(
        "service-drain",
        "Draining the log entries of the real service",
        all.drain(),
    )];
    // Its answer is the one that waits for a delayed acknowledgement where the client does nothing against it.
    works.push(work(
        "service-count",
        "COUNT(*) of the log entries of the real service, on a connection that is there (a call)",
        asked(servers, clients, "SELECT COUNT(*) AS n FROM log_entries").calls("warm", "50"),
    ));
    works.extend(small(servers, clients, "the real service", MICROMEGAS_NAMES));
    works
}
