//! The places from which code may use what coroutines and threads share.

use std::iter;
use std::thread as os;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::debug;
use corovent::sleep;
use corovent::spawn;
use corovent::yield_now;

use crate::support::until_waiting;

/// Where code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// In a coroutine of the test's thread.
    Coroutine,
    /// In a coroutine of another thread.
    OtherHub,
    /// On the own stack of a thread that has a hub.
    Root,
    /// On a thread without a hub, which gets none.
    Thread,
}

pub(crate) const WORLDS: [World; 4] =
    [World::Coroutine, World::OtherHub, World::Root, World::Thread];

/// Code that runs somewhere.
pub(crate) enum Running<T> {
    Here(JoinHandle<T>),
    There(os::JoinHandle<T>),
}

impl World {
    /// Runs a closure there.
    pub(crate) fn start<T: Send + 'static>(
        self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Running<T> {
        match self {
            World::Coroutine => Running::Here(spawn(f)),
            World::OtherHub => Running::There(os::spawn(|| spawn(f).join().unwrap())),
            World::Root => Running::There(os::spawn(|| {
                spawn(|| ()).join().unwrap();
                f()
            })),
            World::Thread => Running::There(os::spawn(|| {
                let value = f();
                assert_eq!(debug::dump().tasks().count(), 0, "no hub was made");
                value
            })),
        }
    }
}

impl<T> Running<T> {
    /// Waits for the end, while the coroutines of this thread go on.
    #[track_caller]
    pub(crate) fn join(self) -> T {
        self.result().unwrap()
    }

    /// The same; a panic is an error.
    pub(crate) fn result(self) -> os::Result<T> {
        match self {
            Running::Here(task) => task.join(),
            Running::There(thread) => {
                while !thread.is_finished() {
                    sleep(Duration::from_micros(50));
                }
                thread.join()
            }
        }
    }
}

/// Lets others run until something is so.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now();
        os::yield_now();
    }
}

/// Lets the other coroutines of this thread run until they wait.
pub(crate) fn settle() {
    (0..3).for_each(|_| yield_now());
}

/// How many coroutines of this thread wait for something, in the words of the dump.
pub(crate) fn waiting_for(what: &str) -> usize {
    let dump = debug::dump();
    dump.tasks().filter(|task| task.waits_for().as_deref() == Some(what)).count()
}

/// Leaves a coroutine parked for ever, on the hub of a thread that has ended.
pub(crate) fn leak(f: impl FnOnce() + Send + 'static) {
    os::spawn(|| {
        spawn(f);
        until_waiting(1);
    })
    .join()
    .unwrap();
}

/// Tries until what is kept for one that was called is seen to be kept. When a thread of another
/// test ends with one that was called, that is void for once, in the whole process.
#[track_caller]
pub(crate) fn assert_kept(is_kept: impl FnMut() -> bool) {
    assert!(iter::repeat_with(is_kept).take(3).any(|is_kept| is_kept), "it is never kept");
}

/// Joins coroutines, none of which may have panicked.
#[track_caller]
pub(crate) fn join_all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) {
    for task in tasks {
        task.join().unwrap();
    }
}
