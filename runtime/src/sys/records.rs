//! Records that are never freed, only used again.
//!
//! What a late wake may still touch has to outlive its thread. Instead of counting who
//! refers to it, such a record is kept for ever and handed to the next thread that needs
//! one: there are as many as there were threads at once. A reference to one is a plain
//! `&'static`, which costs nothing to copy.

// The list is made of leaked boxes.
#![allow(unsafe_code)]

use std::ops::Deref;
use std::ptr;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::Ordering;

/// A list of all records of one kind.
#[derive(Debug)]
pub(crate) struct Records<T: 'static> {
    first: AtomicPtr<Record<T>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Record<T: 'static> {
    pub(crate) used: AtomicBool,
    pub(crate) next: AtomicPtr<Record<T>>,
    pub(crate) value: T,
}

impl<T: Sync> Records<T> {
    /// Makes an empty list.
    pub(crate) const fn new() -> Records<T> {
        Records { first: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Takes a record that nobody uses, or a new one.
    pub(crate) fn claim(&self, make: impl FnOnce() -> T) -> &'static Record<T> {
        for record in self.iter() {
            if !record.used.swap(true, Ordering::Acquire) {
                return record;
            }
        }
        let used = AtomicBool::new(true);
        let next = AtomicPtr::new(self.first.load(Ordering::Acquire));
        let record: &'static Record<T> = Box::leak(Box::new(Record { used, next, value: make() }));
        let pointer = ptr::from_ref(record).cast_mut();
        loop {
            let next = record.next.load(Ordering::Relaxed);
            match self.first.compare_exchange(next, pointer, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return record,
                Err(now) => record.next.store(now, Ordering::Relaxed),
            }
        }
    }

    /// All records, used or not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Record<T>> {
        let mut at = self.first.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: the list holds leaked boxes that are only ever shared.
            let record: &'static Record<T> = unsafe { at.as_ref() }?;
            at = record.next.load(Ordering::Acquire);
            Some(record)
        })
    }
}

impl<T> Record<T> {
    /// Lets somebody else use the record.
    pub(crate) fn release(&self) {
        self.used.store(false, Ordering::Release);
    }

    /// Whether somebody uses it.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }
}

impl<T> Deref for Record<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_released_record_is_used_again() {
        static RECORDS: Records<AtomicU32> = Records::new();
        let first = RECORDS.claim(|| AtomicU32::new(1));
        let second = RECORDS.claim(|| AtomicU32::new(2));
        assert!(!ptr::eq(first, second));
        first.release();
        assert!(!first.is_used());
        assert!(ptr::eq(RECORDS.claim(|| AtomicU32::new(3)), first));
        assert_eq!(RECORDS.iter().count(), 2);
    }

    #[test]
    fn a_record_has_one_user_at_a_time() {
        static RECORDS: Records<AtomicU32> = Records::new();
        let rounds = if cfg!(miri) { 20 } else { 5_000 };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    for _ in 0..rounds {
                        let record = RECORDS.claim(|| AtomicU32::new(0));
                        assert_eq!(record.fetch_add(1, Ordering::Relaxed), 0);
                        assert!(record.is_used());
                        record.fetch_sub(1, Ordering::Relaxed);
                        record.release();
                    }
                });
            }
        });
        // Which is far from one for each round.
        assert!(RECORDS.iter().count() < 100);
        assert!(RECORDS.iter().all(|record| !record.is_used()));
    }
}
