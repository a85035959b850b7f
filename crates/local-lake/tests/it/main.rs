//! Integration tests of the embedded lake.

mod engine;
mod server;
