//! Any text is analysed and rendered.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "each target holds texts against a part of them")]
#[path = "../../tests/it/invariants.rs"]
mod invariants;

fuzz_target!(|text: &str| invariants::analysed(text));
