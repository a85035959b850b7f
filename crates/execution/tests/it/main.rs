//! The executor and its sinks against a scripted service.

mod executor;
mod service;
mod sinks;
