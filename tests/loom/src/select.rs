//! The lists in which one may wait beside others, of which the models use one at a time.

use std::pin::Pin;

use crate::wait_queue::Node;
use crate::wait_queue::Spot;

pub(crate) trait Waitable {
    /// Whether a call that takes what is waited for need not wait.
    fn is_ready(&self) -> bool;

    /// The same for one whose node a wake may have taken out of the list. Things that are over
    /// when they are seen say here that they were.
    fn was_ready(&self, _was_woken: bool) -> bool {
        self.is_ready()
    }

    /// Links the node, unless it is ready, which is looked at under the lock of the list. False:
    /// it is ready, and the node is where it was.
    fn link(&self, spot: &Spot<'_>) -> bool;

    /// Takes the node out of the list, if it was ever linked. False if a wake has.
    fn unlink(&self, node: Pin<&Node>) -> bool;

    /// Wakes the next in the list, in the place of one who leaves.
    fn pass_on(&self);

    /// Whether the node is in the list, for its owner.
    fn is_linked(&self, node: Pin<&Node>) -> bool {
        node.is_linked()
    }
}
