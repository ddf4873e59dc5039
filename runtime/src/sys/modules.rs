//! The unwind tables of the program and the libraries that are loaded.

// The loader says where they lie in memory.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ffi::c_void;
use std::slice;

/// The tables of one module. They are there as long as this is.
#[derive(Debug)]
pub(crate) struct Tables<'a> {
    segments: &'a [libc::Elf64_Phdr],
    /// What is to be added to the addresses in the module's file.
    base: usize,
}

/// Calls a closure with the tables of the module that holds the code at an address; `None` if
/// none does. Nothing is unloaded meanwhile: the loader's lock is held. Not for signal handlers.
pub(crate) fn with_tables<R>(code: usize, f: impl FnOnce(Tables<'_>) -> R) -> Option<R> {
    let mut f = Some(f);
    let mut result = None;
    let mut visit = |tables: Tables<'_>| {
        let is_here = tables.segment_of(code, libc::PF_X).is_some();
        if is_here && let Some(f) = f.take() {
            result = Some(f(tables));
        }
        is_here
    };
    let mut visit: &mut dyn FnMut(Tables<'_>) -> bool = &mut visit;
    // SAFETY: the callback gets the pointer to `visit`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit_module), (&raw mut visit).cast()) };
    result
}

unsafe extern "C" fn visit_module(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    visit: *mut c_void,
) -> c_int {
    // SAFETY: `with_tables` passes a pointer to its callback, which nobody else uses meanwhile.
    let visit = unsafe { &mut *visit.cast::<&mut dyn FnMut(Tables<'_>) -> bool>() };
    // SAFETY: the loader passes a valid record.
    let info = unsafe { &*info };
    // SAFETY: the loader says where the headers are and how many; they are not written again.
    let segments = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // Anything but zero ends the search.
    c_int::from(visit(Tables { segments, base: info.dlpi_addr as usize }))
}

impl<'a> Tables<'a> {
    /// The index into the tables, and its address; `None` if the module has none.
    pub(crate) fn index(&self) -> Option<(usize, &'a [u8])> {
        let header = self.segments.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME)?;
        let start = self.base.wrapping_add(header.p_vaddr as usize);
        let index = self.from(start)?;
        Some((start, &index[..index.len().min(header.p_memsz as usize)]))
    }

    /// What lies in memory from an address to the end of its segment, which nobody writes to.
    pub(crate) fn from(&self, address: usize) -> Option<&'a [u8]> {
        let end = self.segment_of(address, libc::PF_R)?;
        // SAFETY: the loader has mapped the segment, for reading alone, and is not about to unmap
        // it: this is inside of its callback, which `'a` does not outlive.
        Some(unsafe {
            slice::from_raw_parts(std::ptr::with_exposed_provenance(address), end - address)
        })
    }

    /// The end of the segment that an address lies in, if it may be used so and not be written.
    fn segment_of(&self, address: usize, use_: u32) -> Option<usize> {
        let loaded = self.segments.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let mut usable = loaded.filter(|header| header.p_flags & (use_ | libc::PF_W) == use_);
        usable.find_map(|header| {
            let start = self.base.wrapping_add(header.p_vaddr as usize);
            let end = start.wrapping_add(header.p_memsz as usize);
            (start..end).contains(&address).then_some(end)
        })
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_program_has_an_index_and_other_addresses_have_none() {
        let here = with_tables as fn(usize, fn(Tables<'_>)) -> Option<()>;
        let version = with_tables(here as usize, |tables| tables.index().unwrap().1[0]);
        assert_eq!(version, Some(1));
        // Of the functions that everybody replaces, the program may have its own.
        let getpid = with_tables(libc::getpid as *const () as usize, |tables| {
            assert!(tables.from(here as usize).is_none(), "another module");
            tables.index().unwrap().1[0]
        });
        assert_eq!(getpid, Some(1));
        assert_eq!(with_tables(16, |_| ()), None);
        static DATA: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
        assert_eq!(with_tables((&raw const DATA).addr(), |_| ()), None);
    }
}
