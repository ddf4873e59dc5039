//! How many stacks there are, and were.

use crate::stack::Place;
use crate::stack::StackPool;
use crate::stack::StackSpan;
use crate::stack::Watch;
use crate::sys::memory::page_bytes;

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

    /// The usable bytes of `stack` and how many of them have ever been touched, by pages.
    pub(crate) fn usage(&mut self, stack: &StackSpan) -> (usize, usize) {
        let Place { top, slab, class, .. } = stack.place;
        let usable = class.usable_bytes();
        let slab = &self.classes[usize::from(class.0)].slabs[slab as usize];
        let offset = top - usable - slab.mapping.start();
        slab.mapping.resident(offset, usable, &mut self.pages);
        let untouched = self.pages.iter().take_while(|page| **page & 1 == 0).count();
        (usable, usable - untouched * page_bytes())
    }
}
