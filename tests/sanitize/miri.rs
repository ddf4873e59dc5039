//! Bugs on purpose, for miri to find: part of the runtime's unit tests, compiled for miri only.
//!
//! `.ci/sanitize miri` runs each alone, since miri stops at the first. They are where the tests
//! are whose silence they vouch for, so that nothing else has to be built for miri.

// Memory is used that is not there any more, and by two at a time.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::ptr;
use std::sync::Barrier;
use std::thread;

struct Shared(*mut u64);

// SAFETY: there is none: nothing orders the threads that write.
unsafe impl Send for Shared {}

#[test]
#[ignore = "a bug on purpose"]
fn freed_memory_is_read() {
    let boxed = Box::new(black_box(7_u64));
    let pointer = &raw const *boxed;
    drop(boxed);
    // SAFETY: there is none: the memory is free.
    assert_eq!(unsafe { black_box(pointer).read() }, 7);
}

#[test]
#[ignore = "a bug on purpose"]
fn two_threads_write_at_once() {
    let mut number = 0_u64;
    // Both are there before either writes: the end of the first could come before the start of the
    // second, and order them by memory that is used again.
    let start = Barrier::new(2);
    let write = |Shared(to): Shared| {
        start.wait();
        // SAFETY: there is none: the other thread writes as well.
        unsafe { to.write(7) };
    };
    let (one, other) = (Shared(&raw mut number), Shared(&raw mut number));
    thread::scope(|scope| {
        scope.spawn(|| write(one));
        scope.spawn(|| write(other));
    });
    assert_eq!(number, 7);
}

/// Under strict provenance only.
#[test]
#[ignore = "a bug on purpose"]
fn a_number_is_used_as_a_pointer() {
    let number = black_box(7_u64);
    let address = (&raw const number).expose_provenance();
    // SAFETY: there is none: nobody may keep a pointer as a number.
    assert_eq!(unsafe { ptr::with_exposed_provenance::<u64>(address).read() }, 7);
}
