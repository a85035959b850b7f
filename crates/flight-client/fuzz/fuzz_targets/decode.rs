//! Whatever a server sends as the messages of a result, there are batches that can be read, or an error of a kind that
//! says so.
//!
//! `cargo xtask fuzz decode` runs it, from the streams in `seeds/`, which `cargo run --bin seeds seeds` makes.
#![no_main]

use std::sync::Once;

use arrow::util::pretty::pretty_format_batches;
use lakepilot_flight_client::decode_messages;
use lakepilot_query::ErrorKind;
use libfuzzer_sys::fuzz_target;

const MOST_BYTES: usize = 1 << 20;

/// Arrow's reader panics on some damaged messages, which the client catches. The fuzzer's hook would end the process before
/// that; a panic that nobody catches still does.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| ())));
    match decode_messages(bytes, MOST_BYTES) {
        Ok(batches) => {
            for batch in batches {
                let some = batch.slice(0, batch.num_rows().min(20));
                // An error is an answer too: a value that cannot be shown, such as a time out of the calendar.
                let _ = pretty_format_batches(&[some]);
            }
        }
        Err(error) => assert!(
            matches!(
                error.kind(),
                ErrorKind::Protocol | ErrorKind::Unsupported | ErrorKind::ResourceExhausted
            ),
            "{error:?}"
        ),
    }
});
