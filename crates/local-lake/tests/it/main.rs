//! Integration tests of the embedded lake.

mod engine;
mod files;
mod generate;
mod import;
mod server;
mod store;
