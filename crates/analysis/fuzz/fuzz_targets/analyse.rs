//! Any text is analysed and rendered.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/invariants.rs"]
mod invariants;

fuzz_target!(|text: &str| invariants::analysed(text));
