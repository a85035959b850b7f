//! Any text is fixed, and stays a query where it was one.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "each target holds texts against a part of them")]
#[path = "../../tests/it/invariants.rs"]
mod invariants;

fuzz_target!(|text: &str| invariants::fixed(text));
