//! How many there are of what a hub keeps.
//!
//! Read off the hub when they are asked for; nothing is counted for them alone.

use crate::hub;
use crate::packet;

/// How many there are of what a thread's hub keeps; all zero on a thread without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Coroutines that have not ended.
    pub coroutines: usize,
    /// Timers that have not fired.
    pub timers: usize,
    /// Descriptors registered with epoll.
    pub descriptors: usize,
    /// Coroutines that wait for a descriptor.
    pub waiting: usize,
}

/// Counts what this thread's hub keeps.
///
/// # Suspends
///
/// Never.
pub fn counters() -> Counters {
    let Some(hub) = hub::current() else { return Counters::default() };
    hub.settle_fork();
    let state = hub.state();
    Counters {
        coroutines: state.scheduler.len() - 1,
        timers: state.timers.len(),
        descriptors: state.readiness.registered(),
        waiting: state.readiness.waiting(),
    }
}

/// How many coroutines of the process have panicked without anybody joining them.
///
/// # Suspends
///
/// Never.
pub fn unjoined_panics() -> u64 {
    packet::unseen_panics()
}
