//! The loop's looks at I/O and at timers: whom each wakes, and that nobody is timed out who was
//! answered.

use crate::hub::Alarm;
use crate::hub::Hub;
use crate::hub::State;
use crate::hub::interruption::interrupt_if_blocked;
use crate::hub::turn::wake_waiter;
use crate::poller::EVENTS_MAX;
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
        if !events.is_empty() {
            turn.idle_looks = 0;
            turn.events += events.len() as u64;
        }
        scheduler.order().arrange(events);
        let mut is_strange = false;
        for event in events {
            let (data, bits) = (event.u64, event.events);
            let Some(noted) = readiness.note(data, bits, scheduler.order()) else {
                is_strange = true;
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
        if is_strange || poller.is_suspect() {
            self.check_poller(state);
        }
    }

    /// Looks at I/O once more if a timer is due by `now` and the look before may have missed
    /// what came before that: a stopped process goes on with EINTR, and there may be more to be
    /// seen than there is room for.
    #[inline]
    pub(super) fn look_again(&self, state: &mut State, patience: Patience, now: u64) {
        let has_slept = matches!(patience, Patience::Limited(_));
        if has_slept || !state.poller.has_seen_all() {
            self.look_for_answers(state, now);
        }
    }

    fn look_for_answers(&self, state: &mut State, now: u64) {
        if state.readiness.waiting() == 0 {
            return;
        }
        let Some(next) = state.timers.next().filter(|next| *next <= now) else { return };
        if state.poller.has_seen_all() && now - next < LATE_NS {
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

/// Wakes whom a timer was for.
pub(super) fn fire_timers(state: &mut State, now: u64) {
    if state.timers.is_empty() {
        return;
    }
    let mut due = std::mem::take(&mut state.turn.due);
    state.timers.expire(now, &mut due);
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
