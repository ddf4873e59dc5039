//! Safe functions over the socket calls: no policy, no retry, no waiting.
//!
//! Every call that moves bytes carries MSG_DONTWAIT, so that the descriptor keeps the
//! kernel's blocking mode for whoever else holds it, and MSG_NOSIGNAL.

// recvmsg(2) and its family have no wrapper in std.
#![allow(unsafe_code)]

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use std::sync::RwLock;

use socket2::SockAddr;
use socket2::SockAddrStorage;
use socket2::SockRef;

/// More buffers than this make the vectored calls fail, so the rest is left for the next.
pub(crate) const IOV_MAX: usize = 1024;

/// Receives bytes.
#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    recv_with(fd, buf, 0)
}

/// Receives bytes and leaves them where they are.
pub(crate) fn peek(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    recv_with(fd, buf, libc::MSG_PEEK)
}

#[inline]
fn recv_with(fd: BorrowedFd<'_>, buf: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: `buf` is writable for its length.
    check(unsafe { libc::recv(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), flags) })
}

/// Receives bytes into several buffers.
pub(crate) fn recv_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    // SAFETY: msghdr is plain data for which all zeros means nothing of anything.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = bufs.as_mut_ptr().cast();
    message.msg_iovlen = bufs.len().min(IOV_MAX) as _;
    // SAFETY: IoSliceMut has the layout of iovec, by its documentation, and the buffers are
    // writable.
    check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) })
}

/// How many bytes a vectored call moves at most, given the lengths of its buffers.
pub(crate) fn vectored_len(lens: impl Iterator<Item = usize>) -> usize {
    lens.take(IOV_MAX).fold(0, usize::saturating_add)
}

/// Sends bytes.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `buf` is readable for its length.
    check(unsafe { libc::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), flags) })
}

/// Sends the bytes of several buffers.
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: msghdr is plain data for which all zeros means nothing of anything.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = bufs.as_ptr().cast_mut().cast();
    message.msg_iovlen = bufs.len().min(IOV_MAX) as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: IoSlice has the layout of iovec, by its documentation, and the buffers are
    // only read.
    check(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

/// Held shared while a listener's flag is looked at and the call made that depends on it, and
/// exclusively while the flag is changed, for as long as a few system calls take. It is one for
/// the process, since nobody knows which descriptors share an open file.
static FLAG: RwLock<()> = RwLock::new(());

/// Accepts a connection without stopping the thread; `None` if it would have to be risked,
/// since other code has made the open file of the listener block.
pub(crate) fn accept_at_once(
    listener: BorrowedFd<'_>,
) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    let _unchanged = FLAG.read().unwrap_or_else(PoisonError::into_inner);
    if flags(listener)? & USERS == 0 && is_listening(listener) {
        return Ok(None);
    }
    accept(listener).map(Some)
}

/// Accepts a connection. It stops the thread if the open file of the listener blocks.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(TcpStream, SocketAddr)> {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = storage.size_of();
    let flags = libc::SOCK_CLOEXEC;
    // SAFETY: `storage` has room for the address and `len` says how much.
    let address = unsafe { storage.view_as::<libc::sockaddr>() };
    // SAFETY: as above; accept4(2) writes at most `len` bytes.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), address, &raw mut len, flags) };
    let fd = check(fd as isize)? as libc::c_int;
    // SAFETY: accept4(2) returned it and nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: accept4(2) wrote an address of `len` bytes.
    let address = unsafe { SockAddr::new(storage, len) };
    let not_ip = || io::Error::new(io::ErrorKind::InvalidInput, "invalid argument");
    let address = address.as_socket().ok_or_else(not_ip)?;
    Ok((TcpStream::from(fd), address))
}

