//! A look at the stack of a hub's thread: the thread itself takes it, in a signal handler.
//!
//! The watchdog asks for one at a time. The handler copies the registers and the end of the stack
//! into memory that is there already; it takes no lock, allocates nothing, and makes one system
//! call that reads without a fault whatever the stack pointer is. Frames and their names are found
//! later, on the watchdog's thread.

// A signal handler reads what the interrupted code left.
#![allow(unsafe_code)]

use std::panic::Location;
use std::ptr;
use std::thread;
use std::time::Duration;

use crate::hub::shared::SharedRecord;
use crate::hub::vitals::Vitals;
#[cfg(feature = "backtrace")]
use crate::hub::watchdog::unwind::walk;
use crate::hub::watchdog::watched;
use crate::overflow;
use crate::overflow::Occupant;
use crate::symbols::Underway;
use crate::sys::atomic::AtomicI32;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::registers;
use crate::sys::registers::REGISTERS;
use crate::sys::registers::Registers;
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

/// The end of a stack as it was.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "backtrace"), expect(dead_code, reason = "there is no walk"))]
pub(super) struct StackCopy {
    /// The address of the first word.
    start: usize,
    words: Vec<usize>,
}

/// What the handler writes to; with room for so many words of a stack.
struct Buffer<const WORDS: usize> {
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
    registers: [AtomicUsize; REGISTERS],
    code: AtomicUsize,
    /// The stack from its pointer on, and how much of it was read.
    stack: [AtomicUsize; WORDS],
    stack_words: AtomicUsize,
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

/// So much of a stack is copied: 128 KiB.
const STACK_WORDS: usize = 16 * 1024;
const NAME_WORDS: usize = 16;
/// The thread that is asked may have to wait for a processor.
const PATIENCE: Duration = Duration::from_secs(1);

static BUFFER: Buffer<STACK_WORDS> = Buffer::new();

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

impl StackCopy {
    /// The word at an address, if it was copied.
    #[cfg(feature = "backtrace")]
    pub(super) fn read(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.start)?;
        let is_whole = offset.is_multiple_of(size_of::<usize>());
        is_whole.then(|| self.words.get(offset / size_of::<usize>()).copied()).flatten()
    }
}

impl<const WORDS: usize> Buffer<WORDS> {
    const fn new() -> Buffer<WORDS> {
        Buffer {
            phase: AtomicU32::new(FREE),
            running: AtomicPtr::new(ptr::null_mut()),
            vitals: AtomicPtr::new(ptr::null_mut()),
            looks: AtomicU64::new(0),
            id: AtomicU64::new(0),
            name: [const { AtomicU64::new(0) }; NAME_WORDS],
            name_bytes: AtomicUsize::new(0),
            spawned_at: AtomicPtr::new(ptr::null_mut()),
            registers: [const { AtomicUsize::new(0) }; REGISTERS],
            code: AtomicUsize::new(0),
            stack: [const { AtomicUsize::new(0) }; WORDS],
            stack_words: AtomicUsize::new(0),
        }
    }

    /// Makes room for the next request, if this one was answered.
    fn forget_answer(&self) {
        for answered in [DONE, REFUSED] {
            let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
            let _ = self.phase.compare_exchange(answered, FREE, acquire, relaxed);
        }
    }

    fn read(&self) -> Sight {
        let id = self.id.load(Ordering::Relaxed);
        let (registers, stack) = self.copies();
        let frames = Underway::begin().map(|_underway| walk(&registers, &stack));
        // SAFETY: null, or what a description of a coroutine held.
        let spawned_at = unsafe { self.spawned_at.load(Ordering::Relaxed).as_ref() };
        Sight {
            coroutine: spawned_at.map(|spawned_at| Who { id, name: self.name(), spawned_at }),
            frames: frames.unwrap_or_default(),
        }
    }

    fn copies(&self) -> (Registers, StackCopy) {
        let get = |word: &AtomicUsize| word.load(Ordering::Relaxed);
        let general = std::array::from_fn(|n| get(&self.registers[n]));
        let registers = Registers { general, code: get(&self.code) };
        let words = self.stack[..get(&self.stack_words)].iter().map(get).collect();
        (registers, StackCopy { start: registers.stack_pointer(), words })
    }

    fn name(&self) -> String {
        let words = self.name.iter().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let bytes: Vec<u8> =
            words.flatten().take(self.name_bytes.load(Ordering::Relaxed)).collect();
        // It may have been cut in the middle of a character.
        String::from_utf8_lossy(&bytes).trim_end_matches('\u{fffd}').to_owned()
    }

