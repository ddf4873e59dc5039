//! What corovent promises, shown by behaviour: one binary, a module for each subject.

// Some tests close or duplicate descriptors behind the runtime's back, as C code would.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic; children print to their parent.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod support;

mod batons;
mod deadlocks;
mod descriptors;
mod endings;
mod fairness;
mod foreign;
mod futures;
mod hubs;
mod joining;
mod killing;
mod listeners;
mod memory;
mod mirror;
mod order;
mod panics;
mod pool;
mod random;
mod readiness;
mod reference;
mod running;
mod scopes;
mod shields;
mod signals;
mod sleeping;
mod stacks;
mod tcp;
mod threads;
mod timeouts;
mod unwinding;
mod writing;
