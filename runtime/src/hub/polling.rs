//! What the hub hears of the kernel, and whom it wakes; and that its epoll instance and its alarm
//! are its own still. Other code may close them, or put other files under their numbers, which is
//! noticed sooner or later; then the hub makes new ones and registers all descriptors there.

use crate::hub::Hub;
use crate::hub::State;
use crate::hub::shared::KernelSide;
use crate::hub::turn::wake_all;
use crate::hub::turn::wake_waiter;
use crate::readiness;
use crate::readiness::Direction;
use crate::scheduler::Outcome;
use crate::sys::epoll::Patience;
use crate::sys::process;

/// A hub that polls makes sure of its descriptors if it has not done so for this long; one that
/// sleeps makes no call.
const CHECK_NS: u64 = 1_000_000_000;

impl Hub {
    /// Asks the kernel, and wakes one waiter for each direction that became ready.
    pub(super) fn poll_fds(&self, state: &mut State, patience: Patience) {
        let may_sleep = patience != Patience::None;
        let patience =
            if may_sleep && !self.shared.fall_asleep() { Patience::None } else { patience };
        let State { poller, readiness, scheduler, turn, .. } = &mut *state;
        let waited = poller.wait(patience);
        if may_sleep {
            self.shared.wake_up();
        }
        let events = match waited {
            Ok(events) => events,
            Err(_) => return self.replace_poller(state),
        };
        if !events.is_empty() {
            turn.idle_looks = 0;
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

    /// Makes sure of the poller every now and then: nothing may tell that it is another's.
    #[inline]
    pub(super) fn look_after_poller(&self, state: &mut State, now: u64) {
        if now - state.turn.checked >= CHECK_NS {
            state.turn.checked = now;
            self.check_poller(state);
        }
    }

    /// Replaces the poller if it is not ours any more.
    #[cold]
    pub(crate) fn check_poller(&self, state: &mut State) {
        if !state.poller.is_intact() {
            self.replace_poller(state);
        }
        state.poller.trust();
    }

    /// Makes another poller, since other code has closed the epoll instance or the alarm, or put
    /// another file under the number, and registers all descriptors there.
    #[cold]
    fn replace_poller(&self, state: &mut State) {
        if let Err(error) = state.poller.replace() {
            process::abort_with(&format!("the hub has lost its epoll instance: {error}"));
        }
        let (epoll, alarm) = (state.poller.raw_fd(), state.poller.alarm());
        self.shared.set_kernel(KernelSide { epoll, alarm });
        register_again(state);
        process::report(
            "corovent: other code has closed or replaced a descriptor of the hub (its epoll \
             instance or its eventfd); the hub has made new ones and goes on",
        );
    }
}

/// Registers all descriptors that there is an entry for with another epoll instance.
pub(super) fn register_again(state: &mut State) {
    for (fd, data) in state.readiness.registrations() {
        if state.poller.register(fd, readiness::BITS, data).is_err() {
            // It was closed by other code: those who wait are told.
            wake_all(state, fd);
        }
    }
}
