//! A private PostgreSQL cluster from the installed binaries.
//!
//! PostgreSQL refuses to run as root, so that root runs it as an ordinary user of the system, in a folder of that user. It
//! listens on loopback only, and wants a password that is made for it: other users of the machine reach the port too.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Process;
use crate::cargo::{output, run};

const USER: &str = "lakepilot";

/// System users that may own the cluster when root starts it, in order of preference.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// The folder that is removed with the cluster; the data are in it.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    binaries: PathBuf,
    password: String,
    owner: Option<Owner>,
    server: Option<Process>,
}

/// Whom the server runs as, where that is not who runs this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    user: u32,
    group: u32,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub(super) fn create(wanted: &Path, logs: &Path) -> Result<Self> {
        let binaries = find_binaries()?;
        let owner = owner()?;
        let folder = make_folder(wanted, owner)?;
        let mut cluster = Self {
            folder,
            port: 0,
            binaries,
            password: random_password()?,
            owner,
            server: None,
        };
        let created = cluster.initialise().and_then(|()| cluster.start(logs));
        if let Err(error) = created {
            fs::remove_dir_all(&cluster.folder).with_context(|| format!("remove {}", cluster.folder.display()))?;
            return Err(error);
        }
        Ok(cluster)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn initialise(&self) -> Result<()> {
        let password = self.folder.join("password");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&password)
            .with_context(|| format!("create {}", password.display()))?;
        file.write_all(self.password.as_bytes())?;
        give(&password, self.owner)?;
        let mut command = self.command("initdb");
        command
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(self.data());
        output(&mut command).context("make a PostgreSQL cluster")?;
        fs::remove_file(&password)?;
        Ok(())
    }

    fn start(&mut self, logs: &Path) -> Result<()> {
        self.port = free_port()?;
        // It is a server for tests: what a power cut would lose is made again.
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c synchronous_commit=off \
             -c full_page_writes=off",
            self.port
        );
        let mut command = self.command("pg_ctl");
        command
            .args([
                "start",
                "--silent",
                "--wait",
                "--timeout=60",
                "--options",
                &settings,
                "--log",
            ])
            .arg(self.log())
            .arg("--pgdata")
            .arg(self.data());
        let started = run(&mut command).context("start PostgreSQL");
        if started.is_err() {
            self.keep_log(logs);
        }
        started?;
        self.server = Some(Process::of("postgres", self.server_id()?)?);
        Ok(())
    }

    /// Where the server may write; the folder of logs is not its own.
    fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    /// Keeps what the server said, since its folder goes away. There may be nothing to keep.
    pub(super) fn keep_log(&self, logs: &Path) {
        let _ = fs::copy(self.log(), logs.join("postgres.log"));
    }

    /// The id that the server wrote on the first line of its lock file.
    fn server_id(&self) -> Result<u32> {
        let path = self.data().join("postmaster.pid");
        fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.lines().next()?.trim().parse().ok())
            .with_context(|| format!("{} does not begin with the id of a process", path.display()))
    }

    /// A PostgreSQL program as the owner of the cluster, in a folder that the owner may enter.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some(owner) = self.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }
}

/// Stops the cluster where it runs.
pub(super) fn stop(cluster: &Cluster) -> Result<()> {
    if !cluster.server.as_ref().is_some_and(Process::is_running) {
        return Ok(());
    }
    let mut command = cluster.command("pg_ctl");
    command
        .args(["stop", "--silent", "--wait", "--timeout=60", "--mode=fast", "--pgdata"])
        .arg(cluster.data());
    run(&mut command).context("stop PostgreSQL")
}

/// The folder with `initdb` and `pg_ctl`: the newest that Debian has installed, or the one on the path.
fn find_binaries() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let installed = versions.into_iter().rev().map(|(_, folder)| folder);
    let path = env::var_os("PATH").unwrap_or_default();
    installed
        .chain(env::split_paths(&path).collect::<Vec<_>>())
        .find(|folder| {
            ["initdb", "pg_ctl", "postgres"]
                .iter()
                .all(|name| folder.join(name).is_file())
        })
        .context("PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)")
}

fn owner() -> Result<Option<Owner>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    match UNPRIVILEGED.iter().find_map(|name| find_account(&accounts, name)) {
        Some(owner) => Ok(Some(owner)),
        None => bail!(
            "PostgreSQL does not run as root, and there is none of the users {}; run as another user",
            UNPRIVILEGED.join(", ")
        ),
    }
}

/// The user and group of a line of `/etc/passwd`.
fn find_account(accounts: &str, name: &str) -> Option<Owner> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Owner { user, group })
    })
}

/// Makes an empty folder of the owner: the one that is wanted, or one among the temporary files where the owner may not
/// enter what lies above it.
fn make_folder(wanted: &Path, owner: Option<Owner>) -> Result<PathBuf> {
    let elsewhere = env::temp_dir().join(format!("lakepilot-postgres-{}", std::process::id()));
    for folder in [wanted, &elsewhere] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("remove the old {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        give(folder, owner)?;
        if may_enter(folder, owner) {
            return Ok(folder.to_owned());
        }
        fs::remove_dir_all(folder)?;
    }
    bail!(
        "the user that PostgreSQL is to run as may enter neither {} nor {}",
        wanted.display(),
        elsewhere.display()
    )
}

fn give(path: &Path, owner: Option<Owner>) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    chown(path, Some(owner.user), Some(owner.group)).with_context(|| format!("give {} away", path.display()))
}

fn may_enter(folder: &Path, owner: Option<Owner>) -> bool {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("cd \"$0\" && : > probe && rm probe")
        .arg(folder)
        .stderr(Stdio::null());
    if let Some(owner) = owner {
        command.uid(owner.user).gid(owner.group);
    }
    // The folder that this was called in may be closed to the owner, which is no matter here.
    command.current_dir("/").status().is_ok_and(|status| status.success())
}

/// A port that nothing listens on. It is free again before the server takes it; loopback gives it to nobody so soon.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .context("find a free port")?
        .port())
}

fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let accounts =
            "root:x:0:0:root:/root:/bin/bash\nnobody2:x:7:8::/:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        assert_eq!(
            find_account(accounts, "nobody"),
            Some(Owner {
                user: 65_534,
                group: 65_533
            })
        );
        assert_eq!(find_account(accounts, "postgres"), None);
        assert_eq!(find_account("nobody:x:no:1\n", "nobody"), None);
    }

    #[test]
    fn passwords_are_not_the_same_twice() {
        let password = random_password().unwrap();
        assert_eq!(password.len(), 32);
        assert_ne!(password, random_password().unwrap());
    }
}
