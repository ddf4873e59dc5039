//! A look at the stack of a hub's thread: the thread itself takes it, in a signal handler.
//!
//! The watchdog asks for one at a time. The handler writes into memory that is there already; it
//! takes no lock, allocates nothing, and walks no stack if the hub has turned meanwhile, inspects a
//! coroutine, or stands on another stack than that of who runs: the tables of the unwinder do not
//! describe the few instructions of a switch. The frames are only numbers: their names are found
//! later, on the watchdog's thread.

// A signal handler reads what the interrupted code left, and walks its stack.
#![allow(unsafe_code)]

use std::panic::Location;
use std::ptr;
use std::thread;
use std::time::Duration;

use crate::hub::shared::SharedRecord;
use crate::hub::vitals::Vitals;
use crate::hub::watchdog::watched;
use crate::overflow;
use crate::overflow::Occupant;
use crate::sys::atomic::AtomicI32;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::frames;
use crate::sys::frames::Frame;
use crate::sys::sigaction;
use crate::sys::sigaction::Action;
use crate::sys::sigaction::preserving_errno;
use crate::sys::threads;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// The coroutine whose code ran; `None` for the root.
    pub(super) coroutine: Option<Who>,
    /// Where the calls return to, innermost first; the first is behind where the code stood.
    pub(super) frames: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) spawned_at: &'static Location<'static>,
}

/// What the handler writes to.
struct Buffer {
    /// One of the phases below.
    phase: AtomicU32,
    /// Whose stack: the words of its hub. Valid from `ASKED` on.
    running: AtomicPtr<AtomicPtr<Occupant>>,
    vitals: AtomicPtr<Vitals>,
    looks: AtomicU64,
    /// 0 for the root.
    id: AtomicU64,
    name: [AtomicU64; NAME_WORDS],
    name_bytes: AtomicUsize,
    spawned_at: AtomicPtr<Location<'static>>,
    frames: [AtomicUsize; FRAMES_MAX],
    len: AtomicUsize,
}

/// Nobody has asked, or was answered.
const FREE: u32 = 0;
const ASKED: u32 = 1;
/// The handler writes.
const TAKEN: u32 = 2;
/// All is there.
const DONE: u32 = 3;
/// The hub has turned, or is another's.
const REFUSED: u32 = 4;

const FRAMES_MAX: usize = 128;
const NAME_WORDS: usize = 16;
/// The thread that is asked may have to wait for a processor.
const PATIENCE: Duration = Duration::from_secs(1);

static BUFFER: Buffer = Buffer {
    phase: AtomicU32::new(FREE),
    running: AtomicPtr::new(ptr::null_mut()),
    vitals: AtomicPtr::new(ptr::null_mut()),
    looks: AtomicU64::new(0),
    id: AtomicU64::new(0),
    name: [const { AtomicU64::new(0) }; NAME_WORDS],
    name_bytes: AtomicUsize::new(0),
    spawned_at: AtomicPtr::new(ptr::null_mut()),
    frames: [const { AtomicUsize::new(0) }; FRAMES_MAX],
    len: AtomicUsize::new(0),
};

/// The signal in use; 0 for none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Looks at the stack of a hub's thread; `None` if it does not answer, or has turned since its
/// loop looked for the time numbered `looks`. By the watchdog's thread alone.
pub(super) fn take(hub: SharedRecord, looks: u64) -> Option<Sight> {
    let signal = signal()?;
    // An answer that came too late is nobody's.
    BUFFER.forget_answer();
    if BUFFER.phase.load(Ordering::Acquire) != FREE {
        // A thread was stopped in its handler, and may go on.
        return None;
    }
    let mut sent = false;
    watched::while_stalled(hub, looks, |target| {
        BUFFER.running.store(target.running.cast_mut(), Ordering::Relaxed);
        BUFFER.vitals.store(target.vitals.cast_mut(), Ordering::Relaxed);
        BUFFER.looks.store(looks, Ordering::Relaxed);
        BUFFER.phase.store(ASKED, Ordering::Release);
        sent = threads::send(target.thread, signal, token());
    });
    let step = Duration::from_millis(1);
    let mut waited = Duration::ZERO;
    while sent && waited < PATIENCE && BUFFER.phase.load(Ordering::Acquire) < DONE {
        thread::sleep(step);
        waited += step;
    }
    let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
    let _ = BUFFER.phase.compare_exchange(ASKED, FREE, relaxed, relaxed);
    let sight = (BUFFER.phase.load(acquire) == DONE).then(|| BUFFER.read());
    BUFFER.forget_answer();
    sight
}

/// In a process that was forked off: whoever had asked or was asked is another's thread.
pub(super) fn begin_anew() {
    BUFFER.phase.store(FREE, Ordering::Relaxed);
}

impl Buffer {
    /// Makes room for the next request, if this one was answered.
    fn forget_answer(&self) {
        for answered in [DONE, REFUSED] {
            let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
            let _ = self.phase.compare_exchange(answered, FREE, acquire, relaxed);
        }
    }

    fn read(&self) -> Sight {
        let id = self.id.load(Ordering::Relaxed);
        let len = self.len.load(Ordering::Relaxed);
        let frames = self.frames[..len].iter().map(|frame| frame.load(Ordering::Relaxed));
        // SAFETY: null, or what a description of a coroutine held.
        let spawned_at = unsafe { self.spawned_at.load(Ordering::Relaxed).as_ref() };
        Sight {
            coroutine: spawned_at.map(|spawned_at| Who { id, name: self.name(), spawned_at }),
            frames: frames.collect(),
        }
    }

