//! Writing to pipes, and what else may be one, without SIGPIPE and without stopping the thread.
//!
//! pwritev2(2) has a flag against blocking for the one call, so that the open file keeps its
//! mode for whoever else holds it. The kernel has it for pipes since 6.4, not for named ones,
//! terminals, or pipes through which somebody has spliced: those calls fail as
//! [`is_unsupported`], and so do those of `sys::file` that read. No write here ever raises
//! SIGPIPE.

// These calls have no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::ptr;

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::check;
use crate::sys::check_len;
use crate::sys::file;
use crate::sys::file::At;

/// A write of so many bytes does not block on a pipe that poll(2) calls writable.
pub(crate) const PIPE_BUF: usize = libc::PIPE_BUF;

/// Raise no SIGPIPE (Linux 6.18).
const RWF_NOSIGNAL: libc::c_int = 0x100;

/// The kernel does not know the flag against SIGPIPE.
static SIGNALS: AtomicBool = AtomicBool::new(false);

/// Writes what there is room for, of at most 1024 buffers.
pub(crate) fn write_now(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    if !SIGNALS.load(Ordering::Relaxed) {
        match file::write_with(fd, bufs, At::Position, libc::RWF_NOWAIT | RWF_NOSIGNAL) {
            Err(error) if is_unsupported(&error) => {}
            result => return result,
        }
    }
    let result = without_sigpipe(|| file::write_with(fd, bufs, At::Position, libc::RWF_NOWAIT));
    if !result.as_ref().is_err_and(is_unsupported) {
        // Of the two flags it was the other that made the first call fail.
        SIGNALS.store(true, Ordering::Relaxed);
    }
    result
}

/// Whether a call was refused because of its flags: by the kernel, which may be older than
/// they are, by a filter of system calls, or for this kind of file.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    matches!(code, Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::EPERM))
}

/// Writes; the thread is stopped if there is no room.
pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: `buf` is readable for its length.
    let write = || unsafe { libc::write(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len()) };
    without_sigpipe(|| check_len(write()))
}

/// Writes at most 1024 buffers, to a file of any kind; the thread is stopped if there is no
/// room and the open file blocks.
pub(crate) fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    if !SIGNALS.load(Ordering::Relaxed) {
        match file::write_with(fd, bufs, At::Position, RWF_NOSIGNAL) {
            Err(error) if is_unsupported(&error) => {}
            result => return result,
        }
    }
    without_sigpipe(|| file::write(fd, bufs, At::Position))
}

/// Moves what one pipe holds to another without copying it, at most so many bytes. EAGAIN: the
/// one is empty, or the other full. Afterwards calls that return at once are refused for both
/// open files.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let (from, to, flags) = (from.as_raw_fd(), to.as_raw_fd(), libc::SPLICE_F_NONBLOCK);
    let (none, none_either) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: splice(2) takes numbers, and pipes have no offsets.
    let splice = || unsafe { libc::splice(from, none, to, none_either, most, flags) };
    without_sigpipe(|| check_len(splice()))
}

/// Makes a call that may raise SIGPIPE, for which it blocks that signal and takes it back.
///
/// The kernel sends it to the thread that makes the call. One that somebody sends to the
/// process meanwhile is another, and goes its way.
pub(crate) fn without_sigpipe<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let sigpipe = only_sigpipe();
    let mut old = MaybeUninit::uninit();
    // SAFETY: both are signal sets, the second to be written.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigpipe, old.as_mut_ptr()) };
    // SAFETY: pthread_sigmask(3) wrote it: it fails for a wrong first argument only.
    let old: libc::sigset_t = unsafe { old.assume_init() };
    let result = call();
    // SAFETY: `old` is a signal set.
    let was_blocked = unsafe { libc::sigismember(&raw const old, libc::SIGPIPE) } == 1;
    if was_blocked {
        return result;
    }
    if result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE)) {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the time are valid; nobody asks for the record of the signal.
        let take =
            || unsafe { libc::sigtimedwait(&raw const sigpipe, ptr::null_mut(), &raw const zero) };
        while check(take()).is_err_and(|error| error.raw_os_error() == Some(libc::EINTR)) {}
    }
    // SAFETY: `old` is a signal set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, ptr::null_mut()) };
    result
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is there to be written.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: sigemptyset(3) has initialised it.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: the set is valid.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
    set
}
