//! Coroutines that cannot be ended: they stay as they are, and others go on without them.

// The body of a task that is given up is told so.
#![allow(unsafe_code)]

use crate::hub::Hub;
use crate::hub::State;
use crate::hub::reason::Reason;
use crate::hub::table;
use crate::hub::task::Task;
use crate::hub::turn::wake_waiter;
use crate::hub::wake;
use crate::readiness::Direction;
use crate::scheduler::State as TaskState;
use crate::sys::process;

/// Leaves a task as it is for ever: it is not resumed again, and its stack not reused.
pub(crate) fn give_up(hub: &Hub, slot: u32) {
    let mut state = hub.state();
    let was_ready = state.scheduler.state(slot) == Some(TaskState::Ready);
    let Some(task) = evict(&mut state, slot) else { return };
    state.readiness.forget_slots(|forgotten| forgotten == slot);
    state.timers.cancel_all(|alarm| alarm.slot() == slot);
    let queue = task.reason.queue();
    if was_ready {
        pass_baton(&mut state, task.reason);
    }
    drop(state);
    hub.lose_items(task.id);
    // It may have been woken, and does not try; or it may be in the queue still.
    if was_ready && queue.is_some() {
        wake::retry(queue);
    }
    let label = table::label(task.id, task.name());
    let spawned_at = task.spawned_at;
    process::report(&format!("corovent: coroutine {label}, spawned at {spawned_at}, is given up"));
    if let Some(body) = task.body {
        // SAFETY: the task is gone from the table, so nobody else uses its body.
        unsafe { body.abandon() };
    }
}

/// Takes a task out of the table for good; its timers and its places among the waiters of
/// descriptors are the caller's to end.
pub(super) fn evict(state: &mut State, slot: u32) -> Option<Task> {
    let task = state.scheduler.evict(slot)?;
    if task.coroutine.is_none() {
        state.stacks.release(task.class);
    }
    state.turn.note_lost(slot, task.reason.queue());
    Some(task)
}

/// Wakes the next waiter of a descriptor, for a task that was woken and makes no call.
fn pass_baton(state: &mut State, reason: Reason) {
    let State { readiness, scheduler, .. } = state;
    match reason {
        Reason::Readable(fd) | Reason::Descriptors(fd) => {
            wake_waiter(readiness, scheduler, fd, Direction::Read);
        }
        Reason::Writable(fd) => wake_waiter(readiness, scheduler, fd, Direction::Write),
        _ => {}
    }
}
