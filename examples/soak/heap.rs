//! Counts the bytes that are allocated.
//!
//! What is resident says little of that: the system's allocator keeps what was freed, in pieces,
//! for each of up to eight arenas per core, and an arena is never again smaller than its
//! busiest moment. What was allocated and not freed is exact.

// An allocator is unsafe to write; this one hands on every call.
#![allow(unsafe_code)]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

#[global_allocator]
static HEAP: Counted = Counted { allocated: AtomicU64::new(0), freed: AtomicU64::new(0) };

/// The system's allocator, with a count.
struct Counted {
    allocated: AtomicU64,
    freed: AtomicU64,
}

/// The bytes that are allocated now.
pub(crate) fn bytes() -> u64 {
    // In this order: what is freed was allocated before.
    let freed = HEAP.freed.load(Ordering::Acquire);
    HEAP.allocated.load(Ordering::Acquire) - freed
}

// SAFETY: the system's allocator serves all calls, as they came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocated.fetch_add(layout.size() as u64, Ordering::AcqRel);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.freed.fetch_add(layout.size() as u64, Ordering::AcqRel);
        // SAFETY: as the caller vouches; the block came from there.
        unsafe { System.dealloc(block, layout) }
    }
}
