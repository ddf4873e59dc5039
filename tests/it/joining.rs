//! Joining, detaching, and what a handle tells.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::run;

#[test]
fn join_gives_the_result() {
    run(|| {
        assert_eq!(spawn(|| 42).join().unwrap(), 42);
        let text = Rc::new("not Send".to_owned());
        let task = spawn({
            let text = Rc::clone(&text);
            move || text
        });
        assert!(Rc::ptr_eq(&task.join().unwrap(), &text));
    });
}

#[test]
fn joining_one_that_has_ended_lets_nobody_else_run() {
    run(|| {
        let task = spawn(|| 1);
        yield_now();
        assert!(task.is_finished());
        let ran = Rc::new(Cell::new(false));
        let other = spawn({
            let ran = Rc::clone(&ran);
            move || ran.set(true)
        });
        assert_eq!(task.join().unwrap(), 1);
        assert!(!ran.get(), "the join did not wait");
        other.join().unwrap();
    });
}

#[test]
fn a_join_that_times_out_gives_the_handle_back() {
    run(|| {
        let task = spawn(|| {
            park();
            7
        });
        let start = Instant::now();
        let task = task.join_timeout(Duration::from_millis(5)).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(5));
        let task = task.join_timeout(Duration::ZERO).unwrap_err();
        task.thread().unpark();
        assert_eq!(task.join_timeout(Duration::from_secs(60)).unwrap().unwrap(), 7);
    });
}

#[test]
fn a_dropped_handle_detaches() {
    run(|| {
        let ended = Rc::new(Cell::new(false));
        drop(spawn({
            let ended = Rc::clone(&ended);
            move || {
                yield_now();
                ended.set(true);
            }
        }));
        yield_now();
        yield_now();
        assert!(ended.get());
    });
}

/// The result of a detached coroutine is dropped on its own stack, where a destructor may
/// wait and may panic.
#[test]
fn the_result_of_a_detached_coroutine_may_wait_in_its_destructor() {
    struct Waits(Rc<Cell<u32>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            assert!(corovent::is_coroutine());
            self.0.set(1);
            yield_now();
            self.0.set(2);
            if !std::thread::panicking() {
                panic!("a destructor that panics harms nobody");
            }
        }
    }

    run(|| {
        let state = Rc::new(Cell::new(0));
        drop(spawn({
            let state = Rc::clone(&state);
            move || Waits(state)
        }));
        yield_now();
        assert_eq!(state.get(), 1);
        yield_now();
        assert_eq!(state.get(), 2);
        yield_now();
    });
}

#[test]
fn a_handle_dropped_after_the_end_drops_the_result() {
    run(|| {
        let value = Rc::new(());
        let task = spawn({
            let value = Rc::clone(&value);
            move || value
        });
        yield_now();
        assert_eq!(Rc::strong_count(&value), 2);
        drop(task);
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn coroutines_join_each_other_in_chains() {
    fn chain(depth: u32) -> u32 {
        if depth == 0 { 0 } else { spawn(move || chain(depth - 1)).join().unwrap() + 1 }
    }

    run(|| {
        assert_eq!(chain(1000), 1000);
        let joiner = spawn(|| {
            let tasks: Vec<_> = (0..100).map(|n| spawn(move || n)).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<u32>()
        });
        assert_eq!(joiner.join().unwrap(), 4950);
    });
}

#[test]
fn joining_oneself_panics() {
    run(|| {
        let own: Rc<Cell<Option<JoinHandle<()>>>> = Rc::default();
        let task = spawn({
            let own = Rc::clone(&own);
            move || {
                let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    own.take().unwrap().join()
                }));
                assert!(is_message(&*payload.unwrap_err(), "a coroutine cannot join itself"));
            }
        });
        own.set(Some(task));
        yield_now();
        assert!(own.take().is_none());
    });
}

#[test]
fn a_handle_of_a_coroutine_names_it() {
    run(|| {
        let task = Builder::new().name("worker".to_owned()).spawn(|| corovent::current().id());
        let task = task.unwrap();
        assert_eq!(task.thread().name(), Some("worker"));
        let id = task.thread().id();
        assert_eq!(task.join().unwrap(), id);
        assert_ne!(id, corovent::current().id());

        let unnamed = spawn(|| corovent::current().name().is_none());
        assert!(unnamed.thread().name().is_none());
        assert!(unnamed.join().unwrap());
    });
}

