//! The branches of the facade's `select!`: what the macro makes of its lines. Not for use by hand.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::queue::errors::PutError;
use crate::select;
use crate::select::Selectable;
use crate::select::Takeable;
use crate::select::Waitable;
use crate::select::waits_as;
use crate::sync::mpsc::Receiver;
use crate::sys::clock::Deadline;

/// A branch. It is implemented here only.
#[expect(private_bounds, reason = "nobody else can implement it")]
pub trait Branch: Waitable {
    /// Does what the branch is for, without a wait. False if another was faster.
    fn try_take(&self, was_woken: bool) -> bool;
}

/// A branch that takes something.
pub struct Taking<'a, S: Takeable> {
    source: &'a S,
    output: Cell<Option<S::Output>>,
}

/// A branch that takes nothing.
pub struct Knowing<'a, S: Selectable> {
    thing: &'a S,
    is_known: Cell<bool>,
}

/// A branch that puts an item into a queue.
pub struct Put<'a, T> {
    inner: Box<dyn PutBranch<T> + 'a>,
}

/// What items are taken from.
pub trait Gets {
    /// What is in it.
    type Item;

    /// Takes the next item, waiting for one; `None` if none will come.
    ///
    /// # Suspends
    ///
    /// As `get` of the queue.
    fn next_item(&self) -> Option<Self::Item>;

    /// Takes the next item if there is one.
    fn next_item_now(&self) -> Option<Self::Item>;
}

/// What items are put into.
pub trait Puts {
    /// What is put in.
    type Item;

    /// A branch that puts in what is in the slot, and leaves it there otherwise.
    fn branch<'a>(
        &'a self,
        slot: &'a mut Option<Self::Item>,
    ) -> Box<dyn PutBranch<Self::Item> + 'a>;
}

/// What [`Put`] is, whatever the order of its queue.
#[expect(private_bounds, reason = "nobody else can implement it")]
pub trait PutBranch<T>: Waitable {
    /// Puts the item in without a wait, or finds that it was taken. False if there is no room.
    fn try_put(&self) -> bool;

    /// What became of the item; `None` if it is where it was.
    fn into_result(self: Box<Self>) -> Option<Result<(), PutError<T>>>;
}

/// Queues are shared by pointers.
macro_rules! through_pointers {
    ($($pointer:ty),*) => {$(
        impl<Q: Gets + ?Sized> Gets for $pointer {
            type Item = Q::Item;

            fn next_item(&self) -> Option<Q::Item> {
                (**self).next_item()
            }

            fn next_item_now(&self) -> Option<Q::Item> {
                (**self).next_item_now()
            }
        }

        impl<Q: Puts + ?Sized> Puts for $pointer {
            type Item = Q::Item;

            fn branch<'a>(
                &'a self,
                slot: &'a mut Option<Q::Item>,
            ) -> Box<dyn PutBranch<Q::Item> + 'a> {
                (**self).branch(slot)
            }
        }
    )*};
}

through_pointers!(&Q, Arc<Q>, Rc<Q>);

/// `get(&queue)`: the next item.
pub fn get<Q: Gets + Takeable>(queue: &Q) -> Taking<'_, Q> {
    Taking { source: queue, output: Cell::new(None) }
}

/// `recv(&receiver)`: the next value.
pub fn recv<T>(receiver: &Receiver<T>) -> Taking<'_, Receiver<T>> {
    Taking { source: receiver, output: Cell::new(None) }
}

/// `wait(&event)`: that something is ready, whatever a select can wait for.
pub fn wait<S: Selectable>(thing: &S) -> Knowing<'_, S> {
    Knowing { thing, is_known: Cell::new(false) }
}

/// `join(&handle)`: the end of a coroutine.
pub fn join<S: Selectable>(handle: &S) -> Knowing<'_, S> {
    wait(handle)
}

/// `put(&queue, &mut slot)`: room for the item in the slot.
pub fn put<'a, Q: Puts>(queue: &'a Q, slot: &'a mut Option<Q::Item>) -> Put<'a, Q::Item> {
    Put { inner: queue.branch(slot) }
}

/// Waits until one of the branches has done what it is for.
///
/// # Suspends
///
/// Until one has.
pub fn run(branches: &[&dyn Branch]) {
    assert!(!branches.is_empty(), "a select of nothing would never end");
    let take = |index: usize, was_woken| branches[index].try_take(was_woken);
    let chosen = select::wait(branches, Deadline::NEVER, Some(&take));
    debug_assert!(chosen.is_some(), "it has no deadline");
}

/// Waits until one of the branches has done what it is for, or the time is up.
///
/// # Suspends
///
/// Until one has, or the time is up.
pub fn run_for(branches: &[&dyn Branch], timeout: Duration) {
    let take = |index: usize, was_woken| branches[index].try_take(was_woken);
    select::wait(branches, Deadline::after(timeout), Some(&take));
}

/// Does what one of the branches is for, if one can now.
///
/// # Suspends
///
/// Never.
pub fn run_now(branches: &[&dyn Branch]) {
    let take = |index: usize, was_woken| branches[index].try_take(was_woken);
    select::try_wait(branches, Some(&take));
}

impl<S: Takeable> Taking<'_, S> {
    /// What was taken, if this is the branch that was chosen.
    pub fn into_output(self) -> Option<S::Output> {
        self.output.into_inner()
    }
}

impl<S: Selectable> Knowing<'_, S> {
    /// Whether this is the branch that was chosen.
    pub fn into_output(self) -> Option<()> {
        self.is_known.into_inner().then_some(())
    }
}

impl<T> Put<'_, T> {
    /// Whether the queue has taken the item, if this is the branch that was chosen.
    pub fn into_output(self) -> Option<Result<(), PutError<T>>> {
        self.inner.into_result()
    }
}

impl<S: Takeable> Branch for Taking<'_, S> {
    fn try_take(&self, _: bool) -> bool {
        let output = self.source.try_take();
        let is_taken = output.is_some();
        self.output.set(output);
        is_taken
    }
}

waits_as!([S: Takeable] Taking<'_, S>, this => this.source);

impl<S: Selectable> Branch for Knowing<'_, S> {
    fn try_take(&self, was_woken: bool) -> bool {
        let is_known = self.thing.was_ready(was_woken);
        self.is_known.set(is_known);
        if is_known && was_woken {
            // Nothing is taken, so what the wake was about is there for the next.
            self.thing.pass_on();
        }
        is_known
    }
}

waits_as!([S: Selectable] Knowing<'_, S>, this => this.thing);

impl<T> Branch for Put<'_, T> {
    fn try_take(&self, _: bool) -> bool {
        self.inner.try_put()
    }
}

waits_as!([T] Put<'_, T>, this => this.inner);

impl<S: Takeable> fmt::Debug for Taking<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking").finish_non_exhaustive()
    }
}

impl<S: Selectable> fmt::Debug for Knowing<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Knowing").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Put<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").finish_non_exhaustive()
    }
}