    /// Writes down who runs, and where. Async-signal-safe.
    fn write(&self, occupant: Option<&Occupant>, registers: &Registers) {
        let stack_pointer = registers.stack_pointer();
        // The root's stack may end before so much is read, and what is mapped above it is copied
        // as well. Where it ends libc would say, for the first thread by reading a file, at each
        // start of a hub; and it does no harm: the kernel copies, so that nothing faults and no
        // memory of others is borrowed; the copy stays in the process; and the walk reads what the
        // frames lead to, of which the outermost says that it is.
        let mut words = WORDS;
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
            if (top - occupant.stack.usable_bytes()..=top).contains(&stack_pointer) {
                // Above are the frames of the loop, or of another coroutine.
                words = words.min((top - stack_pointer) / size_of::<usize>());
            }
        }
        self.spawned_at.store(spawned_at.cast_mut(), Ordering::Relaxed);
        for (word, register) in self.registers.iter().zip(registers.general) {
            word.store(register, Ordering::Relaxed);
        }
        self.code.store(registers.code, Ordering::Relaxed);
        let read = threads::read_words(stack_pointer, &self.stack[..words]);
        self.stack_words.store(read, Ordering::Relaxed);
    }
}

/// Without the code that reads the tables there is one frame: the innermost.
#[cfg(not(feature = "backtrace"))]
fn walk(registers: &Registers, _stack: &StackCopy) -> Vec<usize> {
    let code = registers.code;
    if code == 0 { Vec::new() } else { vec![code + 1] }
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
        answer(&unsafe { registers::of_interrupted(context) });
    });
}

/// Answers the watchdog, if it waits for this thread. Async-signal-safe.
fn answer(registers: &Registers) {
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
        BUFFER.write(unsafe { occupant.as_ref() }, registers);
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
    let action = Action::handle(on_signal, libc::SA_ONSTACK | libc::SA_RESTART);
    // SAFETY: the handler takes no lock, allocates nothing, and calls what a handler may.
    unsafe { action.install(signal) }.ok()?;
    SIGNAL.store(signal, Ordering::Relaxed);
    Some(signal)
}

#[cfg(all(test, not(miri), feature = "backtrace"))]
mod tests {
    use super::*;
    use crate::spawn;
    use crate::symbols::Symbols;
    use crate::sys::frames;
    use crate::sys::modules;

    /// The frames of the interrupted code as the unwinder sees them, in a handler.
    static WALKED: [AtomicUsize; 128] = [const { AtomicUsize::new(0) }; 128];
    static COPIED: Buffer<STACK_WORDS> = Buffer::new();

    /// Who runs on this thread, for its handlers.
    fn interrupted_occupant<'a>() -> Option<&'a Occupant> {
        // SAFETY: the word is this thread's.
        let occupant = unsafe { (*overflow::occupant_word()).load(Ordering::Relaxed) };
        // SAFETY: who runs is interrupted, and does not end before the handler does.
        unsafe { occupant.as_ref() }
    }

    extern "C" fn walk_and_copy(
        _signal: libc::c_int,
        _info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        // SAFETY: the kernel passed `context` to this handler.
        let registers = unsafe { registers::of_interrupted(context) };
        let occupant = interrupted_occupant();
        COPIED.write(occupant, &registers);
        let (mut len, mut is_found) = (0, false);
        frames::walk(|frame| {
            is_found |= frame.code == registers.code;
            if is_found {
                WALKED[len].store(frame.code, Ordering::Relaxed);
                len += 1;
            }
            len < WALKED.len() && frame.code != 0
        });
    }

    #[inline(never)]
    fn deep(depth: usize) -> usize {
        if depth > 0 {
            return deep(depth - 1) + std::hint::black_box(1);
        }
        sigaction::raise(libc::SIGUSR2);
        0
    }

    #[test]
    fn the_frames_of_a_copy_are_those_that_an_unwinder_finds() {
        // SAFETY: the handler takes no lock and allocates nothing.
        unsafe { Action::handle(walk_and_copy, libc::SA_ONSTACK).install(libc::SIGUSR2) }.unwrap();
        for in_coroutine in [true, false] {
            if in_coroutine {
                assert_eq!(spawn(|| deep(20)).join().unwrap(), 20);
            } else {
                assert_eq!(deep(20), 20);
            }
            let (registers, copy) = COPIED.copies();
            let frames = walk(&registers, &copy);
            let walked = WALKED.iter().map(|frame| frame.load(Ordering::Relaxed));
            let walked: Vec<_> = walked.take_while(|code| *code != 0).collect();
            assert_eq!(frames[0], registers.code + 1);
            assert_eq!(frames[1..], walked[1..frames.len()]);
            if !in_coroutine {
                assert_eq!(frames.len(), walked.len(), "{frames:x?}");
            }
            let symbols = Symbols::look_up(frames.iter().copied().collect());
            let names: Vec<_> = symbols.calls(&frames).map(|call| call.name()).collect();
            assert_eq!(names.iter().filter(|name| name.contains("deep")).count(), 21, "{names:?}");
        }
    }

