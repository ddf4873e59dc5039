//! An allocator that makes a use of freed memory visible: it fills what is freed, and keeps it
//! for a while. The checker's objects are numbers in memory, so one that was freed names none.

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::ptr;

#[global_allocator]
static ALLOCATOR: Quarantine = Quarantine;

struct Quarantine;

type Block = Option<(*mut u8, Layout)>;

/// So many blocks are kept back.
const KEPT: usize = 512;
/// Larger ones are the checker's own tables.
const BYTES_MAX: usize = 1024;

thread_local! {
    static BLOCKS: [Cell<Block>; KEPT] = const { [const { Cell::new(None) }; KEPT] };
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator serves all; a block goes back to it once, when it leaves the
// quarantine.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut leaves = Some((block, layout));
        if layout.size() <= BYTES_MAX {
            // SAFETY: the block is the caller's until it is freed.
            unsafe { ptr::write_bytes(block, 0xDD, layout.size()) };
            let place = NEXT.replace((NEXT.get() + 1) % KEPT);
            leaves = BLOCKS.with(|blocks| blocks[place].replace(leaves));
        }
        if let Some((block, layout)) = leaves {
            // SAFETY: the block came from there, and leaves the quarantine once.
            unsafe { System.dealloc(block, layout) };
        }
    }
}
