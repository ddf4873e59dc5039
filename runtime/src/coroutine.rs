//! Coroutines: a stack and the registers saved on it. The only file that names corosensei.
//!
//! It starts, switches in, switches out and ends; it knows no task and no queue. What
//! describes a coroutine lies at the top of its own stack, so that its address is stable
//! and its page is touched anyway:
//!
//! ```text
//!   top ─► ┌──────────────────────────┐
//!          │ colour: 0-960 bytes      │  else all stacks would meet in the same cache sets
//!          ├──────────────────────────┤
//!          │ whose stack it is        │  ┐
//!          │ corosensei's coroutine   │  ┴ Record          ┐ what a switch touches: one
//!          ├──────────────────────────┤ ◄─ corosensei's base│ cache line
//!          │ link to the resumer      │                    ┘
//!          │ frames                   │
//!          ▼                          │
//!          │ guard                    │
//!          └──────────────────────────┘
//! ```
//!
//! One that has ended stays on its stack, suspended, and runs the next job that is started
//! there: nothing is set up for that but the job.
//!
//! corosensei unwinds a suspended coroutine that is dropped, and throws again at each of
//! its suspensions, which a destructor that waits does not survive. So a coroutine here is
//! never dropped while it is suspended: it is run to its end, or lost with its stack.
//!
//! **Invariant:** a coroutine is resumed only on the thread that started it.

// Records lie in raw stack memory, and switching stacks needs promises about them.
#![allow(unsafe_code)]

mod prefetch;

use std::cell::Cell;
use std::cell::OnceCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::mem::offset_of;
use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::ptr::NonNull;

use corosensei::CoroutineResult;
use corosensei::Yielder;
use corosensei::stack::Stack as SwitchStack;
use corosensei::stack::StackPointer;
use corosensei::stack::valgrind::ValgrindStackRegistration;

use crate::overflow::Occupant;
use crate::stack::Stack;
use crate::stack::StackSpan;
use crate::stack::WARM_BYTES;
use crate::stack::Watch;
use crate::storage::Storage;
use crate::sys::cache::LINE_BYTES;
use crate::sys::frames;
use crate::sys::process::abort_with;

/// A coroutine on its stack, with a job or waiting for one. Losing one with a job leaks its stack.
///
/// It is a name and may be copied; who resumes it vouches that it stands where they think.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coroutine {
    record: NonNull<Record>,
    /// Not `Send`: the frames on the stack may hold anything.
    _frames: PhantomData<*mut ()>,
}

/// Tells valgrind of each stack, which otherwise takes a switch for wild writes.
#[derive(Debug)]
pub(crate) struct Valgrind;

/// What a coroutine runs: a function, and what that is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) run: unsafe fn(NonNull<()>, slot: u32, killed: bool),
    pub(crate) data: NonNull<()>,
    pub(crate) slot: u32,
    pub(crate) killed: bool,
}

impl Job {
    /// What a coroutine has before it has one.
    const NONE: Job = Job { run: no_job, data: NonNull::dangling(), slot: 0, killed: false };
}

#[cold]
fn no_job(_: NonNull<()>, _: u32, _: bool) {
    abort_with("a coroutine is resumed without a job");
}

type Switch = corosensei::Coroutine<(), Pause, (), Place>;

/// Why a coroutine has switched to its resumer.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// It waits.
    Wait,
    /// Its job is done.
    End,
}

/// What lies at the top of a coroutine's stack: first what a switch reads.
#[repr(C)]
struct Record {
    switch: Switch,
    /// By which the coroutine's own code gets out; set when it first runs.
    yielder: Cell<*const Yielder<(), Pause>>,
    occupant: Occupant,
    /// What it runs, or has run last.
    job: Cell<Job>,
    /// The values of its coroutine-locals; empty if it has none. Freed at the end.
    locals: ManuallyDrop<OnceCell<Box<Storage>>>,
}

/// The part of a stack below the record, as corosensei sees it.
#[derive(Clone, Copy)]
struct Place {
    base: StackPointer,
    limit: StackPointer,
}

