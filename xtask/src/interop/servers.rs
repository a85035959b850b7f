//! The servers, and how each is started.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use super::programs::Programs;
use crate::cargo::{self, Workspace, cache_folder};
use crate::child::{Ended, started, started_with_log};
use crate::micromegas::{self, Replica};
use crate::python_env;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(90);

const BALLISTA: &str = "55.0.0";
const DFT: &str = "0.3.0";
const EXECUTORS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Pyarrow,
    Embedded,
    Micromegas,
    MicromegasReplicas,
    Roapi,
    Sail,
    Dft,
    Ballista,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pyarrow => "pyarrow",
            Self::Embedded => "embedded",
            Self::Micromegas => "micromegas",
            Self::MicromegasReplicas => "replicas",
            Self::Roapi => "roapi",
            Self::Sail => "sail",
            Self::Dft => "dft",
            Self::Ballista => "ballista",
        }
    }

    /// What it is, for the page.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Pyarrow => {
                "a Flight SQL server that is written for these tests on pyarrow 23.0.1, which is Arrow's C++ stack"
            }
            Self::Embedded => "the embedded lake of this repository, `lakepilot lake serve`",
            Self::Micromegas => "the Micromegas analytics service 0.33.0 on a PostgreSQL of its own",
            Self::MicromegasReplicas => {
                "two more Flight SQL roles of that service, on the same PostgreSQL and object store, as one name"
            }
            Self::Roapi => "ROAPI 0.12.7, the wheel from PyPI (DataFusion 47)",
            Self::Sail => "Sail 0.7.2, the wheel `pysail` from PyPI, `sail flight server` (Spark SQL)",
            Self::Dft => "the crate `datafusion-dft` 0.3.0, `dft serve-flightsql` (DataFusion 51)",
            Self::Ballista => {
                "Ballista 55.0.0: a scheduler with the feature `flight-sql`, and two executors (DataFusion 55)"
            }
        }
    }

    pub(super) fn dialect(self) -> &'static str {
        match self {
            Self::Pyarrow => "pyarrow",
            Self::Sail => "spark",
            _ => "datafusion",
        }
    }

    /// Why a case fails on a server for what the server does.
    pub(super) fn known_failure(self, case: &str) -> Option<&'static str> {
        match (self, case) {
            (Self::Roapi, "empty") => Some(
                "the server answers a result of no rows with a schema of no columns, in FlightInfo and in the stream.",
            ),
            (Self::Ballista, "called-off") => Some(
                "the scheduler computes the whole result before it answers GetFlightInfo, so that one without end never \
                 comes, and the client gives up in time.",
            ),
            _ => None,
        }
    }
}

/// A server that runs while this value lives, but for the real service, which goes on.
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) urls: Vec<String>,
    /// Those that may be ended.
    pub(super) replicas: Vec<Replica>,
    _processes: Vec<Ended>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for replica in &self.replicas {
            // One of them was ended; there is nobody left to tell of the other.
            let _ = replica.end();
        }
    }
}

/// Where servers are installed, and where they work.
pub(super) struct Place<'a> {
    workspace: &'a Workspace,
    programs: &'a Programs,
    build: bool,
    /// In the target folder, for logs and data.
    work: PathBuf,
    /// In the cache, for what is dear to install.
    cache: PathBuf,
}

