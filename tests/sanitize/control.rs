//! Bugs on purpose: what watches over memory has to find them, or its silence about the
//! tests means nothing. `.ci/sanitize` runs it.
//!
//! ```text
//! sanitizer_control heap|stack|none
//! ```
//!
//! It is an example only to cargo, which has no better word for a program of the tests.

// Memory is used that is not there any more.
#![allow(unsafe_code)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::env;
use std::hint::black_box;

use corovent::spawn;
use corovent::yield_now;

fn main() {
    let bug: fn() -> u64 = match env::args().nth(1).as_deref() {
        Some("heap") => || spawn(read_freed_memory).join().unwrap(),
        Some("stack") => || spawn(read_beyond_an_array).join().unwrap(),
        Some("none") => || spawn(|| 7).join().unwrap(),
        other => panic!("heap, stack or none, not {other:?}"),
    };
    println!("no tool has stopped it: it read {}", bug());
}

/// Others run in between, so both the stack and the allocator have moved on.
fn read_freed_memory() -> u64 {
    let boxed = Box::new(black_box(7_u64));
    let pointer = &raw const *boxed;
    yield_now();
    drop(boxed);
    yield_now();
    // SAFETY: there is none: the memory is free.
    unsafe { black_box(pointer).read_volatile() }
}

/// Only a tool that has been told of the coroutine's stack knows where its arrays end.
fn read_beyond_an_array() -> u64 {
    let array = black_box([7_u64; 4]);
    yield_now();
    let beyond = array.as_ptr().wrapping_add(black_box(4));
    // SAFETY: there is none: the array has four elements.
    unsafe { beyond.read_volatile() }
}
