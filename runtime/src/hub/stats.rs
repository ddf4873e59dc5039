//! What a hub has done so far, and what it has now.
//!
//! Nothing is counted for it on the way of a switch: it is derived from what the loop counts
//! for its own use, once a run or once a turn, and from what is counted when a coroutine fails.

use std::time::Duration;

use crate::hub::Hub;
use crate::hub::ROOT;
use crate::scheduler::State as TaskState;

/// The counts of one hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) live: usize,
    pub(crate) ready: usize,
    pub(crate) parked: usize,
    pub(crate) spawned: u64,
    pub(crate) panicked: u64,
    pub(crate) killed: u64,
    pub(crate) switches: u64,
    pub(crate) turns: u64,
    pub(crate) events: u64,
    pub(crate) longest_run: Duration,
    pub(crate) timers: usize,
    pub(crate) descriptors: usize,
    pub(crate) stacks_bound: usize,
    pub(crate) stacks_free: usize,
}

impl Hub {
    /// Counts.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        let live = state.scheduler.len() - 1;
        let root_is_ready = state.scheduler.state(ROOT) == Some(TaskState::Ready);
        let ready = state.scheduler.ready() - usize::from(root_is_ready);
        let (events, lost) = state.turn.counts();
        let (stacks_bound, stacks_free) = state.stacks.bound_and_free();
        Counts {
            live,
            ready,
            parked: live - ready - usize::from(!self.is_root()),
            spawned: live as u64 + state.stacks.returned_ever() + lost,
            panicked: self.panicked.get(),
            killed: self.killed.get(),
            switches: self.vitals.switches(),
            turns: self.vitals.turns(),
            events,
            longest_run: Duration::from_nanos(state.turn.longest()),
            timers: state.timers.len(),
            descriptors: state.readiness.registered(),
            stacks_bound,
            stacks_free,
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
