//! What std expects of sockets, in three worlds.
//!
//! The cases are those of std's own tests (tests.rs in net/tcp, net/udp and os/unix/net of
//! library/std/src, Rust 1.95), written anew; left out are those of what is unstable. Each runs
//! with std's types on OS threads, which shows that a case is right; with ours in coroutines of
//! one thread; and with ours on OS threads that never spawned a coroutine. A world says what
//! sockets, threads and channels are there, and how a case is run.

// What the tests share sets an alarm for children.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]
// The cases are one file, compiled in each world.
#![allow(clippy::duplicate_mod)]

// This binary needs a part of what the other one shares, and no child processes.
#[allow(dead_code, unsafe_code, clippy::print_stderr)]
#[path = "../it/support.rs"]
mod support;

mod coroutines;
mod green_threads;
mod std_threads;
