//! Reading and writing of descriptors of any kind, and what kind they are.

// preadv2(2) and its family have no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;

use crate::sys::check;
use crate::sys::check_len;

/// More buffers than this make the vectored calls fail, so the rest is left for the next.
pub(crate) const IOV_MAX: usize = 1024;

/// Where in a file a call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// At the position that the open file keeps, which moves on.
    Position,
    /// There; the position stays.
    Offset(u64),
}

/// What an open file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The file type bits of `st_mode`.
    pub(crate) kind: libc::mode_t,
    pub(crate) device: libc::dev_t,
    pub(crate) inode: libc::ino_t,
    /// The device that a device file stands for.
    pub(crate) stands_for: libc::dev_t,
}

/// One of the descriptors 0 to 2, which belong to nobody.
pub(crate) fn standard(number: RawFd) -> BorrowedFd<'static> {
    assert!((0..=2).contains(&number), "the others have owners");
    // SAFETY: nobody owns it, so it is closed by code that vouches for that; as in std, what
    // becomes of its users then is an error of their calls.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Asks what an open file is.
pub(crate) fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: fstat(2) writes one `stat`.
    check(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, and the structure was zeroed before.
    let stat = unsafe { stat.assume_init() };
    Ok(Identity {
        kind: stat.st_mode & libc::S_IFMT,
        device: stat.st_dev,
        inode: stat.st_ino,
        stands_for: stat.st_rdev,
    })
}

/// Whether the open file has O_NONBLOCK.
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(status_flags(fd)? & libc::O_NONBLOCK != 0)
}

/// Whether the file was opened to be read, to be written, or both.
pub(crate) fn access_mode(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    let flags = status_flags(fd)?;
    // A mere name of a file can be neither.
    if flags & libc::O_PATH != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(flags & libc::O_ACCMODE)
}

fn status_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: F_GETFL takes no argument.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
}

/// Whether the descriptor is a terminal.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: isatty(3) takes any number.
    unsafe { libc::isatty(fd.as_raw_fd()) == 1 }
}

/// Reads. It stops the thread if it has to.
pub(crate) fn read(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>], at: At) -> io::Result<usize> {
    if let ([buf], At::Position) = (&mut *bufs, at) {
        // Of a directory only this call refuses to read nothing.
        let start = buf.as_mut_ptr().cast();
        // SAFETY: `buf` is writable for its length.
        return check_len(unsafe { libc::read(fd.as_raw_fd(), start, buf.len()) });
    }
    read_with(fd, bufs, at, 0)
}

/// Reads what is there without stopping the thread. EAGAIN: nothing; EOPNOTSUPP: this kind of
/// file has no such reads.
pub(crate) fn read_now(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    at: At,
) -> io::Result<usize> {
    read_with(fd, bufs, at, libc::RWF_NOWAIT)
}

fn read_with(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    at: At,
    flags: libc::c_int,
) -> io::Result<usize> {
    let (count, offset) = (count_of(bufs.len()), offset_of(at)?);
    let iov = bufs.as_mut_ptr().cast();
    // SAFETY: IoSliceMut has the layout of iovec, by its documentation, and the buffers are
    // writable.
    check_len(unsafe { libc::preadv2(fd.as_raw_fd(), iov, count, offset, flags) })
}

/// Writes. It stops the thread if it has to.
pub(crate) fn write(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], at: At) -> io::Result<usize> {
    write_with(fd, bufs, at, 0)
}

/// Writes what there is room for without stopping the thread. EAGAIN: nothing; EOPNOTSUPP:
/// this kind of file has no such writes.
pub(crate) fn write_now(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], at: At) -> io::Result<usize> {
    write_with(fd, bufs, at, libc::RWF_NOWAIT)
}

/// Writes in the way that RWF_ flags say.
pub(super) fn write_with(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    at: At,
    flags: libc::c_int,
) -> io::Result<usize> {
    let (count, offset) = (count_of(bufs.len()), offset_of(at)?);
    let iov = bufs.as_ptr().cast();
    // SAFETY: IoSlice has the layout of iovec, by its documentation, and the buffers are only
    // read.
    check_len(unsafe { libc::pwritev2(fd.as_raw_fd(), iov, count, offset, flags) })
}

fn count_of(bufs: usize) -> libc::c_int {
    bufs.min(IOV_MAX) as libc::c_int
}

fn offset_of(at: At) -> io::Result<libc::off_t> {
    match at {
        At::Position => Ok(-1),
        // What is beyond the kernel's range, it would take for the position.
        At::Offset(offset) => {
            libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
        }
    }
}
