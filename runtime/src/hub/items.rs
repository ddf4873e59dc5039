//! Items of queues that are out with a coroutine, to be compared or cloned by code of the user's,
//! and those that are lost with one that is given up.
//!
//! Whoever waits for such an item goes on without it.

use crate::hub;
use crate::hub::Hub;
use crate::hub::wake;
use crate::sys::records::Records;

/// The numbers of coroutines that were given up while their hub had items out. Never released.
static LOSERS: Records<u64> = Records::new();

/// Notes that the running code has taken items out of a queue, or has put them back: if it is a
/// coroutine, the end of its hub concerns others then.
pub(crate) fn change_items_out(difference: isize) {
    if let Some(hub) = hub::current().filter(|hub| !hub.is_root()) {
        hub.items_out.set(hub.items_out.get().wrapping_add_signed(difference));
    }
}

/// Whether the coroutine with that number was given up with items out.
pub(crate) fn has_lost_items(number: u64) -> bool {
    LOSERS.iter().any(|loser| **loser == number)
}

impl Hub {
    /// Lets those go on who wait for items that a coroutine has out which is given up.
    pub(super) fn lose_items(&self, id: u64) {
        if self.items_out.get() > 0 {
            LOSERS.claim(|| id);
            wake::retry(None);
        }
    }
}
