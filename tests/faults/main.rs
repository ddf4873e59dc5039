//! Faults, injected for real: what corovent does when the kernel refuses what it seldom refuses.
//!
//! A test runs another of this binary, which is ignored otherwise, in a process of its own, whose
//! system calls fail as strace is told (`strace.rs`); or under a resource limit, signals, or a
//! clock that jumps. Each says which call it hits and fails unless that call was hit. The table
//! of all faults is `docs/faults.md`.

// Children send signals, set timers, and stand in for a function of libc.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic; children print to their parent.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;

#[path = "../it/peers.rs"]
mod peers;

mod strace;

mod accepting;
mod connecting;
mod exhaustion;
mod interruptions;
mod making;
mod memory;
mod moving;
mod stopping;
mod time;
