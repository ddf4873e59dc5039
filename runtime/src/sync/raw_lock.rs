//! The lock behind `Mutex` and `RwLock`: a word, and a line of those who wait.
//!
//! Who finds the lock free takes it by one exchange of the word, and gives it back by one. An
//! unlock with somebody in line wakes the first: from then on it is *called*, and the lock is
//! free meanwhile. Whoever runs may take it before the called one does, without a switch. But
//! one that was called and comes too late goes back to the front and has the word say so
//! (`PASSED`): from then on nobody takes the lock before it. So each waiter is overtaken by
//! at most one holder after its turn has come, and readers and writers wait in one line. One
//! that was called and finds the lock free takes it without a look at the line.
//!
//! A new reader joins those that read only if nobody is in line. A reader that takes the lock
//! calls the one behind it if that is a reader too.
//!
//! **Invariants**, all under the line's lock: `QUEUED` is set while somebody is in line. If
//! the lock would suit the first in line, somebody is called or about to be. The word says that
//! somebody is called (`CALLED`) before it is out of the line. Who is called and leaves calls the
//! next. A call is forgotten when the hub of one that was called has ended
//! (`hub::wake::retries`), so the lock is never kept for somebody who does not come; its bit may
//! stay, which costs the quick way until somebody waits. The lock is kept for one whose thread is
//! busy: that is the price of a line.

mod waiting;

use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::pin::Pin;
use std::pin::pin;

use crate::hub::reason::What;
use crate::hub::wake::WakeRef;
use crate::hub::wake::retries;
use crate::sync::line::Line;
use crate::sync::line::LineGuard;
use crate::sync::poison::Flag;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::single_threaded::AtomicU32;
use crate::wait_queue::Node;

/// A lock for one writer or many readers, without what it guards.
pub(crate) struct RawLock {
    /// `WRITER`, or `READER` for each reader; and `QUEUED`, `CALLED` and `PASSED`.
    word: AtomicU32,
    /// Whether somebody was in line lately. It only tells which way is the short one: a load of the
    /// word would be waited for, as it comes after an exchange of it.
    is_crowded: AtomicBool,
    /// Not looked at here; it is beside the word, where it takes no room.
    pub(super) poison: Flag,
    /// Its number is what [`retries`] was at the last call.
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
/// Somebody was called and has not come yet, unless its hub has ended.
const CALLED: u32 = 8;
/// One reader.
const READER: u32 = 16;
/// So many readers leave room for a few that race.
const READERS_MAX: u32 = (u32::MAX / READER) - 1024;

// The guards refer to it.
impl UnwindSafe for RawLock {}
impl RefUnwindSafe for RawLock {}

impl RawLock {
    /// Makes a free lock.
    pub(crate) const fn new() -> RawLock {
        RawLock {
            word: AtomicU32::new(0),
            is_crowded: AtomicBool::new(false),
            poison: Flag::new(),
            line: Line::new(),
        }
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
        // Who tries again and again leaves the word to its holder.
        self.word.load(Ordering::Relaxed) & WRITER == 0
            && (self.take_free() || self.try_slowly(Kind::Write))
    }

