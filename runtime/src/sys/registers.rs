//! The registers of interrupted code, by the numbers that unwind tables give them.

// The kernel's record of them is read inside of a signal handler.
#![allow(unsafe_code)]

/// The registers that a walk over frames starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) general: [usize; REGISTERS],
    /// Where the code stood; 0 where that is not known.
    pub(crate) code: usize,
}

/// As many as a caller's frame may need.
#[cfg(target_arch = "aarch64")]
pub(crate) const REGISTERS: usize = 32;
#[cfg(not(target_arch = "aarch64"))]
pub(crate) const REGISTERS: usize = 16;

/// The number of the stack pointer.
#[cfg(target_arch = "aarch64")]
pub(crate) const STACK_POINTER: usize = 31;
#[cfg(not(target_arch = "aarch64"))]
pub(crate) const STACK_POINTER: usize = 7;

impl Registers {
    pub(crate) fn stack_pointer(&self) -> usize {
        self.general[STACK_POINTER]
    }
}

/// The registers of the interrupted code. Async-signal-safe.
///
/// # Safety
///
/// `context` must be what the kernel passed to a handler.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn of_interrupted(context: *const libc::c_void) -> Registers {
    // The order of the psABI, which is not the one of the encoding.
    const ORDER: [libc::c_int; REGISTERS] = [
        libc::REG_RAX,
        libc::REG_RDX,
        libc::REG_RCX,
        libc::REG_RBX,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_RBP,
        libc::REG_RSP,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    // SAFETY: the caller vouches that it is the kernel's record.
    let known = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let general = ORDER.map(|register| known[register as usize] as usize);
    Registers { general, code: known[libc::REG_RIP as usize] as usize }
}

/// The registers of the interrupted code. Async-signal-safe.
///
/// # Safety
///
/// `context` must be what the kernel passed to a handler.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn of_interrupted(context: *const libc::c_void) -> Registers {
    // SAFETY: the caller vouches that it is the kernel's record.
    let known = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    let mut general = [0; REGISTERS];
    for (to, from) in general.iter_mut().zip(known.regs) {
        *to = from as usize;
    }
    general[STACK_POINTER] = known.sp as usize;
    Registers { general, code: known.pc as usize }
}

/// Nothing is known of the registers of other machines.
///
/// # Safety
///
/// None here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) unsafe fn of_interrupted(_context: *const libc::c_void) -> Registers {
    Registers { general: [0; REGISTERS], code: 0 }
}

/// An address that code returns to, without the signature that a processor may have put on it.
#[cfg(all(target_arch = "aarch64", feature = "backtrace"))]
pub(crate) fn without_signature(mut address: usize) -> usize {
    // SAFETY: one register is changed; it is xpaclri, which older processors ignore.
    unsafe {
        std::arch::asm!("hint 7", inout("x30") address, options(nomem, nostack, preserves_flags));
    }
    address
}

/// Only aarch64 signs addresses.
#[cfg(all(not(target_arch = "aarch64"), feature = "backtrace"))]
pub(crate) fn without_signature(address: usize) -> usize {
    address
}
