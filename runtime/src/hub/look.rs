//! The loop's looks at I/O and at timers: whom each wakes, and that nobody is timed out who was
//! answered.

use std::mem;

use crate::hub::Alarm;
use crate::hub::Hub;
use crate::hub::State;
use crate::hub::interruption::interrupt_if_blocked;
use crate::hub::reason::Reason;
use crate::hub::task::Task;
use crate::hub::turn::wake_waiter;
use crate::poller::EVENTS_MAX;
use crate::poller::is_alarm;
use crate::readiness::Direction;
use crate::scheduler::Outcome;
use crate::sys::epoll::Patience;
use crate::timers::Due;

/// A thread that sleeps until a deadline and is so much later than that was stopped, or had to
/// stand back for others: what has come meanwhile was not seen.
const LATE_NS: u64 = 1_000_000;

impl Hub {
    /// Asks the kernel for so many events at most, and wakes one waiter for each direction that
    /// became ready.
    pub(super) fn poll_fds(&self, state: &mut State, at_most: usize, patience: Patience) {
        let may_sleep = patience != Patience::None;
        let patience =
            if may_sleep && !self.shared.fall_asleep() { Patience::None } else { patience };
        let State { poller, readiness, scheduler, turn, .. } = &mut *state;
        let waited = poller.wait(at_most, patience);
        if may_sleep {
            self.shared.wake_up();
        }
        let events = match waited {
            Ok(events) => events,
            Err(_) => return self.replace_poller(state),
        };
        let count = events.len();
        scheduler.order().arrange(events);
        let (mut alarms, mut is_strange) = (0, false);
        for event in events {
            let (data, bits) = (event.u64, event.events);
            let Some(noted) = readiness.note(data, bits, scheduler.order()) else {
                if is_alarm(data) {
                    alarms += 1;
                } else {
                    is_strange = true;
                }
                continue;
            };
            for direction in [Direction::Read, Direction::Write] {
                if let Some(ticket) = noted.woken[direction as usize]
                    && !scheduler.wake(ticket, Outcome::Woken)
                {
                    wake_waiter(readiness, scheduler, noted.fd, direction);
                }
            }
        }
        if count > alarms {
            turn.idle_looks = 0;
            turn.events += (count - alarms) as u64;
        }
        // In the child of a fork the alarm is still the parent's.
        if alarms > 0 && !self.is_forked.get() {
            poller.note_alarms();
        }
        if is_strange || poller.is_suspect() {
            self.check_poller(state);
        }
    }

    /// Looks at I/O once more if one of these timers is the limit of a wait, and the look before
    /// may have missed what came before it: a stopped process goes on with EINTR, and there may be
    /// more to be seen than was asked for.
    #[inline]
    pub(super) fn look_again(&self, state: &mut State, patience: Patience, now: u64) {
        let Some(soonest) = state.turn.due.first() else { return };
        let is_late = matches!(patience, Patience::Limited(_)) && now - soonest.deadline >= LATE_NS;
        if is_late || !state.poller.has_seen_all() {
            self.look_for_answers(state);
        }
    }

    fn look_for_answers(&self, state: &mut State) {
        if state.readiness.waiting() == 0 {
            return;
        }
        let task = |due: &Due<Alarm>| state.scheduler.get(due.value.slot());
        let sleeps = |task: &Task| matches!(task.reason, Reason::Sleep | Reason::Delay);
        if state.turn.due.iter().all(|due| task(due).is_none_or(sleeps)) {
            return;
        }
        // As many looks as show each descriptor once: more may be coming all the time.
        for _ in 0..=state.readiness.registered() / EVENTS_MAX {
            self.poll_fds(state, EVENTS_MAX, Patience::None);
            if state.poller.has_seen_all() {
                return;
            }
        }
    }
}

/// Takes the timers that are due out of the wheel.
#[inline]
pub(super) fn take_due(state: &mut State, now: u64) {
    if !state.timers.is_empty() {
        state.timers.expire(now, &mut state.turn.due);
    }
}

/// Wakes whom these timers were for, if they still wait.
#[inline]
pub(super) fn fire_due(state: &mut State) {
    if !state.turn.due.is_empty() {
        fire(state);
    }
}

fn fire(state: &mut State) {
    let mut due = mem::take(&mut state.turn.due);
    for ties in due.chunk_by_mut(|a, b| a.deadline == b.deadline) {
        state.scheduler.order().arrange(ties);
    }
    for Due { value, .. } in due.drain(..) {
        match value {
            Alarm::Wait(ticket) => {
                state.scheduler.wake(ticket, Outcome::TimedOut);
            }
            Alarm::Scope { slot, scope } => {
                if let Some(task) = state.scheduler.get_mut(slot) {
                    task.interrupts.fire(scope);
                    interrupt_if_blocked(state, slot);
                }
            }
        }
    }
    state.turn.due = due;
}
