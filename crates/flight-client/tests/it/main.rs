//! The client against real servers on loopback ports.

mod answers;
mod cancellation;
mod endpoints;
mod errors;
mod examination;
mod hostile;
mod hostile_wire;
mod ingestion;
mod login;
mod memory_server;
mod parts;
mod polling;
mod prepare;
mod proxy;
mod queries;
mod renewal;
mod replicas;
mod schedules;
mod secrets;
mod server;
mod server_metadata;
mod statements;
mod statements_hostile;
mod time;
mod tls;
