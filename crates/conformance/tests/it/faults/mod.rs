//! The executor over a network that goes wrong: by 200 schedules that a seed makes, in plain text and over TLS, whole and in
//! slices, against the embedded lake's server.
//!
//! Neither HTTP/2 nor gRPC nor Arrow has a checksum: what they see of a changed byte is what no longer fits together. TCP's
//! own is all that stands between plain text and rows that are not those of the lake, and a frame of HTTP/2 whose type was
//! changed is passed over as the protocol asks. So in plain text a schedule that corrupts is only held to an end in time
//! and to an error of the right kind; over TLS, where every byte is authenticated, to exact rows as well.

mod network;
mod numbers;
mod schedules;
