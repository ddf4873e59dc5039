//! Programs drawn from bytes, each run on a part of the runtime and on a simple model of it.
//!
//! The same functions are what the fuzzer of `fuzz/` calls, and what the tests here run on
//! bytes of a generator. Not for users: it is compiled for tests and by the feature `fuzzing`.
//!
//! Each takes a *fault*: with one, the part is used wrongly in a rare case, as if it had a bug
//! there. A test sees to it that the bounded run finds it.

mod channels;
mod queues;
mod readiness;
mod scheduler;
mod timers;

use arbitrary::Unstructured;

/// Runs a program on the scheduler.
///
/// # Panics
///
/// If it does not do as its model does, like all of these.
pub fn scheduler(bytes: &[u8]) {
    scheduler::run(&mut Program::new(bytes), Fault::None);
}

/// Runs a program on the timers.
///
/// # Panics
///
/// As of [`scheduler`](fn@scheduler).
pub fn timers(bytes: &[u8]) {
    timers::run(&mut Program::new(bytes), Fault::None);
}

/// Runs a program on the table of descriptors, with a kernel and tasks made up.
///
/// # Panics
///
/// As of [`scheduler`](fn@scheduler).
pub fn readiness(bytes: &[u8]) {
    readiness::run(&mut Program::new(bytes), Fault::None);
}

/// Runs a program on a channel of std's kind.
///
/// # Panics
///
/// As of [`scheduler`](fn@scheduler).
pub fn channels(bytes: &[u8]) {
    channels::run(&mut Program::new(bytes), Fault::None);
}

/// Runs a program on a channel that is used wrongly in a rare case, for the fuzzer to find.
///
/// # Panics
///
/// In that case, and as of [`scheduler`](fn@scheduler).
pub fn control(bytes: &[u8]) {
    channels::run(&mut Program::new(bytes), Fault::Planted);
}

/// Runs a program on the queues of gevent's kind.
///
/// # Panics
///
/// As of [`scheduler`](fn@scheduler).
pub fn queues(bytes: &[u8]) {
    queues::run(&mut Program::new(bytes), Fault::None);
}

/// Whether the part is to be used as if it had a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Planted,
}

impl Fault {
    /// Whether the fault strikes now, in the rare case.
    fn strikes(self, now: bool) -> bool {
        self != Fault::None && now
    }
}

/// What is left of a program.
struct Program<'a> {
    bytes: Unstructured<'a>,
}

impl<'a> Program<'a> {
    fn new(bytes: &'a [u8]) -> Program<'a> {
        Program { bytes: Unstructured::new(bytes) }
    }

    /// Whether it goes on.
    fn goes_on(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// A number below `bound`; 0 after the end.
    fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        self.bytes.int_in_range(0..=bound - 1).unwrap_or(0)
    }

    /// One of several; `None` if there are none.
    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len() as u64) as usize]) }
    }
}

#[cfg(test)]
mod tests;
