//! The crate against a provider, and beside the Python client.

mod beside_python;
mod provider;
mod python;
mod renewal;
mod small_provider;
