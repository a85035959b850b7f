//! The real service on this machine: a private PostgreSQL, a file object store, and the roles of the service, all on free
//! loopback ports and in one folder under `target/`.
//!
//! What is started outlives the command that starts it. A state file says what that is, by process id and start time, so
//! that `down` ends these processes and no others.

mod binary;
mod fill;
mod postgres;
mod process;
mod roles;
mod state;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use self::fill::Amount;
use self::process::Process;
use self::roles::Roles;
use self::state::State;
use crate::cargo::Workspace;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Starts the real service, building it first where that was not done (an hour on two cores)
    Up(UpOptions),
    /// Sends more telemetry to the service that is up, and materialises it
    Fill(Amount),
    /// Starts one more Flight SQL role on the database and the objects of the service that is up, and prints its address
    Replica,
    /// Ends the service and removes its data; the logs stay
    Down,
    /// Says what is up, and where
    Status,
    /// Prints the addresses of the service that is up, as assignments for a shell
    Env,
}

#[derive(Args)]
pub(crate) struct UpOptions {
    /// Send telemetry through the ingestion role, and materialise it
    #[arg(long)]
    fill: bool,
    #[command(flatten)]
    amount: Amount,
    /// Run the maintenance role too, which materialises and merges as time goes by
    #[arg(long)]
    maintenance: bool,
}

pub(crate) fn run(workspace: &Workspace, command: &Command) -> Result<()> {
    let home = Home::of(workspace)?;
    match command {
        Command::Up(options) => up(workspace, &home, options),
        Command::Fill(amount) => {
            let mut state = running(&home)?;
            fill(workspace, &home, &mut state, amount)?;
            print!("{state}");
            Ok(())
        }
        Command::Replica => {
            println!("{}", start_replica(workspace)?.url);
            Ok(())
        }
        Command::Down => down(&home),
        Command::Status => {
            print!("{}", running(&home)?);
            Ok(())
        }
        Command::Env => {
            let state = running(&home)?;
            println!("MICROMEGAS_ANALYTICS_URI={}", state.flight_sql_url);
            println!("MICROMEGAS_TELEMETRY_URL={}", state.ingestion_url);
            Ok(())
        }
    }
}

/// Whether the launcher of the service is there; building it takes an hour.
pub(crate) fn is_built() -> Result<bool> {
    binary::is_there()
}

/// The address of the service that is up; starts and fills one where none is.
pub(crate) fn ensure_up(workspace: &Workspace) -> Result<String> {
    ensure_up_with(workspace, Amount::default())
}

/// As [`ensure_up`], with telemetry of several processes one after the other, so that there are many partitions.
pub(crate) fn ensure_up_spread(workspace: &Workspace) -> Result<String> {
    ensure_up_with(workspace, Amount::default().with_processes(12))
}

fn ensure_up_with(workspace: &Workspace, amount: Amount) -> Result<String> {
    let home = Home::of(workspace)?;
    if State::read(&home.state_file())?.is_none_or(|state| !state.is_running()) {
        let options = UpOptions {
            fill: true,
            amount,
            maintenance: false,
        };
        up(workspace, &home, &options)?;
    }
    Ok(running(&home)?.flight_sql_url)
}

/// One more Flight SQL role of the service that is up. It outlives this value, as the service does.
pub(crate) struct Replica {
    pub(crate) url: String,
    process: Process,
}

impl Replica {
    /// # Errors
    /// When it does not end.
    pub(crate) fn end(&self) -> Result<()> {
        self.process.end()
    }
}

