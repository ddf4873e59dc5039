//! Crates that are written over any `Read + Write` work over our sockets: TLS, WebSocket, HTTP.
//!
//! Each case is compiled in three worlds: with std's sockets on OS threads, which shows that it
//! is right; with ours in coroutines of one thread; and with ours on OS threads that never
//! spawned a coroutine. What only coroutines can do, be killed or given up, is in
//! `interrupts.rs`.

// The tests set buffer sizes and ask poll(2), and what they share sets an alarm for children.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]
// The cases are compiled in each world, and no world uses all of what they share.
#![allow(clippy::duplicate_mod, dead_code, clippy::print_stderr)]

#[path = "../it/support.rs"]
mod support;

mod coroutines;
mod green_threads;
mod interrupts;
mod keys;
mod sockets;
mod std_threads;
