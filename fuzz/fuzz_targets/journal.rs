//! The target `journal` of drover-fuzz, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drover_fuzz::run("journal", data));
