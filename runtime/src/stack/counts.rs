//! How many stacks there are, and were.

use std::collections::HashMap;

use crate::stack::ClassPool;
use crate::stack::Place;
use crate::stack::SizeClass;
use crate::stack::Stack;
use crate::stack::StackPool;
use crate::stack::Watch;
use crate::sys::memory::page_bytes;

/// A copy of where a bound stack is, for those who only ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackSpan {
    pub(super) place: Place,
}

impl Stack {
    /// Where the stack is.
    pub(crate) fn span(&self) -> StackSpan {
        StackSpan { place: self.place }
    }
}

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

    /// For finding out how much of stacks was touched, as it is now.
    pub(crate) fn usages(&mut self) -> Usages<'_, W> {
        Usages { pool: self, touched: HashMap::new() }
    }
}

/// How much of each stack was touched. The kernel is asked once for each slab, not for each stack.
pub(crate) struct Usages<'a, W: Watch> {
    pool: &'a mut StackPool<W>,
    /// By class and slab: the bytes of each slot.
    touched: HashMap<(u8, u32), Vec<u32>>,
}

impl<W: Watch> Usages<'_, W> {
    /// The usable bytes of a stack and how many of them have ever been touched, by pages.
    pub(crate) fn of(&mut self, stack: &StackSpan) -> (usize, usize) {
        let Place { slab, slot, class, .. } = stack.place;
        let Usages { pool, touched } = self;
        let touched = touched.entry((class.0, slab)).or_insert_with(|| {
            pool.classes[usize::from(class.0)].touched(class, slab, &mut pool.pages)
        });
        (class.usable_bytes(), touched[usize::from(slot)] as usize)
    }
}

impl<W: Watch> ClassPool<W> {
    /// How many bytes of each slot of a slab were touched.
    fn touched(&self, class: SizeClass, slab: u32, pages: &mut Vec<u8>) -> Vec<u32> {
        let slab = &self.slabs[slab as usize];
        slab.mapping.resident(0, usize::from(slab.fresh) * class.slot_bytes(), pages);
        let page = page_bytes();
        let slots = pages.chunks_exact(class.slot_bytes() / page);
        let of_slot = |pages: &[u8]| {
            let usable = &pages[class.guard_bytes() / page..];
            let untouched = usable.iter().take_while(|page| **page & 1 == 0).count();
            u32::try_from((usable.len() - untouched) * page).expect("no stack has 4 GiB")
        };
        slots.map(of_slot).collect()
    }
}
