//! Random programs of coroutines over channels and locks, held against simple models.
//!
//! A program is data: a list of steps for each coroutine, with kills, timeouts and yields among
//! them. One that fails is made smaller and then printed. The programs are the same in every run;
//! `COROVENT_RANDOM_SEED` draws others, `COROVENT_RANDOM_ROUNDS` sets how many.

// A test that cannot go on says so by a panic.
#![allow(clippy::print_stderr, clippy::unwrap_used)]
// What the tests share with others is more than these use.
#![allow(unsafe_code)]

#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;

mod channels;
mod locks;
mod program;
mod queues;
