//! The executor and its sinks against scripted services.

#[cfg(feature = "cloud")]
mod clouds;
mod executor;
mod faults;
mod objects;
mod parts;
mod service;
mod sinks;
mod slices;
mod timed_lake;
