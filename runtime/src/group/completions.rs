//! The ends of several coroutines, in the order in which they come, for one who waits.
//!
//! **Invariant:** there is room for as many ends as links were made, so that none is lost and
//! nothing is allocated when one comes, which may be on another thread.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::packet::Head;
use crate::packet::Outcome as End;
use crate::packet::links::Chain;
use crate::packet::links::Link;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

/// Who has ended and was not seen yet, by the numbers that they are watched under.
pub(super) struct Completions {
    ended: WaitQueue<VecDeque<usize>>,
}

impl Completions {
    /// Makes a queue for so many ends.
    pub(super) fn with_room(count: usize) -> Arc<Completions> {
        Arc::new(Completions { ended: WaitQueue::new(VecDeque::with_capacity(count)) })
    }

    /// Makes room for so many ends that were not seen, old and new.
    pub(super) fn make_room(&self, count: usize) {
        if self.ended.lock().state.capacity() >= count {
            return;
        }
        let mut wider = VecDeque::with_capacity(2 * count);
        let mut inner = self.ended.lock();
        // There is room: what is in the queue counts as well.
        wider.extend(inner.state.drain(..));
        let narrow = mem::replace(&mut inner.state, wider);
        drop(inner);
        drop(narrow);
    }

    /// Has the end of a coroutine noted by a number, also if it has ended already.
    #[track_caller]
    pub(super) fn watch(self: &Arc<Self>, head: &Head, number: usize) {
        let is_own =
            hub::current().is_some_and(|hub| head.is_of(hub) && head.slot() == Some(hub.slot()));
        assert!(!is_own, "a coroutine cannot wait for its own end");
        let link = Completion { next: None, completions: Arc::clone(self), number };
        if head.add_link(Box::new(link)).is_err() {
            self.note(number);
        }
    }

    /// Takes back what [`watch`](Completions::watch) has made, if the end has not come.
    pub(super) fn unwatch(&self, head: &Head) {
        let owner = std::ptr::from_ref(self).addr();
        while let Some(link) = head.remove_link(owner) {
            drop(link);
        }
    }

    /// Waits for an end that was not seen. `None`: the time was up first.
    pub(super) fn next(&self, deadline: Deadline) -> Option<usize> {
        match self.ended.wait(deadline, What::Completion, Mode::Plain, VecDeque::pop_front) {
            Ok(number) => Some(number),
            Err(Outcome::Interrupted) => interrupted(),
            Err(_) => None,
        }
    }

    /// Gives an end that was not seen, if there is one.
    pub(super) fn try_next(&self) -> Option<usize> {
        self.ended.lock().state.pop_front()
    }

    fn note(&self, number: usize) {
        let mut inner = self.ended.lock();
        debug_assert!(inner.state.len() < inner.state.capacity());
        inner.state.push_back(number);
        drop(inner);
        self.ended.wake_one();
    }
}

/// The link of one coroutine that is watched.
struct Completion {
    next: Chain,
    completions: Arc<Completions>,
    number: usize,
}

impl Link for Completion {
    fn next(&mut self) -> &mut Chain {
        &mut self.next
    }

    fn peek_next(&self) -> &Chain {
        &self.next
    }

    fn ended(self: Box<Self>, _: End) {
        self.completions.note(self.number);
    }

    fn owner(&self) -> usize {
        Arc::as_ptr(&self.completions).addr()
    }
}
