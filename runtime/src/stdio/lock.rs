//! A lock that whoever has it can take again.
//!
//! It belongs to a coroutine, or to a thread's own stack, and is given to those who wait in
//! the order in which they came. Its guards do not leave the thread, though another coroutine
//! of the thread may get to drop one; so what it guards has a [`RefCell`] of its own.

// What is guarded is reached from several threads, one after the other.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::hub;
use crate::hub::Mode;
use crate::hub::identity;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::stdio::take_turn;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

/// The lock and what it guards.
pub(super) struct Reentrant<T> {
    state: WaitQueue<State>,
    value: RefCell<T>,
}

// SAFETY: the cell is reached through guards only. As long as there is one the lock is taken
// by one thread, and guards are not `Send`: so all of them are on that thread.
unsafe impl<T: Send> Sync for Reentrant<T> {}

/// Who has the lock, and who should.
struct State {
    holder: Option<Holder>,
    /// One who waits was woken to take it.
    is_passed_on: bool,
}

/// Who has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    who: Who,
    /// How many guards there are.
    guards: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Who {
    /// The number of the thread.
    thread: u64,
    /// That of the coroutine; 0 is the thread's own stack.
    coroutine: u64,
}

/// The right to use what the lock guards.
pub(super) struct Guard<T: 'static> {
    lock: &'static Reentrant<T>,
    /// It stays on its thread.
    _thread: PhantomData<*const ()>,
}

impl<T> Reentrant<T> {
    pub(super) const fn new(value: T) -> Reentrant<T> {
        let state = State { holder: None, is_passed_on: false };
        Reentrant { state: WaitQueue::new(state), value: RefCell::new(value) }
    }

    /// Takes the lock, when those who came before have had it.
    pub(super) fn lock(&'static self) -> Guard<T> {
        let who = Who::runs();
        let inner = self.state.lock();
        let is_holder = inner.state.holder.is_some_and(|held| held.who == who);
        let is_passed_on = inner.state.is_passed_on;
        drop(inner);
        if !is_holder {
            take_turn(is_passed_on);
        }
        let taken = self.state.wait(Deadline::NEVER, What::Stdio, Mode::Plain, |state| {
            take(state, |held| held == who, who)
        });
        if taken.is_err() {
            interrupted();
        }
        Guard { lock: self, _thread: PhantomData }
    }

    /// Frees the lock in the child of a fork, if who has it is not there any more. Then what it
    /// guards is made anew: it may be half changed, and what is in a buffer is the parent's.
    /// Async-signal-safe.
    pub(super) fn begin_anew(&self, fresh: T) {
        let (mut inner, was_locked) = self.state.begin_anew(hub::running_hub());
        let who = Who::runs();
        let is_gone = |held: Holder| {
            held.who.thread != who.thread || ![0, who.coroutine].contains(&held.who.coroutine)
        };
        if !was_locked && !inner.state.holder.is_some_and(is_gone) {
            return;
        }
        inner.state = State { holder: None, is_passed_on: false };
        // SAFETY: nobody has a guard who runs again, so nobody refers to the value. The old one
        // is not dropped.
        unsafe { ptr::from_ref(&self.value).cast_mut().write(RefCell::new(fresh)) };
        drop(inner);
        self.state.wake_all();
    }

    /// Takes the lock at the end of the process, if no other thread has it.
    pub(super) fn lock_at_exit(&'static self) -> Option<Guard<T>> {
        let who = Who::runs();
        let taken = take(&mut self.state.lock().state, |held| held.thread == who.thread, who);
        taken.map(|()| Guard { lock: self, _thread: PhantomData })
    }
}

/// Takes a lock that is free, or held by one who may take it again.
fn take(state: &mut State, may: impl FnOnce(Who) -> bool, who: Who) -> Option<()> {
    match &mut state.holder {
        None => *state = State { holder: Some(Holder { who, guards: 1 }), is_passed_on: false },
        Some(held) if may(held.who) => held.guards += 1,
        Some(_) => return None,
    }
    Some(())
}

impl Who {
    /// Whose code runs.
    fn runs() -> Who {
        thread_local! {
            static THREAD: Cell<u64> = const { Cell::new(0) };
        }
        if THREAD.get() == 0 {
            THREAD.set(identity::unhubbed_id());
        }
        let hub = hub::current().filter(|hub| !hub.is_root());
        let coroutine = hub.map_or(0, |hub| hub.with_current(|task| task.id));
        Who { thread: THREAD.get(), coroutine }
    }
}

impl<T> Guard<T> {
    /// What the lock guards.
    pub(super) fn value(&self) -> &RefCell<T> {
        &self.lock.value
    }
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        let mut inner = self.lock.state.lock();
        let held = inner.state.holder.as_mut().expect("a guard is there, so the lock is taken");
        held.guards -= 1;
        if held.guards > 0 {
            return;
        }
        // Before anybody can take it, or this would be said of a lock that is taken.
        inner.state = State { holder: None, is_passed_on: true };
        drop(inner);
        if !self.lock.state.wake_one() {
            self.lock.state.lock().state.is_passed_on = false;
        }
    }
}

impl<T> fmt::Debug for Reentrant<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reentrant").finish_non_exhaustive()
    }
}
