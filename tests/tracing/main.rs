//! Spans of `tracing` that are entered across waits: each coroutine has its own, and the root.
//!
//! A subscriber writes down each event with the spans around it, and if a test asks for it what
//! else it is told. It is set for the thread of the test only, so the tests run beside each
//! other.

// Of `support`: children with limits, which these tests do not make.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../it/support.rs"]
mod support;

mod endings;
mod log;
mod spans;
mod subscribers;
