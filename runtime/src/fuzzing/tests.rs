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

fn check(run: Run) {
    if let Ok(hex) = env::var("COROVENT_FUZZ_BYTES") {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        return run(&mut Program::new(&bytes), Fault::None);
    }
    let rounds = setting("COROVENT_FUZZ_ROUNDS", if cfg!(miri) { 10 } else { 2_000 });
    let first = setting("COROVENT_FUZZ_SEED", 1);
    for seed in first..first + rounds {
        let bytes = draw(seed);
        let result = panic::catch_unwind(|| run(&mut Program::new(&bytes), Fault::None));
        if let Err(payload) = result {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("again by COROVENT_FUZZ_BYTES={hex}");
            panic::resume_unwind(payload);
        }
    }
}

/// The bounded run finds a fault that strikes rarely.
fn finds(run: Run) {
    let found = |seed: u64| {
        let bytes = draw(seed);
        panic::catch_unwind(|| run(&mut Program::new(&bytes), Fault::Planted)).is_err()
    };
    let rounds = if cfg!(miri) { 10 } else { 2_000 };
    assert!((1..=rounds).any(found), "the fault is not found");
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
