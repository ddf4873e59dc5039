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
//! corosensei unwinds a suspended coroutine that is dropped, and throws again at each of
//! its suspensions, which a destructor that waits does not survive. So a coroutine here is
//! never dropped while it is suspended: it is run to its end, or lost with its stack.
//!
//! **Invariant:** a coroutine is resumed only on the thread that started it.

// Records lie in raw stack memory, and switching stacks needs promises about them.
#![allow(unsafe_code)]

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
use crate::stack::Watch;
use crate::storage::Storage;
use crate::sys::frames;

/// A coroutine that was started and has not ended. Losing it leaks its stack.
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

type Switch = corosensei::Coroutine<(), (), (), Place>;

/// What lies at the top of a coroutine's stack: first what a switch reads.
#[repr(C)]
struct Record {
    switch: Switch,
    /// By which the coroutine's own code gets out; set when it first runs.
    yielder: Cell<*const Yielder<(), ()>>,
    occupant: Occupant,
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
const CACHE_LINE_BYTES: usize = 64;
/// corosensei keeps the link to the resumer in the two words below the base. The record
/// begins as far into a cache line, so that the link and the first fields share it.
const LINK_BYTES: usize = 16;
/// So far below its record a stack is the coroutine's, whatever its size.
const SHALLOW_BYTES: usize = 60 * 1024;
/// A switch to the resumer's stack for a call takes a few hundred bytes, in a debug build some
/// more. A copy that AddressSanitizer checks takes two thousand by itself.
const CALL_BYTES: usize = if cfg!(feature = "sanitizer") { 8 * 1024 } else { 2 * 1024 };
/// Between its outermost frame and its record a stack has the link and the closure that `start`
/// makes.
pub(crate) const ENTRY_BYTES: usize = 256;

/// What a debugger has to know of a [`Record`], in bytes: where it keeps the switch, which holds
/// the saved stack pointer somewhere, how long that is, and where the description is.
pub(crate) const RECORD_OFFSETS: [usize; 3] =
    [offset_of!(Record, switch), size_of::<Switch>(), offset_of!(Record, occupant)];

impl Coroutine {
    /// Puts a coroutine on a stack. `body` runs at the first resume.
    ///
    /// `id`, `name` and `spawned_at` are for the reports of an overflow and of the watchdog.
    ///
    /// # Safety
    ///
    /// `name` must be readable until the coroutine has ended or forgets it.
    #[inline]
    pub(crate) unsafe fn start<F>(
        stack: Stack,
        id: u64,
        name: *const str,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> Coroutine
    where
        F: FnOnce() + 'static,
    {
        let colour = stack.number() % COLOURS * CACHE_LINE_BYTES;
        let room_bytes = size_of::<Record>().next_multiple_of(CACHE_LINE_BYTES);
        let record_address = stack.top() - colour - room_bytes - CACHE_LINE_BYTES + LINK_BYTES;
        let record: *mut Record = ptr::with_exposed_provenance_mut(record_address);
        let place = Place {
            base: StackPointer::new(record_address).expect("a stack is not at address zero"),
            limit: StackPointer::new(stack.guard_low()).expect("a stack is not at address zero"),
        };
        // SAFETY: the field lies in the stack, which is bound here and used by nobody.
        let yielder_cell = unsafe { &raw const (*record).yielder };
        let switch = Switch::with_stack(place, move |yielder: &Yielder<(), ()>, _| {
            // SAFETY: the record was written before the first resume and lies above all
            // frames until the coroutine has ended.
            unsafe { (*yielder_cell).set(yielder) };
            body();
        });
        let occupant = Occupant::new(stack, id, name, spawned_at);
        let yielder = Cell::new(ptr::null());
        let new = Record { switch, yielder, occupant, locals: ManuallyDrop::new(OnceCell::new()) };
        // SAFETY: the record's place is inside of the stack's memory, aligned, and nothing
        // lies there: the switch put its own data below its base.
        unsafe { record.write(new) };
        let record = NonNull::new(record).expect("a stack is not at address zero");
        Coroutine { record, _frames: PhantomData }
    }

    /// Switches to the coroutine until it suspends itself or ends. Gives its stack, unused,
    /// if it has ended.
    ///
    /// # Safety
    ///
    /// The coroutine must not have ended, and not be running; it is resumed by one caller
    /// at a time.
    #[inline]
    pub(crate) unsafe fn resume(self) -> Option<Stack> {
        let record = self.record.as_ptr();
        // SAFETY: the caller vouches that the coroutine has not ended, so its record is
        // there, and that nobody else resumes it. Running code uses other fields only.
        let switch = unsafe { &mut (*record).switch };
        match switch.resume(()) {
            CoroutineResult::Yield(()) => None,
            CoroutineResult::Return(()) => {
                // SAFETY: the coroutine has ended just now, and nobody uses it again.
                let locals = unsafe { &mut (*record).locals };
                if locals.get().is_some() {
                    drop(locals.take());
                }
                // SAFETY: as above.
                let record = unsafe { record.read() };
                record.switch.into_stack();
                Some(record.occupant.stack)
            }
        }
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
        yielder.suspend(());
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
        let record = unsafe { &*self.record.as_ptr() };
        let lowest = record.occupant.stack.top() - record.occupant.stack.usable_bytes();
        let here = frames::stack_pointer();
        // Code of its own on another crate's stack has what that has left.
        let is_own = (lowest..self.record.addr().get()).contains(&here);
        if is_own && here - lowest < CALL_BYTES {
            return false;
        }
        // SAFETY: the yielder was set when the caller's code began, and lives as long.
        let yielder = unsafe { &*record.yielder.get() };
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

    /// Asks the processor to fetch what a resume reads first.
    #[inline]
    pub(crate) fn prefetch(self) {
        prefetch(self.record.as_ptr().cast());
        // The frames that wait lie in the lines below the record.
        for line in 1..=1 {
            prefetch(self.record.as_ptr().cast::<u8>().wrapping_sub(line * CACHE_LINE_BYTES));
        }
    }
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

#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::_MM_HINT_T0;
        use std::arch::x86_64::_mm_prefetch;
        // SAFETY: a prefetch does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
