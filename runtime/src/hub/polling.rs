//! Whether the hub's epoll instance and its alarm are its own still.
//!
//! Other code may close them, or put other files under their numbers, which is noticed sooner or
//! later; then the hub makes new ones and registers all descriptors there.

use crate::hub::Hub;
use crate::hub::State;
use crate::hub::shared::KernelSide;
use crate::hub::turn::wake_all;
use crate::sys::process;

/// A hub that polls makes sure of its descriptors if it has not done so for this long; one that
/// sleeps makes no call.
const CHECK_NS: u64 = 1_000_000_000;

impl Hub {
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
    pub(super) fn replace_poller(&self, state: &mut State) {
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
    for (fd, data, bits) in state.readiness.registrations() {
        if state.poller.register(fd, bits, data).is_err() {
            // It was closed by other code: those who wait are told.
            wake_all(state, fd);
        }
    }
}