/// Neighbouring stacks are shifted against each other by a cache line, in this many steps.
/// More would cost a second page for the first frames.
const COLOURS: usize = 16;
/// corosensei keeps the link to the resumer in the two words below the base. The record
/// begins as far into a cache line, so that the link and the first fields share it.
const LINK_BYTES: usize = 16;
/// Whether one that has ended waits on its stack for its next job. AddressSanitizer keeps memory
/// for the frames of each, which it gets back when the coroutine's function returns.
const STAYS: bool = cfg!(not(feature = "sanitizer"));
/// So far below its record a stack is the coroutine's, whatever its size.
const SHALLOW_BYTES: usize = 60 * 1024;
/// A switch to the resumer's stack for a call takes a few hundred bytes, in a debug build some
/// more. A copy that AddressSanitizer checks takes two thousand by itself.
const CALL_BYTES: usize = if cfg!(feature = "sanitizer") { 8 * 1024 } else { 2 * 1024 };
/// One that has ended keeps its record and a few frames; a debug build's take less than this.
const ENDED_BYTES: usize = 8 * 1024;
const _: () = {
    let record_bytes = size_of::<Record>() + 2 * LINE_BYTES;
    assert!(COLOURS * LINE_BYTES + record_bytes + ENDED_BYTES <= WARM_BYTES);
};
/// Between its outermost frame and its record a stack has the link and the closure that `prepare`
/// makes.
pub(crate) const ENTRY_BYTES: usize = 256;

/// What a debugger has to know of a [`Record`], in bytes: where it keeps the switch, which holds
/// the saved stack pointer somewhere, how long that is, and where the description is.
pub(crate) const RECORD_OFFSETS: [usize; 3] =
    [offset_of!(Record, switch), size_of::<Switch>(), offset_of!(Record, occupant)];

impl Coroutine {
    /// Puts a coroutine on a stack. It has no job yet.
    #[cold]
    pub(crate) fn new(stack: Stack) -> Coroutine {
        let coroutine = Coroutine::at_top(&stack);
        // SAFETY: the stack is bound here and used by nobody, and this is the record's place.
        unsafe { prepare(coroutine.record, stack) };
        coroutine
    }

    /// The coroutine that has ended on a stack, and stays there. It has no job yet.
    ///
    /// # Safety
    ///
    /// The stack must be one that [`stack`](Coroutine::stack) gave, and what is at its top
    /// be as it was then.
    #[inline]
    pub(crate) unsafe fn on(stack: Stack) -> Coroutine {
        if STAYS { Coroutine::at_top(&stack) } else { Coroutine::new(stack) }
    }

    /// The coroutine whose record is at the top of a stack, or will be.
    #[inline]
    fn at_top(stack: &Stack) -> Coroutine {
        let colour = stack.number() % COLOURS * LINE_BYTES;
        let room_bytes = size_of::<Record>().next_multiple_of(LINE_BYTES);
        let record_address = stack.top() - colour - room_bytes - LINE_BYTES + LINK_BYTES;
        let record: *mut Record = ptr::with_exposed_provenance_mut(record_address);
        let record = NonNull::new(record).expect("a stack is not at address zero");
        Coroutine { record, _frames: PhantomData }
    }

    /// Gives the coroutine its job, which begins at the next resume.
    ///
    /// `id` and `spawned_at` are for the reports of an overflow and of the watchdog.
    ///
    /// # Safety
    ///
    /// It must have no job. The job must be such as may be run once, by this coroutine, and not
    /// unwind.
    #[inline]
    pub(crate) unsafe fn start(self, id: u64, spawned_at: &'static Location<'static>, job: Job) {
        // SAFETY: the record is there since `prepare`, and the coroutine does not run.
        let record = unsafe { &mut *self.record.as_ptr() };
        record.occupant.take_over(id, spawned_at);
        record.job.set(job);
    }

    /// Switches to the coroutine until it suspends itself. Whether it has ended.
    ///
    /// # Safety
    ///
    /// The coroutine must have a job and not be running; it is resumed by one caller at a time.
    #[inline]
    pub(crate) unsafe fn resume(self) -> bool {
        let record = self.record.as_ptr();
        // SAFETY: the caller vouches that the coroutine has not ended, so its record is
        // there, and that nobody else resumes it. Running code uses other fields only.
        let switch = unsafe { &mut (*record).switch };
        match switch.resume(()) {
            CoroutineResult::Yield(Pause::Wait) => return false,
            CoroutineResult::Yield(Pause::End) => {}
            // SAFETY: the coroutine has returned just now.
            CoroutineResult::Return(()) => unsafe { leave(record) },
        }
        // SAFETY: the coroutine has ended just now, and nobody uses its locals again.
        let locals = unsafe { &mut (*record).locals };
        if locals.get().is_some() {
            drop(locals.take());
        }
        true
    }

