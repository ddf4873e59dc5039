//! A vector in pages of its own, which the kernel moves when it grows.
//!
//! The allocator would copy the values, into memory that it touches for the first time; here a
//! page is touched once, when the first value in it comes. The vector never gets smaller.
//!
//! **Invariant:** the first `len` places of the mapping hold values, and it has room for them.

// Values lie in mapped memory.
#![allow(unsafe_code)]

use std::alloc;
use std::alloc::Layout;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ops::DerefMut;
use std::ptr::NonNull;
use std::slice;

use crate::sys::memory::Mapping;

/// Values in a row.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    /// Where the first value is, or would be.
    start: NonNull<T>,
    len: usize,
    /// `None` before the first value comes.
    mapping: Option<Mapping>,
    _values: PhantomData<T>,
}

/// What is mapped for the first value. No page of it is charged before it is touched.
const FIRST_BYTES: usize = 64 * 1024;

impl<T> Pages<T> {
    /// Makes an empty one, which takes no memory.
    pub(crate) const fn new() -> Pages<T> {
        const {
            assert!(size_of::<T>() != 0 && size_of::<T>() <= FIRST_BYTES);
            // The least that a page is aligned to.
            assert!(align_of::<T>() <= 4096);
        }
        Pages { start: NonNull::dangling(), len: 0, mapping: None, _values: PhantomData }
    }

    /// Makes one that has room for the first values.
    pub(crate) fn with_room() -> io::Result<Pages<T>> {
        let mut pages = Pages::new();
        pages.grow()?;
        Ok(pages)
    }

    /// Adds a value at the end. Without memory for it the process ends, as it does for a `Vec`.
    pub(crate) fn push(&mut self, value: T) {
        let room_bytes = self.mapping.as_ref().map_or(0, Mapping::len);
        if room_bytes / size_of::<T>() == self.len {
            self.grow().unwrap_or_else(|_| {
                let layout = Layout::array::<T>(self.len + 1);
                alloc::handle_alloc_error(layout.unwrap_or_else(|_| Layout::new::<T>()))
            });
        }
        // SAFETY: there is room for one more, so the place lies in the mapping.
        let place = unsafe { self.start.add(self.len) };
        // SAFETY: the place is aligned as pages are, and holds no value yet.
        unsafe { place.write(value) };
        self.len += 1;
    }

    #[cold]
    fn grow(&mut self) -> io::Result<()> {
        match &mut self.mapping {
            // SAFETY: values may move, and nobody refers to one: the vector is borrowed mutably.
            Some(mapping) => unsafe { mapping.grow(mapping.len() * 2)? },
            None => self.mapping = Some(Mapping::for_values(FIRST_BYTES)?),
        }
        self.start = self.mapping.as_ref().map_or(self.start, |mapping| mapping.pointer().cast());
        Ok(())
    }
}

impl<T> Deref for Pages<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` places hold values, which are lent as the vector is.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Pages<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        let values: *mut [T] = &raw mut **self;
        self.len = 0;
        // SAFETY: they are the values that there were, and are not used again.
        unsafe { values.drop_in_place() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::rc::Rc;

    #[test]
    fn values_stay_in_order_while_it_grows_and_are_dropped_once() {
        let counted = Rc::new(());
        let mut pages = Pages::new();
        assert!(pages.is_empty());
        let count = 3 * FIRST_BYTES / size_of::<(usize, Rc<()>)>();
        for n in 0..count {
            pages.push((n, counted.clone()));
        }
        assert_eq!(pages.len(), count);
        assert!(pages.iter().zip(0..).all(|((n, _), expected)| *n == expected));
        pages[1].0 = 7;
        assert_eq!(pages.get(1).map(|value| value.0), Some(7));
        assert!(pages.get(count).is_none());
        assert_eq!(Rc::strong_count(&counted), count + 1);
        drop(pages);
        assert_eq!(Rc::strong_count(&counted), 1);
    }

    #[test]
    fn values_are_aligned() {
        #[repr(align(64))]
        struct Line(u8);
        let mut pages = Pages::new();
        for n in 0..3 {
            pages.push(Line(n));
        }
        for (n, line) in pages.iter().enumerate() {
            assert_eq!((usize::from(line.0), (&raw const *line).addr() % 64), (n, 0));
        }
    }
}