/// Starts one more Flight SQL role of the service that is up.
///
/// # Errors
/// When the service is not up, or the role does not start.
pub(crate) fn start_replica(workspace: &Workspace) -> Result<Replica> {
    let home = Home::of(workspace)?;
    let mut state = running(&home)?;
    state.replicas.retain(Process::is_running);
    let binary = binary::ensure(workspace)?;
    let roles = Roles {
        binary: &binary,
        logs: &home.logs(),
        variables: state.variables(&home.objects())?,
    };
    let (process, url) = roles.start_as(
        "flight-sql",
        &format!("flight-sql-replica-{}", state.replicas.len() + 1),
    )?;
    state.replicas.push(process.clone());
    if let Err(error) = state.write(&home.state_file()) {
        process.end()?;
        return Err(error);
    }
    Ok(Replica { url, process })
}

/// The folder of the service, in the target folder.
struct Home(PathBuf);

impl Home {
    fn of(workspace: &Workspace) -> Result<Self> {
        Ok(Self(workspace.target_folder()?.join("micromegas")))
    }

    fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("postgres")
    }
}

fn running(home: &Home) -> Result<State> {
    match State::read(&home.state_file())? {
        Some(state) if state.is_running() => Ok(state),
        Some(_) => bail!(
            "the service has ended by itself; see {}, then `cargo xtask micromegas up`",
            home.logs().display()
        ),
        None => bail!("the service is not up; start it with `cargo xtask micromegas up`"),
    }
}

fn up(workspace: &Workspace, home: &Home, options: &UpOptions) -> Result<()> {
    let binary = binary::ensure(workspace)?;
    if let Some(state) = State::read(&home.state_file())? {
        if state.is_running() {
            print!("{state}");
            bail!("the service is up already; end it with `cargo xtask micromegas down` for a new one");
        }
        clear(home, &state)?;
    }
    for folder in [home.objects(), home.logs()] {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let cluster = postgres::Cluster::create(&home.cluster(), &home.logs())?;
    // From here on something runs: the state names it before anything else can fail.
    let mut state = State::new(&cluster);
    let started = state
        .write(&home.state_file())
        .and_then(|()| start_roles(home, &binary, options, &mut state))
        .and_then(|()| {
            if options.fill {
                fill(workspace, home, &mut state, &options.amount)
            } else {
                Ok(())
            }
        });
    if let Err(error) = started {
        clear(home, &state).context("end what was started")?;
        return Err(error.context(format!("see {}", home.logs().display())));
    }
    print!("{state}");
    Ok(())
}

fn start_roles(home: &Home, binary: &std::path::Path, options: &UpOptions, state: &mut State) -> Result<()> {
    let roles = Roles {
        binary,
        logs: &home.logs(),
        variables: state.variables(&home.objects())?,
    };
    let (ingestion, url) = roles.start("ingestion")?;
    state.add(ingestion, &home.state_file())?;
    state.ingestion_url = url;
    let (flight_sql, url) = roles.start("flight-sql")?;
    state.add(flight_sql, &home.state_file())?;
    state.flight_sql_url = url;
    if options.maintenance {
        state.add(roles.start_silent("maintenance")?, &home.state_file())?;
    }
    state.write(&home.state_file())
}

fn fill(workspace: &Workspace, home: &Home, state: &mut State, amount: &Amount) -> Result<()> {
    let binary = binary::ensure(workspace)?;
    let roles = Roles {
        binary: &binary,
        logs: &home.logs(),
        variables: state.variables(&home.objects())?,
    };
    let filled = fill::run(&roles, &state.ingestion_url, amount)?;
    state.filled.extend(filled);
    state.write(&home.state_file())
}

fn down(home: &Home) -> Result<()> {
    let Some(state) = State::read(&home.state_file())? else {
        println!("the service is not up");
        return Ok(());
    };
    clear(home, &state)?;
    println!("the service is down");
    Ok(())
}

/// Ends what the state names, and removes its data and the state.
fn clear(home: &Home, state: &State) -> Result<()> {
    for process in state.replicas.iter().chain(state.processes.iter().rev()) {
        process.end()?;
    }
    postgres::stop(&state.cluster)?;
    state.cluster.keep_log(&home.logs());
    for folder in [&state.cluster.folder, &home.objects()] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        }
    }
    let file = home.state_file();
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    }
    Ok(())
}
