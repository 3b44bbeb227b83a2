//! cargo-fuzz target: see `wsbridge_fuzz::check_rfc2217_server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsbridge_fuzz::check_rfc2217_server(bytes));
