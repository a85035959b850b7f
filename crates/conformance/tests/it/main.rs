//! Integration tests against whole servers.

mod corpus;
mod fixes;
mod python;
mod sarif;
mod suite;
