//! Programs on a part with a fault, which the fuzzer has to find; see `runtime/src/fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corovent_runtime::fuzzing::control(bytes));
