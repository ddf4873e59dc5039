//! Pipes: the mirror of [`std::io::pipe`], and the one way in which descriptors that are no
//! sockets are read and written.
//!
//! The open file keeps the kernel's blocking mode, since a child process, or other code, may
//! share it: each call says by a flag of its own that it may not block. Where the kernel has
//! no such flag (see `sys::pipe`), the file is opened once more for the call, so that it does
//! not block. If that cannot be either, the descriptor is looked at, and the call made on a
//! thread of the pool: it may stop that thread if somebody else takes what was seen.

// `FromRawFd` is an unsafe trait method.
#![allow(unsafe_code)]

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::sys::epoll;
use crate::sys::file;
use crate::sys::file::At;
use crate::sys::pipe as sys;
use crate::task::shield;
use crate::threadpool;
use crate::transfer;
use crate::transfer::uninterrupted;

/// What a pipe holds: there is seldom more to have, or room for more.
const HELD: usize = 64 * 1024;

/// Makes a pipe: what is written to one end is read from the other.
///
/// # Suspends
///
/// Never.
///
/// # Errors
///
/// As pipe2(2) gives them, when no descriptor is left.
///
/// # Examples
///
/// ```
/// use corovent_runtime::pipe::pipe;
/// use corovent_runtime::spawn;
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = pipe()?;
/// let task = spawn(move || writer.write_all(b"hello"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// task.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = std::io::pipe()?;
    Ok((PipeReader { source: Source::new(reader) }, PipeWriter { source: Source::new(writer) }))
}

/// The end of a pipe that is read from: the mirror of [`std::io::PipeReader`].
///
/// Any number of coroutines may read from it; each byte goes to one.
pub struct PipeReader {
    source: Source<std::io::PipeReader>,
}

/// The end of a pipe that is written to: the mirror of [`std::io::PipeWriter`].
///
/// What one call writes of up to 4096 bytes is not torn apart by other writers.
pub struct PipeWriter {
    source: Source<std::io::PipeWriter>,
}

impl PipeReader {
    /// Makes another handle of the same end, with a descriptor of its own.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As fcntl(2) gives them, when no descriptor is left.
    pub fn try_clone(&self) -> io::Result<PipeReader> {
        Ok(PipeReader { source: Source::new(self.source.io().try_clone()?) })
    }
}

impl PipeWriter {
    /// Makes another handle of the same end, with a descriptor of its own.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As fcntl(2) gives them, when no descriptor is left.
    pub fn try_clone(&self) -> io::Result<PipeWriter> {
        Ok(PipeWriter { source: Source::new(self.source.io().try_clone()?) })
    }
}

/// Reads what is there.
///
/// # Errors
///
/// As [`Source::call`], and `WouldBlock` if other code has made the open file non-blocking.
pub(crate) fn read<T: AsFd>(source: &Source<T>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let limit = || limit_of(source);
    match source.call(Direction::Read, limit, |fd| read_once(fd, bufs).map(Done::more)) {
        Err(error) if is_unpollable(&error) => read_elsewhere(source.as_fd(), bufs),
        result => result,
    }
}

