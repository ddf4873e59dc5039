//! The frames of the running code: where it stands, and who called it.

// The stack is walked by the unwinder that std brings along.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ffi::c_void;

/// One frame of a walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// An address inside of the frame's function.
    pub(crate) code: usize,
    /// The stack pointer of its caller, at the call.
    pub(crate) stack: usize,
}

/// The stack pointer, or an address near it.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let pointer: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: one register is copied.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: one register is copied.
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let here = 0_u8;
        pointer = (&raw const here).addr();
    }
    pointer
}

/// Visits the frames, innermost first, until `visit` returns false. Frames of other stacks
/// that lead to this one are visited too, where they are linked as calls are.
pub(crate) fn walk(mut visit: impl FnMut(Frame) -> bool) {
    let mut visit: &mut dyn FnMut(Frame) -> bool = &mut visit;
    // SAFETY: the callback gets the pointer to `visit`, which outlives the walk.
    unsafe { _Unwind_Backtrace(visit_frame, (&raw mut visit).cast()) };
}

extern "C" fn visit_frame(context: *mut c_void, visit: *mut c_void) -> c_int {
    // SAFETY: `walk` passes a pointer to its callback, which nobody else uses meanwhile.
    let visit = unsafe { &mut *visit.cast::<&mut dyn FnMut(Frame) -> bool>() };
    // SAFETY: the unwinder passes a valid context.
    let code = unsafe { _Unwind_GetIP(context) };
    // SAFETY: as above.
    let stack = unsafe { _Unwind_GetCFA(context) };
    // Anything but zero (_URC_NO_REASON) ends the walk.
    c_int::from(!visit(Frame { code, stack }))
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

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn frames_lie_above_the_stack_pointer() {
        let here = stack_pointer();
        let mut count = 0;
        let mut nearest = usize::MAX;
        walk(|frame| {
            nearest = nearest.min(frame.stack);
            count += 1;
            count < 3
        });
        assert_eq!(count, 3);
        assert!(here.abs_diff(nearest) < 64 * 1024);
    }
}
