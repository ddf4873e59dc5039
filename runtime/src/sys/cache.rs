//! The processor's cache: its lines, and what it is asked to fetch before it is needed.

// The instruction takes a pointer.
#![allow(unsafe_code)]

/// So many bytes are fetched at once.
pub(crate) const LINE_BYTES: usize = 64;

/// Whether the processor can be asked to fetch something, here.
pub(crate) const PREFETCHES: bool = cfg!(target_arch = "x86_64");

/// Asks for the line with that address, whatever is there.
#[inline]
pub(crate) fn prefetch(address: *const u8) {
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
