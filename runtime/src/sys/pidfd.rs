//! A descriptor of a process, which becomes readable when the process has ended.

// The call has no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;

use crate::sys::check;

/// Opens a descriptor of a process, which children do not inherit (Linux 5.3).
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes a number and flags.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    let fd = check(fd as libc::c_int)?;
    // SAFETY: pidfd_open(2) returned it and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
