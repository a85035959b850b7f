//! flight-client
