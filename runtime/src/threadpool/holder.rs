//! Jobs that can still wake a hub keep it from a deadlock.
//!
//! A holder is counted by the hub that it was made for, and by no later one: it knows that
//! hub's number.

use crate::hub::Hub;
use crate::hub::shared::SharedRecord;

/// Keeps a hub from a deadlock until it is dropped.
pub(super) struct Holder {
    hub: SharedRecord,
    hub_number: u64,
}

impl Holder {
    /// Counts for a hub from now on.
    pub(super) fn new(hub: &Hub) -> Holder {
        let hub = hub.shared();
        let hub_number = hub.first_ticket();
        hub.add_holder(hub_number);
        Holder { hub, hub_number }
    }

    /// Whether that hub has ended: none of its coroutines runs any more.
    pub(super) fn has_lost_its_hub(&self) -> bool {
        self.hub.first_ticket() != self.hub_number
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.hub.remove_holder(self.hub_number);
    }
}
