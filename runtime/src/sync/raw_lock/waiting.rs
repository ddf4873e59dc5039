//! The waits for a lock: in line, until it is called and has the lock.
//!
//! The frames of who waits are such that the switch is in that of the runtime's caller; see
//! [`Suspension`].

use std::mem;
use std::pin::Pin;
use std::pin::pin;

use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sync::raw_lock::CALLED;
use crate::sync::raw_lock::Kind;
use crate::sync::raw_lock::PASSED;
use crate::sync::raw_lock::QUEUED;
use crate::sync::raw_lock::READER;
use crate::sync::raw_lock::READERS_MAX;
use crate::sync::raw_lock::RawLock;
use crate::sync::raw_lock::Stand;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::Node;

/// What comes next for somebody who wants the lock.
enum Step {
    /// It has it.
    Taken,
    /// It is in line, and is to be suspended.
    Suspend(Suspension),
    /// Its wait is over already, and has ended so.
    Over(Outcome),
}

impl RawLock {
    /// Takes the lock, which was not free. Throws what ends the wait.
    #[inline(always)]
    pub(super) fn lock_slowly(&self, kind: Kind, what: What) {
        if self.acquire(kind, what, Deadline::NEVER).is_err() {
            interrupted();
        }
    }

    /// Takes the lock as `kind` says, or gives why the wait for it was ended.
    #[inline(always)]
    pub(crate) fn acquire(
        &self,
        kind: Kind,
        what: What,
        deadline: Deadline,
    ) -> Result<(), Outcome> {
        let node = pin!(Node::new(kind as u32));
        let node = node.as_ref();
        let in_line = InLine { lock: self, node };
        let mut step = self.begin(kind, what, deadline, node);
        loop {
            match step {
                Step::Suspend(suspension) => {
                    let outcome = suspension.suspend(deadline);
                    if outcome == Outcome::Woken && !node.is_linked() && self.come(kind) {
                        break;
                    }
                    step = self.go_on(kind, what, deadline, node, outcome);
                }
                Step::Taken => break,
                // Dropping `in_line` calls the next, if this one was called meanwhile.
                Step::Over(outcome) => return Err(outcome),
            }
        }
        mem::forget(in_line);
        Ok(())
    }

    /// Takes the lock, or begins the wait for it.
    #[inline(never)]
    fn begin(&self, kind: Kind, what: What, deadline: Deadline, node: Pin<&Node>) -> Step {
        if self.overtake(kind) {
            return Step::Taken;
        }
        let is_one_too_many = self.word.load(Ordering::Relaxed) / READER >= READERS_MAX;
        assert!(kind == Kind::Write || !is_one_too_many, "too many active read locks on RwLock");
        match self.try_in_line(kind, what, deadline, node, Stand::Waits) {
            Step::Over(outcome) => self.go_on(kind, what, deadline, node, outcome),
            step => step,
        }
    }

    /// Takes the lock, or begins another wait, after one that has ended so.
    #[cold]
    fn go_on(
        &self,
        kind: Kind,
        what: What,
        deadline: Deadline,
        node: Pin<&Node>,
        mut outcome: Outcome,
    ) -> Step {
        loop {
            let is_called = !node.is_linked();
            // If its time is up, it may have been called in the meantime.
            if outcome != Outcome::Woken && !(is_called && outcome == Outcome::TimedOut) {
                return Step::Over(outcome);
            }
            if is_called && self.come(kind) {
                return Step::Taken;
            }
            match self.try_in_line(kind, what, deadline, node, Stand::Called) {
                Step::Over(now) => outcome = now,
                step => return step,
            }
        }
    }

    /// Takes the lock, or gets in line and begins a wait, or has waited.
    #[inline(always)]
    fn try_in_line(
        &self,
        kind: Kind,
        what: What,
        deadline: Deadline,
        node: Pin<&Node>,
        mut stand: Stand,
    ) -> Step {
        let reason = self.line.reason(what);
        let place = Place::announced(reason);
        let mut line = self.line.lock();
        if stand == Stand::Called && node.is_linked() {
            // Woken since one that was called will not come.
            stand = Stand::Waits;
        }
        if self.take(&mut line, kind, node, stand) {
            if kind == Kind::Read
                && let Some(next) = self.choose_next(line)
            {
                self.call(next);
            }
            return Step::Taken;
        }
        line.link(node, &place, stand == Stand::Called);
        self.is_crowded.store(true, Ordering::Relaxed);
        drop(line);
        match place.begin(deadline, reason, Mode::Plain) {
            Ok(suspension) => Step::Suspend(suspension),
            Err(outcome) => Step::Over(outcome),
        }
    }

    /// Takes the lock if it suits one that is called, and so is in line no more.
    #[inline]
    fn come(&self, kind: Kind) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while kind.suits(word) {
            let taken = (word & !(CALLED | PASSED)) + kind.share();
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, taken, order.0, order.1) {
                Ok(_) => {
                    if kind == Kind::Read && word & QUEUED != 0 {
                        self.call_next();
                    }
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }
}

/// Takes a node out of the line before the frame goes away, even if that is by a panic, and
/// lets those behind it in.
pub(super) struct InLine<'a> {
    pub(super) lock: &'a RawLock,
    pub(super) node: Pin<&'a Node>,
}

impl Drop for InLine<'_> {
    #[cold]
    fn drop(&mut self) {
        let mut line = self.lock.line.lock();
        // One that was never in line was not called either.
        let was_called = self.node.was_taken_out();
        line.unlink(self.node);
        if was_called {
            self.lock.word.fetch_and(!CALLED, Ordering::Relaxed);
        }
        drop(line);
        // Also if it was not: readers may have waited behind a writer that leaves.
        self.lock.call_next();
    }
}
