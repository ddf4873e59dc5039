//! Signal handlers, the stack they run on, and a stderr that is safe inside of them.

// sigaction(2) and sigaltstack(2) have no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::ptr;

use crate::sys::check;
use crate::sys::memory::Mapping;
use crate::sys::memory::page_bytes;

/// The form of a handler that is told the address of a fault.
pub(crate) type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// What a signal does: a copy of the kernel's record.
#[derive(Clone, Copy)]
pub(crate) struct Action(libc::sigaction);

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Action").field("handler", &self.0.sa_sigaction).finish_non_exhaustive()
    }
}

impl Action {
    /// An action that calls `handler`; `flags` besides SA_SIGINFO.
    pub(crate) fn handle(handler: Handler, flags: libc::c_int) -> Action {
        // SAFETY: sigaction is plain data for which all zeros is the default action.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | flags;
        Action(action)
    }

    /// The action in force for `signal`.
    pub(crate) fn current(signal: libc::c_int) -> io::Result<Action> {
        // SAFETY: sigaction is plain data for which all zeros is valid.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: with a null new action the call only writes the old one.
        check(unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) })?;
        Ok(Action(action))
    }

    /// Makes this the action for `signal`; async-signal-safe.
    ///
    /// # Safety
    ///
    /// A handler in it must be async-signal-safe.
    pub(crate) unsafe fn install(&self, signal: libc::c_int) -> io::Result<()> {
        // SAFETY: the record is valid, and the caller vouches for the handler.
        check(unsafe { libc::sigaction(signal, &raw const self.0, ptr::null_mut()) })?;
        Ok(())
    }

    /// Whether the signal has no effect.
    pub(crate) fn ignores(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }

    /// Whether it calls that handler.
    pub(crate) fn calls(&self, handler: Handler) -> bool {
        self.0.sa_sigaction == handler as *const () as usize
    }

    /// Whether the signal has its default effect.
    pub(crate) fn is_default(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_DFL
    }

    /// Does what this action would do: calls its handler, or makes the signal's default
    /// take effect when the faulting instruction runs again.
    ///
    /// # Safety
    ///
    /// Only inside a handler for `signal`, with that handler's arguments.
    pub(crate) unsafe fn forward(
        &self,
        signal: libc::c_int,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        match self.0.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // SAFETY: sigaction is plain data for which all zeros is the default.
                let default = Action(unsafe { mem::zeroed() });
                // SAFETY: the default action has no handler.
                let _ = unsafe { default.install(signal) };
            }
            handler if self.0.sa_flags & libc::SA_SIGINFO != 0 => {
                // SAFETY: with SA_SIGINFO the field holds a handler of this form.
                let handler: Handler = unsafe { mem::transmute(handler) };
                handler(signal, info, context);
            }
            handler => {
                // SAFETY: without SA_SIGINFO the field holds a handler of this form.
                let handler: extern "C" fn(libc::c_int) = unsafe { mem::transmute(handler) };
                handler(signal);
            }
        }
    }
}

/// The address that a fault was about.
///
/// # Safety
///
/// `info` must be what the kernel passed to a handler of SIGSEGV or SIGBUS.
pub(crate) unsafe fn fault_address(info: *const libc::siginfo_t) -> usize {
    // SAFETY: the caller vouches that the record is the kernel's.
    let info = unsafe { &*info };
    // SAFETY: for these two signals the address field is the one in use.
    let address = unsafe { info.si_addr() };
    address as usize
}

/// Whether the kernel raised the fault, and not kill(2).
///
/// # Safety
///
/// `info` must be what the kernel passed to a handler.
pub(crate) unsafe fn is_fault(info: *const libc::siginfo_t) -> bool {
    // SAFETY: the caller vouches that the record is the kernel's.
    unsafe { (*info).si_code > 0 }
}

/// Lets a signal have its default effect, inside of a handler for it; async-signal-safe.
pub(crate) fn end_by(signal: libc::c_int) {
    // SAFETY: sigaction is plain data for which all zeros is the default action.
    let default = Action(unsafe { mem::zeroed() });
    // SAFETY: the default action has no handler.
    let _ = unsafe { default.install(signal) };
    // It is delivered when the handler returns.
    raise(signal);
}

