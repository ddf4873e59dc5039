//! Descriptors that a child process inherits, and that it dies with its parent.

// Descriptors become someone's by their numbers, and a child is prepared after the fork.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::process;

use corovent_runtime::process::Command;
use corovent_runtime::process::CommandExt;

use crate::sys::check;

/// Makes the child of a command keep descriptors open, under the same numbers, and get SIGTERM
/// when the thread ends that starts it. They must be open when it is started.
pub(crate) fn pass_on(command: &mut Command, descriptors: &[OwnedFd]) {
    let parent = process::id() as libc::pid_t;
    let descriptors: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let prepare = move || {
        // SAFETY: PR_SET_PDEATHSIG takes a number.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } as isize)?;
        // SAFETY: getppid(2) has no preconditions.
        if unsafe { libc::getppid() } != parent {
            // It was gone before it could be told of.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for fd in &descriptors {
            // SAFETY: F_SETFD takes an int; that the descriptor loses its flag here is seen
            // by this process alone.
            check(unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } as isize)?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls and nothing else.
    unsafe { command.pre_exec(prepare) };
}

/// Takes over a descriptor that the parent has passed on.
///
/// # Safety
///
/// If there is such a descriptor, nobody in this process owns it.
pub(crate) unsafe fn take_over(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD takes an int; a number that is not open is refused.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } as isize)?;
    // SAFETY: it is open, and the caller vouches that nobody owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to a child that was not reaped yet.
pub(crate) fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: kill(2) takes numbers; the process exists until it is reaped.
    check(unsafe { libc::kill(pid as libc::pid_t, signal) } as isize).map(drop)
}
