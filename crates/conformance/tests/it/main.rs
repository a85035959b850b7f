//! Integration tests against whole servers.

mod administration;
mod corpus;
mod faults;
mod fixes;
mod python;
mod sarif;
mod suite;