/// Writes all, as the kernel does where a call may block; less only if something ends the
/// call after a part.
///
/// # Errors
///
/// As for [`read`].
pub(crate) fn write_vectored<T: AsFd>(
    source: &Source<T>,
    bufs: &[IoSlice<'_>],
) -> io::Result<usize> {
    let mut bufs: Vec<IoSlice<'_>> = bufs.iter().copied().take(file::IOV_MAX).collect();
    write(source, &mut bufs)
}

/// The same with buffers that it may change.
pub(crate) fn write<T: AsFd>(source: &Source<T>, bufs: &mut [IoSlice<'_>]) -> io::Result<usize> {
    let mut rest = bufs;
    // Leaves out those that are empty.
    IoSlice::advance_slices(&mut rest, 0);
    let is_nothing = rest.is_empty();
    // The kernel makes nobody wait for nothing.
    let limit = || if is_nothing { Limit::NonBlocking } else { limit_of(source) };
    let mut written = 0;
    let result = source.call(Direction::Write, limit, |fd| {
        let count = write_once(fd, rest)?;
        written += count;
        IoSlice::advance_slices(&mut rest, count);
        Ok(Done { value: written, drained: false, finished: rest.is_empty() || count == 0 })
    });
    match result {
        Err(error) if is_unpollable(&error) => write_elsewhere(source.as_fd(), rest),
        result => result,
    }
}

/// How long a call may wait: not at all if the user, or another holder of the open file, has
/// asked for that.
fn limit_of<T: AsFd>(source: &Source<T>) -> Limit {
    if file::is_nonblocking(source.as_fd()).unwrap_or(false) {
        Limit::NonBlocking
    } else {
        Limit::None
    }
}

/// Whether epoll refuses the descriptor: such as a file, which is always ready.
fn is_unpollable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}

/// Reads without waiting; EAGAIN if there is nothing.
pub(crate) fn read_once(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    match file::read_now(fd, bufs, At::Position) {
        Err(error) if sys::is_unsupported(&error) => match opened_again(fd) {
            Some(own) => file::read(own.as_fd(), bufs, At::Position),
            None => after_look(fd, epoll::IN, || read_elsewhere(fd, bufs)),
        },
        result => result,
    }
}

/// Writes without waiting; EAGAIN if there is no room.
fn write_once(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    match sys::write_now(fd, bufs) {
        Err(error) if sys::is_unsupported(&error) => match opened_again(fd) {
            Some(own) => sys::write(own.as_fd(), &transfer::gather(bufs, HELD)),
            None => after_look(fd, epoll::OUT, || write_elsewhere(fd, bufs)),
        },
        result => result,
    }
}

/// The same file, for a call that does not block: what a look has seen, others may have taken
/// by then, and a call that waits for them on another thread is ended by nobody.
#[cold]
fn opened_again(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    transfer::open_unblocking(fd, file::identity(fd).ok()?)
}

/// Makes a call for which others run meanwhile, if the descriptor is ready; else EAGAIN, and
/// that is how it is now: what the call itself has found may be long ago.
#[cold]
fn after_look(
    fd: BorrowedFd<'_>,
    bits: u32,
    mut call: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    while is_ready(fd, bits)? {
        match call() {
            Err(error) if is_eagain(&error) => {}
            result => return result,
        }
    }
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

/// Reads on a thread of the pool.
#[cold]
fn read_elsewhere(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let room: usize = bufs.iter().map(|buf| buf.len()).fold(0, usize::saturating_add);
    let fd = fd.try_clone_to_owned()?;
    let bytes = by_pool(move || {
        let mut bytes = vec![0; room.min(HELD)];
        let count = uninterrupted(|| {
            file::read(fd.as_fd(), &mut [IoSliceMut::new(&mut bytes)], At::Position)
        })?;
        bytes.truncate(count);
        Ok(bytes)
    })?;
    transfer::scatter(&bytes, bufs);
    Ok(bytes.len())
}

/// Writes on a thread of the pool, so much as has room if there was any.
#[cold]
fn write_elsewhere(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let bytes = transfer::gather(bufs, sys::PIPE_BUF);
    let fd = fd.try_clone_to_owned()?;
    by_pool(move || uninterrupted(|| sys::write(fd.as_fd(), &bytes)))
}

/// Makes a call on a thread of the pool. What it has moved must not be lost, so kills and
/// timeouts wait.
fn by_pool<T, F>(call: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    let given = shield(|| threadpool::call(move || Ok(call())));
    // That there is no thread is EAGAIN as well, and not to be taken for an empty pipe.
    given.map_err(io::Error::other)?
}

/// Moves all from one pipe to another without copying it. `None`: that cannot be done, since one
/// of them is no pipe, cannot be opened once more, or does not block.
///
/// Both are opened once more for the time of the call: so the open files of others are not
/// changed, of which splice(2) would take the calls that return at once.
///
/// # Suspends
///
/// Until the end of the first, and for room in the second.
///
/// # Errors
///
/// - What splice(2) gives: `BrokenPipe` if all readers have gone, without SIGPIPE.
/// - `Other` if it would have to wait while the coroutine unwinds.
///
/// # Cancellation
///
/// Nothing is lost: what was moved is in the second, and the rest in the first.
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Option<io::Result<u64>> {
    let (from_is, to_is) = (file::identity(from).ok()?, file::identity(to).ok()?);
    let are_pipes = [from_is, to_is].iter().all(|there| there.kind == libc::S_IFIFO);
    let block = [from, to].iter().all(|fd| matches!(file::is_nonblocking(*fd), Ok(false)));
    if !are_pipes || !block || from_is == to_is {
        return None;
    }
    let again = |fd, identity| transfer::open_unblocking(fd, identity).map(Source::new);
    let (from, to) = (again(from, from_is)?, again(to, to_is)?);
    Some(splice_all(&from, &to))
}

fn splice_all(from: &Source<OwnedFd>, to: &Source<OwnedFd>) -> io::Result<u64> {
    /// As much as a pipe may hold without privileges.
    const BYTES_MAX: usize = 1 << 20;

    let limit = || Limit::None;
    let mut total = 0;
    loop {
        let moved = from.call(Direction::Read, limit, |fd| {
            match sys::splice(fd, to.as_fd(), BYTES_MAX) {
                // There is something, so it is the other that has no room.
                Err(error) if is_eagain(&error) && is_ready(fd, epoll::IN)? => Ok(Done::more(None)),
                result => result.map(|count| Done::more(Some(count))),
            }
        })?;
        match moved {
            Some(0) => return Ok(total),
            Some(count) => total += count as u64,
            None => to.call(Direction::Write, limit, |fd| match is_ready(fd, epoll::OUT)? {
                true => Ok(Done::more(())),
                false => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            })?,
        }
    }
}

fn is_eagain(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn is_ready(fd: BorrowedFd<'_>, bits: u32) -> io::Result<bool> {
    epoll::poll_one(fd.as_raw_fd(), bits, Some(Duration::ZERO))
}

/// Implements reading for a type with a `source`.
macro_rules! reads {
    ($($type:ty),*) => { $(
        /// # Suspends
        ///
        /// Until there is something to read, or the end: all writers have gone.
        ///
        /// # Errors
        ///
        /// - What read(2) gives.
        /// - `WouldBlock` if other code has made the open file non-blocking.
        /// - `Other` if it would have to wait while the coroutine unwinds.
        ///
        /// # Cancellation
        ///
        /// Nothing is lost: a read that was interrupted took no bytes.
        impl std::io::Read for $type {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                $crate::pipe::read(&self.source, &mut [std::io::IoSliceMut::new(buf)])
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                $crate::pipe::read(&self.source, bufs)
            }
        }
    )* };
}

/// Implements writing for a type with a `source`.
macro_rules! writes {
    ($($type:ty),*) => { $(
        /// As the kernel does for a pipe that blocks, a write goes on until all is written: it
        /// gives less only if an error or an interrupt ends it after a part.
        ///
        /// # Suspends
        ///
        /// Until all is written. Never for an empty buffer.
        ///
        /// # Errors
        ///
        /// None if a part was written, which is what it gives then.
        ///
        /// - What write(2) gives: `BrokenPipe` if all readers have gone, without SIGPIPE.
        /// - `WouldBlock` if other code has made the open file non-blocking.
        /// - `Other` if it would have to wait while the coroutine unwinds.
        ///
        /// # Cancellation
        ///
        /// If a part was written it gives the count, and the kill or the timeout comes at the
        /// next wait; a write that does not return wrote nothing. Of `write_all` nobody knows
        /// how much it wrote.
        impl std::io::Write for $type {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                $crate::pipe::write(&self.source, &mut [std::io::IoSlice::new(buf)])
            }

            fn write_vectored(
                &mut self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                $crate::pipe::write_vectored(&self.source, bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    )* };
}

/// Implements the conversions that std has between an end of a pipe and its descriptor, and
/// those between std's type and ours. A descriptor that is given away is registered nowhere;
/// its open file was never changed.
macro_rules! convert_descriptors {
    ($ours:ty, $std:ty) => {
        impl From<$std> for $ours {
            fn from(io: $std) -> $ours {
                Self { source: $crate::fd::Source::from_foreign(io) }
            }
        }

        impl From<$ours> for $std {
            fn from(ours: $ours) -> $std {
                ours.source.into_io()
            }
        }

        impl From<std::os::fd::OwnedFd> for $ours {
            fn from(fd: std::os::fd::OwnedFd) -> $ours {
                <$std>::from(fd).into()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(ours: $ours) -> std::os::fd::OwnedFd {
                <$std>::from(ours).into()
            }
        }

        impl From<$ours> for std::process::Stdio {
            fn from(ours: $ours) -> std::process::Stdio {
                <$std>::from(ours).into()
            }
        }

        impl std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.source.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.source.io().as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                <$std>::from(self).into_raw_fd()
            }
        }

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.source.io().fmt(f)
            }
        }
    };
}

pub(crate) use convert_descriptors;
pub(crate) use reads;
pub(crate) use writes;

reads!(PipeReader, &PipeReader);
writes!(PipeWriter, &PipeWriter);
convert_descriptors!(PipeReader, std::io::PipeReader);
convert_descriptors!(PipeWriter, std::io::PipeWriter);

impl FromRawFd for PipeReader {
    unsafe fn from_raw_fd(fd: RawFd) -> PipeReader {
        // SAFETY: the caller vouches that it owns the descriptor.
        unsafe { std::io::PipeReader::from_raw_fd(fd) }.into()
    }
}

impl FromRawFd for PipeWriter {
    unsafe fn from_raw_fd(fd: RawFd) -> PipeWriter {
        // SAFETY: the caller vouches that it owns the descriptor.
        unsafe { std::io::PipeWriter::from_raw_fd(fd) }.into()
    }
}
