//! Inspection: a parked coroutine tells where it stands, and stands there again.
//!
//! It is resumed as after a wait, with a mark that is not that of an end of a wait. It then
//! calls back to the stack of whoever inspects it, from where its frames are walked, and
//! suspends itself anew. Neither its record nor a queue is touched, no code of the user's
//! runs, and its own stack is used for a few hundred bytes only.
//!
//! **Invariant:** only a coroutine that a `Suspension` has suspended is inspected.

// A coroutine is resumed, and writes where another said.
#![allow(unsafe_code)]

use std::collections::HashSet;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use crate::coroutine::Coroutine;
use crate::coroutine::ENTRY_BYTES;
use crate::hub::Hub;
use crate::hub::ROOT;
use crate::hub::table::Row;
use crate::scheduler::Outcome;
use crate::scheduler::State as TaskState;
use crate::sys::frames;
use crate::sys::process::abort_with;

/// Why a suspended coroutine is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// Its wait is over, in that way.
    Over(Outcome),
    /// It is to tell its frames and suspend itself again.
    Inspected,
}

/// Where a task stands, if that is known: the addresses of its calls, innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// Nobody asked.
    Unasked,
    /// It has not run yet.
    Unstarted,
    /// Its stack is almost used up.
    NoRoom,
    /// The code that asks was reached by a switch which the hub knows not of.
    Refused,
    /// The frames do not lead there: those of code without unwind tables are between.
    Unreached,
    /// All of them.
    Whole(Arc<[usize]>),
    /// The innermost ones: there are too many, or the others have no unwind tables.
    Part(Arc<[usize]>),
}

/// A walk over the frames of a stack.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The stack of the coroutine whose frames they are; `None` is all stacks.
    own: Option<Range<usize>>,
    frames: Box<[usize; FRAMES_MAX]>,
    len: usize,
    /// Of these, how many there are up to the coroutine's entry, once that is reached.
    own_len: Option<usize>,
    /// Whether the coroutine had room for it.
    had_room: bool,
}

/// More frames than these are not told.
const FRAMES_MAX: usize = 256;
/// The frame of the function that begins the walk is smaller.
const FIRST_FRAME_BYTES: usize = 4096;

impl Trace {
    /// The addresses, if there are any.
    pub(crate) fn addresses(&self) -> &[usize] {
        match self {
            Trace::Whole(addresses) | Trace::Part(addresses) => addresses,
            _ => &[],
        }
    }
}

impl Hub {
    /// Finds out where each of the tasks stands that were copied just now.
    pub(crate) fn trace_all(&self, rows: &mut [Row]) {
        let mut known = HashSet::new();
        let mut walk = Walk::new();
        let (running, root) = self.trace_running(&mut walk, &mut known);
        for row in rows {
            row.trace = match row.slot {
                slot if slot == self.slot() => running.clone(),
                ROOT => root.clone(),
                _ if running == Trace::Refused => Trace::Refused,
                slot => self.inspect(slot, row.id, &mut walk, &mut known),
            };
        }
    }

    /// Where the running task stands, which asks, and the root.
    fn trace_running(&self, walk: &mut Walk, known: &mut Known) -> (Trace, Trace) {
        let Some(coroutine) = self.running() else {
            walk.begin(None);
            walk.go(None);
            let root = walk.trace(known);
            return (root.clone(), root);
        };
        // SAFETY: the loop has not got control back, so it has not ended.
        if unsafe { !coroutine.is_here() } {
            return (Trace::Refused, Trace::Refused);
        }
        // SAFETY: as above.
        walk.begin(Some(unsafe { coroutine.frame_addresses() }));
        walk.go(None);
        let trace = walk.trace(known);
        // Its resumer's frames are the root's.
        walk.own = None;
        walk.skip_own();
        let root = if walk.len == 0 { Trace::Unreached } else { walk.trace(known) };
        (trace, root)
    }

