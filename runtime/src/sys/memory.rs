//! Address ranges: mapping, guarding, giving pages back.

// mmap(2) and its family have no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::ptr;
use std::ptr::NonNull;

use crate::sys::check;

/// Makes a range fault without splitting its mapping. Linux 6.13; not in the libc crate.
const MADV_GUARD_INSTALL: libc::c_int = 102;
/// From this size on, what grows may have huge pages: two megabytes more do not matter then.
const HUGE_FROM_BYTES: usize = 4 * 1024 * 1024;

/// A range of private memory that reads as zero until it is written; no page of it is charged
/// before it is touched.
///
/// Dropping it unmaps the range: whoever drops it vouches that nothing lives there.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes for stacks: none of the pages becomes a huge one, which would make
    /// every stack cost two megabytes.
    pub(crate) fn for_stacks(len: usize) -> io::Result<Mapping> {
        let mapping = Mapping::new(len, libc::MAP_NORESERVE | libc::MAP_STACK)?;
        mapping.set_huge(false);
        Ok(mapping)
    }

    /// Maps `len` bytes for values of one kind.
    pub(crate) fn for_values(len: usize) -> io::Result<Mapping> {
        Mapping::new(len, 0)
    }

    fn new(len: usize, flags: libc::c_int) -> io::Result<Mapping> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: without MAP_FIXED the kernel picks a range that nobody uses.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        Mapping::at(start, len)
    }

    /// The range that a system call has mapped, unless it failed.
    fn at(start: *mut libc::c_void, len: usize) -> io::Result<Mapping> {
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("mmap(2) does not map address zero");
        Ok(Mapping { start, len })
    }

    /// Makes the range longer, elsewhere if need be, with what is in it. Nothing changes if
    /// that fails.
    ///
    /// # Safety
    ///
    /// Nobody may use an address in it afterwards that was taken before.
    pub(crate) unsafe fn grow(&mut self, len: usize) -> io::Result<()> {
        let start = self.start.as_ptr().cast();
        // SAFETY: this is the range, and the caller vouches that it may move.
        let start = unsafe { libc::mremap(start, self.len, len, libc::MREMAP_MAYMOVE) };
        // The old range is a part of the new one, or gone.
        std::mem::forget(std::mem::replace(self, Mapping::at(start, len)?));
        if len >= HUGE_FROM_BYTES {
            self.set_huge(true);
        }
        Ok(())
    }

    /// Lets pages of the range become huge ones, or not. A kernel that has none refuses it, which
    /// is as good.
    fn set_huge(&self, may_be: bool) {
        let advice = if may_be { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // SAFETY: this is the range; the advice changes no content.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, advice) };
    }

    /// The lowest address.
    pub(crate) fn start(&self) -> usize {
        self.start.as_ptr() as usize
    }

    /// The same, to reach what is in the range.
    #[inline]
    pub(crate) fn pointer(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes a part of the range fault, without a mapping of its own.
    ///
    /// # Safety
    ///
    /// Nothing may live in that part: its content is gone.
    pub(crate) unsafe fn install_guard(&self, offset: usize, len: usize) -> io::Result<()> {
        let part = self.part(offset, len);
        // SAFETY: the part lies in this mapping, and the caller gives its content up.
        check(unsafe { libc::madvise(part.cast(), len, MADV_GUARD_INSTALL) })?;
        Ok(())
    }

    /// Makes a part of the range fault by taking its access away, at the price of two
    /// more mappings.
    ///
    /// # Safety
    ///
    /// Nothing may live in that part.
    pub(crate) unsafe fn protect(&self, offset: usize, len: usize) -> io::Result<()> {
        let part = self.part(offset, len);
        // SAFETY: the part lies in this mapping, and the caller says that nobody uses it.
        check(unsafe { libc::mprotect(part.cast(), len, libc::PROT_NONE) })?;
        Ok(())
    }

    /// Gives the pages of a part back; it reads as zero again. Guards stay.
    ///
    /// # Safety
    ///
    /// Nothing may live in that part: its content is gone.
    pub(crate) unsafe fn discard(&self, offset: usize, len: usize) {
        let part = self.part(offset, len);
        // SAFETY: the part lies in this mapping, and the caller gives its content up.
        // A locked range refuses, and then simply keeps its pages.
        unsafe { libc::madvise(part.cast(), len, libc::MADV_DONTNEED) };
    }

    /// Writes for every page of a part whether it is in memory.
    pub(crate) fn resident(&self, offset: usize, len: usize, pages: &mut Vec<u8>) {
        let part = self.part(offset, len);
        pages.clear();
        pages.resize(len.div_ceil(page_bytes()), 0);
        // SAFETY: `pages` has a byte for every page of the part, which is mapped.
        unsafe { libc::mincore(part.cast(), len, pages.as_mut_ptr()) };
    }

    /// Keeps the range mapped for the rest of the process.
    pub(crate) fn leak(self) {
        std::mem::forget(self);
    }

    fn part(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "part of the mapping");
        // SAFETY: the offset was just checked to lie inside of the mapping.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mmap(2) returned this range, and it is unmapped once, here.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The size of a page.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf(3) takes no pointer.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("the page size is known")
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    /// Reads a byte of a mapping.
    fn byte(mapping: &Mapping, offset: usize) -> u8 {
        let part = mapping.part(offset, 1);
        // SAFETY: the byte lies in the mapping, and was written or is zero.
        unsafe { part.read() }
    }

    #[test]
    fn what_grows_keeps_what_is_in_it_and_what_cannot_grow_stays() {
        let page = page_bytes();
        let mut mapping = Mapping::for_values(16 * page).unwrap();
        let mut len = mapping.len();
        // SAFETY: the byte lies in the mapping.
        unsafe { mapping.part(len - 1, 1).write(7) };
        while len < 4 * HUGE_FROM_BYTES {
            // Where there is nothing behind it now, there is the next time.
            let _behind = Mapping::for_values(page);
            // SAFETY: no address in it is kept.
            unsafe { mapping.grow(2 * len) }.unwrap();
            assert_eq!((mapping.len(), byte(&mapping, 2 * len - 1)), (2 * len, 0));
            len *= 2;
            let before = mapping.start();
            // SAFETY: as above.
            unsafe { mapping.grow(1 << 62) }.unwrap_err();
            assert_eq!((mapping.start(), mapping.len()), (before, len));
            assert_eq!(byte(&mapping, 16 * page - 1), 7);
        }
    }
}
