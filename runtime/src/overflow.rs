//! The report of a stack overflow.
//!
//! std knows the guard of its own threads only: a coroutine that runs into its guard would
//! die without a word. So a handler for SIGSEGV and SIGBUS compares the faulting address
//! with the guard of the coroutine that runs, says whose it is and what to do, and aborts.
//! Any other fault goes to the handler that was there before. Nothing is recovered: the
//! frames of an overflown stack cannot be left safely.
//!
//! The handler runs on an alternate stack and takes no lock, allocates nothing and calls
//! write(2) only.

// A signal handler reads what the interrupted code left in a thread-local.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::panic::Location;
use std::process;
use std::ptr;
use std::sync::atomic::compiler_fence;

use once_cell::race::OnceBox;

use crate::stack::Stack;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::sigaction;
use crate::sys::sigaction::Action;
use crate::sys::sigaction::AlternateStack;

/// Whose stack it is, readable inside a signal handler.
#[derive(Debug)]
pub(crate) struct Occupant {
    pub(crate) stack: Stack,
    pub(crate) id: u64,
    /// Readable for as long as its length is there and the coroutine has not ended; the next one
    /// on the stack takes it out.
    pub(crate) name: AtomicPtr<u8>,
    /// 0 for none.
    pub(crate) name_bytes: AtomicUsize,
    pub(crate) spawned_at: &'static Location<'static>,
}

impl Occupant {
    /// Describes a coroutine that has no job yet.
    pub(crate) fn new(stack: Stack) -> Occupant {
        Occupant {
            stack,
            id: 0,
            name: AtomicPtr::new(ptr::dangling_mut()),
            name_bytes: AtomicUsize::new(0),
            spawned_at: Location::caller(),
        }
    }

    /// Makes it the description of the next one on the stack, which has no name yet.
    #[inline]
    pub(crate) fn take_over(&mut self, id: u64, spawned_at: &'static Location<'static>) {
        self.id = id;
        *self.name_bytes.get_mut() = 0;
        self.spawned_at = spawned_at;
    }

    /// The name, or an empty one.
    ///
    /// # Safety
    ///
    /// Only for as long as the coroutine's code does not run on: inside of a signal handler.
    pub(crate) unsafe fn name(&self) -> &[u8] {
        let bytes = self.name_bytes.load(Ordering::Acquire);
        // SAFETY: the coroutine runs, so it has not ended, and the name is readable as long as its
        // length is there, which only its own code takes away.
        unsafe { std::slice::from_raw_parts(self.name.load(Ordering::Relaxed), bytes) }
    }

    /// Puts the name in.
    ///
    /// # Safety
    ///
    /// It must be readable until it is taken out, or the coroutine has ended.
    pub(crate) unsafe fn set_name(&self, name: &str) {
        self.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        self.name_bytes.store(name.len(), Ordering::Release);
    }

    /// Takes the name out: it may be freed from now on.
    pub(crate) fn forget_name(&self) {
        self.name_bytes.store(0, Ordering::Relaxed);
        // Before whatever frees it, for a handler on this thread.
        compiler_fence(Ordering::SeqCst);
    }
}

/// The word in which the hub of this thread keeps the description of who runs; null without a
/// hub. Async-signal-safe.
pub(crate) fn occupant_word() -> *const AtomicPtr<Occupant> {
    OCCUPANT.get()
}

/// The thread's part of the report: while it lives, overflows on the thread are told.
#[derive(Debug)]
pub(crate) struct Reporter {
    _alternate_stack: Option<AlternateStack>,
}

impl Reporter {
    /// Gives the thread what a report needs.
    pub(crate) fn new() -> io::Result<Reporter> {
        install_once()?;
        Ok(Reporter { _alternate_stack: AlternateStack::ensure()? })
    }

    /// Begins to report. `occupant` holds the description of the coroutine that runs, or
    /// null.
    ///
    /// # Safety
    ///
    /// `occupant` must be valid until the reporter is dropped, and what it holds valid
    /// whenever it is not null.
    pub(crate) unsafe fn attach(&self, occupant: *const AtomicPtr<Occupant>) {
        OCCUPANT.set(occupant);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        OCCUPANT.set(ptr::null());
    }
}

thread_local! {
    /// Where the hub of this thread keeps the description of who runs.
    static OCCUPANT: Cell<*const AtomicPtr<Occupant>> = const { Cell::new(ptr::null()) };
}

/// What the two signals did before: the handler falls back to it.
static BEFORE: OnceBox<[Action; 2]> = OnceBox::new();
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

fn install_once() -> io::Result<()> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);

    if INSTALLED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let before = [Action::current(SIGNALS[0])?, Action::current(SIGNALS[1])?];
    let _ = BEFORE.set(Box::new(before));
    let action = Action::handle(on_fault, libc::SA_ONSTACK);
    for signal in SIGNALS {
        // SAFETY: `on_fault` only reads a thread-local without destructor, formats into a
        // buffer of its own and calls write(2) and abort(3), or the handler before it.
        unsafe { action.install(signal) }?;
    }
    Ok(())
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passed `info` to this handler.
    let is_fault = unsafe { sigaction::is_fault(info) };
    // SAFETY: as above, and the handler is for SIGSEGV and SIGBUS only.
    let address = unsafe { sigaction::fault_address(info) };
    if is_fault
        && let Some(occupant) = current_occupant()
        && occupant.stack.guards(address)
    {
        report(occupant);
        process::abort();
    }
    let Some(before) = BEFORE.get() else { process::abort() };
    let index = usize::from(signal == SIGNALS[1]);
    if !is_fault && before[index].ignores() {
        return;
    }
    // SAFETY: these are the arguments of this very signal.
    unsafe { before[index].forward(signal, info, context) };
    if !is_fault && Action::current(signal).is_ok_and(|now| now.is_default()) {
        // No instruction runs again and faults: the signal that was sent is sent once more.
        sigaction::raise(signal);
    }
}

fn current_occupant() -> Option<&'static Occupant> {
    let word = OCCUPANT.get();
    if word.is_null() {
        return None;
    }
    // SAFETY: the hub keeps the word alive while the thread-local points to it.
    let occupant = unsafe { (*word).load(Ordering::Acquire) };
    // SAFETY: what the word holds is null, or in the record of the coroutine that runs, at
    // the top of its stack, which the overflow at the bottom has not touched.
    unsafe { occupant.as_ref() }
}

/// Writes the two lines of the report.
fn report(occupant: &Occupant) {
    let mut line = Line { bytes: [0; 512], len: 0 };
    // SAFETY: this is a signal handler.
    let name = unsafe { occupant.name() };
    let name = str::from_utf8(name).unwrap_or_default();
    line.text("\ncoroutine ");
    if name.is_empty() {
        line.text("<unnamed>");
    } else {
        line.text("'");
        line.text(&name[..name.floor_char_boundary(200)]);
        line.text("'");
    }
    line.text(" (#");
    line.number(occupant.id);
    line.text(") has overflowed its stack of ");
    line.number((occupant.stack.usable_bytes() / 1024) as u64);
    line.text(" KiB\nfatal: raise it by Builder::stack_size, or for all by ");
    line.text("COROVENT_STACK_SIZE (in bytes)\n");
    sigaction::write_stderr(&line.bytes[..line.len]);
}

/// Text in a fixed buffer: formatting without std's machinery, which may allocate.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Line {
    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.len < self.bytes.len() {
                self.bytes[self.len] = byte;
                self.len += 1;
            }
        }
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        for digit in &digits[at..] {
            self.text(char::from(*digit).encode_utf8(&mut [0; 4]));
        }
    }
}