impl<'a> Place<'a> {
    pub(super) fn new(workspace: &'a Workspace, programs: &'a Programs, build: bool) -> Result<Self> {
        let place = Self {
            workspace,
            programs,
            build,
            work: workspace.target_folder()?.join("interop"),
            cache: cache_folder()?.join("interop"),
        };
        for folder in [&place.work, &place.cache] {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(place)
    }

    /// Starts a server; installs a wheel first, and builds a crate if that was asked for.
    pub(super) fn start(&self, kind: Kind) -> Result<Server> {
        let server = |url: String, processes: Vec<Ended>| Server {
            kind,
            urls: vec![url],
            replicas: Vec::new(),
            _processes: processes,
        };
        match kind {
            Kind::Pyarrow => self.pyarrow().map(|(process, url)| server(url, vec![process])),
            Kind::Embedded => self.embedded().map(|(process, url)| server(url, vec![process])),
            Kind::Micromegas => self.micromegas().map(|url| server(url, Vec::new())),
            Kind::MicromegasReplicas => {
                self.micromegas()?;
                let mut started = server(String::new(), Vec::new());
                started.urls.clear();
                for _ in 0..2 {
                    let replica = micromegas::start_replica(self.workspace)?;
                    started.urls.push(replica.url.clone());
                    started.replicas.push(replica);
                }
                Ok(started)
            }
            Kind::Roapi => self.roapi().map(|(process, url)| server(url, vec![process])),
            Kind::Sail => self.sail().map(|(process, url)| server(url, vec![process])),
            Kind::Dft => self.dft().map(|(process, url)| server(url, vec![process])),
            Kind::Ballista => self.ballista().map(|(processes, url)| server(url, processes)),
        }
    }

    fn pyarrow(&self) -> Result<(Ended, String)> {
        let environment = python_env::ensure(self.workspace)?;
        let mut command = Command::new(python_env::python(&environment));
        command.args(["-B", "-W", "ignore"]);
        command.arg(
            self.workspace
                .root()
                .join("crates/conformance/python/interop/server.py"),
        );
        announced(command)
    }

    fn embedded(&self) -> Result<(Ended, String)> {
        let lake = self.work.join("lake");
        if !lake.exists() {
            let unfinished = lake.with_extension("new");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
            }
            let mut generate = Command::new(&self.programs.lakepilot);
            cargo::run(
                generate
                    .args(["lake", "generate", "--quiet", "--rows", "20000"])
                    .arg(&unfinished),
            )?;
            fs::rename(&unfinished, &lake).with_context(|| format!("make {}", lake.display()))?;
        }
        let mut command = Command::new(&self.programs.lakepilot);
        command.args(["lake", "serve", "--listen", "127.0.0.1:0"]).arg(lake);
        announced(command)
    }

    fn micromegas(&self) -> Result<String> {
        ensure!(
            micromegas::is_built()?,
            "it is not built, which takes an hour: `cargo xtask micromegas up`"
        );
        micromegas::ensure_up(self.workspace)
    }

    fn roapi(&self) -> Result<(Ended, String)> {
        let program = self.wheel("roapi", "roapi")?;
        // It wants a table to serve.
        let table = self.work.join("known.csv");
        fs::write(&table, "n,word\n1,one\n2,\n").with_context(|| format!("write {}", table.display()))?;
        let mut command = Command::new(program);
        command.args(["--addr-http", "127.0.0.1:0", "--addr-postgres", "127.0.0.1:0"]);
        command.args(["--addr-flight-sql", "127.0.0.1:0", "--table"]);
        command.arg(format!("known={}", table.display()));
        self.logged("roapi", command, |log| {
            let line = log.lines().find(|line| line.contains("for FlightSQL traffic"))?;
            address_after(line, "Listening on ")
        })
    }

    fn sail(&self) -> Result<(Ended, String)> {
        let program = self.wheel("sail", "sail")?;
        let mut command = Command::new(program);
        command
            .args(["flight", "server", "--port", "0"])
            .current_dir(&self.work);
        let (process, url) = self.logged("sail", command, |log| {
            let line = log
                .lines()
                .find(|line| line.contains("Starting the Flight SQL server on"))?;
            address_after(line, "server on ")
        })?;
        // It says so before it listens.
        wait_for_port(&url)?;
        Ok((process, url))
    }

    fn dft(&self) -> Result<(Ended, String)> {
        let folder = self.crate_programs("dft", &[("datafusion-dft", DFT, "flightsql")], &["dft"])?;
        let address = free_address()?;
        let mut command = Command::new(folder.join("dft"));
        command.args([
            "serve-flightsql",
            "--addr",
            &address,
            "--metrics-addr",
            &free_address()?,
        ]);
        let (process, ()) = self.logged_and_listening("dft", command, &address)?;
        Ok((process, format!("grpc://{address}")))
    }

    fn ballista(&self) -> Result<(Vec<Ended>, String)> {
        let crates = [
            ("ballista-scheduler", BALLISTA, "flight-sql"),
            ("ballista-executor", BALLISTA, ""),
        ];
        let folder = self.crate_programs("ballista", &crates, &["ballista-scheduler", "ballista-executor"])?;
        let address = free_address()?;
        let port = port_of(&address).to_owned();
        let mut scheduler = Command::new(folder.join("ballista-scheduler"));
        scheduler.args([
            "--bind-host",
            "127.0.0.1",
            "--external-host",
            "127.0.0.1",
            "--bind-port",
            &port,
        ]);
        scheduler.args(["--flight-sql", "--disable-rest-api", "--min-ready-executors", "2"]);
        let mut processes = vec![self.logged_and_listening("ballista-scheduler", scheduler, &address)?.0];
        for number in 1..=EXECUTORS {
            let flight = free_address()?;
            let name = format!("ballista-executor-{number}");
            let work = self.work.join(&name);
            fs::create_dir_all(&work).with_context(|| format!("create {}", work.display()))?;
            let mut executor = Command::new(folder.join("ballista-executor"));
            executor.args(["--bind-host", "127.0.0.1", "--external-host", "127.0.0.1"]);
            executor.args([
                "--bind-port",
                port_of(&flight),
                "--bind-grpc-port",
                port_of(&free_address()?),
            ]);
            executor.args(["--scheduler-host", "127.0.0.1", "--scheduler-port", &port, "--work-dir"]);
            executor.arg(&work);
            processes.push(self.logged_and_listening(&name, executor, &flight)?.0);
        }
        Ok((processes, format!("grpc://{address}")))
    }

