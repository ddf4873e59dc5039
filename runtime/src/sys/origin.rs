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
//! What it cannot see: `process::exit`, which runs the destructors on top of the frames
//! of its caller; and a program linked statically, where no frame tells libc from the rest.

// The stack is walked by the unwinder that std brings along, and one word of it is read.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

/// The word of the thread's stack that tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Null if the word could not be found.
    word: *const usize,
    /// What it holds while the program runs.
    running: usize,
}

impl Origin {
    /// Finds the word. To be called on the thread's own stack.
    pub(crate) fn find() -> Origin {
        let mut frames = Frames { list: [(0, 0); FRAMES_MAX], len: 0 };
        // SAFETY: the callback gets the pointer to `frames`, which outlives the walk.
        unsafe { _Unwind_Backtrace(note_frame, (&raw mut frames).cast()) };
        frames.outermost_libc_call().unwrap_or(Origin { word: ptr::null(), running: 0 })
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

struct Frames {
    /// The address inside the frame's function, and the stack pointer at its call.
    list: [(usize, usize); FRAMES_MAX],
    len: usize,
}

impl Frames {
    /// Finds the innermost frame of the outermost run of libc's frames.
    fn outermost_libc_call(&self) -> Option<Origin> {
        let libc_base = object_of(libc::sigaction as *const () as usize)?;
        let own_base = object_of(note_frame as *const () as usize)?;
        if libc_base == own_base {
            return None;
        }
        let mut found = None;
        for back in 1..=self.len.min(FRAMES_MAX) {
            let (address, stack) = self.list[(self.len - back) % FRAMES_MAX];
            if address == 0 {
                continue;
            }
            if object_of(address) == Some(libc_base) {
                found = Some((address, stack));
            } else if found.is_some() {
                break;
            }
        }
        let (address, stack) = found?;
        let word = ptr::with_exposed_provenance::<usize>(stack - size_of::<usize>());
        // The return address of a call stands right below the caller's stack pointer.
        // SAFETY: that word is part of the frames that the unwinder has just walked.
        let holds = unsafe { word.read_volatile() };
        (holds == address).then_some(Origin { word, running: address })
    }
}

extern "C" fn note_frame(context: *mut c_void, frames: *mut c_void) -> c_int {
    // SAFETY: `find` passes a pointer to its list, which nobody else uses meanwhile.
    let frames = unsafe { &mut *frames.cast::<Frames>() };
    // SAFETY: the unwinder passes a valid context.
    let address = unsafe { _Unwind_GetIP(context) };
    // SAFETY: as above.
    let stack = unsafe { _Unwind_GetCFA(context) };
    frames.list[frames.len % FRAMES_MAX] = (address, stack);
    frames.len += 1;
    0
}

/// The start of the loaded file that an address belongs to.
fn object_of(address: usize) -> Option<usize> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr(3) only looks the address up and writes `info`.
    let found = unsafe { libc::dladdr(ptr::without_provenance(address), info.as_mut_ptr()) };
    // SAFETY: Dl_info is plain data for which all zeros is valid, so it is initialised.
    let info = unsafe { info.assume_init() };
    (found != 0).then_some(info.dli_fbase as usize)
}

// The Itanium C++ ABI's unwinder; std links it.
unsafe extern "C" {
    fn _Unwind_Backtrace(
        callback: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    fn _Unwind_GetCFA(context: *mut c_void) -> usize;
}