/// Starts to connect; to be called again until it is connected. EAGAIN: not yet.
pub(crate) fn connect(socket: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    match SockRef::from(&socket).connect(&SockAddr::from(*addr)) {
        Err(error) => match error.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EALREADY) => {
                Err(io::Error::from_raw_os_error(libc::EAGAIN))
            }
            Some(libc::EISCONN) => Ok(()),
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

/// Whether a connection waits to be accepted, by a look that does not wait.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `entry` is one pollfd.
    Ok(check(unsafe { libc::poll(&raw mut entry, 1, 0) } as isize)? > 0)
}

/// Whether the open file has O_NONBLOCK.
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).nonblocking()
}

/// O_NONBLOCK of a listener, without and with the mark that it is ours. O_APPEND, which means
/// nothing to a socket, is the mark: both belong to the open file, so all duplicates of it,
/// and a process that inherits it, see the same.
const USERS: libc::c_int = libc::O_NONBLOCK;
const OURS: libc::c_int = libc::O_NONBLOCK | libc::O_APPEND;

/// Gives a listener the O_NONBLOCK that accept(2) needs, unless the user has set it already.
/// What does not listen is left as it is: accept(2) fails there at once.
pub(crate) fn take_listener(fd: BorrowedFd<'_>) -> io::Result<()> {
    let _alone = FLAG.write().unwrap_or_else(PoisonError::into_inner);
    let flags = flags(fd)?;
    if flags & OURS == USERS || !is_listening(fd) {
        return Ok(());
    }
    set_flags(fd, flags | OURS)
}

/// Notes whether the user wants a listener not to block.
pub(crate) fn mark_listener(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let _alone = FLAG.write().unwrap_or_else(PoisonError::into_inner);
    let flags = flags(fd)?;
    if nonblocking {
        return set_flags(fd, flags & !OURS | USERS);
    }
    if flags & USERS == 0 {
        // Other code has made it block, or it never listened.
        return Ok(());
    }
    set_flags(fd, if is_listening(fd) { flags | OURS } else { flags & !USERS })
}

/// Takes back what [`take_listener`] has set.
pub(crate) fn release_listener(fd: BorrowedFd<'_>) -> io::Result<()> {
    let _alone = FLAG.write().unwrap_or_else(PoisonError::into_inner);
    let flags = flags(fd)?;
    let is_marked = flags & libc::O_APPEND != 0 && SockRef::from(&fd).r#type().is_ok();
    if is_marked { set_flags(fd, flags & !OURS) } else { Ok(()) }
}

/// Whether the user wants a listener not to block.
pub(crate) fn is_marked_nonblocking(fd: BorrowedFd<'_>) -> bool {
    flags(fd).is_ok_and(|flags| flags & OURS == USERS)
}

fn is_listening(fd: BorrowedFd<'_>) -> bool {
    SockRef::from(&fd).is_listener().unwrap_or(false)
}

fn flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: F_GETFL takes no argument.
    Ok(check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } as isize)? as libc::c_int)
}

fn set_flags(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: F_SETFL takes an int.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) } as isize).map(drop)
}

/// Makes a listener with the options of std's, that does not block.
pub(crate) fn listen(addr: &SocketAddr) -> io::Result<TcpListener> {
    /// std's is 128; but one thread accepts here, between two of which a storm of
    /// connections may come. The kernel lowers it to net.core.somaxconn.
    const BACKLOG: i32 = 4096;

    let domain = socket2::Domain::for_address(*addr);
    let kind = socket2::Type::STREAM.nonblocking().cloexec();
    let socket = socket2::Socket::new_raw(domain, kind, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(*addr))?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    mark_listener(listener.as_fd(), false)?;
    Ok(listener)
}

/// Makes a stream socket for an address, that does not block.
pub(crate) fn stream_for(addr: &SocketAddr) -> io::Result<TcpStream> {
    let domain = socket2::Domain::for_address(*addr);
    let kind = socket2::Type::STREAM.nonblocking().cloexec();
    Ok(socket2::Socket::new_raw(domain, kind, None)?.into())
}

#[inline]
fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
