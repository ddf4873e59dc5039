//! A root that cleans up: what `run` started has ended when it returns.

use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::ROOT;
use crate::hub::give_up::give_up;
use crate::hub::reason::Reason;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;

/// Calls a closure on the thread's own stack, and afterwards kills every coroutine of the
/// thread until none is left.
///
/// A program need not call it: coroutines run without, and those that have not ended when
/// their thread does are left as they are. With it, also after a panic of `f`, their
/// destructors have run and their memory is given back. A coroutine that swallows its kill
/// every time is reported and left for ever as it is; so is one that nothing can wake from
/// a `shield`. One that spawns another while it ends, which does the same, and so on without
/// end, keeps it from returning.
///
/// # Suspends
///
/// While `f` waits, and at the end until the coroutines have ended.
///
/// # Panics
///
/// - In a coroutine, or if the thread has coroutines already.
/// - If `f` panics, or the thread's hub cannot be made.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{run, spawn, thread::park};
/// use std::rc::Rc;
///
/// let value = Rc::new(());
/// run(|| {
///     let value = Rc::clone(&value);
///     spawn(move || {
///         park();
///         drop(value);
///     });
/// });
/// assert_eq!(Rc::strong_count(&value), 1);
/// ```
#[track_caller]
pub fn run<T>(f: impl FnOnce() -> T) -> T {
    let hub = match hub::get() {
        Ok(hub) => hub,
        Err(error) => panic!("run needs the thread's hub: {error}"),
    };
    assert!(hub.is_root(), "run is called on a thread's own stack, not in a coroutine");
    hub.check_caller();
    assert!(hub.live() == 0, "run is called while the thread has no coroutine");
    let result = hub.catch(f);
    end_all(hub);
    match result {
        Ok(value) => value,
        Err(payload) => hub.rethrow(payload),
    }
}

fn end_all(hub: &Hub) {
    let mut mode = Mode::Plain;
    while hub.live() > 0 {
        for (slot, id) in hub.coroutines() {
            // One that has given its result is about to end by itself.
            if !hub.kill(slot, id) && !hub::UNWINDS {
                give_up(hub, slot);
            }
        }
        if hub.live() == 0 {
            break;
        }
        match wait_for_an_end(hub, mode) {
            Outcome::Interrupted if hub.take_deadlock() => {
                hub.coroutines().into_iter().for_each(|(slot, _)| give_up(hub, slot));
            }
            // A timeout around `run` waits until all is done.
            Outcome::Interrupted => mode = Mode::Deadlock,
            _ => give_up_ignorant(hub),
        }
    }
    hub.state().stacks.unmap_unused();
}

/// Waits until a coroutine has ended, or swallowed its kill for the last time.
fn wait_for_an_end(hub: &Hub, mode: Mode) -> Outcome {
    let ticket = hub.ticket();
    debug_assert_eq!(ticket.slot, ROOT);
    hub.state().turn.tell_of_ends(Some(ticket));
    let outcome = hub.block(Deadline::NEVER, Reason::Ends, mode);
    hub.state().turn.tell_of_ends(None);
    outcome
}

/// Gives up those that swallowed their kill.
fn give_up_ignorant(hub: &Hub) {
    for (slot, _) in hub.coroutines() {
        let state = hub.state();
        let ignored = state.scheduler.get(slot).is_some_and(|task| task.interrupts.kill_ignored());
        drop(state);
        if ignored {
            give_up(hub, slot);
        }
    }
}
