//! Some thousand programs of each kind, on any compiler.
//!
//! `COROVENT_FUZZ_ROUNDS` runs others than 2,000, and `COROVENT_FUZZ_SEED` others. One that
//! fails is printed, and runs alone with its bytes in `COROVENT_FUZZ_BYTES`.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::env;
use std::panic;
use std::process::Command;

use super::*;
use crate::order::Order;

type Run = fn(&mut Program<'_>, Fault);

const BYTES_MAX: usize = 500;

/// Holds the program to run instead of those that are drawn.
const BYTES: &str = "COROVENT_FUZZ_BYTES";

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
    check_with(run, Fault::None);
}

fn check_with(run: Run, fault: Fault) {
    if let Ok(hex) = env::var(BYTES) {
        return run(&mut Program::new(&read(&hex)), fault);
    }
    let rounds = setting("COROVENT_FUZZ_ROUNDS", if cfg!(miri) { 10 } else { 2_000 });
    let first = setting("COROVENT_FUZZ_SEED", 1);
    for seed in first..first + rounds {
        let bytes = draw(seed);
        let result = panic::catch_unwind(|| run(&mut Program::new(&bytes), fault));
        if let Err(payload) = result {
            eprintln!("again by {BYTES}={}", written(&bytes));
            panic::resume_unwind(payload);
        }
    }
}

/// The bounded run finds a fault that strikes rarely, and finds it again in the bytes printed;
/// the part itself has none there.
fn finds(run: Run) {
    let fails =
        |bytes: &[u8], fault| panic::catch_unwind(|| run(&mut Program::new(bytes), fault)).is_err();
    let found = (1..=2_000).map(draw).find(|bytes| fails(bytes, Fault::Planted));
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
#[cfg_attr(miri, ignore = "miri runs too few programs")]
fn planted_faults_are_found() {
    let all: [Run; 5] = [scheduler::run, timers::run, readiness::run, channels::run, queues::run];
    all.into_iter().for_each(finds);
}

#[test]
#[ignore = "has a fault; run by the test of what is printed"]
fn a_channel_with_a_planted_fault() {
    check_with(channels::run, Fault::Planted);
}

/// How a test ends in a process of its own, with a program to run or with those that are drawn.
fn alone(test: &str, bytes: Option<&str>) -> (bool, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--include-ignored", "--nocapture", "--exact"]);
    command.arg(format!("fuzzing::tests::{test}"));
    command.env_remove(BYTES).envs(bytes.map(|bytes| (BYTES, bytes)));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(text[0].contains("running 1 test"), "there is no {test}");
    (output.status.success(), text.concat())
}

/// Where it panicked first, and with which words.
fn panicked(text: &str) -> String {
    let at = text.find("panicked at ").expect("a test that fails has panicked");
    text[at..].lines().take(2).collect()
}

/// What a failing run prints is all that somebody else needs.
#[test]
#[cfg_attr(miri, ignore = "miri starts no processes")]
fn a_program_that_was_printed_fails_again_by_the_environment() {
    let faulty = "a_channel_with_a_planted_fault";
    let (passes, first) = alone(faulty, None);
    assert!(!passes, "the fault was not found");
    let (_, rest) = first.split_once(&format!("again by {BYTES}=")).expect("bytes are printed");
    let bytes = rest.lines().next();
    let (passes, again) = alone(faulty, bytes);
    assert!(!passes, "the bytes do not fail again");
    assert_eq!(panicked(&again), panicked(&first));
    assert!(!again.contains("again by"), "others than those bytes were run");
    let (passes, _) = alone("channels_do_as_their_model", bytes);
    assert!(passes, "what has no fault fails");
}