    fn name(&self) -> String {
        let words = self.name.iter().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let bytes: Vec<u8> =
            words.flatten().take(self.name_bytes.load(Ordering::Relaxed)).collect();
        // It may have been cut in the middle of a character.
        String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}').to_owned()
    }

    /// Writes down who runs, and the frames that led to `code`. Async-signal-safe.
    fn write(&self, occupant: Option<&Occupant>, code: usize, stack_pointer: usize) {
        let mut stack = None;
        let mut spawned_at = ptr::null();
        if let Some(occupant) = occupant {
            // SAFETY: the coroutine's code is interrupted.
            let name = unsafe { occupant.name() };
            let name = &name[..name.len().min(8 * NAME_WORDS)];
            for (word, bytes) in self.name.iter().zip(name.chunks(8)) {
                let mut whole = [0; 8];
                whole[..bytes.len()].copy_from_slice(bytes);
                word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
            }
            self.name_bytes.store(name.len(), Ordering::Relaxed);
            self.id.store(occupant.id, Ordering::Relaxed);
            spawned_at = ptr::from_ref(occupant.spawned_at);
            let top = occupant.stack.top();
            stack = Some(top - occupant.stack.usable_bytes()..=top);
        }
        self.spawned_at.store(spawned_at.cast_mut(), Ordering::Relaxed);
        let mut len = 0;
        // Until the interrupted function the frames are the handler's.
        let mut found = false;
        let mut was_on_stack = false;
        // Another crate's coroutine runs, or the switch to the loop is on its way: what the
        // unwinder knows of the code does not hold for all of that.
        let is_elsewhere = stack.as_ref().is_some_and(|stack| !stack.contains(&stack_pointer));
        let visit = |frame: Frame| {
            found = found || frame.code == code;
            let on_stack = stack.as_ref().is_some_and(|stack| stack.contains(&frame.stack));
            // Below the coroutine's frames are those of the loop.
            let go_on = frame.code != 0 && (on_stack || !was_on_stack);
            if found && go_on {
                was_on_stack |= on_stack;
                // As if the interrupted code had called, like the others.
                let returns_to = frame.code + usize::from(len == 0);
                self.frames[len].store(returns_to, Ordering::Relaxed);
                len += 1;
            }
            go_on && len < FRAMES_MAX
        };
        if !is_elsewhere {
            frames::walk(visit);
        }
        if len == 0 && code != 0 {
            self.frames[0].store(code + 1, Ordering::Relaxed);
            len = 1;
        }
        self.len.store(len, Ordering::Relaxed);
    }
}

/// What tells our signals from others with the same number.
fn token() -> *const () {
    (&raw const BUFFER).cast()
}

extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passed `info` to this handler.
    if !unsafe { threads::was_sent_with(info, token()) } {
        return sigaction::end_by(signal);
    }
    preserving_errno(|| {
        // SAFETY: the kernel passed `context` to this handler.
        let (code, stack_pointer) = unsafe { threads::interrupted_at(context) };
        answer(code, stack_pointer);
    });
}

/// Answers the watchdog, if it waits for this thread. Async-signal-safe.
fn answer(code: usize, stack_pointer: usize) {
    let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
    let word = overflow::occupant_word();
    if word.is_null()
        || !ptr::eq(word, BUFFER.running.load(relaxed))
        || BUFFER.phase.compare_exchange(ASKED, TAKEN, acquire, relaxed).is_err()
    {
        // Late: nobody waits any more, or for another thread.
        return;
    }
    // What is asked for changes only while the phase is free: from here on it is certain.
    if !ptr::eq(word, BUFFER.running.load(relaxed)) {
        return BUFFER.phase.store(REFUSED, Ordering::Release);
    }
    // SAFETY: the word is that of this thread's hub, which lives, and the vitals as well.
    let vitals = unsafe { &*BUFFER.vitals.load(relaxed) };
    let stalled = vitals.pulse().looks == BUFFER.looks.load(relaxed) && !vitals.inspects();
    if stalled {
        // SAFETY: as above.
        let occupant = unsafe { (*word).load(acquire) };
        // SAFETY: the word holds null, or the record of the coroutine that is interrupted.
        BUFFER.write(unsafe { occupant.as_ref() }, code, stack_pointer);
    }
    BUFFER.phase.store(if stalled { DONE } else { REFUSED }, Ordering::Release);
}

/// The signal that is ours: a real-time one that nobody uses.
fn signal() -> Option<i32> {
    let current = SIGNAL.load(Ordering::Relaxed);
    // Somebody may have taken it since.
    if current != 0 && Action::current(current).is_ok_and(|action| action.calls(on_signal)) {
        return Some(current);
    }
    let free = |signal: &i32| Action::current(*signal).is_ok_and(|action| action.is_default());
    let signal = (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(free)?;
    // What is done lazily once is done now: the loader binds the unwinder's functions.
    frames::walk(|_| true);
    let action = Action::handle(on_signal, libc::SA_ONSTACK | libc::SA_RESTART);
    // SAFETY: the handler takes no lock and allocates nothing; the unwinder neither, where libc
    // finds the tables of a function without a lock (glibc 2.35 and later).
    unsafe { action.install(signal) }.ok()?;
    SIGNAL.store(signal, Ordering::Relaxed);
    Some(signal)
}
