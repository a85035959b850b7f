//! The client against real servers on loopback ports.

mod answers;
mod cancellation;
mod endpoints;
mod errors;
mod hostile;
mod hostile_wire;
mod ingestion;
mod login;
mod parts;
mod prepare;
mod proxy;
mod queries;
mod renewal;
mod replicas;
mod schedules;
mod secrets;
mod server;
mod server_metadata;
mod time;
mod tls;
