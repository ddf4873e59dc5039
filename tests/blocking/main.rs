//! Every call of the mirror that waits, against everything that can happen to a wait.
//!
//! A table has a row for each such call (`rows/`), which says how it comes to wait and what ends
//! the wait; each test is a column, and goes through all rows (`columns.rs`). A row that has no
//! such column says why. `complete.rs` finds the functions whose documentation says that they
//! suspend and that no row names.

// Some descriptors are closed behind a waiter's back, and some signals sent.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic; which row it is at goes to stderr.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../it/full_listener.rs"]
mod full_listener;
#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;

#[path = "../sources/mod.rs"]
mod sources;

mod case;
mod columns;
mod complete;
mod contexts;
mod rows;
mod seeded;
