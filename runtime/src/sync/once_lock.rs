//! A cell that is written once, by whoever comes first.

// The value is reached through an `UnsafeCell`.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

use crate::sync::once::Once;

/// Holds a value that is written once: the mirror of [`std::sync::OnceLock`].
///
/// An initialiser runs shielded, as described for [`Once`].
///
/// # Examples
///
/// ```
/// use corovent_runtime::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
///
/// assert!(NAME.get().is_none());
/// assert_eq!(NAME.get_or_init(|| "first".to_owned()), "first");
/// assert_eq!(NAME.set("second".to_owned()), Err("second".to_owned()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Written by what runs in `once`; a value if and only if that is completed.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: shared, it gives shared access to the value, which another thread may have written.
unsafe impl<T: Sync + Send> Sync for OnceLock<T> {}

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Makes an empty cell.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// Gives the value, if it is there.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: it was written before it was completed, and is never again while shared.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// Gives the value to one who has the cell to itself.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until the cell has a value.
    ///
    /// # Suspends
    ///
    /// Until then. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If the caller is initialising the cell, in an outer frame.
    #[inline]
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.get().expect("a completed cell has a value")
    }

    /// Writes the value, if the cell has none.
    ///
    /// # Suspends
    ///
    /// Only if another is about to write it: until that is done.
    ///
    /// # Errors
    ///
    /// If it has one; the error holds the value that is not needed.
    ///
    /// # Panics
    ///
    /// If the caller is initialising the cell, in an outer frame.
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an initialiser runs once"));
        value.map_or(Ok(()), Err)
    }

    /// Gives the value; the first to come here makes it.
    ///
    /// If `f` panics, the cell stays empty, and the next one tries.
    ///
    /// # Suspends
    ///
    /// Only if `f` does, or if another makes the value: until that is done. A thread without
    /// a hub is stopped.
    ///
    /// # Panics
    ///
    /// If `f` does; or if the caller is initialising the cell, in an outer frame. The message
    /// names the coroutine.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends the wait for another. `f` is run to its end.
    #[inline]
    pub fn get_or_init<F>(&self, f: F) -> &T
    where
        F: FnOnce() -> T,
    {
        if let Some(value) = self.get() {
            return value;
        }
        self.initialise(f);
        self.get().expect("a completed cell has a value")
    }

    /// Gives the value back, if it is there.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, and leaves the cell empty.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        let value = self.value.get_mut().take();
        if value.is_some() {
            self.once = Once::new();
        }
        value
    }

    #[cold]
    fn initialise(&self, f: impl FnOnce() -> T) {
        self.once.call_once_force(|_| {
            let value = f();
            // SAFETY: it runs alone, and is not completed: nobody refers to the value yet.
            let cell = unsafe { &mut *self.value.get() };
            *cell = Some(value);
        });
    }
}

impl<T> Default for OnceLock<T> {
    #[inline]
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    #[inline]
    fn from(value: T) -> OnceLock<T> {
        let cell = OnceLock::new();
        // Nobody else knows the cell.
        let _ = cell.set(value);
        cell
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    #[inline]
    fn clone(&self) -> OnceLock<T> {
        self.get().cloned().map_or_else(OnceLock::new, OnceLock::from)
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    #[inline]
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => fields.field(value),
            None => fields.field(&format_args!("<uninit>")),
        };
        fields.finish()
    }
}
