//! The futex call: a thread sleeps while a word has a value.

// futex(2) has no wrapper in std.
#![allow(unsafe_code)]

use std::ptr;

use crate::sys::atomic::AtomicU32;
use crate::sys::clock::Deadline;
use crate::sys::clock::timespec;

/// Blocks the OS thread while `word` holds `expected`, until a wake or the deadline.
///
/// It may return early (a signal, a stray wake), so the caller looks at the word again.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    let limit;
    let limit_ptr = if deadline.is_never() {
        ptr::null()
    } else {
        limit = timespec(deadline.since(Deadline::now()));
        &raw const limit
    };
    // SAFETY: `word` is a valid futex word for the whole call and `limit_ptr` is null or
    // points to a relative timeout, as FUTEX_WAIT wants.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            limit_ptr,
        )
    };
}

/// Wakes at most `count` threads that sleep on `word`.
pub(crate) fn wake(word: &AtomicU32, count: i32) {
    // SAFETY: FUTEX_WAKE only looks the address up; nothing is read or written there.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count,
        )
    };
}