    /// The program of a wheel, in an environment of its own.
    fn wheel(&self, name: &str, program: &str) -> Result<PathBuf> {
        let folder = self.cache.join(format!("{name}-env"));
        let requirements = self
            .workspace
            .root()
            .join(format!("crates/conformance/python/{name}.txt"));
        python_env::make(&folder, &requirements)?;
        let python = python_env::python(&folder);
        Ok(python.with_file_name(program))
    }

    /// The folder of the programs of crates (name, version, features); they are installed only if that was asked for.
    ///
    /// Without optimisation: it is their protocol that is looked at, and they are there twice as soon.
    fn crate_programs(&self, name: &str, crates: &[(&str, &str, &str)], programs: &[&str]) -> Result<PathBuf> {
        let root = self.cache.join("tools");
        let folder = root.join("bin");
        if programs.iter().all(|program| folder.join(program).is_file()) {
            return Ok(folder);
        }
        ensure!(
            self.build,
            "it is not built, which takes half an hour: `cargo xtask interop --build`"
        );
        for (package, version, features) in crates {
            let mut install = self.workspace.cargo(["install", "--locked", "--debug", "--root"]);
            install.arg(&root).args([*package, "--version", *version]);
            if !features.is_empty() {
                install.args(["--features", features]);
            }
            install.env("CARGO_TARGET_DIR", self.cache.join(format!("{name}-target")));
            install.env("CARGO_PROFILE_DEV_DEBUG", "0");
            cargo::run(&mut install)?;
        }
        Ok(folder)
    }

    fn logged(
        &self,
        name: &str,
        command: Command,
        address: impl Fn(&str) -> Option<String>,
    ) -> Result<(Ended, String)> {
        let (process, address) = started_with_log(command, &self.log(name), PATIENCE, address)?;
        Ok((process, format!("grpc://{address}")))
    }

    fn logged_and_listening(&self, name: &str, command: Command, address: &str) -> Result<(Ended, ())> {
        started_with_log(command, &self.log(name), PATIENCE, |_| {
            TcpStream::connect(address).ok().map(drop)
        })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.work.join(format!("{name}.log"))
    }
}

/// A server whose first line has its address.
fn announced(command: Command) -> Result<(Ended, String)> {
    let (process, line) = started(command)?;
    let url = line.split_whitespace().find(|word| word.starts_with("grpc://"));
    let url = url.with_context(|| format!("it said no address: {line}"))?;
    Ok((process, url.to_owned()))
}

/// The `HOST:PORT` that follows some words of a line.
fn address_after(line: &str, words: &str) -> Option<String> {
    let (_, rest) = line.split_once(words)?;
    let end = rest.find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, '.' | ':')));
    let address = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
    address.parse::<std::net::SocketAddr>().ok()?;
    Some(address.to_owned())
}

fn wait_for_port(url: &str) -> Result<()> {
    let address = url.trim_start_matches("grpc://");
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        if start.elapsed() > PATIENCE {
            bail!("nothing listens at {address}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// An address that nothing listens on, for programs that cannot choose one. It is free again before they take it; loopback
/// gives it to nobody so soon.
fn free_address() -> Result<String> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(address.context("find a free port")?.to_string())
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_what_servers_write() {
        let line = "[2026 INFO] Starting the Flight SQL server on 127.0.0.1:33621...";
        assert_eq!(address_after(line, "server on ").as_deref(), Some("127.0.0.1:33621"));
        let line = "Listening on 127.0.0.1:44165 for FlightSQL traffic...";
        assert_eq!(address_after(line, "Listening on ").as_deref(), Some("127.0.0.1:44165"));
        assert_eq!(address_after("Listening on nothing", "Listening on "), None);
    }

    #[test]
    fn the_port_of_an_address_stands_last() {
        assert_eq!(port_of("127.0.0.1:80"), "80");
        assert_ne!(free_address().unwrap(), "127.0.0.1:0");
    }
}
