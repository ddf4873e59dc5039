//! When a hub counts as stalled. Pure: it is told what was seen of the hub, and how much time
//! has passed since the look before.
//!
//! A hub is stalled if its loop does not come round although somebody could be kept waiting. Time
//! in which the watchdog itself did not run does not count: the process was stopped then, or had
//! no processor.

use std::time::Duration;

use crate::hub::vitals::Pulse;

/// What is known of one hub from look to look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Episode {
    looks: u64,
    /// For how long the loop has not come round.
    stalled: Duration,
    /// The processor time of the thread when it last did.
    pub(super) processor_ns: Option<u64>,
    is_reported: bool,
}

/// What is to be done about a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It turns, sleeps, or keeps nobody waiting.
    Well,
    /// It may yet come round, or was reported.
    Wait,
    /// It has not come round for so long.
    Stalled(Duration),
}

impl Episode {
    /// Takes note of a look at the hub. `is_busy`: it does not sleep, and there is a coroutine.
    pub(super) fn note(
        &mut self,
        pulse: Pulse,
        is_busy: bool,
        passed: Duration,
        limit: Duration,
    ) -> Finding {
        if pulse.looks != self.looks || !is_busy {
            *self = Episode { looks: pulse.looks, ..Episode::default() };
            return Finding::Well;
        }
        self.stalled += passed;
        if self.is_reported || self.stalled < limit {
            return Finding::Wait;
        }
        Finding::Stalled(self.stalled)
    }

    /// Says no more of this episode.
    pub(super) fn set_reported(&mut self) {
        self.is_reported = true;
    }

    /// Counts from now on: what has passed did not count.
    pub(super) fn restart(&mut self) {
        self.stalled = Duration::ZERO;
    }

    /// For how long the loop has not come round.
    pub(super) fn stalled(&self) -> Duration {
        self.stalled
    }
}

/// How many reports there may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance {
    /// When the last ones were made, the oldest first.
    made: Vec<Duration>,
    left_out: u64,
}

/// At most so many reports
const REPORTS_MAX: usize = 5;
/// in any time of this length.
const REPORTS_TIME: Duration = Duration::from_secs(60);

impl Allowance {
    /// Whether one more may be made at that time; gives how many were left out since the last.
    pub(super) fn take(&mut self, now: Duration) -> Option<u64> {
        self.made.retain(|made| now.saturating_sub(*made) < REPORTS_TIME);
        if self.made.len() >= REPORTS_MAX {
            self.left_out += 1;
            return None;
        }
        self.made.push(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(25);
    const LIMIT: Duration = Duration::from_millis(100);

    fn at(looks: u64) -> Pulse {
        Pulse { looks, switches: 0, coroutines: Some(1) }
    }

    #[test]
    fn an_episode_is_reported_once() {
        let mut episode = Episode::default();
        let mut look = |looks| episode.note(at(looks), true, TICK, LIMIT);
        assert_eq!(look(7), Finding::Well);
        assert_eq!([look(7), look(7), look(7)], [Finding::Wait; 3]);
        assert_eq!(look(7), Finding::Stalled(LIMIT));
        episode.set_reported();
        assert_eq!(episode.note(at(7), true, TICK, LIMIT), Finding::Wait);
        assert_eq!(episode.note(at(8), true, TICK, LIMIT), Finding::Well);
        for _ in 0..3 {
            assert_eq!(episode.note(at(8), true, TICK, LIMIT), Finding::Wait);
        }
        assert!(matches!(episode.note(at(8), true, TICK, LIMIT), Finding::Stalled(_)));
    }

    #[test]
    fn a_hub_that_sleeps_or_turns_is_well() {
        let mut episode = Episode::default();
        for looks in 0..100 {
            assert_eq!(episode.note(at(looks + 1), true, TICK, LIMIT), Finding::Well);
        }
        for _ in 0..100 {
            assert_eq!(episode.note(at(100), false, TICK, LIMIT), Finding::Well);
        }
    }

    #[test]
    fn reports_are_few_and_say_how_many_there_were() {
        let mut allowance = Allowance::default();
        let second = Duration::from_secs(1);
        for n in 0..5 {
            assert_eq!(allowance.take(second * n), Some(0));
        }
        assert_eq!(allowance.take(second * 10), None);
        assert_eq!(allowance.take(second * 59), None);
        assert_eq!(allowance.take(second * 60), Some(2));
        assert_eq!(allowance.take(second * 60), None);
    }
}
