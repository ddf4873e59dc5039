//! What has to be put right in the child of a fork: threads and their locks are gone there, and
//! descriptors are shared with the parent that belong to one process only.
//!
//! Each part of the runtime that has something to repair says so when it is first used. The
//! repairs run inside fork(3), in the child, before it returns. There they may do what a signal
//! handler may: change memory and make system calls; never allocate or take a lock.
//!
//! A process that is made without libc's fork(3), as by clone(2), is not noticed.

// pthread_atfork(3) has no wrapper in std, and the list is made of leaked boxes.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem;
use std::ptr;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::Ordering;
use crate::sys::lock::Lock;
use crate::sys::sigaction::preserving_errno;

/// A part of the runtime that a fork concerns.
pub(crate) trait Repair: Sync {
    /// Before the fork, in the parent: takes what has to be whole in the child.
    fn prepare(&self) {}

    /// After the fork, in the parent: gives it back.
    fn parent(&self) {}

    /// After the fork, in the child. The calling thread is the only one.
    fn child(&self);
}

/// A part that is repaired, in a list that only grows.
struct Part {
    repair: &'static dyn Repair,
    next: *const Part,
}

/// The part that was added last.
static LAST: AtomicPtr<Part> = AtomicPtr::new(ptr::null_mut());
/// Held while a part is added, and from the beginning of a fork to its end: all that are listed
/// then have prepared it.
static ADDING: Lock<()> = Lock::new(());

thread_local! {
    /// This thread prepares a fork. The functions may have been installed twice.
    static IS_FORKING: Cell<bool> = const { Cell::new(false) };
}

/// Makes a part be repaired from now on. `is_known` remembers it, for the next call.
#[inline]
pub(crate) fn watch(part: &'static dyn Repair, is_known: &'static AtomicBool) {
    if !is_known.load(Ordering::Acquire) {
        add(part, is_known);
    }
}

/// Two threads may come here for one part, and neither goes on before it is listed, and the
/// functions are called at forks; those may be installed twice.
#[cold]
fn add(repair: &'static dyn Repair, is_known: &'static AtomicBool) {
    static INSTALLED: AtomicBool = AtomicBool::new(false);

    if !INSTALLED.load(Ordering::Acquire) {
        // SAFETY: the functions live as long as the program, and do not unwind. Without room for
        // them, forks go unnoticed.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        INSTALLED.store(true, Ordering::Release);
    }
    let part = Box::leak(Box::new(Part { repair, next: ptr::null() }));
    let _adding = ADDING.lock();
    if !is_known.load(Ordering::Relaxed) {
        part.next = LAST.load(Ordering::Relaxed);
        LAST.store(part, Ordering::Relaxed);
        is_known.store(true, Ordering::Release);
    }
}

/// All parts, while nobody adds one.
fn parts() -> impl Iterator<Item = &'static Part> {
    let mut at: *const Part = LAST.load(Ordering::Relaxed);
    std::iter::from_fn(move || {
        // SAFETY: the list holds leaked boxes that are only ever shared.
        let part: &'static Part = unsafe { at.as_ref() }?;
        at = part.next;
        Some(part)
    })
}

extern "C" fn prepare() {
    preserving_errno(|| {
        if !IS_FORKING.replace(true) {
            mem::forget(ADDING.lock());
            parts().for_each(|part| part.repair.prepare());
        }
    });
}

extern "C" fn parent() {
    finish(|part| part.repair.parent());
}

extern "C" fn child() {
    finish(|part| part.repair.child());
}

fn finish(f: impl Fn(&Part)) {
    preserving_errno(|| {
        if IS_FORKING.replace(false) {
            parts().for_each(f);
            ADDING.free_forgotten();
        }
    });
}
