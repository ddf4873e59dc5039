//! The examples, run as their users run them: as processes, with arguments and signals.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

mod process;
#[path = "../it/support.rs"]
#[allow(clippy::print_stderr, dead_code, unsafe_code)]
mod support;

mod chat;
mod chat_of_thousands;
mod comparison;
mod crawler;
mod debuggers;
mod echo_client;
mod echo_server;
mod io_models;
mod length_framed;
mod many_connections;
mod port_forwarder;
mod processes;
mod producer_consumer;
mod soak;
mod std_swap;
mod timeouts;
mod udp_echo;
mod unix_echo;
