//! The permits behind the semaphores: how many are free, and a line of those who want some.
//!
//! Who finds enough of them free, and nobody in line, takes them by one exchange of the word,
//! and gives them back by one. Who gives some back while there is a line *calls* those in front
//! whom they suffice: takes them out of the line, promises them their permits, and wakes them.
//! A promised permit is counted as free until it is taken, but nobody else takes it: so nobody
//! is overtaken, neither by one who comes later nor by who gives back and asks again. One who
//! wants many and is first in line keeps those behind it waiting.
//!
//! **Invariants**, all under the line's lock: `BUSY` is set while somebody is in line, or has a
//! promise. If the free permits that are not promised suffice the first in line, somebody is
//! about to call it. Who has a promise and leaves calls the next. Promises are forgotten when a
//! hub has ended with one that was called (`hub::wake::retries`): then all who wait try again,
//! and so do those who were called.

use std::fmt;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::pin::pin;

use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::hub::wake::retries;
use crate::scheduler::Outcome;
use crate::sync::line::Line;
use crate::sync::line::LineGuard;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::single_threaded::AtomicUsize;
use crate::wait_queue::Node;

/// A number of permits, and those who wait for some.
pub(super) struct Permits {
    /// `ONE` for each that is free; and `BUSY`.
    word: AtomicUsize,
    /// So many are free at most.
    bound: usize,
    /// The tag of one in line is how many it wants; of one that was called, what [`retries`] was.
    line: Line<Promises>,
}

/// The permits of those who were called and have not come yet.
#[derive(Clone, Copy)]
struct Promises {
    permits: usize,
    /// What [`retries`] was when they were made. If it is something else, they are void.
    since: u32,
}

/// Somebody waits: who gives permits back has to look, and who wants some has to queue up.
const BUSY: usize = 1;
/// One free permit.
const ONE: usize = 2;
/// More are refused; twice as many have room in the word.
pub(super) const PERMITS_MAX: usize = usize::MAX / 8;

// The guards refer to it.
impl UnwindSafe for Permits {}
impl RefUnwindSafe for Permits {}

impl Permits {
    /// Makes so many free permits.
    #[inline]
    pub(super) const fn new(permits: usize, bound: usize) -> Permits {
        let none = Promises { permits: 0, since: 0 };
        Permits { word: AtomicUsize::new(permits * ONE), bound, line: Line::with(none) }
    }

    /// How many nobody holds, promised ones among them.
    #[inline]
    pub(super) fn free(&self) -> usize {
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// So many are free at most.
    #[inline]
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// Takes some if that needs no wait.
    #[inline]
    pub(super) fn try_take(&self, wanted: u32) -> bool {
        self.take_free(wanted) || self.try_slowly(wanted)
    }

    /// Takes some, or gives why the wait for them was ended.
    #[inline(always)]
    pub(super) fn take(&self, wanted: u32, deadline: Deadline) -> Result<(), Outcome> {
        if self.take_free(wanted) {
            return Ok(());
        }
        let node = pin!(Node::new(wanted));
        let node = node.as_ref();
        let in_line = InLine { permits: self, node, wanted };
        while let Some(begun) = in_line.begin(deadline) {
            match Suspension::outcome_of(begun, deadline) {
                Outcome::Woken => {}
                // Called in the meantime: it has its permits after all.
                Outcome::TimedOut if !node.is_linked() => {}
                // Dropping `in_line` calls the next.
                outcome => return Err(outcome),
            }
        }
        mem::forget(in_line);
        Ok(())
    }

    /// Gives some back. Those that are too many are lost.
    #[inline]
    pub(super) fn give_back(&self, count: u32) {
        let add = |free: usize| Some((free + count as usize).min(self.bound));
        self.change(add);
    }

    /// Adds some; false if they would be too many.
    #[inline]
    pub(super) fn add(&self, count: usize) -> bool {
        let add = |free: usize| free.checked_add(count).filter(|free| *free <= self.bound);
        self.change(add)
    }

    /// Gives the number of those that are free another value, if `change` has one.
    #[inline]
    fn change(&self, change: impl Fn(usize) -> Option<usize>) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let Some(free) = change(word / ONE) else { return false };
            let new = free * ONE + (word & BUSY);
            let order = (Ordering::Release, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, new, order.0, order.1) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        if word & BUSY != 0 {
            self.call();
        }
        true
    }

