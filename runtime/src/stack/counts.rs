//! How many stacks there are, and were.

use crate::stack::StackPool;
use crate::stack::Watch;

impl<W: Watch> StackPool<W> {
    /// How many stacks ever came back.
    pub(crate) fn returned_ever(&self) -> u64 {
        self.returned_before + self.returned as u64
    }

    /// How many stacks coroutines run on, and how many wait for the next ones.
    pub(crate) fn bound_and_free(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        for pool in &self.classes {
            let used: usize = pool.slabs.iter().map(|slab| usize::from(slab.fresh)).sum();
            counts.0 += used - pool.free.len();
            counts.1 += pool.free.len();
        }
        counts
    }
}