/// Sends a signal to the calling thread; async-signal-safe.
pub(crate) fn raise(signal: libc::c_int) {
    // SAFETY: the call has no preconditions.
    unsafe { libc::raise(signal) };
}

/// A stack for signal handlers that this module gave to the thread.
#[derive(Debug)]
pub(crate) struct AlternateStack {
    mapping: Mapping,
    /// What the thread had before: too small, or none.
    before: libc::stack_t,
}

/// A smaller stack has no room for a frame of a processor with all its vector state, some
/// 11 KiB, and a handler that walks the frames.
const HANDLER_BYTES_MIN: usize = 32 * 1024;

impl AlternateStack {
    /// Gives the thread a stack for handlers; `None` if it has one already that is large enough.
    /// std's own is not, but for the main thread's.
    pub(crate) fn ensure() -> io::Result<Option<AlternateStack>> {
        // SAFETY: stack_t is plain data for which all zeros is valid.
        let mut old: libc::stack_t = unsafe { mem::zeroed() };
        // SAFETY: with a null new stack the call only writes the old one.
        check(unsafe { libc::sigaltstack(ptr::null(), &raw mut old) })?;
        let has_one = old.ss_flags & libc::SS_DISABLE == 0;
        if has_one && (old.ss_size >= HANDLER_BYTES_MIN || old.ss_flags & libc::SS_ONSTACK != 0) {
            return Ok(None);
        }
        let guard_bytes = page_bytes();
        let bytes = 64 * 1024;
        let mapping = Mapping::for_stacks(guard_bytes + bytes)?;
        // SAFETY: the mapping is new: nothing lives in it.
        unsafe { mapping.protect(0, guard_bytes) }?;
        let new = libc::stack_t {
            ss_sp: ptr::without_provenance_mut(mapping.start() + guard_bytes),
            ss_flags: 0,
            ss_size: bytes,
        };
        // SAFETY: the memory belongs to the mapping, which lives until the stack is
        // taken away again in `drop`.
        check(unsafe { libc::sigaltstack(&raw const new, ptr::null_mut()) })?;
        Ok(Some(AlternateStack { mapping, before: old }))
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: stack_t is plain data for which all zeros is valid.
        let mut now: libc::stack_t = unsafe { mem::zeroed() };
        // SAFETY: with a null new stack the call only writes the old one.
        unsafe { libc::sigaltstack(ptr::null(), &raw mut now) };
        let low = now.ss_sp.addr();
        if low.wrapping_sub(self.mapping.start()) < page_bytes() + 1 {
            // Else it was taken away already, by std at the end of its thread.
            // SAFETY: the call takes the stack away from the thread before it is unmapped. Who
            // gave the one before has not taken it away, and so has not freed it.
            unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
        }
    }
}

/// Gives the main thread a stack for handlers before std does, which keeps to it then. std's own
/// is unmapped by `process::exit` on whichever thread calls it, though main may be in a handler
/// there, or get a signal before the process is gone.
#[cfg(not(miri))]
#[used]
// SAFETY: the section holds functions of this form, which the loader calls once each.
#[unsafe(link_section = ".init_array")]
static GIVE_MAIN_A_STACK: extern "C" fn() = {
    extern "C" fn give_main_a_stack() {
        // SAFETY: the call has no preconditions.
        let thread = unsafe { libc::gettid() };
        // SAFETY: as above.
        let is_main = thread == unsafe { libc::getpid() };
        // Without it, std tries again.
        if is_main && let Ok(Some(stack)) = AlternateStack::ensure() {
            mem::forget(stack);
        }
    }
    give_main_a_stack
};

/// Does something and leaves `errno` as the code before it had it; async-signal-safe.
pub(crate) fn preserving_errno(f: impl FnOnce()) {
    // SAFETY: the call has no preconditions.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the location of the thread's errno is always valid.
    let saved = unsafe { errno.read() };
    f();
    // SAFETY: as above.
    unsafe { errno.write(saved) };
}

/// Writes to fd 2 without a lock or an allocation; async-signal-safe.
pub(crate) fn write_stderr(bytes: &[u8]) {
    // SAFETY: `bytes` is readable for its length. Nothing can be done about an error.
    unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}
