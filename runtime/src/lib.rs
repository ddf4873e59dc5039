//! The runtime of corovent: stacks, scheduler, hub and timers; everything without sockets.
//!
//! Users depend on the `corovent` crate, which re-exports what is here.

// Programs with debug information carry it, so that gdb can load it.
#![debugger_visualizer(gdb_script_file = "../gdb/corovent.py")]

mod block_on;
pub mod both;
mod coroutine;
pub mod debug;
mod error;
mod exit;
pub mod fd;
pub mod fs;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod group;
mod hub;
mod interrupt;
mod join;
mod later;
pub mod local;
#[cfg(all(test, miri))]
#[path = "../../tests/sanitize/miri.rs"]
mod miri_control;
mod order;
mod overflow;
mod packet;
pub mod pipe;
mod poller;
pub mod process;
pub mod queue;
mod readiness;
mod remote;
mod run;
mod scheduler;
mod scope;
pub mod select;
pub mod selectors;
pub mod signal;
mod stack;
pub mod stdio;
mod storage;
mod symbols;
pub mod sync;
mod sys;
mod task;
pub mod testing;
pub mod thread;
pub mod threadpool;
pub mod time;
mod timers;
mod transfer;
mod wait_queue;

pub use crate::block_on::block_on;
pub use crate::error::Abandoned;
pub use crate::error::Deadlock;
pub use crate::error::Elapsed;
pub use crate::error::Killed;
pub use crate::error::is_interrupt;
pub use crate::exit::ExitHook;
pub use crate::join::JoinHandle;
pub use crate::later::spawn_after;
pub use crate::packet::Outcome;
pub use crate::remote::Remote;
pub use crate::remote::remote;
pub use crate::run::run;
pub use crate::scope::Scope;
pub use crate::scope::ScopedJoinHandle;
pub use crate::scope::scope;
pub use crate::task::Builder;
pub use crate::task::catch_unwind;
pub use crate::task::current;
pub use crate::task::is_coroutine;
pub use crate::task::shield;
pub use crate::task::spawn;
pub use crate::task::yield_now;
pub use crate::time::sleep;
pub use crate::time::timeout;
