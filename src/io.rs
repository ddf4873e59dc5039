//! Waiting for descriptors that corovent does not own: pipes, devices, sockets of C code.
//!
//! The wait is all there is here: the call that follows is the caller's own. Nothing of a
//! descriptor is changed or taken, and it is watched for the one wait only.

use std::io;
use std::os::fd::AsFd;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::wait_foreign;
use corovent_runtime::time::Deadline;

/// Waits until a descriptor has something to read, or has ended.
///
/// What the kernel cannot watch, such as a regular file, is always ready. To limit the
/// wait, call it inside of [`timeout`](crate::timeout). gevent's name is `wait_read`.
///
/// # Suspends
///
/// Until the descriptor is readable. On a thread that is ending, the thread is stopped.
///
/// # Errors
///
/// - `Other` if it would have to wait while the coroutine unwinds.
/// - What dup(2), poll(2) and epoll_ctl(2) give.
///
/// # Cancellation
///
/// Nothing is taken from the descriptor.
///
/// # Examples
///
/// ```
/// use corovent::io::wait_readable;
/// use corovent::spawn;
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = std::io::pipe()?;
/// let task = spawn(move || -> std::io::Result<u8> {
///     wait_readable(&reader)?;
///     let mut byte = [0];
///     reader.read_exact(&mut byte)?;
///     Ok(byte[0])
/// });
/// corovent::yield_now();
/// writer.write_all(b"p")?;
/// assert_eq!(task.join().unwrap()?, b'p');
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_readable(fd: impl AsFd) -> io::Result<()> {
    wait_foreign(fd.as_fd(), Direction::Read, Deadline::NEVER)
}

/// Waits until there is room to write to a descriptor, or it has failed.
///
/// What the kernel cannot watch, such as a regular file, is always ready. To limit the
/// wait, call it inside of [`timeout`](crate::timeout). gevent's name is `wait_write`.
///
/// # Suspends
///
/// Until the descriptor is writable. On a thread that is ending, the thread is stopped.
///
/// # Errors
///
/// As for [`wait_readable`].
///
/// # Cancellation
///
/// Nothing is written to the descriptor.
///
/// # Examples
///
/// ```
/// let (_reader, writer) = std::io::pipe()?;
/// corovent::io::wait_writable(&writer)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_writable(fd: impl AsFd) -> io::Result<()> {
    wait_foreign(fd.as_fd(), Direction::Write, Deadline::NEVER)
}
