//! Small blocks of memory that were freed and wait for their next owner, by size. What is made
//! and freed for each coroutine comes from here at a tenth of what the allocator takes.
//!
//! It keeps a bounded number of each size, some two megabytes in all, for the life of its hub;
//! and none under miri and AddressSanitizer, from which it would hide uses after free. Memcheck
//! sees those only of blocks that are not kept.
//!
//! **Invariant:** a block is in one list, or somebody's.

// Memory is allocated, freed, and linked into lists.
#![allow(unsafe_code)]

use std::alloc;
use std::alloc::Layout;
use std::array;
use std::cell::Cell;
use std::ptr::NonNull;

/// The blocks of one thread.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// By size: those of up to 24 bytes, of up to 40, …
    lists: [List; LISTS],
    /// So many of each size are kept.
    kept_max: u32,
}

/// Blocks of one size, the one freed last in front.
#[derive(Debug)]
struct List {
    first: Cell<Option<NonNull<Free>>>,
    len: Cell<u32>,
}

/// What is in a block that is nobody's.
struct Free {
    next: Option<NonNull<Free>>,
}

/// Sizes are this far apart, as they are for the allocator; and all blocks are aligned to it.
const GRAIN_BYTES: usize = 16;
/// glibc's malloc has a word before each block, so it wastes one if the size is a multiple of the
/// grain.
const LEAST_BYTES: usize = 24;
const LISTS: usize = 16;
/// As many as of stacks that came back; none where their use after the end is looked for.
const KEPT_MAX: u32 = if cfg!(any(miri, feature = "sanitizer")) { 0 } else { 1024 };

impl Blocks {
    /// Makes empty lists.
    pub(crate) fn new() -> Blocks {
        Blocks::keeping(KEPT_MAX)
    }

    fn keeping(kept_max: u32) -> Blocks {
        let list = |_| List { first: Cell::new(None), len: Cell::new(0) };
        Blocks { lists: array::from_fn(list), kept_max }
    }

    /// Takes a block, of which nothing is known, if there is one.
    #[inline(always)]
    pub(crate) fn take(&self, layout: Layout) -> Option<NonNull<u8>> {
        let list = self.lists.get(list_of(layout)?)?;
        let block = list.first.get()?;
        // SAFETY: a block in a list is nobody else's, and was written when it came.
        let Free { next } = unsafe { block.read() };
        list.first.set(next);
        list.len.set(list.len.get() - 1);
        Some(block.cast())
    }

    /// Keeps a block for the next owner. False if there are enough.
    ///
    /// # Safety
    ///
    /// It must be one that [`allocate`] gave for the layout, and be used by nobody afterwards
    /// if it is kept.
    #[inline(always)]
    pub(crate) unsafe fn keep(&self, block: NonNull<u8>, layout: Layout) -> bool {
        let Some(list) = list_of(layout).and_then(|index| self.lists.get(index)) else {
            return false;
        };
        let len = list.len.get();
        if len >= self.kept_max {
            return false;
        }
        let block: NonNull<Free> = block.cast();
        // SAFETY: the caller vouches that the block is nobody's. It has 16 bytes or more, so
        // aligned.
        unsafe { block.write(Free { next: list.first.get() }) };
        list.first.set(Some(block));
        list.len.set(len + 1);
        true
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (index, list) in self.lists.iter().enumerate() {
            let layout =
                Layout::from_size_align(bytes_of(index), GRAIN_BYTES).expect("it is small");
            while let Some(block) = self.take(layout) {
                // SAFETY: it was in the list of this size, so it was allocated with it.
                unsafe { free(block, layout) };
            }
            debug_assert_eq!(list.len.get(), 0);
        }
    }
}