#[test]
fn a_name_with_a_zero_byte_panics_as_in_std() {
    let builder = Builder::new().name("a\0b".to_owned());
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.spawn(|| ())));
    assert!(payload.is_err());
}

#[test]
fn a_handle_without_send_is_sync() {
    fn sync<T: Sync>(_: &T) {}
    run(|| {
        let task = spawn(|| Rc::new(1));
        sync(&task);
        assert_eq!(*task.join().unwrap(), 1);
    });
}

/// Its result is never taken and never dropped; everything else goes its way.
#[test]
fn a_forgotten_handle_leaks_the_result_alone() {
    run(|| {
        let (captured, result) = (Rc::new(()), Rc::new(()));
        let task = spawn({
            let (captured, result) = (Rc::clone(&captured), Rc::clone(&result));
            move || {
                yield_now();
                drop(captured);
                result
            }
        });
        std::mem::forget(task);
        (0..3).for_each(|_| yield_now());
        assert_eq!((Rc::strong_count(&captured), Rc::strong_count(&result)), (1, 2));
    });
}

/// Counts how many of its kind there are.
struct Counted(Rc<Cell<i32>>);

impl Counted {
    fn new(count: &Rc<Cell<i32>>) -> Counted {
        count.set(count.get() + 1);
        Counted(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[repr(align(64))]
struct Captured {
    bytes: [u8; 100],
    _counted: Counted,
}

impl Drop for Captured {
    fn drop(&mut self) {
        // Others look at the packet meanwhile.
        yield_now();
        assert_eq!(self.bytes, [7; 100]);
    }
}

#[repr(align(128))]
struct Returned {
    bytes: [u8; 3],
    _counted: Counted,
}

impl Drop for Returned {
    fn drop(&mut self) {
        assert_eq!((self.bytes, (&raw const *self).addr() % 128), ([8; 3], 0));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Returns,
    Panics,
    IsKilledBefore,
    IsKilledWithin,
}

/// A coroutine whose handle is dropped after so many turns, or joined.
fn meet_fate(count: &Rc<Cell<i32>>, fate: Fate, dropped_after: Option<usize>) {
    let captured = Captured { bytes: [7; 100], _counted: Counted::new(count) };
    let task = spawn({
        let count = Rc::clone(count);
        move || {
            let captured = captured;
            yield_now();
            assert!(fate != Fate::Panics, "as is wanted");
            drop(captured);
            Returned { bytes: [8; 3], _counted: Counted::new(&count) }
        }
    });
    // The packet has a name to forget then, even if it is an empty one.
    assert_eq!(task.thread().name(), None);
    if fate == Fate::IsKilledBefore {
        assert!(task.kill());
    }
    if dropped_after == Some(0) {
        return;
    }
    yield_now();
    if fate == Fate::IsKilledWithin {
        assert!(task.kill());
    }
    if let Some(turns) = dropped_after {
        return (1..turns).for_each(|_| yield_now());
    }
    match (fate, task.join()) {
        (Fate::Returns, Ok(returned)) => assert_eq!(returned.bytes, [8; 3]),
        (Fate::Panics, Err(payload)) => assert!(is_message(&*payload, "as is wanted")),
        (_, Err(payload)) => assert!(payload.is::<Killed>()),
        (_, Ok(_)) => panic!("{fate:?} gave a result"),
    }
}

/// What a closure has captured and what it returns lie in the same place, one after the other:
/// whatever becomes of the coroutine and of its handle, each is dropped once, and whole.
#[test]
fn captures_and_result_are_dropped_once_whatever_happens() {
    run(|| {
        for fate in [Fate::Returns, Fate::Panics, Fate::IsKilledBefore, Fate::IsKilledWithin] {
            for dropped_after in [None, Some(0), Some(1), Some(2), Some(9)] {
                let count = Rc::new(Cell::new(0));
                meet_fate(&count, fate, dropped_after);
                (0..9).for_each(|_| yield_now());
                let left = (count.get(), Rc::strong_count(&count));
                assert_eq!(left, (0, 1), "{fate:?}, {dropped_after:?}");
            }
        }
    });
}