    /// Gives up what `lock`, or a `try_lock` that was true, has taken. Never waits.
    #[inline]
    pub(crate) fn unlock(&self) {
        if self.is_crowded.load(Ordering::Relaxed) {
            return self.unlock_and_call();
        }
        let before = self.word.fetch_sub(WRITER, Ordering::Release);
        debug_assert_eq!(before & WRITER, WRITER, "unlocked by one who does not hold it");
        if before & (QUEUED | PASSED) != 0 {
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
        if was_last && before & (QUEUED | PASSED) != 0 {
            self.call_next();
        }
    }

    /// Turns the writer that holds the lock into a reader. Never waits.
    #[inline]
    pub(crate) fn downgrade(&self) {
        let before = self.word.fetch_add(READER - WRITER, Ordering::Release);
        debug_assert_eq!(before & WRITER, WRITER, "downgraded by one who does not hold it");
        if before & (QUEUED | PASSED) != 0 {
            self.call_next();
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
        // A look first: where somebody is in line an exchange in vain costs as much as one that
        // succeeds.
        !self.is_crowded.load(Ordering::Relaxed)
            && self.word.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
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
        while word & !(QUEUED | CALLED) == 0 {
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
            // One that was called has come, or never will.
            let is_over = stand == Stand::Called || !is_called(line, word);
            let rest = if is_over { word & !CALLED } else { word };
            let new = if may {
                let queued = if line.is_empty_without(node) { 0 } else { QUEUED };
                (rest & !(QUEUED | PASSED) | queued) + kind.share()
            } else {
                rest | note
            };
            if new == word {
                return false;
            }
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
            return line.has_nobody_before(node) && !is_called(line, word);
        }
        word & PASSED == 0 || !is_called(line, word)
    }

    /// What the word is to be instead of `word`, and whether somebody in line is to be called
    /// with it: if the lock suits the first, and nobody is called already.
    #[inline(always)]
    fn choose(&self, line: &LineGuard<'_>, word: u32) -> (u32, bool) {
        let is_called = is_called(line, word);
        match line.first_tag() {
            None if is_called => (word & !QUEUED, false),
            None => (word & !(QUEUED | PASSED | CALLED), false),
            Some(first) if is_called || !Kind::of(first).suits(word) => (word, false),
            Some(_) if line.has_one() => (word & !QUEUED | CALLED, true),
            Some(_) => (word | CALLED, true),
        }
    }

    /// Takes somebody out of the line whom `choose` has chosen, after the word says so. The
    /// caller calls it.
    #[inline(always)]
    fn take_chosen(&self, mut line: LineGuard<'_>) -> Option<WakeRef> {
        line.set_number(retries());
        line.take_next()
    }

    /// Gives up the lock of a writer, and calls the first in line.
    #[inline(never)]
    fn unlock_and_call(&self) {
        let line = self.line.lock();
        // It is held by one writer and the line is locked, so nobody else changes the word, and
        // a store will do.
        let word = self.word.load(Ordering::Relaxed) - WRITER;
        let (after, calls) = self.choose(&line, word);
        if after == 0 {
            self.is_crowded.store(false, Ordering::Relaxed);
        }
        self.word.store(after, Ordering::Release);
        if calls && let Some(next) = self.take_chosen(line) {
            self.call(next);
        }
    }

    /// Calls the first in line, if the lock suits it.
    #[cold]
    fn call_next(&self) {
        if let Some(next) = self.choose_next(self.line.lock()) {
            self.call(next);
        }
    }

    /// Takes the first out of the line, if the lock suits it and nobody is called already. The
    /// caller calls it.
    fn choose_next(&self, line: LineGuard<'_>) -> Option<WakeRef> {
        // A holder that goes after this look finds `QUEUED`, and looks for itself.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (after, calls) = self.choose(&line, word);
            let order = Ordering::Relaxed;
            if after != word
                && let Err(now) = self.word.compare_exchange_weak(word, after, order, order)
            {
                word = now;
                continue;
            }
            return if calls { self.take_chosen(line) } else { None };
        }
    }

    /// Wakes one that was taken out of the line; if its hub has ended, the next.
    #[inline]
    fn call(&self, next: WakeRef) {
        if !next.wake() {
            self.call_another();
        }
    }

    /// Calls the next, in the place of one that will not come.
    #[cold]
    fn call_another(&self) {
        loop {
            let line = self.line.lock();
            self.word.fetch_and(!CALLED, Ordering::Relaxed);
            if self.choose_next(line).is_none_or(WakeRef::wake) {
                return;
            }
        }
    }
}

/// Whether somebody is called, and on its way as far as is known.
fn is_called(line: &LineGuard<'_>, word: u32) -> bool {
    word & CALLED != 0 && line.number() == retries()
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

impl fmt::Debug for RawLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawLock").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