/// Allocates a block that may be kept when it is freed.
#[cold]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    let layout = rounded(layout);
    // SAFETY: it is not empty: it was rounded up.
    let block = unsafe { alloc::alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// Frees a block.
///
/// # Safety
///
/// It must be one that [`allocate`] gave for the layout, and be used by nobody afterwards.
#[cold]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    // SAFETY: the caller vouches that it was allocated so.
    unsafe { alloc::dealloc(block.as_ptr(), rounded(layout)) };
}

/// The list of a layout, if blocks of it are kept at all.
#[inline(always)]
const fn list_of(layout: Layout) -> Option<usize> {
    let list = index_of(layout.size());
    if list < LISTS && layout.align() <= GRAIN_BYTES { Some(list) } else { None }
}

/// The index of the list of a size, were there a list for each.
#[inline(always)]
const fn index_of(bytes: usize) -> usize {
    bytes.saturating_sub(LEAST_BYTES).div_ceil(GRAIN_BYTES)
}

/// The size of the blocks in a list.
const fn bytes_of(index: usize) -> usize {
    LEAST_BYTES + index * GRAIN_BYTES
}

/// What is really allocated: blocks of one list are alike.
fn rounded(layout: Layout) -> Layout {
    let bytes = bytes_of(index_of(layout.size()));
    let rounded = Layout::from_size_align(bytes, layout.align().max(GRAIN_BYTES));
    rounded.expect("a value is smaller than half of all memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frees a block, and says whether it was kept.
    fn give_back(blocks: &Blocks, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: the tests allocate it for the layout, and do not use it.
        let is_kept = unsafe { blocks.keep(block, layout) };
        if !is_kept {
            // SAFETY: as above.
            unsafe { free(block, layout) };
        }
        is_kept
    }

    #[test]
    fn the_last_one_freed_is_used_first_and_only_for_its_size() {
        let blocks = Blocks::keeping(2);
        // Four words take as much as five.
        let layouts = [Layout::new::<[u64; 4]>(), Layout::new::<[u64; 5]>()];
        let given = layouts.map(allocate);
        for (block, layout) in given.into_iter().zip(layouts) {
            assert!(give_back(&blocks, block, layout));
        }
        assert_eq!(blocks.take(Layout::new::<[u64; 3]>()), None);
        assert_eq!(blocks.take(Layout::new::<[u64; 6]>()), None);
        assert_eq!(blocks.take(layouts[0]), Some(given[1]));
        assert_eq!(blocks.take(layouts[0]), Some(given[0]));
        assert_eq!(blocks.take(layouts[0]), None);
        assert!(given.into_iter().all(|block| give_back(&blocks, block, layouts[1])));
    }

    #[test]
    fn so_many_are_kept_and_large_ones_never() {
        let blocks = Blocks::keeping(3);
        for (layout, expected) in [
            (Layout::new::<()>(), 3),
            (Layout::new::<[u64; 3]>(), 0),
            (Layout::new::<[u64; 33]>(), 3),
            (Layout::new::<[u64; 34]>(), 0),
            (Layout::from_size_align(64, 64).unwrap(), 0),
        ] {
            let given: Vec<_> = (0..5).map(|_| allocate(layout)).collect();
            let kept = given.into_iter().filter(|block| give_back(&blocks, *block, layout));
            assert_eq!(kept.count(), expected, "{layout:?}");
        }
    }

    #[test]
    fn a_block_has_room_for_every_layout_of_its_size() {
        let blocks = Blocks::keeping(2);
        for (bytes, align) in (0..=300).flat_map(|bytes| [1, 8, 16, 64].map(|align| (bytes, align)))
        {
            let layout = Layout::from_size_align(bytes, align).unwrap();
            let block = blocks.take(layout).unwrap_or_else(|| allocate(layout));
            assert_eq!(block.addr().get() % align, 0);
            // SAFETY: the block is the test's, and was made for the layout.
            unsafe { block.write_bytes(0xa7, bytes) };
            give_back(&blocks, block, layout);
        }
        // Each list was used, and the blocks in it are those that it frees.
        assert!(blocks.lists.iter().all(|list| list.len.get() == 1));
    }
}
