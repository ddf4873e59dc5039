//! What a hub has done so far, and what it has now.

use std::time::Duration;

use crate::hub;
use crate::threadpool;

/// The counts of a thread's hub since it was made; all zero on a thread without one.
///
/// [`Counters`](crate::debug::Counters) is the part of it that is zero again when everything has
/// ended, for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Coroutines that have not ended.
    pub live: usize,
    /// Those of them that could run and stand in line.
    pub ready: usize,
    /// Those that wait. The one that runs is neither.
    pub parked: usize,
    /// Coroutines that were spawned, from whichever thread.
    pub spawned: u64,
    /// Those whose closure was ended by a panic, or by any other unwinding than a kill.
    pub panicked: u64,
    /// Those whose closure was ended by a kill, or was never called for one.
    pub killed: u64,
    /// How often a coroutine, or the root after a wait, was given the thread.
    pub switches: u64,
    /// How often the loop came round, and asked the kernel and the timers.
    pub turns: u64,
    /// What epoll has told: descriptors that had become ready.
    pub events: u64,
    /// The longest that others were kept out between two looks at the clock: it is looked at once
    /// a turn, and within it after 8, 16, 32 … switches. So it is never less than the longest
    /// time that a coroutine, or the root, ran without a wait, and may be that of up to 128 of
    /// them together. Sleep in the kernel does not count.
    pub longest_run: Duration,
    /// Timers that have not fired.
    pub timers: usize,
    /// Descriptors registered with epoll.
    pub descriptors: usize,
    /// Stacks that coroutines run on. One that has not run yet has none.
    pub stacks_live: usize,
    /// Stacks that were used, and wait for the next coroutines.
    pub stacks_pooled: usize,
    /// Jobs of the process that wait for a thread of the built-in pool.
    pub jobs_waiting: usize,
    /// Jobs of the process that such a thread is at.
    pub jobs_running: usize,
}

/// Counts what this thread's hub has done and has.
///
/// It costs the program nothing until it is called: nothing is counted for it when coroutines
/// switch.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{debug, spawn, thread, yield_now};
///
/// let before = debug::stats();
/// let parked = spawn(thread::park);
/// yield_now();
/// let now = debug::stats();
/// assert_eq!((now.live, now.parked, now.ready), (1, 1, 0));
/// assert_eq!(now.spawned - before.spawned, 1);
/// parked.kill();
/// assert!(parked.join().is_err());
/// assert_eq!(debug::stats().killed - before.killed, 1);
/// ```
pub fn stats() -> Stats {
    let (jobs_waiting, jobs_running) = threadpool::jobs();
    let Some(hub) = hub::current() else {
        return Stats { jobs_waiting, jobs_running, ..Stats::default() };
    };
    let counts = hub.counts();
    Stats {
        live: counts.live,
        ready: counts.ready,
        parked: counts.parked,
        spawned: counts.spawned,
        panicked: counts.panicked,
        killed: counts.killed,
        switches: counts.switches,
        turns: counts.turns,
        events: counts.events,
        longest_run: counts.longest_run,
        timers: counts.timers,
        descriptors: counts.descriptors,
        stacks_live: counts.stacks_bound,
        stacks_pooled: counts.stacks_free,
        jobs_waiting,
        jobs_running,
    }
}
