//! Atomics whose exchanges are plain instructions for as long as the process has one thread. A
//! locked instruction takes as long as twenty others, and keeps nobody out then.
//!
//! glibc notes whether there was ever a second thread (`__libc_single_threaded`, from 2.32 on), so
//! that libstdc++ may count references like this. Where there is no such note, all are locked.
//!
//! Not for what a signal handler changes too: it may run in the middle of a plain exchange. Nor
//! for memory that processes share.
//!
//! **Invariant:** an exchange is plain only if no other thread that glibc knows of has begun, and
//! it ends before one can.

// The note is glibc's, and lies where the dynamic linker says.
#![allow(unsafe_code)]

use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::Deref;
use std::sync::atomic::AtomicU8;

use crate::sys::atomic;
use crate::sys::atomic::Ordering;

/// Where the note is; until it is found, one that never says so.
static NOTE: atomic::AtomicPtr<AtomicU8> = atomic::AtomicPtr::new((&raw const NO_NOTE).cast_mut());
static NO_NOTE: AtomicU8 = AtomicU8::new(0);

/// Looks for glibc's note, which counts from then on.
pub(crate) fn find_note() {
    // SAFETY: the name ends with a zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
    // Miri's threads are not glibc's.
    if !found.is_null() && !cfg!(miri) {
        NOTE.store(found.cast(), Ordering::Relaxed);
    }
}

/// Whether this thread is the only one that the process has had.
#[inline(always)]
fn is_alone() -> bool {
    let note = NOTE.load(Ordering::Relaxed);
    // SAFETY: it is `NO_NOTE` or glibc's `char`, and both are there as long as this code. Only a
    // thread that is alone changes it.
    let note = unsafe { &*note };
    note.load(Ordering::Relaxed) != 0
}

macro_rules! exchanges {
    (
        $name:ident $(<$of:ident>)?, $value:ty,
        [$($exchange:ident)*], [$($fetch:ident: $change:expr),*]
    ) => {
        /// As std's, but for the exchanges that are written here.
        #[derive(Debug)]
        pub(crate) struct $name $(<$of>)? (atomic::$name $(<$of>)?);

        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            /// Writes what `change` makes of the value, if anything, and gives the one before.
            #[inline(always)]
            fn exchange_alone(
                &self,
                change: impl FnOnce($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let before = self.0.load(Ordering::Relaxed);
                let after = change(before).ok_or(before)?;
                self.0.store(after, Ordering::Relaxed);
                Ok(before)
            }

            $(exchanges! { @$exchange $value })*
            $(exchanges! { @fetch $fetch $value, $change })*
        }

        impl $(<$of>)? Deref for $name $(<$of>)? {
            type Target = atomic::$name $(<$of>)?;

            #[inline(always)]
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    };
    (@get_mut $value:ty) => {
        #[inline(always)]
        pub(crate) fn get_mut(&mut self) -> &mut $value {
            self.0.get_mut()
        }
    };
    (@swap $value:ty) => {
        #[inline(always)]
        pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
            if is_alone() {
                let (Ok(before) | Err(before)) = self.exchange_alone(|_| Some(value));
                return before;
            }
            self.0.swap(value, order)
        }
    };
    (@compare_exchange $value:ty) => {
        exchanges! { @compare compare_exchange $value }
    };
    (@compare_exchange_weak $value:ty) => {
        exchanges! { @compare compare_exchange_weak $value }
    };
    (@compare $exchange:ident $value:ty) => {
        #[inline(always)]
        pub(crate) fn $exchange(
            &self,
            expected: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            if is_alone() {
                return self.exchange_alone(|before| (before == expected).then_some(new));
            }
            self.0.$exchange(expected, new, success, failure)
        }
    };
    (@fetch_update $value:ty) => {
        #[inline(always)]
        pub(crate) fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            change: impl FnMut($value) -> Option<$value>,
        ) -> Result<$value, $value> {
            if is_alone() {
                return self.exchange_alone(change);
            }
            self.0.fetch_update(success, failure, change)
        }
    };
    (@fetch $fetch:ident $value:ty, $change:expr) => {
        #[inline(always)]
        pub(crate) fn $fetch(&self, value: $value, order: Ordering) -> $value {
            if is_alone() {
                let change = |before| Some($change(before, value));
                let (Ok(before) | Err(before)) = self.exchange_alone(change);
                return before;
            }
            self.0.$fetch(value, order)
        }
    };
}

exchanges!(
    AtomicU32, u32, [swap compare_exchange compare_exchange_weak fetch_update],
    [fetch_add: u32::wrapping_add, fetch_sub: u32::wrapping_sub, fetch_or: BitOr::bitor,
     fetch_and: BitAnd::bitand]
);
exchanges!(
    AtomicUsize, usize, [swap compare_exchange compare_exchange_weak],
    [fetch_add: usize::wrapping_add, fetch_sub: usize::wrapping_sub]
);
exchanges!(AtomicPtr<T>, *mut T, [swap get_mut], []);

#[cfg(test)]
mod tests {
    use super::*;

    use Ordering::AcqRel;
    use Ordering::Relaxed;

    /// Runs the same exchanges on an atomic, and gives what they give.
    macro_rules! exchanged {
        ($atomic:ty) => {{
            let word = <$atomic>::new(5);
            let odd = |before: u32| (before % 2 == 1).then(|| before + 3);
            let values = [
                word.swap(7, AcqRel),
                word.fetch_add(u32::MAX, AcqRel),
                word.fetch_sub(7, AcqRel),
                word.fetch_and(0xff, AcqRel),
                word.fetch_or(0x100, AcqRel),
            ];
            let results = [
                word.compare_exchange(0x1fe, 1, AcqRel, Relaxed),
                word.compare_exchange(0x1ff, 1, AcqRel, Relaxed),
                word.fetch_update(AcqRel, Relaxed, odd),
                word.fetch_update(AcqRel, Relaxed, odd),
            ];
            (values, results, word.load(Relaxed))
        }};
    }

    /// `.ci/run alone` runs it where the note says that there is one thread.
    #[test]
    fn an_exchange_is_as_stds() {
        find_note();
        assert_eq!(exchanged!(AtomicU32), exchanged!(atomic::AtomicU32));
    }

    #[test]
    #[cfg(not(miri))]
    fn a_second_thread_ends_it() {
        find_note();
        std::thread::spawn(|| assert!(!is_alone())).join().unwrap();
        assert!(!is_alone());
    }
}
