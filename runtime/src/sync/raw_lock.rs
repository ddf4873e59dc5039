//! The lock behind `Mutex` and `RwLock`: a word, and a line of those who wait.
//!
//! Who finds the lock free takes it by one exchange of the word, and gives it back by one. An
//! unlock with somebody in line wakes the first: from then on it is *called*, and the lock is
//! free meanwhile. Whoever runs may take it before the called one does, without a switch. But
//! one that was called and comes too late goes back to the front and has the word say so
//! (`PASSED`): from then on nobody takes the lock before it. So each waiter is overtaken by
//! at most one holder after its turn has come, and readers and writers wait in one line.
//!
//! A new reader joins those that read only if nobody is in line. A reader that takes the lock
//! calls the one behind it if that is a reader too.
//!
//! **Invariants**, all under the line's lock: `QUEUED` is set while somebody is in line. If
//! the lock would suit the first in line, somebody is called or about to be. Who is called
//! and leaves calls the next. A call is forgotten when the hub of one that was called has
//! ended (`hub::wake::retries`), so the lock is never kept for somebody who does not come. It
//! is kept for one whose thread is busy: that is the price of a line.

use std::fmt;
use std::mem;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::pin::pin;

use crate::hub::Mode;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::hub::wake::retries;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sync::line::Line;
use crate::sync::line::LineGuard;
use crate::sync::poison::Flag;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::wait_queue::Node;

/// A lock for one writer or many readers, without what it guards.
pub(crate) struct RawLock {
    /// `WRITER`, or `READER` for each reader; and `QUEUED` and `PASSED`.
    word: AtomicU32,
    /// Not looked at here; it is beside the word, where it takes no room.
    pub(super) poison: Flag,
    /// Its number says who is called: 0 is nobody, else what [`retries`] was at the call.
    line: Line,
}

/// How somebody wants the lock; in line, the tag of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Alone.
    Write = 0,
    /// Together with others that read.
    Read = 1,
}

/// Where somebody stands who tries to take the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Not in line yet; or in line, and looks for itself whether its turn has come.
    Waits,
    /// Called: taken out of the line by an unlock.
    Called,
}

/// Held by a writer.
const WRITER: u32 = 1;
/// Somebody may be in line: an unlock has to look.
const QUEUED: u32 = 2;
/// One that was called came too late: nobody but the called takes the lock.
const PASSED: u32 = 4;
/// One reader.
const READER: u32 = 8;
/// So many readers leave room for a few that race.
const READERS_MAX: u32 = (u32::MAX / READER) - 1024;

const NOBODY: u32 = 0;

// The guards refer to it.
impl UnwindSafe for RawLock {}
impl RefUnwindSafe for RawLock {}

impl RawLock {
    /// Makes a free lock.
    pub(crate) const fn new() -> RawLock {
        RawLock { word: AtomicU32::new(0), poison: Flag::new(), line: Line::new() }
    }

    /// Takes the lock alone; waits as long as somebody has it.
    #[inline]
    pub(crate) fn lock(&self, what: What) {
        if !self.take_free() {
            self.lock_slowly(Kind::Write, what);
        }
    }

