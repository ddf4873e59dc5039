//! Safe functions over the kernel calls that the runtime uses.
//!
//! Each file is one family of calls. They hold no policy, retry nothing and know no
//! task; what the kernel answers is handed up as `io::Result`.
//!
//! **Invariant:** besides this folder, only files that say so in their first lines
//! contain `unsafe`.

pub(crate) mod atomic;
pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod clock;
pub(crate) mod epoll;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod frames;
pub(crate) mod futex;
pub(crate) mod lock;
pub(crate) mod memory;
#[cfg(feature = "backtrace")]
pub(crate) mod modules;
pub(crate) mod origin;
pub(crate) mod pages;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod registers;
pub(crate) mod sigaction;
pub(crate) mod single_threaded;
pub(crate) mod threads;

use std::io;

/// Turns the `-1` of a system call into the error that `errno` names.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for a call that counts bytes.
pub(crate) fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
