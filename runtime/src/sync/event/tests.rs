//! What a `set` does to those in line, seen from inside. The rest is tested in `tests/it`.

use std::sync::Barrier;
use std::thread;

use super::*;

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Else one that sees the flag, takes it back and waits could be woken by the same `set`.
#[test]
fn the_flag_is_seen_only_when_all_in_line_are_as_good_as_woken() {
    let (event, begun) = (Event::new(), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| event.wait());
        until(|| event.line.waiting() == 1);
        // As if somebody came or left just now: a `set` cannot reach the line.
        let line = event.line.lock();
        scope.spawn(|| {
            begun.wait();
            event.set();
        });
        begun.wait();
        for _ in 0..if cfg!(miri) { 100 } else { 1_000 } {
            thread::yield_now();
            assert!(!event.is_set(), "it could be taken back before the `set` has looked");
        }
        drop(line);
    });
    assert!(event.is_set());
    assert_eq!(event.word.load(Ordering::Relaxed), SET, "nobody is in line any more");
}