    /// Takes the lock alone if nobody has it, and nobody is to get it.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.take_free() || self.try_slowly(Kind::Write)
    }

    /// Gives up what `lock`, or a `try_lock` that was true, has taken. Never waits.
    #[inline]
    pub(crate) fn unlock(&self) {
        let before = self.word.fetch_sub(WRITER, Ordering::Release);
        debug_assert_eq!(before & WRITER, WRITER, "unlocked by one who does not hold it");
        if before != WRITER {
            self.call_next();
        }
    }

    /// Takes the lock together with others that read; waits as long as somebody writes, or is
    /// in line.
    #[inline]
    pub(crate) fn lock_shared(&self) {
        if !self.join() {
            self.lock_slowly(Kind::Read, What::ReadLock);
        }
    }

    /// Takes the lock together with others if that needs no wait.
    #[inline]
    pub(crate) fn try_lock_shared(&self) -> bool {
        self.join() || self.try_slowly(Kind::Read)
    }

    /// Gives up what `lock_shared`, or a `try_lock_shared` that was true, has taken. Never
    /// waits.
    #[inline]
    pub(crate) fn unlock_shared(&self) {
        let before = self.word.fetch_sub(READER, Ordering::Release);
        debug_assert!(before >= READER, "unlocked by one who does not hold it");
        let was_last = before < 2 * READER;
        if was_last && before != READER {
            self.call_next();
        }
    }

    /// Turns the writer that holds the lock into a reader. Never waits.
    #[inline]
    pub(crate) fn downgrade(&self) {
        let before = self.word.fetch_add(READER - WRITER, Ordering::Release);
        debug_assert_eq!(before & WRITER, WRITER, "downgraded by one who does not hold it");
        if before != WRITER {
            self.call_next();
        }
    }

    /// Takes the lock as `kind` says, or gives why the wait for it was ended.
    #[cold]
    pub(crate) fn acquire(
        &self,
        kind: Kind,
        what: What,
        deadline: Deadline,
    ) -> Result<(), Outcome> {
        if self.overtake(kind) {
            return Ok(());
        }
        let is_one_too_many = self.word.load(Ordering::Relaxed) / READER >= READERS_MAX;
        assert!(kind == Kind::Write || !is_one_too_many, "too many active read locks on RwLock");
        let node = pin!(Node::new(kind as u32));
        let node = node.as_ref();
        let reason = self.line.reason(what);
        let in_line = InLine { lock: self, node };
        let mut stand = Stand::Waits;
        loop {
            let place = Place::current();
            // Before the line is locked: whoever calls this node finds it announced.
            place.announce(reason);
            let mut line = self.line.lock();
            if stand == Stand::Called && node.is_linked() {
                // Woken since one that was called will not come.
                stand = Stand::Waits;
            }
            if self.take(&mut line, kind, node, stand) {
                let next = if kind == Kind::Read { self.choose(&mut line) } else { None };
                drop(line);
                mem::forget(in_line);
                if let Some(next) = next {
                    self.call(next);
                }
                return Ok(());
            }
            line.link(node, place.wake_ref(), stand == Stand::Called);
            drop(line);
            match place.block(deadline, reason, Mode::Plain) {
                Outcome::Woken => stand = Stand::Called,
                // Called in the meantime: it may have the lock after all.
                Outcome::TimedOut if !node.is_linked() => stand = Stand::Called,
                // Dropping `in_line` calls the next, if this one was called meanwhile.
                outcome => return Err(outcome),
            }
        }
    }

    #[cold]
    fn lock_slowly(&self, kind: Kind, what: What) {
        if self.acquire(kind, what, Deadline::NEVER).is_err() {
            interrupted();
        }
    }

    #[cold]
    fn try_slowly(&self, kind: Kind) -> bool {
        if self.overtake(kind) {
            return true;
        }
        let word = self.word.load(Ordering::Relaxed);
        if !kind.suits(word) || word & (QUEUED | PASSED) == 0 {
            // Held; or a reader too many.
            return false;
        }
        let node = pin!(Node::new(kind as u32));
        self.take_or(&mut self.line.lock(), kind, node.as_ref(), Stand::Waits, 0)
    }

    #[inline]
    fn take_free(&self) -> bool {
        self.word.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the lock as one more reader, if nobody writes or is in line.
    #[inline]
    fn join(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WRITER | QUEUED | PASSED) == 0 && Kind::Read.suits(word) {
            let joined = word + READER;
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, joined, order.0, order.1) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes the lock if nobody has it, although somebody may be in line or called.
    fn overtake(&self, kind: Kind) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !QUEUED == 0 {
            let taken = word + kind.share();
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, taken, order.0, order.1) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes the lock, or notes that somebody is in line for it from now on.
    fn take(&self, line: &mut LineGuard<'_>, kind: Kind, node: Pin<&Node>, stand: Stand) -> bool {
        let note = if stand == Stand::Called { QUEUED | PASSED } else { QUEUED };
        if stand == Stand::Called {
            line.set_number(NOBODY);
        }
        self.take_or(line, kind, node, stand, note)
    }

    /// Takes the lock and leaves the line, or sets a note in the word. It is one exchange, so
    /// an unlock comes either before it or sees the note; one that is there already is not
    /// taken out meanwhile.
    fn take_or(
        &self,
        line: &mut LineGuard<'_>,
        kind: Kind,
        node: Pin<&Node>,
        stand: Stand,
        note: u32,
    ) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let may = self.may_take(line, word, kind, node, stand);
            let new = if may {
                let queued = if line.is_empty_without(node) { 0 } else { QUEUED };
                (word & !(QUEUED | PASSED) | queued) + kind.share()
            } else if word & note == note {
                return false;
            } else {
                word | note
            };
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.word.compare_exchange_weak(word, new, order.0, order.1) {
                Ok(_) if may => break,
                Ok(_) => return false,
                Err(now) => word = now,
            }
        }
        line.unlink(node);
        true
    }

    /// Whether somebody may take the lock when the word is `word`.
    fn may_take(
        &self,
        line: &LineGuard<'_>,
        word: u32,
        kind: Kind,
        node: Pin<&Node>,
        stand: Stand,
    ) -> bool {
        if !kind.suits(word) {
            return false;
        }
        if stand == Stand::Called {
            return true;
        }
        let is_held = word >= READER;
        if is_held {
            return line.has_nobody_before(node) && !is_called(line);
        }
        word & PASSED == 0 || !is_called(line)
    }

    /// Takes the first out of the line if the lock suits it and nobody is called already. The
    /// caller calls it.
    #[inline(always)]
    fn choose(&self, line: &mut LineGuard<'_>) -> Option<WakeRef> {
        let Some(first) = line.first_tag() else {
            if !is_called(line) {
                self.word.fetch_and(!(QUEUED | PASSED), Ordering::Relaxed);
            }
            return None;
        };
        // A holder that goes after this look finds `QUEUED`, and looks for itself.
        let suits = Kind::of(first).suits(self.word.load(Ordering::Relaxed));
        if !suits || is_called(line) {
            return None;
        }
        let called = line.take_next();
        line.set_number(retries());
        if line.is_empty() {
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        called
    }

    /// Calls the first in line, if the lock suits it.
    #[cold]
    fn call_next(&self) {
        let next = self.choose(&mut self.line.lock());
        if let Some(next) = next {
            self.call(next);
        }
    }

    /// Wakes one that was taken out of the line; if its hub has ended, the next.
    #[cold]
    fn call(&self, mut next: WakeRef) {
        while !next.wake() {
            let mut line = self.line.lock();
            line.set_number(NOBODY);
            match self.choose(&mut line) {
                Some(other) => next = other,
                None => return,
            }
        }
    }
}

