//! The end of a thread's hub.
//!
//! A thread that ends runs no coroutine any more and no destructor of user code: what is
//! parked stays as it is for ever, its stack is neither used again nor unmapped, since other
//! threads may refer to it. All else is freed, those who wait for a result are told, and
//! from then on the thread behaves as one without a hub.

// The hub is freed here.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::ptr;

use crate::hub::HUB;
use crate::hub::Hub;
use crate::hub::shared::Message;
use crate::hub::task::Body;
use crate::hub::wake;
use crate::scheduler::State as TaskState;
use crate::scheduler::Ticket;

/// The one thread-local of the runtime's core with a destructor, which runs no user code.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        ENDED.set(true);
        end_hub();
    }
}

thread_local! {
    static GUARD: Guard = const { Guard };
    /// Whether this thread's hub has ended: it gets no other.
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the end of the thread end the hub that is about to be made. An error if the
/// thread is ending already.
pub(crate) fn arm_guard() -> io::Result<()> {
    let armed = !ENDED.get() && GUARD.try_with(|_| ()).is_ok();
    armed.then_some(()).ok_or_else(ending)
}

/// Why a thread gets no hub.
pub(super) fn ending() -> io::Error {
    io::Error::other("the thread is ending: it gets no hub")
}

/// Ends this thread's hub, if it has one.
pub(crate) fn end_hub() {
    let pointer = HUB.replace(ptr::null());
    if pointer.is_null() {
        return;
    }
    ENDED.set(true);
    // SAFETY: the pointer was that of the live hub, and nobody else can reach it now.
    let hub = unsafe { &*pointer };
    let shared = hub.shared();
    let next_ticket = hub.state().scheduler.next_ticket();
    let lost_items = hub.items_out.get() > 0;
    let mut sent = Vec::new();
    // Waits that are not to be lost to those who come after in the same queue.
    let mut woken = hub.woken_in_queues();
    for message in shared.close(next_ticket) {
        match message {
            Message::Spawn(new) => sent.push(new.body()),
            Message::Wake(ticket) => woken.extend(hub.queue_of(ticket)),
            _ => {}
        }
    }
    if let Some(running) = hub.running() {
        // The packet that the name is in may be freed below, before the stack overflows.
        // SAFETY: the process exits in this coroutine, so its code is the caller.
        unsafe { running.forget_name() };
    }
    sent.extend(hub.bodies());
    for body in sent {
        // SAFETY: no task of this hub runs any more, so nobody uses its body.
        unsafe { body.abandon() };
    }
    if hub.is_root() {
        // SAFETY: the pointer came from `Box::into_raw` when the hub was made, and no frame
        // that runs again holds a reference: the thread's program has returned, or the
        // process exits.
        drop(unsafe { Box::from_raw(pointer.cast_mut()) });
    }
    // Else a coroutine has called `process::exit`: its stack is in use until the very end.
    shared.release();
    if lost_items {
        // Whoever waits for items that are out with a task of this hub goes on without them.
        wake::retry(None);
    } else {
        woken.into_iter().for_each(|queue| wake::retry(Some(queue)));
    }
}

impl Hub {
    /// The queues of those who were woken there, and will not run any more.
    fn woken_in_queues(&self) -> Vec<usize> {
        let state = self.state();
        let ready = state.scheduler.iter().filter(|(_, state, _)| *state == TaskState::Ready);
        ready.filter_map(|(_, _, task)| task.reason.queue()).collect()
    }

    /// The queue that somebody waits in, or waited for ever, by the ticket of the wait.
    fn queue_of(&self, ticket: Ticket) -> Option<usize> {
        let state = self.state();
        if let Some(queue) = state.turn.lost_wait(ticket) {
            return Some(queue);
        }
        let task = state.scheduler.get(ticket.slot)?;
        let waits = state.scheduler.state(ticket.slot) == Some(TaskState::Blocked)
            && state.scheduler.ticket(ticket.slot) == ticket;
        waits.then(|| task.reason.queue()).flatten()
    }

    fn bodies(&self) -> Vec<Body> {
        self.state().scheduler.iter().filter_map(|(_, _, task)| task.body).collect()
    }
}
