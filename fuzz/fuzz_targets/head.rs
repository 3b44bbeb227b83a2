//! cargo-fuzz target: see `wsbridge_fuzz::check_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsbridge_fuzz::check_head(bytes));