    /// Where a task stands that does not run.
    fn inspect(&self, slot: u32, id: u64, walk: &mut Walk, known: &mut Known) -> Trace {
        let state = self.state();
        let Some(task) = state.scheduler.get(slot).filter(|task| task.id == id) else {
            return Trace::Unasked;
        };
        let is_suspended = state.scheduler.state(slot) != Some(TaskState::Running);
        let Some(coroutine) = task.coroutine.filter(|_| is_suspended) else {
            return Trace::Unstarted;
        };
        drop(state);
        // SAFETY: it is in the table, so it has not ended.
        walk.begin(Some(unsafe { coroutine.frame_addresses() }));
        self.inspection.set(walk);
        self.vitals.note_inspection(true);
        self.resumed.set(Resumed::Inspected);
        // SAFETY: it does not run, so a `Suspension` has suspended it: it has a coroutine
        // since its first run. It is not the one that asks, and nothing else is resumed until
        // it is suspended again.
        let ended = unsafe { coroutine.resume() };
        self.vitals.note_inspection(false);
        self.resumed.set(Resumed::Over(Outcome::Woken));
        self.inspection.set(ptr::null_mut());
        if ended {
            abort_with("a coroutine ends while it is inspected");
        }
        if walk.had_room { walk.trace(known) } else { Trace::NoRoom }
    }

    /// The side of the coroutine that is inspected, until its wait is over.
    #[cold]
    #[inline(never)]
    pub(super) fn be_inspected(&self, coroutine: Coroutine) -> Outcome {
        loop {
            // SAFETY: who inspects waits for us, and uses the walk through this pointer only.
            let walk = unsafe { &mut *self.inspection.get() };
            let here = frames::stack_pointer();
            // SAFETY: its code has called us.
            let had_room = unsafe { coroutine.call_from_here(|| walk.go(Some(here))) };
            // SAFETY: as above.
            unsafe { (*self.inspection.get()).had_room = had_room };
            // SAFETY: as above.
            unsafe { coroutine.suspend() };
            if let Resumed::Over(outcome) = self.resumed.get() {
                return outcome;
            }
        }
    }
}

/// The traces that were met already: most coroutines stand where others do.
type Known = HashSet<Arc<[usize]>>;

impl Walk {
    fn new() -> Walk {
        Walk { own: None, frames: Box::new([0; FRAMES_MAX]), len: 0, own_len: None, had_room: true }
    }

    fn begin(&mut self, own: Option<Range<usize>>) {
        self.own = own;
        self.len = 0;
        self.own_len = None;
        self.had_room = true;
    }

    /// Walks the frames that led here. If only a coroutine's are asked for, they begin with
    /// that of the function whose stack pointer is given, and end at its entry.
    fn go(&mut self, first: Option<usize>) {
        let mut has_begun = first.is_none();
        frames::walk(|frame| {
            has_begun |= first.is_some_and(|first| {
                (first..first.saturating_add(FIRST_FRAME_BYTES)).contains(&frame.stack)
            });
            if !has_begun {
                return true;
            }
            // Beyond a thread's first function there is nothing.
            if self.len == FRAMES_MAX || frame.code == 0 {
                return false;
            }
            self.frames[self.len] = frame.code;
            self.len += 1;
            if self.own_len.is_none()
                && let Some(own) = &self.own
                && (own.end - ENTRY_BYTES..=own.end).contains(&frame.stack)
            {
                self.own_len = Some(self.len);
            }
            first.is_none() || self.own_len.is_none()
        });
    }

    /// Leaves the frames beyond the coroutine's entry.
    fn skip_own(&mut self) {
        let own_len = self.own_len.take().unwrap_or(self.len);
        self.frames.copy_within(own_len..self.len, 0);
        self.len -= own_len;
    }

    fn trace(&self, known: &mut Known) -> Trace {
        let is_whole = match self.own {
            Some(_) => self.own_len.is_some(),
            None => self.len < FRAMES_MAX,
        };
        let frames = &self.frames[..self.own_len.unwrap_or(self.len)];
        let addresses = match known.get(frames) {
            Some(addresses) => Arc::clone(addresses),
            None => {
                let addresses: Arc<[usize]> = frames.into();
                known.insert(Arc::clone(&addresses));
                addresses
            }
        };
        if is_whole { Trace::Whole(addresses) } else { Trace::Part(addresses) }
    }
}
