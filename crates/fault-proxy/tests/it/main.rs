//! The proxy between a client and a server of plain bytes.

mod faults;
mod passing;
