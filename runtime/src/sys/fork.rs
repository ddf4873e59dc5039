//! What has to be put right in the child of a fork: threads and their locks are gone there, and
//! descriptors are shared with the parent that belong to one process only.
//!
//! Each part of the runtime that has something to repair says so when it is first used. The
//! repairs run inside fork(3), in the child, before it returns. There they may do what a signal
//! handler may: change memory and make system calls; never allocate or take a lock.
//!
//! A process that is made without libc's fork(3), as by clone(2), is not noticed.

// pthread_atfork(3) has no wrapper in std.
#![allow(unsafe_code)]

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::records::Records;
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

/// Makes a part be repaired from now on. `is_known` remembers it, for the next call.
#[inline]
pub(crate) fn watch(part: &'static dyn Repair, is_known: &AtomicBool) {
    if !is_known.load(Ordering::Acquire) {
        add(part, is_known);
    }
}

#[cold]
fn add(part: &'static dyn Repair, is_known: &AtomicBool) {
    static INSTALLED: AtomicBool = AtomicBool::new(false);

    if is_known.swap(true, Ordering::AcqRel) {
        return;
    }
    PARTS.claim(|| part);
    if !INSTALLED.swap(true, Ordering::AcqRel) {
        // SAFETY: the functions live as long as the program, and do not unwind. Without room for
        // them, forks go unnoticed.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

/// Never released, so that each keeps what it was made with.
static PARTS: Records<&'static dyn Repair> = Records::new();

extern "C" fn prepare() {
    preserving_errno(|| PARTS.iter().for_each(|part| part.prepare()));
}

extern "C" fn parent() {
    preserving_errno(|| PARTS.iter().for_each(|part| part.parent()));
}

extern "C" fn child() {
    preserving_errno(|| PARTS.iter().for_each(|part| part.child()));
}
