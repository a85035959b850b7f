//! The signals that end the program.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use lakepilot_query::Result;

/// How long what was called off may take to clean up.
pub(crate) const CLEANUP_BOUND: Duration = Duration::from_secs(2);

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What service managers and `kill` send. Windows has none.
    #[cfg(unix)]
    Terminate,
}

impl Signal {
    /// What a shell sees: 128 and the number of the signal.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => crate::exit::INTERRUPTED,
            #[cfg(unix)]
            Self::Terminate => 128 + 15,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            #[cfg(unix)]
            Self::Terminate => "terminated",
        })
    }
}

/// Waits for a signal. The handlers stand when this returns, before the future is polled: what is done after that, such as
/// making a file, is undone when the signal comes.
///
/// # Errors
/// `Io` when the system takes no more handlers.
#[cfg(unix)]
pub(crate) fn listen() -> Result<impl Future<Output = Signal>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => Signal::Terminate,
            _ = interrupt.recv() => Signal::Interrupt,
        }
    })
}

/// Waits for Ctrl-C. The handler stands when this returns, before the future is polled.
///
/// # Errors
/// `Io` when the system takes no more handlers.
#[cfg(windows)]
pub(crate) fn listen() -> Result<impl Future<Output = Signal>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
        Signal::Interrupt
    })
}