    #[inline]
    fn take_free(&self, wanted: u32) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & BUSY == 0 && word / ONE >= wanted as usize {
            let left = word - wanted as usize * ONE;
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, left, order.0, order.1) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        wanted == 0
    }

    #[cold]
    fn try_slowly(&self, wanted: u32) -> bool {
        if self.free() < wanted as usize {
            return false;
        }
        // What is busy may be so no more.
        let node = pin!(Node::new(wanted));
        self.take_or(&mut self.line.lock(), wanted, node.as_ref(), false, 0)
    }

    /// Takes the permits and leaves the line, or sets a note in the word. It is one exchange, so
    /// permits are given back either before it, or by one who sees the note.
    fn take_or(
        &self,
        line: &mut LineGuard<'_, Promises>,
        wanted: u32,
        node: Pin<&Node>,
        is_called: bool,
        note: usize,
    ) -> bool {
        let may = is_called || line.has_nobody_before(node);
        let promised = promised(line);
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let fits = may && word / ONE >= promised + wanted as usize;
            let new = if fits {
                let is_idle = promised == 0 && line.is_empty_without(node);
                (if is_idle { word & !BUSY } else { word }) - wanted as usize * ONE
            } else if word & note == note {
                return false;
            } else {
                word | note
            };
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, new, order.0, order.1) {
                Ok(_) if fits => break,
                Ok(_) => return false,
                Err(now) => word = now,
            }
        }
        line.unlink(node);
        true
    }

    /// Calls those in front whom the free permits suffice. Permits that come meanwhile are the
    /// affair of those who give them, or they could keep the caller here for ever.
    #[cold]
    fn call(&self) {
        let mut line = self.line.lock();
        let mut left = self.free().saturating_sub(promised(&line));
        while let Some((wanted, next)) = self.choose(&mut line, left) {
            let since = line.number().since;
            drop(line);
            let comes = next.wake();
            line = self.line.lock();
            if comes {
                left -= wanted as usize;
            } else {
                // Its hub has ended.
                take_promise_back(&mut line, wanted, since);
            }
        }
        if line.is_empty() && promised(&line) == 0 {
            self.word.fetch_and(!BUSY, Ordering::Relaxed);
        }
    }

    /// Takes the first out of the line and promises it what it wants, if there are so many.
    fn choose(&self, line: &mut LineGuard<'_, Promises>, most: usize) -> Option<(u32, WakeRef)> {
        // One look: promises of an earlier number may not be counted under a later one.
        let since = retries();
        let promised = line.number().at(since);
        let most = most.min(self.free().saturating_sub(promised));
        let wanted = line.first_tag().filter(|wanted| *wanted as usize <= most)?;
        line.set_number(Promises { permits: promised + wanted as usize, since });
        line.take_next_with(|tag| tag.replace(since))
    }
}

impl Promises {
    /// How many there are that are not void, if [`retries`] is `now`.
    fn at(self, now: u32) -> usize {
        if self.since == now { self.permits } else { 0 }
    }
}

/// How many permits are promised to those who were called, and who come as far as is known.
fn promised(line: &LineGuard<'_, Promises>) -> usize {
    line.number().at(retries())
}

/// One that was called is here: its promise is no more.
fn keep_promise(line: &mut LineGuard<'_, Promises>, node: Pin<&Node>, wanted: u32) {
    let since = node.payload().expect("one that was called is not in line").get();
    take_promise_back(line, wanted, since);
}

/// Takes back a promise that was made when [`retries`] was `since`.
fn take_promise_back(line: &mut LineGuard<'_, Promises>, wanted: u32, since: u32) {
    let promises = line.number();
    if promises.since == since {
        // One whose wake went nowhere may yet unwind from its wait, and come here twice.
        let permits = promises.permits.saturating_sub(wanted as usize);
        line.set_number(Promises { permits, since });
    }
}

/// Takes a node out of the line before the frame goes away, even if that is by a panic, and
/// lets those behind it in.
struct InLine<'a> {
    permits: &'a Permits,
    node: Pin<&'a Node>,
    wanted: u32,
}

impl InLine<'_> {
    /// Takes the permits, which is `None`; or gets in line and begins a wait.
    #[inline(never)]
    fn begin(&self, deadline: Deadline) -> Option<Begun> {
        let InLine { permits, node, wanted } = *self;
        let reason = permits.line.reason(What::Permit);
        let place = Place::announced(reason);
        let mut line = permits.line.lock();
        let (was_linked, is_called) = (node.is_linked(), node.was_taken_out());
        if is_called {
            keep_promise(&mut line, node, wanted);
        }
        if permits.take_or(&mut line, wanted, node, is_called, BUSY) {
            drop(line);
            if was_linked {
                // All promises were void, so there may be some for the next as well.
                permits.call();
            }
            return None;
        }
        if !was_linked {
            node.set_tag(wanted);
        }
        line.link(node, &place, is_called);
        drop(line);
        Some(place.begin(deadline, reason, Mode::Plain))
    }
}

impl Drop for InLine<'_> {
    #[cold]
    fn drop(&mut self) {
        let mut line = self.permits.line.lock();
        // One that was never in line was not called either.
        if !line.unlink(self.node) && self.node.was_taken_out() {
            keep_promise(&mut line, self.node, self.wanted);
        }
        drop(line);
        // Also if it was not called: it may have wanted more than those behind it.
        self.permits.call();
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits").field("free", &self.free()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