    /// The stack of a coroutine that has ended, on which it stays for the next job.
    ///
    /// # Safety
    ///
    /// The coroutine must have ended, and have no new job for as long as the reference is used.
    #[inline]
    pub(crate) unsafe fn stack<'a>(self) -> &'a Stack {
        // SAFETY: the caller vouches that the record is there.
        unsafe { &(*self.record.as_ptr()).occupant.stack }
    }

    /// Checks that the running code is this coroutine's.
    ///
    /// Another crate's coroutine may have switched away from it behind the hub's back. Its
    /// code may stand on another stack all the same, if that was called from its own.
    ///
    /// # Safety
    ///
    /// The coroutine must not have ended.
    #[inline]
    pub(crate) unsafe fn is_here(self) -> bool {
        let depth_bytes = self.record.addr().get().wrapping_sub(frames::stack_pointer());
        // SAFETY: as the caller vouches.
        depth_bytes < SHALLOW_BYTES || unsafe { self.has_frames_here() }
    }

    /// Whether one of the frames that led here is on the coroutine's stack.
    ///
    /// # Safety
    ///
    /// As for [`is_here`](Coroutine::is_here).
    #[cold]
    unsafe fn has_frames_here(self) -> bool {
        // SAFETY: the caller vouches that the record is there.
        let stack = unsafe { &(*self.record.as_ptr()).occupant.stack };
        let usable = stack.top() - stack.usable_bytes()..stack.top();
        let mut found = usable.contains(&frames::stack_pointer());
        if !found {
            frames::walk(|frame| {
                found = usable.contains(&frame.stack);
                !found
            });
        }
        found
    }

    /// Switches back to whoever resumed the coroutine, until it is resumed again.
    ///
    /// # Safety
    ///
    /// The caller must be the code of this coroutine, running.
    #[inline]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: the caller runs on this stack, so the record is there.
        let yielder = unsafe { (*self.record.as_ptr()).yielder.get() };
        // SAFETY: the yielder was set when the caller's code began, and lives as long.
        let yielder = unsafe { &*yielder };
        yielder.suspend(Pause::Wait);
    }

    /// Calls `f` on the stack of whoever resumed the coroutine, with the coroutine's frames as
    /// those that led there. False if the stack has less left than that takes, and `f` was
    /// not called.
    ///
    /// # Safety
    ///
    /// The caller must be the code of this coroutine, running.
    #[inline(never)]
    pub(crate) unsafe fn call_from_here(self, f: impl FnOnce() + Send) -> bool {
        // SAFETY: the caller runs on this stack, so the record is there.
        let stack = unsafe { &(*self.record.as_ptr()).occupant.stack };
        let lowest = stack.top() - stack.usable_bytes();
        let here = frames::stack_pointer();
        // Code of its own on another crate's stack has what that has left.
        let is_own = (lowest..self.record.addr().get()).contains(&here);
        if is_own && here - lowest < CALL_BYTES {
            return false;
        }
        // SAFETY: as above.
        let yielder = unsafe { (*self.record.as_ptr()).yielder.get() };
        // SAFETY: the yielder was set when the caller's code began, and lives as long.
        let yielder = unsafe { &*yielder };
        yielder.on_parent_stack(f);
        true
    }

    /// The addresses of its stack that its frames are at; the outermost frame ends less than
    /// [`ENTRY_BYTES`] below the end.
    ///
    /// # Safety
    ///
    /// The coroutine must not have ended.
    pub(crate) unsafe fn frame_addresses(self) -> Range<usize> {
        // SAFETY: the caller vouches that the record is there.
        let stack = unsafe { &(*self.record.as_ptr()).occupant.stack };
        stack.top() - stack.usable_bytes()..self.record.addr().get()
    }

    /// The description for the report of an overflow, by which the coroutine can be found
    /// again.
    #[inline]
    pub(crate) fn occupant(self) -> *const Occupant {
        self.record.as_ptr().cast::<u8>().wrapping_add(offset_of!(Record, occupant)).cast()
    }

    /// The coroutine of a description.
    ///
    /// # Safety
    ///
    /// It must be one that [`occupant`](Coroutine::occupant) gave.
    #[inline]
    pub(crate) unsafe fn of(occupant: NonNull<Occupant>) -> Coroutine {
        // SAFETY: the caller vouches that it is the field of a record.
        let record = unsafe { occupant.byte_sub(offset_of!(Record, occupant)) };
        Coroutine { record: record.cast(), _frames: PhantomData }
    }

    /// The values of its coroutine-locals.
    ///
    /// # Safety
    ///
    /// The coroutine must not end for as long as the reference is used.
    #[inline]
    pub(crate) unsafe fn locals<'a>(self) -> &'a OnceCell<Box<Storage>> {
        // SAFETY: the caller vouches that the record is there.
        unsafe { &(*self.record.as_ptr()).locals }
    }

    /// Puts the name into the description.
    ///
    /// # Safety
    ///
    /// The caller must be the code of this coroutine, running; the name must be readable until it
    /// has ended or forgets the name.
    pub(crate) unsafe fn set_name(self, name: &str) {
        // SAFETY: the caller runs on this stack, so the record is there.
        let occupant = unsafe { &(*self.record.as_ptr()).occupant };
        // SAFETY: the caller vouches for the name.
        unsafe { occupant.set_name(name) };
    }

    /// Takes the name out of the description: it is about to be freed.
    ///
    /// # Safety
    ///
    /// The caller must be the code of this coroutine, running.
    #[inline]
    pub(crate) unsafe fn forget_name(self) {
        // SAFETY: the caller runs on this stack, so the record is there.
        let occupant = unsafe { &(*self.record.as_ptr()).occupant };
        occupant.forget_name();
    }

    /// Where its stack is.
    ///
    /// # Safety
    ///
    /// The coroutine must not have ended.
    pub(crate) unsafe fn span(self) -> StackSpan {
        // SAFETY: the caller vouches that the record is there.
        unsafe { (*self.record.as_ptr()).occupant.stack.span() }
    }
}

