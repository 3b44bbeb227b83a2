//! cargo-fuzz target: see `wsbridge_fuzz::check_import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsbridge_fuzz::check_import(bytes));
