//! once_cell's `race::OnceBox` over the checker's atomics, with the orderings of the original: a
//! box that is made by one thread while another looks for it is a box that both race for.

use std::ptr;

use loom::sync::atomic::AtomicPtr;
use loom::sync::atomic::Ordering;

/// A box that is made when first asked for, and stays.
pub(crate) struct OnceBox<T>(AtomicPtr<T>);

impl<T> OnceBox<T> {
    pub(crate) fn new() -> OnceBox<T> {
        OnceBox(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: what was put in stays.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    pub(crate) fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        let value = Box::into_raw(value);
        let none = ptr::null_mut();
        let set = self.0.compare_exchange(none, value, Ordering::Release, Ordering::Acquire);
        // SAFETY: nobody else has seen it.
        set.map(|_| ()).map_err(|_| unsafe { Box::from_raw(value) })
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        self.get().unwrap_or_else(|| {
            drop(self.set(make()));
            self.get().expect("it was put in just now, or before")
        })
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let value = self.0.with_mut(|value| *value);
        if !value.is_null() {
            // SAFETY: it was made of a box, and nobody uses it any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}