/// Writes the record of a new coroutine.
///
/// # Safety
///
/// `record` must be the place for it on the stack, which nobody else uses.
unsafe fn prepare(record: NonNull<Record>, stack: Stack) {
    let place = Place {
        base: StackPointer::new(record.addr().get()).expect("a record is not at address zero"),
        limit: StackPointer::new(stack.guard_low()).expect("a stack is not at address zero"),
    };
    let pointer = record.as_ptr();
    // SAFETY: the field lies in the stack, which is the caller's.
    let yielder_cell = unsafe { &raw const (*pointer).yielder };
    // SAFETY: as above.
    let job_cell = unsafe { &raw const (*pointer).job };
    let switch = Switch::with_stack(place, move |yielder: &Yielder<(), Pause>, _| {
        // SAFETY: the record was written before the first resume and lies above all
        // frames for as long as the coroutine is on its stack.
        unsafe { (*yielder_cell).set(yielder) };
        loop {
            // SAFETY: as above.
            let Job { run, data, slot, killed } = unsafe { (*job_cell).get() };
            // SAFETY: who has started it vouches for the job, and each is run once.
            unsafe { run(data, slot, killed) };
            if cfg!(debug_assertions) {
                // SAFETY: as above.
                unsafe { (*job_cell).set(Job::NONE) };
            }
            if !STAYS {
                return;
            }
            yielder.suspend(Pause::End);
        }
    });
    let new = Record {
        switch,
        yielder: Cell::new(ptr::null()),
        occupant: Occupant::new(stack),
        job: Cell::new(Job::NONE),
        locals: ManuallyDrop::new(OnceCell::new()),
    };
    // SAFETY: the record's place is inside of the stack's memory, aligned, and nothing
    // lies there: the switch put its own data below its base.
    unsafe { record.write(new) };
}

/// Takes a coroutine that has returned off its stack.
///
/// # Safety
///
/// It must have returned, and is not resumed again.
#[cold]
unsafe fn leave(record: *mut Record) {
    // SAFETY: the caller vouches that the record is there.
    let switch = unsafe { &raw const (*record).switch };
    // SAFETY: the field was written, and nobody uses it again.
    let switch = unsafe { switch.read() };
    switch.into_stack();
}

impl Watch for Valgrind {
    type Token = ValgrindStackRegistration;

    fn watch(low: usize, high: usize) -> ValgrindStackRegistration {
        ValgrindStackRegistration::new(ptr::without_provenance_mut(low), high - low)
    }
}

// SAFETY: the place is the part of a bound `Stack` below its record. Every stack has a
// guard at its low end, inside of the limit, and almost 64 KiB or more between the two.
unsafe impl SwitchStack for Place {
    #[inline]
    fn base(&self) -> StackPointer {
        self.base
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.limit
    }
}
