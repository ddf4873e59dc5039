//! What corovent promises, shown by behaviour: one binary, a module for each subject.

// Some tests close or duplicate descriptors behind the runtime's back, as C code would.
#![allow(unsafe_code)]
// A test that cannot go on says so by a panic; children print to their parent.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod full_listener;
mod support;

mod async_results;
mod attacks;
mod barriers;
mod batons;
mod broken_pipes;
mod channel_ends;
mod channels;
mod condvars;
mod copying;
mod deadlocks;
mod descriptors;
mod diagnosis;
mod dumps;
mod endings;
mod events;
mod exits;
mod fairness;
mod fd_model;
mod fd_passing;
mod files;
mod foreign;
mod forks;
mod futures;
mod groups;
mod hubs;
mod joining;
mod killing;
mod listeners;
mod locals;
mod lost_descriptors;
mod maps;
mod memory;
mod mirror;
mod mutexes;
mod networks;
mod on_exit;
mod onces;
mod order;
mod panics;
mod peers;
mod pipes;
mod polling;
mod pool;
mod pools;
mod processes;
mod queues;
mod random;
mod readiness;
mod reentrant;
mod reference;
mod running;
mod rwlocks;
mod scenarios;
mod scopes;
mod select;
mod selectors;
mod semaphores;
mod server_troubles;
mod servers;
mod shields;
mod signals;
mod sleeping;
mod stacks;
mod std_locals;
mod std_threads;
mod stdio;
mod tcp;
mod thread_pools;
mod threads;
mod timeouts;
mod udp;
mod unix_datagrams;
mod unix_streams;
mod unwinding;
mod waiting_for_several;
mod watchdog;
mod worlds;
mod writing;
