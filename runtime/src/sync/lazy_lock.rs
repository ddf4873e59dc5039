//! A value that is made when it is first used.

// The value is reached through an `UnsafeCell`.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ops::Deref;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

use crate::sync::once::Once;
use crate::sync::once::Progress;
use crate::task::shield;

/// Holds a value that is made when it is first used: the mirror of [`std::sync::LazyLock`].
///
/// The initialiser runs shielded, as described for [`Once`]. If it panics, the value is
/// poisoned: every later use panics.
///
/// # Examples
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::LazyLock;
///
/// static ANSWER: LazyLock<i32> = LazyLock::new(|| spawn(|| 42).join().unwrap());
///
/// assert_eq!(*ANSWER, 42);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    /// Changed by what runs in `once`; `Ready` if that is completed.
    data: UnsafeCell<Data<T, F>>,
}

enum Data<T, F> {
    Waiting(F),
    /// The initialiser runs, or has panicked.
    Empty,
    Ready(T),
}

// SAFETY: shared, it gives shared access to the value, which another thread may have made by
// the initialiser, and may drop.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}

impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Makes a value that `f` will make.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub const fn new(f: F) -> LazyLock<T, F> {
        LazyLock { once: Once::new(), data: UnsafeCell::new(Data::Waiting(f)) }
    }

    /// Gives the value, and makes it if nobody has.
    ///
    /// # Suspends
    ///
    /// Only if the initialiser does, or if another runs it: until that is done. A thread
    /// without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If the initialiser does, or has; or if the caller runs it itself, in an outer frame.
    /// The message names the coroutine.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends the wait for another. The initialiser is run to its end.
    #[inline]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        if !this.once.is_completed() {
            this.initialise();
        }
        LazyLock::get(this).expect("a completed cell has a value")
    }

    /// Gives the value to one who has it to itself, and makes it if nobody has.
    ///
    /// # Suspends
    ///
    /// Only if the initialiser does.
    ///
    /// # Panics
    ///
    /// If the initialiser does, or has.
    #[inline]
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        match this.once.progress() {
            Progress::Poisoned => refuse_poisoned(),
            Progress::Incomplete => this.initialise_alone(),
            Progress::Complete => {}
        }
        LazyLock::get_mut(this).expect("a completed cell has a value")
    }

    #[cold]
    fn initialise(&self) {
        self.once.call_once_force(|state| {
            if state.is_poisoned() {
                refuse_poisoned();
            }
            // SAFETY: it runs alone, and is not completed: nobody refers to the data yet.
            let data = unsafe { &mut *self.data.get() };
            let Data::Waiting(f) = mem::replace(data, Data::Empty) else { refuse_poisoned() };
            let value = f();
            // SAFETY: as above.
            let data = unsafe { &mut *self.data.get() };
            *data = Data::Ready(value);
        });
    }

    #[cold]
    fn initialise_alone(&mut self) {
        // Until it has returned.
        self.once.set_progress(Progress::Poisoned);
        let data = self.data.get_mut();
        let Data::Waiting(f) = mem::replace(data, Data::Empty) else { refuse_poisoned() };
        *data = Data::Ready(shield(f));
        self.once.set_progress(Progress::Complete);
    }
}

impl<T, F> LazyLock<T, F> {
    /// Gives the value, if it was made.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        if !this.once.is_completed() {
            return None;
        }
        // SAFETY: it was written before it was completed, and is never again while shared.
        match unsafe { &*this.data.get() } {
            Data::Ready(value) => Some(value),
            _ => None,
        }
    }

    /// Gives the value, if it was made, to one who has it to itself.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn get_mut(this: &mut LazyLock<T, F>) -> Option<&mut T> {
        match this.data.get_mut() {
            Data::Ready(value) => Some(value),
            _ => None,
        }
    }
}

#[cold]
#[inline(never)]
fn refuse_poisoned() -> ! {
    panic!("LazyLock instance has previously been poisoned")
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    #[inline]
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_tuple("LazyLock");
        match LazyLock::get(self) {
            Some(value) => fields.field(value),
            None => fields.field(&format_args!("<uninit>")),
        };
        fields.finish()
    }
}
