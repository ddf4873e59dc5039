//! The hub in the child of a fork. Two tasks are left there: the one that called fork(3), and
//! the root, whose stack is the thread's own. All others are given up: they stay as they are for
//! ever, as at the end of a thread.
//!
//! It comes in two steps. Inside fork(3) only what the kernel shares with the parent is made
//! anew, and the hubs of threads that are gone are cut off: that allocates nothing, and costs a
//! child that goes on to execve(2) little. The tables are put right before the loop runs.
//!
//! **Invariant:** the child makes no call on an epoll instance or an eventfd of the parent but
//! to find out whether they are that still, which changes nothing, and to close them.

// Bodies are given up that no task has any more, and descriptors made anew.
#![allow(unsafe_code)]

use std::mem;

use crate::hub;
use crate::hub::Hub;
use crate::hub::ROOT;
use crate::hub::State;
use crate::hub::first;
use crate::hub::give_up::evict;
use crate::hub::identity;
use crate::hub::polling::register_again;
use crate::hub::shared;
use crate::hub::shared::Message;
use crate::hub::shared::Messages;
use crate::hub::turn::tell_of_end;
use crate::hub::wake;
use crate::scheduler::State as TaskState;
use crate::sys::atomic::AtomicBool;
use crate::sys::fork::Repair;
use crate::sys::fork::watch;
use crate::sys::process::abort_with;
use crate::sys::process::free_print_error;

/// What was so at the fork, until the tables are put right.
#[derive(Debug)]
pub(super) struct Forked {
    /// The task that called fork(3).
    survivor: u32,
    /// The first ids that hubs and others have given out since.
    first_ids: (u64, u64),
    /// What other threads of the parent had asked for.
    messages: Messages,
}

/// The hubs of the process.
struct Hubs;

static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Prepares for forks: the hub that is about to be made is to be repaired in a child.
pub(super) fn watch_forks() {
    watch(&Hubs, &IS_WATCHED);
}

impl Repair for Hubs {
    fn child(&self) {
        first::free_lock();
        free_print_error();
        let own = hub::running_hub();
        let own_record = own.map(Hub::shared);
        shared::for_each(|record| {
            if own_record.is_none_or(|own| !std::ptr::eq(own, record)) {
                record.orphan();
                record.watched.cut_off();
            }
        });
        if let Some(hub) = own {
            hub.begin_anew();
        }
    }
}

impl Forked {
    /// Whether a task was there at the fork.
    fn is_older(&self, id: u64) -> bool {
        let (first, first_other) = self.first_ids;
        id < first || (identity::FIRST_OTHER_ID..first_other).contains(&id)
    }
}

impl Hub {
    /// The step inside fork(3). If a signal handler forks while the hub sleeps, its return ends
    /// that sleep, and the hub does it then. Whoever forks inside of the hub otherwise may still
    /// call execve(2) or exit.
    fn begin_anew(&self) {
        match self.state.try_borrow_mut() {
            Ok(mut state) => self.begin_anew_with(&mut state),
            Err(_) => self.is_forked.set(true),
        }
    }

    /// Does that step, if a handler has forked in a poll that has slept.
    #[cold]
    pub(super) fn begin_late(&self, state: &mut State) {
        if state.forked.is_none() {
            self.begin_anew_with(state);
        }
    }

    fn begin_anew_with(&self, state: &mut State) {
        // SAFETY: the child of a fork has one thread.
        unsafe { state.poller.renew() };
        self.shared.watched.renew();
        // The loop comes to its poll before it runs anybody.
        state.turn.budget.end_now();
        // From here on ids are greater than those of all tasks that there are.
        let ids = hub::id_block();
        self.vitals.set_next_id(ids.start + 1);
        self.last_id.set(ids.end - 1);
        let mut messages = self.shared.begin_anew();
        if let Some(earlier) = &mut state.forked {
            // It forks again before it has waited. What has come since is from threads of its
            // own, and as rare as this; it is not freed, which would take the allocator's lock.
            mem::swap(&mut messages, &mut earlier.messages);
        }
        let first_ids = (ids.start, identity::unhubbed_id());
        let forked = Forked { survivor: self.slot(), first_ids, messages };
        self.is_forked.set(true);
        mem::forget(state.forked.replace(forked));
    }

    /// Gives all tasks up that the fork has left behind, if there was one and it was not done
    /// yet.
    #[inline]
    pub(crate) fn settle_fork(&self) {
        if self.is_forked.get() {
            self.settle();
        }
    }

    #[cold]
    fn settle(&self) {
        self.is_forked.set(false);
        let mut state = self.state();
        let Some(forked) = state.forked.take() else {
            abort_with("fork was called inside of the hub, as by an allocator: it cannot go on");
        };
        let lost: Vec<u32> = state
            .scheduler
            .iter()
            .filter(|(slot, _, task)| {
                *slot != ROOT && *slot != forked.survivor && forked.is_older(task.id)
            })
            .map(|(slot, ..)| slot)
            .collect();
        let is_lost = |slot: u32| lost.binary_search(&slot).is_ok();
        state.timers.cancel_all(|alarm| is_lost(alarm.slot()));
        state.readiness.forget_slots(is_lost);
        let mut bodies = Vec::with_capacity(lost.len());
        let mut ids = Vec::new();
        let mut was_woken = false;
        for slot in &lost {
            was_woken |= state.scheduler.state(*slot) == Some(TaskState::Ready);
            if let Some(task) = evict(&mut state, *slot) {
                ids.push(task.id);
                bodies.extend(task.body);
            }
        }
        let unwatched = state.readiness.unwatched();
        unwatched.into_iter().for_each(|fd| _ = state.readiness.remove(fd));
        register_again(&mut state);
        tell_of_end(&mut state);
        drop(state);
        ids.into_iter().for_each(|id| self.lose_items(id));
        for body in bodies {
            // SAFETY: the task is gone from the table, so nobody else uses its body.
            unsafe { body.lose() };
        }
        self.do_old_messages(forked.messages);
        if was_woken {
            // What those were woken for goes to whoever is left.
            wake::retry(None);
        }
    }

    /// Does what was asked before the fork and concerns who is left.
    fn do_old_messages(&self, messages: Messages) {
        for message in messages {
            match message {
                Message::Wake(ticket) => self.receive_wake(ticket),
                Message::Kill { slot, id } => {
                    self.kill(slot, id);
                }
                // SAFETY: it was meant for the parent, where it has a task; here nobody has it.
                Message::Spawn(new) => unsafe { new.body().lose() },
                Message::Retry(queue) => self.wake_queue(queue),
                // The descriptor was closed in the parent, or not yet; here it is still open.
                Message::Forget { .. } | Message::Call(_) | Message::Look => {}
            }
        }
    }
}
