//! Integration tests against whole servers.

mod administration;
mod corpus;
mod faults;
mod fixes;
mod interop;
mod python;
mod sarif;
mod suite;
