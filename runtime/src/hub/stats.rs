//! What a hub has done so far, and what it has now.
//!
//! Nothing is counted for it on the way of a switch: it is derived from what the loop counts
//! for its own use, once a run or once a turn, and from what is counted when a coroutine fails.

use std::time::Duration;

use crate::hub::Hub;
use crate::hub::ROOT;
use crate::scheduler::State as TaskState;

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

impl Hub {
    /// Counts; the jobs of the pool are not the hub's, and zero here.
    pub(crate) fn stats(&self) -> Stats {
        let state = self.state();
        let live = state.scheduler.len() - 1;
        let root_is_ready = state.scheduler.state(ROOT) == Some(TaskState::Ready);
        let ready = state.scheduler.ready() - usize::from(root_is_ready);
        let (events, lost) = state.turn.counts();
        let (stacks_live, stacks_pooled) = state.stacks.bound_and_free();
        Stats {
            live,
            ready,
            parked: live - ready - usize::from(!self.is_root()),
            spawned: live as u64 + state.stacks.returned_ever() + lost,
            panicked: self.panicked.get(),
            killed: self.killed.get(),
            switches: self.vitals.switches(),
            turns: self.vitals.turns(),
            events,
            longest_run: Duration::from_nanos(state.turn.budget.longest()),
            timers: state.timers.len(),
            descriptors: state.readiness.registered(),
            stacks_live,
            stacks_pooled,
            ..Stats::default()
        }
    }

    /// How often a task was resumed.
    pub(crate) fn switches(&self) -> u64 {
        self.vitals.switches()
    }

    /// Counts a coroutine whose closure did not return.
    pub(crate) fn count_failure(&self, was_killed: bool) {
        let count = if was_killed { &self.killed } else { &self.panicked };
        count.set(count.get() + 1);
    }
}
