//! A proxy for what networks do: it stands between a client and a server on loopback, and delays, stalls, resets,
//! truncates or corrupts what passes, at a chosen byte of a chosen direction of a chosen connection.
//!
//! A [`Schedule`] says what happens. It can be written out in one line and read back, and one that was drawn from a seed
//! ([`FaultSpace::draw`]) is the same every time: a test that fails prints its schedule, and the failure can be run again.
//!
//! [`FaultProxy`] runs on a thread of its own, with a runtime of its own: what it does takes no time from the runtime of a
//! test, and a clock that a test has paused does not pause the network. Of the protocol it knows nothing; a byte is a byte.
//!
//! # Example
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//!
//! use lakepilot_fault_proxy::{FaultProxy, Schedule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let address = server.local_addr()?;
//! std::thread::spawn(move || server.accept().unwrap().0.write_all(b"hello, world").unwrap());
//!
//! let schedule: Schedule = "connection 0 to-client byte 5 truncate".parse()?;
//! let proxy = FaultProxy::start(address, schedule)?;
//! let mut text = String::new();
//! TcpStream::connect(proxy.address())?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! assert_eq!(proxy.fired().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Delay
//! [`Schedule::with_round_trip`] holds every byte back for half of the round trip in each direction, however many are under
//! way: nothing waits for anything but its own time, as on a long cable. The TCP handshake itself is not delayed. Bytes that
//! have arrived and that the receiver does not take are limited, so that a slow receiver stops the sender as it would
//! without the proxy.

mod connection;
mod drawing;
mod pipe;
mod proxy;
mod queue;
mod schedule;
mod spelling;

pub use drawing::FaultSpace;
pub use proxy::{FaultProxy, Fired};
pub use schedule::{Action, ActionKind, Connections, Direction, Fault, Schedule};
