//! Copying from one stream to another.

// A type parameter is seen as the type that it stands for.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::ptr;

use corovent_runtime::both::both;
use corovent_runtime::fs::File;
use corovent_runtime::pipe::PipeReader;
use corovent_runtime::pipe::PipeWriter;
use corovent_runtime::pipe::splice;
use corovent_runtime::process::ChildStderr;
use corovent_runtime::process::ChildStdin;
use corovent_runtime::process::ChildStdout;

use crate::tcp::TcpStream;
use crate::unix::UnixStream;

/// Copies all that a reader gives to a writer: the mirror of [`std::io::copy`].
///
/// From a file on a disk to another the kernel copies, on a thread of the pool; from a pipe to
/// a pipe it moves the bytes without copying them, by splice(2). Otherwise, to and from sockets
/// and pipes, they are read and written, in larger pieces than std's, 64 KiB. splice(2) is not
/// used there though it would save copying them twice: on a socket it stops the thread, unless
/// the open file has O_NONBLOCK, which others share who expect it to block; and on a file it
/// does so when the disk is asked, so that each piece would take a thread of the pool.
///
/// # Suspends
///
/// When the reader or the writer does.
///
/// # Errors
///
/// What the reader or the writer gives; `Interrupted` is tried again. What was copied before
/// has been written.
///
/// # Cancellation
///
/// What was read and not yet written is lost, at most 64 KiB of a stream. Nothing is lost from a
/// file to a file and from a pipe to a pipe.
///
/// # Examples
///
/// ```
/// let mut text = Vec::new();
/// assert_eq!(corovent_net::copy(&mut &b"green"[..], &mut text)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: ?Sized + Read,
    W: ?Sized + Write,
{
    if let (Some(from), Some(to)) = (seen_as::<R, File>(reader), seen_as::<W, File>(writer))
        && let Some(copied) = from.copy_to(to)
    {
        return copied;
    }
    if let (Some(from), Some(to)) = (pipe_from(reader), pipe_to(writer))
        && let Some(copied) = splice(from, to)
    {
        return copied;
    }
    if is_stream::<R>() || is_stream::<W>() {
        return copy_pieces(reader, writer);
    }
    io::copy(reader, writer)
}

/// As much as the kernel moves at once between two sockets, about, and as a pipe holds.
const PIECE: usize = 64 * 1024;

fn copy_pieces<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: ?Sized + Read,
    W: ?Sized + Write,
{
    let mut piece = vec![0; PIECE];
    let mut total = 0;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                writer.write_all(&piece[..count])?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A stream with two directions, each of which ends on its own.
///
/// It is for [`copy_bidirectional`], which passes the end of one direction on.
pub trait Duplex {
    /// Ends the direction away from here: the other side finds the end after what was sent.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`TcpStream::shutdown`].
    fn shutdown_write(&self) -> io::Result<()>;
}

impl Duplex for TcpStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Duplex for UnixStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Copies between two streams in both directions at once, and gives how many bytes went from
/// `a` to `b` and from `b` to `a`.
///
/// The end of a direction is passed on, and the other goes on.
///
/// # Suspends
///
/// Until both directions have ended.
///
/// # Errors
///
/// The first error of either direction; the other is given up then.
///
/// # Cancellation
///
/// Both directions are given up. What was read and not yet written is lost; the streams are
/// as they are.
///
/// # Examples
///
/// ```
/// use corovent_net::{TcpListener, TcpStream, copy_bidirectional};
/// use corovent_runtime::spawn;
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
///
/// let (front, back) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
/// let addr = back.local_addr()?;
/// let mut client = TcpStream::connect(front.local_addr()?)?;
/// let proxy = spawn(move || -> std::io::Result<_> {
///     copy_bidirectional(&front.accept()?.0, &TcpStream::connect(addr)?)
/// });
/// client.write_all(b"ping")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut server = back.accept()?.0;
/// let mut text = String::new();
/// server.read_to_string(&mut text)?;
/// server.write_all(b"got it")?;
/// drop(server);
/// assert_eq!(proxy.join().unwrap()?, (4, 6));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy_bidirectional<A, B>(a: &A, b: &B) -> io::Result<(u64, u64)>
where
    A: Duplex,
    B: Duplex,
    for<'a> &'a A: Read + Write,
    for<'b> &'b B: Read + Write,
{
    both(|| copy_and_end(a, b), || copy_and_end(b, a))
}

fn copy_and_end<F, T>(from: &F, to: &T) -> io::Result<u64>
where
    T: Duplex,
    for<'a> &'a F: Read,
    for<'b> &'b T: Write,
{
    let count = copy(&mut { from }, &mut { to })?;
    match to.shutdown_write() {
        // It has gone after it got all.
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
        _ => Ok(count),
    }
}

/// Whether a type is a socket or an end of a pipe of ours, or a reference to one.
fn is_stream<T: ?Sized>() -> bool {
    is::<T, TcpStream>()
        || is::<T, UnixStream>()
        || is::<T, PipeReader>()
        || is::<T, PipeWriter>()
        || is::<T, ChildStdin>()
        || is::<T, ChildStdout>()
        || is::<T, ChildStderr>()
}

/// The pipe that is read from.
fn pipe_from<T: ?Sized>(value: &T) -> Option<BorrowedFd<'_>> {
    let pipe = seen_as::<T, PipeReader>(value).map(AsFd::as_fd);
    pipe.or_else(|| seen_as::<T, ChildStdout>(value).map(AsFd::as_fd))
        .or_else(|| seen_as::<T, ChildStderr>(value).map(AsFd::as_fd))
}

/// The pipe that is written to.
fn pipe_to<T: ?Sized>(value: &T) -> Option<BorrowedFd<'_>> {
    let pipe = seen_as::<T, PipeWriter>(value).map(AsFd::as_fd);
    pipe.or_else(|| seen_as::<T, ChildStdin>(value).map(AsFd::as_fd))
}

/// What is looked for behind a type parameter: types without lifetimes of their own.
trait Known: 'static {}

impl Known for ChildStderr {}
impl Known for ChildStdin {}
impl Known for ChildStdout {}
impl Known for File {}
impl Known for PipeReader {}
impl Known for PipeWriter {}
impl Known for TcpStream {}
impl Known for UnixStream {}

fn is<T: ?Sized, U: Known>() -> bool {
    let id = typeid::of::<T>();
    id == TypeId::of::<U>() || id == TypeId::of::<&U>()
}

/// Sees a value as what it is, or refers to, if that is a `U`.
fn seen_as<T: ?Sized, U: Known>(value: &T) -> Option<&U> {
    let id = typeid::of::<T>();
    let pointer = ptr::from_ref(value);
    if id == TypeId::of::<U>() {
        // SAFETY: `T` is `U`, which borrows nothing, so the reference is one to it.
        return Some(unsafe { &*pointer.cast::<U>() });
    }
    if id == TypeId::of::<&U>() {
        // SAFETY: `T` is a reference to a `U` but for its lifetime, and is borrowed for the one
        // of the result, during which the `U` is there.
        return Some(unsafe { &**pointer.cast::<&U>() });
    }
    None
}
