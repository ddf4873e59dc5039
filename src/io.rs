//! The mirror of [`std::io`], and waiting for descriptors of others.
//!
//! What need not wait by itself is std's own: traits, buffers, errors. So one `use` line is
//! enough.
//!
//! [`wait_readable`] and [`wait_writable`] are for descriptors that corovent does not own:
//! pipes, devices, sockets of C code. The wait is all there is: the call that follows is the
//! caller's own. Nothing of a descriptor is changed or taken, and it is watched for the one
//! wait only.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::wait_foreign;
use corovent_runtime::time::Deadline;

pub use corovent_net::Duplex;
pub use corovent_net::copy;
pub use corovent_net::copy_bidirectional;
pub use corovent_runtime::pipe::PipeReader;
pub use corovent_runtime::pipe::PipeWriter;
pub use corovent_runtime::pipe::pipe;
pub use corovent_runtime::stdio::IsTerminal;
pub use corovent_runtime::stdio::Stderr;
pub use corovent_runtime::stdio::StderrLock;
pub use corovent_runtime::stdio::Stdin;
pub use corovent_runtime::stdio::StdinLock;
pub use corovent_runtime::stdio::Stdout;
pub use corovent_runtime::stdio::StdoutLock;
#[doc(hidden)]
pub use corovent_runtime::stdio::print_stderr;
#[doc(hidden)]
pub use corovent_runtime::stdio::print_stdout;
pub use corovent_runtime::stdio::stderr;
pub use corovent_runtime::stdio::stdin;
pub use corovent_runtime::stdio::stdout;
pub use std::io::BufRead;
pub use std::io::BufReader;
pub use std::io::BufWriter;
pub use std::io::Bytes;
pub use std::io::Chain;
pub use std::io::Cursor;
pub use std::io::Empty;
pub use std::io::Error;
pub use std::io::ErrorKind;
pub use std::io::IntoInnerError;
pub use std::io::IoSlice;
pub use std::io::IoSliceMut;
pub use std::io::LineWriter;
pub use std::io::Lines;
pub use std::io::Read;
pub use std::io::Repeat;
pub use std::io::Result;
pub use std::io::Seek;
pub use std::io::SeekFrom;
pub use std::io::Sink;
pub use std::io::Split;
pub use std::io::Take;
pub use std::io::Write;
pub use std::io::WriterPanicked;
pub use std::io::empty;
pub use std::io::prelude;
pub use std::io::read_to_string;
pub use std::io::repeat;
pub use std::io::sink;

/// Waits until a descriptor has something to read, or has ended; or until a point in time.
///
/// What the kernel cannot watch, such as a regular file, is always ready. The deadline is an
/// [`Instant`], or `None` for a wait without end. gevent's name is `wait_read`.
///
/// # Suspends
///
/// Until the descriptor is readable, or the deadline has passed. On a thread that is ending,
/// the thread is stopped.
///
/// # Errors
///
/// - `TimedOut` if the deadline has passed. What is ready wins over a deadline that is past.
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
///     wait_readable(&reader, None)?;
///     let mut byte = [0];
///     reader.read_exact(&mut byte)?;
///     Ok(byte[0])
/// });
/// corovent::yield_now();
/// writer.write_all(b"p")?;
/// assert_eq!(task.join().unwrap()?, b'p');
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_readable(fd: impl AsFd, deadline: impl Into<Option<Instant>>) -> io::Result<()> {
    wait_foreign(fd.as_fd(), Direction::Read, deadline_at(deadline.into()))
}

/// Waits until there is room to write to a descriptor, or it has failed; or until a point in
/// time.
///
/// What the kernel cannot watch, such as a regular file, is always ready. The deadline is an
/// [`Instant`], or `None` for a wait without end. gevent's name is `wait_write`.
///
/// # Suspends
///
/// Until the descriptor is writable, or the deadline has passed. On a thread that is ending,
/// the thread is stopped.
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
/// corovent::io::wait_writable(&writer, None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// With a limit:
///
/// ```
/// use corovent::io::{ErrorKind, wait_readable};
/// use std::time::{Duration, Instant};
///
/// let (reader, _writer) = std::io::pipe()?;
/// let error = wait_readable(&reader, Instant::now() + Duration::from_millis(1)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_writable(fd: impl AsFd, deadline: impl Into<Option<Instant>>) -> io::Result<()> {
    wait_foreign(fd.as_fd(), Direction::Write, deadline_at(deadline.into()))
}

fn deadline_at(deadline: Option<Instant>) -> Deadline {
    deadline.map_or(Deadline::NEVER, Deadline::at)
}
