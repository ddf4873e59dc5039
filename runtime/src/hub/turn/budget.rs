//! How long a turn is, and how much the poll at its end asks for: nobody waits for long because
//! others are ready, and what is ready together fits the processor's caches.

use crate::poller::EVENTS_MAX;
use crate::sys::clock::Deadline;

/// Where the loop stands between two polls. The ready queue is looked at once for each run of a
/// task, and once for each poll, and these looks are counted.
#[derive(Debug)]
pub(crate) struct Budget {
    /// The number of looks at the last poll.
    first: u64,
    /// At this many the clock is looked at, and at this many the turn is over.
    next_look: u64,
    last_look: u64,
    /// So many tasks were ready when the turn began.
    queued: usize,
    /// The clock at the last poll.
    began: u64,
    /// The clock when it was last looked at, and the longest time between two such looks.
    looked: u64,
    longest: u64,
}

/// A turn runs at most this many tasks. It runs none a second time if so many were ready when it
/// began, or if the kernel has more to tell: who yields has no more turns than who waits for I/O.
const RUNS_MAX: u64 = 256;
const SHORT: usize = 64;
/// It is over after so long, of which the clock is asked after 8, 16, 32, … runs, and when somebody
/// runs a second time. Whoever is woken by the poll runs behind those that are ready, so a shorter
/// turn would only poll more often.
const TURN_NS_MAX: u64 = 500_000;
const FIRST_LOOK: u64 = 8;
/// If no task is ready, the poll asks for so many events: the kernel goes through what it knows of
/// each descriptor to tell of it, and of so many that is in the processor's caches when it is used.
const EVENTS_FEW: usize = 64;

impl Budget {
    pub(super) fn new(now: u64) -> Budget {
        Budget {
            first: 0,
            next_look: FIRST_LOOK,
            last_look: RUNS_MAX,
            queued: 0,
            began: now,
            looked: now,
            longest: 0,
        }
    }

    /// Begins a turn: so many looks there were, so many tasks are ready, and the kernel has told
    /// all it had to tell, or not.
    pub(super) fn begin(&mut self, now: u64, looks: u64, queued: usize, has_seen_all: bool) {
        self.first = looks;
        self.began = now;
        self.looked = now;
        self.queued = queued;
        let is_short = queued < SHORT && has_seen_all;
        let runs = if is_short { RUNS_MAX } else { RUNS_MAX.min(queued as u64) };
        // There is a look before each run.
        self.last_look = self.first + runs + 1;
        self.set_next_look(self.first, self.first + FIRST_LOOK);
    }

    /// Looks at the clock next, after `look`, at so many looks, or when the second pass begins, or
    /// at the end.
    fn set_next_look(&mut self, look: u64, next: u64) {
        // By then one has run a second time: a queue that is empty after the first needs no clock.
        let second_pass = self.first + self.queued as u64 + 2;
        let pass = if look < second_pass { second_pass } else { u64::MAX };
        self.next_look = next.min(pass).min(self.last_look);
    }

    /// Ends the turn: the loop polls before it runs a task.
    pub(in crate::hub) fn end_now(&mut self) {
        self.next_look = 0;
        self.began = 0;
    }

    /// Whether it is used up, when the ready queue is looked at for the time numbered `look`.
    #[inline]
    pub(super) fn is_over(&mut self, look: u64) -> bool {
        look >= self.next_look && self.is_over_slowly(look)
    }

    #[cold]
    fn is_over_slowly(&mut self, look: u64) -> bool {
        if look >= self.last_look {
            return true;
        }
        self.set_next_look(look, self.first + 2 * (look - self.first));
        let now = Deadline::now().as_ns();
        self.note_clock(now);
        now.saturating_sub(self.began) > TURN_NS_MAX
    }

    /// Notes how long tasks have run since the clock was last looked at.
    #[inline]
    pub(super) fn note_clock(&mut self, now: u64) {
        self.longest = self.longest.max(now.saturating_sub(self.looked));
        self.looked = now;
    }

    /// The longest time between two looks at the clock in a turn, in nanoseconds.
    pub(in crate::hub) fn longest(&self) -> u64 {
        self.longest.max(Deadline::now().as_ns().saturating_sub(self.looked))
    }

    /// How many events the poll at the end of a turn asks for at most, given the number of looks
    /// and how many tasks are ready.
    #[inline]
    pub(super) fn events_at_most(&self, looks: u64, ready: usize) -> usize {
        // The last look was the poll's.
        let runs = (looks - self.first).saturating_sub(1) as usize;
        if ready > self.queued.saturating_sub(runs) {
            // Somebody has yielded, or was woken by a task, and the next time is to be behind all
            // whom the kernel knows of.
            EVENTS_MAX
        } else if ready == 0 {
            EVENTS_FEW
        } else {
            // The queue gets shorter, until it is short enough for the caches.
            (runs - runs / 4).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of a turn that begins with so many ready tasks.
    fn budget(queued: usize, has_seen_all: bool) -> Budget {
        let mut budget = Budget::new(0);
        // The clock never gets there.
        budget.begin(u64::MAX / 2, 1000, queued, has_seen_all);
        budget
    }

    #[test]
    fn a_poll_asks_for_few_events_or_lets_the_queue_shrink_or_asks_for_all() {
        for (queued, runs, ready, at_most) in [
            (0, 0, 0, EVENTS_FEW),
            (64, 64, 0, EVENTS_FEW),
            (10, 200, 0, EVENTS_FEW),
            (1000, 256, 744, 192),
            (1000, 1, 999, 1),
            (1000, 0, 1000, 1),
            // Of whom one was killed.
            (1000, 256, 743, 192),
            (1000, 256, 745, EVENTS_MAX),
            (0, 0, 1, EVENTS_MAX),
            (5, 5, 1, EVENTS_MAX),
            (5, 256, 5, EVENTS_MAX),
        ] {
            let budget = budget(queued, true);
            assert_eq!(
                budget.events_at_most(1001 + runs, ready),
                at_most,
                "{queued} {runs} {ready}"
            );
        }
    }

    #[test]
    fn the_clock_is_looked_at_when_the_second_pass_begins() {
        let mut budget = budget(20, true);
        let mut looks = vec![];
        for look in 1001..=1200 {
            if look >= budget.next_look {
                looks.push(look - 1001);
            }
            assert!(!budget.is_over(look));
        }
        // So many have run.
        assert_eq!(looks, [7, 15, 21, 43, 87, 175]);
        // It has taken too long.
        budget.began = 0;
        assert!(budget.is_over(budget.next_look));
    }

    #[test]
    fn nobody_runs_twice_in_a_turn_of_many() {
        for (queued, has_seen_all, runs) in [
            (0, true, 256),
            (2, true, 256),
            (63, true, 256),
            (64, true, 64),
            (150, true, 150),
            (1000, true, 256),
            (0, false, 0),
            (2, false, 2),
            (65, false, 65),
            (1000, false, 256),
        ] {
            let mut budget = budget(queued, has_seen_all);
            let over = (1001..).find(|look| budget.is_over(*look)).unwrap();
            assert_eq!(over - 1001, runs, "{queued}");
        }
    }
}
