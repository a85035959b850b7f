//! The proxy: a port, and a thread behind it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use lakepilot_query::{Error, ErrorKind, Result};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::connection;
use crate::schedule::{Direction, Fault, Schedule};

/// A fault that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The number of the connection, from 0.
    pub connection: u32,
    /// What happened to it.
    pub fault: Fault,
}

/// A proxy on a port of 127.0.0.1, until it is dropped.
///
/// ```no_run
/// use std::time::Duration;
/// use lakepilot_fault_proxy::{FaultProxy, Schedule};
/// # fn main() -> lakepilot_query::Result<()> {
/// # let server = ([127, 0, 0, 1], 50051).into();
/// // A server that is 20 ms away.
/// let proxy = FaultProxy::start(server, Schedule::new().with_round_trip(Duration::from_millis(40)))?;
/// println!("grpc://{}", proxy.address());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// How many connections there have been; every change of the state is told here too.
    changes: watch::Receiver<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    fired: Vec<Fired>,
    /// Bytes to the server and to the client, by connection.
    transferred: Vec<[u64; 2]>,
}

impl FaultProxy {
    /// Listens on a free port, and passes what comes on to the server.
    ///
    /// # Errors
    /// `Io` when there is no port, or no thread, to be had.
    pub fn start(server: SocketAddr, schedule: Schedule) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (changed, changes) = watch::channel(());
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(Mutex::new(State::default()));
        let log = Log {
            state: Arc::clone(&state),
            changed: Arc::new(changed),
        };
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    // An error means that the proxy was dropped too.
                    _ = stopped => {}
                    () = accept(listener, server, Arc::new(schedule), log) => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(work)
            .map_err(|error| Error::from(error).context("the proxy gets no thread"))?;
        Ok(Self {
            address,
            state,
            changes,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has gone wrong so far, in order.
    pub fn fired(&self) -> Vec<Fired> {
        lock(&self.state).fired.clone()
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> u32 {
        lock(&self.state).transferred.len() as u32
    }

    /// How many bytes have passed in one direction of a connection; none on one that was not made.
    pub fn transferred(&self, connection: u32, direction: Direction) -> u64 {
        lock(&self.state)
            .transferred
            .get(connection as usize)
            .map_or(0, |bytes| bytes[index(direction)])
    }

    /// Waits until so many faults have happened. There is no limit of time: put one around it.
    ///
    /// # Errors
    /// `Internal` when the proxy's thread is gone.
    pub async fn wait_until_fired(&self, faults: usize) -> Result<()> {
        let mut changes = self.changes.clone();
        while self.fired().len() < faults {
            changes
                .changed()
                .await
                .map_err(|error| Error::new(ErrorKind::Internal, "the proxy has died").with_source(error))?;
        }
        Ok(())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell: a panic in it was printed.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, schedule: Arc<Schedule>, log: Log) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    // They end with this future.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // One that the client has given up already is no connection.
                let Ok((client, _)) = accepted else { continue };
                let journal = log.new_connection();
                let schedule = Arc::clone(&schedule);
                connections.spawn(async move { connection::serve(client, server, &schedule, &journal).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

#[derive(Clone, Debug)]
struct Log {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

impl Log {
    fn new_connection(&self) -> Journal {
        let mut state = lock(&self.state);
        state.transferred.push([0; 2]);
        let connection = state.transferred.len() as u32 - 1;
        drop(state);
        self.changed.send_replace(());
        Journal {
            log: self.clone(),
            connection,
        }
    }
}

/// Where one connection writes down what happens to it.
#[derive(Debug)]
pub(crate) struct Journal {
    log: Log,
    connection: u32,
}

impl Journal {
    pub(crate) fn connection(&self) -> u32 {
        self.connection
    }

    pub(crate) fn fired(&self, fault: Fault) {
        lock(&self.log.state).fired.push(Fired {
            connection: self.connection,
            fault,
        });
        self.log.changed.send_replace(());
    }

    pub(crate) fn passed(&self, direction: Direction, bytes: u64) {
        if let Some(transferred) = lock(&self.log.state).transferred.get_mut(self.connection as usize) {
            transferred[index(direction)] += bytes;
        }
    }
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
