//! cargo-fuzz target: see `wsbridge_fuzz::check_subprotocol`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsbridge_fuzz::check_subprotocol(bytes));
