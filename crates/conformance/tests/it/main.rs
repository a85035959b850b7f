//! Integration tests against whole servers.

mod python;
mod suite;
