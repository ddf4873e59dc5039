//! Nothing stays on the heap: what was done a thousand times may be done a thousand times more.
//!
//! Here the bytes that are allocated are compared between rounds that do the same, with nothing
//! else going on, and to the byte. `soak` cannot do that: what its work keeps is drawn, and so are
//! the sizes of tables, so it lets memory double, and a few bytes for each read pass for that.
//!
//! A table says what is done; each line fails by itself. All threads share the heap, so there is
//! one test only.

// A test that cannot go on says so by a panic.
#![allow(clippy::print_stderr, clippy::unwrap_used)]
// What the tests share with others is more than this one uses.
#![allow(unsafe_code)]

#[path = "../../examples/soak/heap.rs"]
mod heap;
#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;

mod moving;
mod spawning;
mod waiting;

use std::hint::black_box;

use corovent::debug;
use corovent::yield_now;

use crate::support::run;

/// What is done, so many times; it begins and ends with nothing.
pub(crate) type Work = (&'static str, fn(usize));

/// The operations of a round: what one of them leaves shows.
const COUNT: usize = 1000;
/// Lists, caches and helping threads are made the first times.
const ROUNDS_BEFORE: usize = 3;
/// A list may double once, and another thread be slow to free what it had; but each round leaves
/// what a leak leaves.
const ROUNDS: usize = 10;

#[test]
fn what_is_done_again_leaves_nothing_on_the_heap() {
    let tables = [moving::WORK, spawning::WORK, waiting::WORK];
    let mut leaks = Vec::new();
    for (name, work) in tables.into_iter().flatten() {
        eprintln!("{name}");
        let left = run(|| left_by(*work));
        if left > 0 {
            leaks.push(format!("{name}: {left} bytes in {COUNT}"));
        }
    }
    assert!(leaks.is_empty(), "left on the heap: {leaks:#?}");
    // Others may have freed something meanwhile.
    assert!(left_by(leak) > 4 * COUNT as u64, "the leak on purpose is not found");
}

/// How much more is allocated after a round than before, in the round that leaves the least.
fn left_by(work: fn(usize)) -> u64 {
    let round = || {
        let before = heap::bytes();
        work(COUNT);
        settle();
        heap::bytes().saturating_sub(before)
    };
    (0..ROUNDS_BEFORE).for_each(|_| _ = round());
    let mut least = round();
    for _ in 1..ROUNDS {
        if least == 0 {
            break;
        }
        least = least.min(round());
    }
    least
}

/// Waits for the coroutines that were left alone.
pub(crate) fn settle() {
    while debug::counters().coroutines > 0 {
        yield_now();
    }
}

/// The control.
fn leak(count: usize) {
    (0..count).for_each(|n| _ = black_box(Box::leak(Box::new(n as u64))));
}
