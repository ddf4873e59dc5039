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
use std::ptr;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::Ordering;
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
    /// Tells the parts apart.
    is_known: &'static AtomicBool,
    next: *const Part,
}

/// The part that was added last.
static LAST: AtomicPtr<Part> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// The list as it was when this thread prepared a fork, or null: a part that another thread
    /// adds meanwhile has prepared nothing.
    static PREPARED: Cell<*const Part> = const { Cell::new(ptr::null()) };
}

/// Makes a part be repaired from now on. `is_known` remembers it, for the next call.
#[inline]
pub(crate) fn watch(part: &'static dyn Repair, is_known: &'static AtomicBool) {
    if !is_known.load(Ordering::Acquire) {
        add(part, is_known);
    }
}

/// Two threads may come here for one part, and neither goes on before it is listed, and the
/// functions are called at forks; once or twice makes no difference.
#[cold]
fn add(repair: &'static dyn Repair, is_known: &'static AtomicBool) {
    static INSTALLED: AtomicBool = AtomicBool::new(false);

    if !INSTALLED.load(Ordering::Acquire) {
        // SAFETY: the functions live as long as the program, and do not unwind. Without room for
        // them, forks go unnoticed.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        INSTALLED.store(true, Ordering::Release);
    }
    let part = Box::leak(Box::new(Part { repair, is_known, next: ptr::null() }));
    loop {
        let last = LAST.load(Ordering::Acquire);
        if parts(last).any(|other| ptr::eq(other.is_known, is_known)) {
            break;
        }
        part.next = last;
        let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
        if LAST.compare_exchange(last, &raw mut *part, release, relaxed).is_ok() {
            break;
        }
    }
    is_known.store(true, Ordering::Release);
}

fn parts(first: *const Part) -> impl Iterator<Item = &'static Part> {
    let mut at = first;
    std::iter::from_fn(move || {
        // SAFETY: the list holds leaked boxes that are only ever shared.
        let part: &'static Part = unsafe { at.as_ref() }?;
        at = part.next;
        Some(part)
    })
}

extern "C" fn prepare() {
    preserving_errno(|| {
        if PREPARED.get().is_null() {
            let last = LAST.load(Ordering::Acquire);
            PREPARED.set(last);
            parts(last).for_each(|part| part.repair.prepare());
        }
    });
}

extern "C" fn parent() {
    let prepared = PREPARED.replace(ptr::null());
    preserving_errno(|| parts(prepared).for_each(|part| part.repair.parent()));
}

extern "C" fn child() {
    let prepared = PREPARED.replace(ptr::null());
    preserving_errno(|| parts(prepared).for_each(|part| part.repair.child()));
}
