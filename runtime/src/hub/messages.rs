//! What other threads ask of a hub: how each message is done, on the hub's own thread.
//!
//! A message may be late: what it names has ended, or was another hub's. It says by its
//! number whom it was for, and is then passed on or dropped.

// The body of a coroutine that another thread has sent is placed or given up.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use crate::hub::Hub;
use crate::hub::reason;
use crate::hub::reason::Reason;
use crate::hub::shared::Message;
use crate::hub::task::NewTask;
use crate::hub::turn::wake_all;
use crate::hub::wake;
use crate::scheduler::Ticket;
use crate::sys::process;

impl Hub {
    /// Does what the messages say that are there.
    #[cold]
    pub(super) fn do_messages(&self) {
        for message in self.shared.take_messages() {
            match message {
                Message::Wake(ticket) => self.receive_wake(ticket),
                Message::Kill { slot, id } => {
                    self.kill(slot, id);
                }
                Message::Spawn(new) => self.admit(new),
                Message::Retry(queue) => self.wake_queue(queue),
                Message::Forget { fd, id } => self.forget(fd, id),
                Message::Call(call) => call(self),
                Message::Look => {}
            }
        }
    }

    /// Ends a wait that another thread names.
    pub(super) fn receive_wake(&self, ticket: Ticket) {
        if self.wake(ticket) {
            return;
        }
        if ticket.number.get() < self.shared.first_ticket() {
            // It was posted to the hub that had the record before, as that ended.
            wake::retry(None);
        } else if let Some(queue) = { self.state().turn.lost_wait(ticket) } {
            wake::retry(Some(queue));
        }
    }

    /// Wakes those who wait in the queue at an address, or in any.
    pub(super) fn wake_queue(&self, queue: Option<usize>) {
        let mut state = self.state();
        let waits = |reason: Reason| {
            reason.queue().is_some_and(|waits_in| reason::concerns(queue, waits_in))
        };
        let waiting = state.scheduler.iter().filter(|(_, _, task)| waits(task.reason));
        let slots: Vec<u32> = waiting.map(|(slot, ..)| slot).collect();
        slots.into_iter().for_each(|slot| state.scheduler.wake_slot(slot));
    }

    /// Drops the entry of a descriptor that another thread has closed.
    fn forget(&self, fd: RawFd, id: u64) {
        let mut state = self.state();
        // Somebody waits only if unsafe code has closed it under an owner before `id`, or during a
        // wait for the file of others.
        if state.readiness.holds_up_to(fd, id) {
            wake_all(&mut state, fd);
        }
    }

    /// Makes a task that another thread has sent.
    fn admit(&self, new: NewTask) {
        let body = new.body();
        if new.hub != self.shared.first_ticket() {
            // SAFETY: its hub has ended; nobody else has the body.
            return unsafe { body.abandon() };
        }
        match self.spawn(new) {
            // SAFETY: the task has not run, so the packet is there.
            Ok(slot) => unsafe { body.placed(slot) },
            Err(error) => {
                process::report(&format!("corovent: no room for a coroutine sent here: {error}"));
                // SAFETY: the task was not made; nobody else has the body.
                unsafe { body.abandon() };
            }
        }
    }
}
