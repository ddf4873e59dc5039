//! Whether the thread's own program still runs, or its thread-locals are being destroyed.
//!
//! A root wait inside a thread-local's destructor must not resume coroutines: they may
//! hold references into thread-locals that are gone. libc has no flag for this phase, but
//! its frames show it: the function that called the thread's start routine (or `main`)
//! calls the destructors next, and the return address of the first call is overwritten by
//! that of the second. So the address of that one word is found once, by walking the
//! stack, and read at each root wait.
//!
//! ```text
//!   start_thread / __libc_start_call_main
//!   ├── return address  ◄── the word: "after the start routine"   while the program runs
//!   │   start routine → … → user code                             "after the destructors"
//! ```
//!
//! If the walk meets the function that runs the destructors, the phase has begun already.
//!
//! What it cannot see: `process::exit`, when the word was found before, which runs the
//! destructors on top of the frames of its caller; and a program linked statically, where
//! no frame tells libc from the rest.

// One word of the stack is read, and the loader asked for names.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

use crate::sys::frames;
use crate::sys::frames::Frame;

/// The word of the thread's stack that tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Null if the word could not be found.
    word: *const usize,
    /// What it holds while the program runs.
    running: usize,
}

impl Origin {
    /// Finds the word; `None` if the thread-locals are being destroyed already. To be called
    /// on the thread's own stack.
    pub(crate) fn find() -> Option<Origin> {
        let mut outermost = Outermost { frames: [Frame { code: 0, stack: 0 }; FRAMES_MAX], len: 0 };
        let mut running = true;
        frames::walk(|frame| {
            outermost.note(frame);
            running = !runs_destructors(frame.code);
            running
        });
        running.then(|| {
            let word = outermost.libc_call();
            word.unwrap_or(Origin { word: ptr::null(), running: 0 })
        })
    }

    /// Whether the thread's program has returned to libc.
    #[inline]
    pub(crate) fn has_returned(&self) -> bool {
        if self.word.is_null() {
            return false;
        }
        // SAFETY: the word lies in the frame of the function that started this thread's
        // program, which is on the stack for as long as the thread runs any code.
        unsafe { self.word.read_volatile() != self.running }
    }
}

/// Deeper stacks than this are not searched to their end; the outermost frames are the
/// ones that count, so the list is used as a ring.
const FRAMES_MAX: usize = 16;

struct Outermost {
    frames: [Frame; FRAMES_MAX],
    /// How many were noted.
    len: usize,
}

impl Outermost {
    fn note(&mut self, frame: Frame) {
        self.frames[self.len % FRAMES_MAX] = frame;
        self.len += 1;
    }

    /// Finds the innermost frame of the outermost run of libc's frames.
    fn libc_call(&self) -> Option<Origin> {
        // Tools and crash reporters put functions of their own before many of libc, not this.
        let libc_base = object_of(libc::syscall as *const () as usize)?;
        let own_base = object_of(runs_destructors as *const () as usize)?;
        if libc_base == own_base {
            return None;
        }
        let mut found = None;
        for back in 1..=self.len.min(FRAMES_MAX) {
            let frame = self.frames[(self.len - back) % FRAMES_MAX];
            if frame.code == 0 {
                continue;
            }
            if object_of(frame.code) == Some(libc_base) {
                found = Some(frame);
            } else if found.is_some() {
                break;
            }
        }
        let Frame { code, stack } = found?;
        let word = ptr::with_exposed_provenance::<usize>(stack - size_of::<usize>());
        // The return address of a call stands right below the caller's stack pointer.
        // SAFETY: that word is part of the frames that the unwinder has just walked.
        let holds = unsafe { word.read_volatile() };
        (holds == code).then_some(Origin { word, running: code })
    }
}

/// The start of the loaded file that an address belongs to.
fn object_of(address: usize) -> Option<usize> {
    symbol_of(address).map(|info| info.dli_fbase as usize)
}

/// Whether an address is in the function of libc that calls the destructors of a thread's
/// thread-locals, at the end of the thread and in exit(3).
fn runs_destructors(address: usize) -> bool {
    let name = symbol_of(address).map_or(ptr::null(), |info| info.dli_sname);
    if name.is_null() {
        return false;
    }
    // SAFETY: dladdr(3) gave a C string that lives as long as its file is loaded.
    let name = unsafe { CStr::from_ptr(name) };
    name == c"__call_tls_dtors"
}

/// What the loader knows of an address.
fn symbol_of(address: usize) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr(3) only looks the address up and writes `info`.
    let found = unsafe { libc::dladdr(ptr::without_provenance(address), info.as_mut_ptr()) };
    // SAFETY: Dl_info is plain data for which all zeros is valid, so it is initialised.
    let info = unsafe { info.assume_init() };
    (found != 0).then_some(info)
}
