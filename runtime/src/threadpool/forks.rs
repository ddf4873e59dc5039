//! Pools in the child of a fork: their threads and the jobs that were submitted are the parent's.
//! The child starts threads of its own for the jobs that it submits.

// A user's pool is found by its address.
#![allow(unsafe_code)]

use std::ptr;

use crate::hub;
use crate::hub::turn::forget_helpers;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::Ordering;
use crate::sys::fork::Repair;
use crate::sys::fork::watch;
use crate::sys::records::Record;
use crate::sys::records::Records;
use crate::threadpool::desk::Pool;
use crate::threadpool::lane::GENERAL;
use crate::threadpool::lane::LOOKUPS;
use crate::threadpool::lane::MEETINGS;

/// The pools of the process.
struct Pools;

/// What a user's pool is found by, until it is dropped.
pub(super) struct Place(&'static Record<AtomicPtr<Pool>>);

static PLACES: Records<AtomicPtr<Pool>> = Records::new();

/// Prepares for forks: a thread is about to be started.
pub(super) fn watch_pools() {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);

    watch(&Pools, &IS_WATCHED);
}

impl Place {
    /// Takes a place where nothing is found yet.
    pub(super) fn new() -> Place {
        Place(PLACES.claim(|| AtomicPtr::new(ptr::null_mut())))
    }

    /// Makes a pool be found. It must not move until it is dropped, with this place.
    pub(super) fn put(&self, pool: &Pool) {
        self.0.store(ptr::from_ref(pool).cast_mut(), Ordering::Release);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.store(ptr::null_mut(), Ordering::Release);
        self.0.release();
    }
}

impl Repair for Pools {
    fn child(&self) {
        forget_helpers();
        [&GENERAL, &LOOKUPS, &MEETINGS].into_iter().for_each(|lane| lane.begin_anew());
        for place in PLACES.iter() {
            // SAFETY: a pool takes its address back before it goes away, and the threads that
            // could be about to free it are not there.
            if let Some(pool) = unsafe { place.load(Ordering::Acquire).as_ref() } {
                pool.begin_anew(hub::running_hub());
            }
        }
    }
}
