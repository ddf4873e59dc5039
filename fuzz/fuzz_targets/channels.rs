//! Programs on the part that the target is named after; see `runtime/src/fuzzing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corovent_runtime::fuzzing::channels(bytes));
