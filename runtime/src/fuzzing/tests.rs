//! Some thousand programs of each kind, on any compiler.
//!
//! `COROVENT_FUZZ_ROUNDS` runs others than 2,000, and `COROVENT_FUZZ_SEED` others. One that
//! fails is printed, and runs alone with its bytes in `COROVENT_FUZZ_BYTES`.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::env;
use std::panic;

use super::*;
use crate::order::Order;

type Run = fn(&mut Program<'_>, Fault);

const BYTES_MAX: usize = 500;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The bytes of one program.
fn draw(seed: u64) -> Vec<u8> {
    let mut order = Order::seeded(seed);
    let len = order.pick(BYTES_MAX);
    (0..len).map(|_| order.pick(256) as u8).collect()
}

/// The bytes as they stand in `COROVENT_FUZZ_BYTES`.
fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn check(run: Run) {
    if let Ok(hex) = env::var("COROVENT_FUZZ_BYTES") {
        return run(&mut Program::new(&read(&hex)), Fault::None);
    }
    let rounds = setting("COROVENT_FUZZ_ROUNDS", if cfg!(miri) { 10 } else { 2_000 });
    let first = setting("COROVENT_FUZZ_SEED", 1);
    for seed in first..first + rounds {
        let bytes = draw(seed);
        let result = panic::catch_unwind(|| run(&mut Program::new(&bytes), Fault::None));
        if let Err(payload) = result {
            eprintln!("again by COROVENT_FUZZ_BYTES={}", written(&bytes));
            panic::resume_unwind(payload);
        }
    }
}

/// The bounded run finds a fault that strikes rarely, and finds it again in the bytes printed;
/// the part itself has none there.
fn finds(run: Run) {
    let fails =
        |bytes: &[u8], fault| panic::catch_unwind(|| run(&mut Program::new(bytes), fault)).is_err();
    let rounds = if cfg!(miri) { 10 } else { 2_000 };
    let found = (1..=rounds).map(draw).find(|bytes| fails(bytes, Fault::Planted));
    let again = read(&written(&found.expect("the fault is found")));
    assert!(fails(&again, Fault::Planted), "the bytes do not fail again");
    assert!(!fails(&again, Fault::None), "the fault is not the one that was planted");
}

#[test]
fn the_scheduler_does_as_its_model() {
    check(scheduler::run);
}

#[test]
fn timers_do_as_their_model() {
    check(timers::run);
}

#[test]
fn the_table_of_descriptors_forgets_nobody() {
    check(readiness::run);
}

#[test]
fn channels_do_as_their_model() {
    check(channels::run);
}

#[test]
fn queues_do_as_their_model() {
    check(queues::run);
}

#[test]
fn planted_faults_are_found() {
    let all: [Run; 5] = [scheduler::run, timers::run, readiness::run, channels::run, queues::run];
    all.into_iter().for_each(finds);
}