/// Whether somebody is called, and on its way as far as is known.
fn is_called(line: &LineGuard<'_>) -> bool {
    let number = line.number();
    number != NOBODY && number == retries()
}

impl Kind {
    fn of(tag: u32) -> Kind {
        if tag == Kind::Read as u32 { Kind::Read } else { Kind::Write }
    }

    /// What a holder adds to the word.
    fn share(self) -> u32 {
        match self {
            Kind::Write => WRITER,
            Kind::Read => READER,
        }
    }

    /// Whether those who hold the lock leave room for one more of this kind.
    fn suits(self, word: u32) -> bool {
        match self {
            Kind::Write => word & WRITER == 0 && word < READER,
            Kind::Read => word & WRITER == 0 && word < READERS_MAX * READER,
        }
    }
}

/// Takes a node out of the line before the frame goes away, even if that is by a panic, and
/// lets those behind it in.
struct InLine<'a> {
    lock: &'a RawLock,
    node: Pin<&'a Node>,
}

impl Drop for InLine<'_> {
    #[cold]
    fn drop(&mut self) {
        let mut line = self.lock.line.lock();
        let was_called = !line.unlink(self.node);
        if was_called {
            line.set_number(NOBODY);
        }
        drop(line);
        // Also if it was not: readers may have waited behind a writer that leaves.
        self.lock.call_next();
    }
}

impl fmt::Debug for RawLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLock").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
