//! What a hub has done so far, and what it has now, as users ask for it; `hub/stats.rs` counts.

use crate::hub;
use crate::threadpool;

pub use crate::hub::stats::Stats;

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
    hub.settle_fork();
    Stats { jobs_waiting, jobs_running, ..hub.stats() }
}
