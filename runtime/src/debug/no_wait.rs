//! Code that must not wait.

use std::panic::Location;

use crate::hub;

/// Calls a closure that must not wait: if it does, the wait panics, and names both places.
///
/// It finds what is held across a wait: wrap the code that holds a borrow or a guard. A wait is
/// whatever would let others run, [`yield_now`](crate::yield_now) included, and the turn that a
/// coroutine gives up after 128 calls that need not wait. It counts for this coroutine, or for
/// this thread's own stack, and not for those that are spawned inside. Calls nest. Waits of
/// destructors, while a panic unwinds out of the closure, are let through.
///
/// Outside of it nothing is slower. Where nothing unwinds, the process aborts instead.
///
/// # Suspends
///
/// Never.
///
/// # Panics
///
/// If the closure does, or waits.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{debug, yield_now};
/// use std::cell::RefCell;
/// use std::panic::catch_unwind;
///
/// let names = RefCell::new(vec!["one"]);
/// debug::no_wait(|| names.borrow_mut().push("two"));
/// assert!(catch_unwind(|| debug::no_wait(yield_now)).is_err());
/// ```
#[track_caller]
pub fn no_wait<T>(f: impl FnOnce() -> T) -> T {
    // Without a hub, nor room for one, nothing here is a coroutine's wait.
    let place = Location::caller();
    let guard = hub::get().ok().map(|hub| hub.enter_no_wait(place));
    let value = f();
    drop(guard);
    value
}
