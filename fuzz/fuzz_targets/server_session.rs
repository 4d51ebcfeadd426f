//! The target `server_session` of drover-fuzz, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drover_fuzz::run("server_session", data));