    /// Whoever walks has the loader's lock, which stays held in a child: a watchdog of its own
    /// waited for it for ever.
    #[test]
    fn nothing_is_walked_in_a_child_of_a_fork_in_the_middle_of_a_walk() {
        let (held, is_held) = std::sync::mpsc::channel();
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let code = Symbols::look_up as *const () as usize;
        let walker = thread::spawn(move || {
            let _underway = Underway::begin().unwrap();
            modules::with_tables(code, |_| {
                held.send(()).unwrap();
                is_over.recv().unwrap_err();
            })
        });
        is_held.recv().unwrap();
        // SAFETY: the child takes no lock of others but the allocator's, which libc looks after.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: the call has no preconditions.
            unsafe { libc::alarm(60) };
            let buffer = Buffer::<0>::new();
            buffer.write(None, &Registers { general: [0; REGISTERS], code });
            let frames = buffer.read().frames.len();
            // SAFETY: the call has no preconditions.
            unsafe { libc::_exit(frames as i32) };
        }
        drop(over);
        assert_eq!(walker.join().unwrap(), Some(()));
        let mut status = 0;
        // SAFETY: `status` is valid for the call.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0);
    }

    #[cfg(target_arch = "x86_64")]
    mod steps {
        use std::collections::HashSet;

        use super::*;
        use crate::yield_now;

        /// What was copied at each instruction, one after the other: the registers, the number of
        /// words of the stack, and these.
        static ARENA: AtomicPtr<usize> = AtomicPtr::new(ptr::null_mut());
        static USED: AtomicUsize = AtomicUsize::new(0);
        const ARENA_WORDS: usize = 2 << 20;
        /// A few frames of each: the outer ones are the same again and again.
        static STEP: Buffer<64> = Buffer::new();
        /// How many of them found a coroutine's code on another stack than its own.
        static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

        extern "C" fn on_step(
            _signal: libc::c_int,
            _info: *mut libc::siginfo_t,
            context: *mut libc::c_void,
        ) {
            // SAFETY: the kernel passed `context` to this handler.
            let registers = unsafe { registers::of_interrupted(context) };
            let occupant = interrupted_occupant();
            STEP.write(occupant, &registers);
            let is_elsewhere = occupant.is_some_and(|occupant| {
                let top = occupant.stack.top();
                let stack = top - occupant.stack.usable_bytes()..=top;
                !stack.contains(&registers.stack_pointer())
            });
            ELSEWHERE.fetch_add(is_elsewhere.into(), Ordering::Relaxed);
            let words = STEP.stack_words.load(Ordering::Relaxed);
            let used = USED.load(Ordering::Relaxed);
            let after = used + REGISTERS + 2 + words;
            if after > ARENA_WORDS {
                // An instrumented build has many more instructions.
                return;
            }
            USED.store(after, Ordering::Relaxed);
            let copied = STEP.stack[..words].iter().map(|word| word.load(Ordering::Relaxed));
            let head = [registers.code, words];
            let all = registers.general.into_iter().chain(head).chain(copied);
            for (n, word) in all.enumerate() {
                // SAFETY: the arena has room for it.
                let place = unsafe { ARENA.load(Ordering::Relaxed).add(used + n) };
                // SAFETY: as above, and nobody else is on this thread.
                unsafe { place.write(word) };
            }
        }

        /// Has the processor stop after each instruction of this thread, or not any more.
        #[inline(never)]
        fn step(on: bool) {
            let trap = if on { 0x100_u64 } else { 0 };
            // SAFETY: the trap flag alone is changed, and nothing is left on the stack.
            unsafe {
                std::arch::asm!(
                    "pushfq",
                    "and qword ptr [rsp], -257",
                    "or [rsp], {trap}",
                    "popfq",
                    trap = in(reg) trap,
                );
            }
        }

        #[test]
        fn a_copy_taken_at_any_instruction_is_walked_without_harm() {
            let arena = vec![0_usize; ARENA_WORDS].leak();
            ARENA.store(arena.as_mut_ptr(), Ordering::Relaxed);
            // SAFETY: the handler takes no lock and allocates nothing.
            unsafe { Action::handle(on_step, libc::SA_ONSTACK).install(libc::SIGTRAP) }.unwrap();
            let other = spawn(|| (0..2).for_each(|_| yield_now()));
            yield_now();
            let new = spawn(|| ());
            step(true);
            // Switches in both directions, a start and an end.
            yield_now();
            step(false);
            other.join().unwrap();
            new.join().unwrap();
            let used = USED.load(Ordering::Relaxed);
            let mut rest = &arena[..used];
            let (mut steps, mut walks) = (0, 0);
            let mut seen = HashSet::new();
            while !rest.is_empty() {
                let (general, after) = rest.split_first_chunk().unwrap();
                let registers = Registers { general: *general, code: after[0] };
                let (words, after) = after[2..].split_at(after[1]);
                rest = after;
                let stack = StackCopy { start: registers.stack_pointer(), words: words.to_vec() };
                // The same instruction on the same stack is as good as the same walk.
                if !seen.insert((registers.code, registers.stack_pointer() >> 16)) {
                    continue;
                }
                steps += 1;
                walks += usize::from(walk(&registers, &stack).len() > 2);
            }
            let elsewhere = ELSEWHERE.load(Ordering::Relaxed);
            println!("{steps} steps, {walks} walks, {elsewhere} elsewhere, {used} words");
            assert!(steps > 1000, "{steps}");
            // AddressSanitizer makes frames that are larger than the copies.
            let share = if cfg!(feature = "sanitizer") { 4 } else { 2 };
            assert!(walks > steps / share, "{walks} of {steps}");
            // It was stopped in the middle of switches.
            assert!(elsewhere > 0);
        }
    }
}
