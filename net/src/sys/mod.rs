//! Safe functions over the socket calls: no policy, no retry, no waiting.
//!
//! Every call that moves bytes carries MSG_DONTWAIT, so that the descriptor keeps the
//! kernel's blocking mode for whoever else holds it, and MSG_NOSIGNAL.

// recvmsg(2) and its family have no wrapper in std.
#![allow(unsafe_code)]

pub(crate) mod inherit;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod unix;

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

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

/// Receives a datagram, and the address that it comes from.
pub(crate) fn recv_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from_with(fd, buf, 0)
}

/// Receives a datagram and leaves it where it is.
pub(crate) fn peek_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from_with(fd, buf, libc::MSG_PEEK)
}

fn recv_from_with(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, SockAddr)> {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = storage.size_of();
    let flags = flags | libc::MSG_DONTWAIT;
    let (start, addr) = (buf.as_mut_ptr().cast(), (&raw mut storage).cast());
    // SAFETY: `buf` is writable for its length, and `storage` for `len` bytes.
    let count = check(unsafe {
        libc::recvfrom(fd.as_raw_fd(), start, buf.len(), flags, addr, &raw mut len)
    })?;
    // SAFETY: recvfrom(2) wrote an address of `len` bytes, into zeros.
    Ok((count, unsafe { SockAddr::new(storage, len) }))
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

/// Sends a datagram to an address.
pub(crate) fn send_to(fd: BorrowedFd<'_>, buf: &[u8], addr: &SockAddr) -> io::Result<usize> {
    SockRef::from(&fd).send_to_with_flags(buf, addr, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}

/// Starts to connect; to be called again until it is connected. EAGAIN: not yet.
pub(crate) fn connect(socket: BorrowedFd<'_>, addr: &SocketAddr) -> io::Result<()> {
    match SockRef::from(&socket).connect(&SockAddr::from(*addr)) {
        Err(error) => match error.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EALREADY) => Err(would_block()),
            Some(libc::EISCONN) => Ok(()),
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

/// Whether a connection waits to be accepted, by a look that does not wait.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    poll(fd, libc::POLLIN)
}

/// Whether there is room to write, by a look that does not wait.
pub(crate) fn is_writable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    poll(fd, libc::POLLOUT)
}

/// Whether reading was shut down, by a look that does not wait.
pub(crate) fn has_ended(fd: BorrowedFd<'_>) -> io::Result<bool> {
    poll(fd, libc::POLLRDHUP)
}

fn poll(fd: BorrowedFd<'_>, events: libc::c_short) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: `entry` is one pollfd.
    Ok(check(unsafe { libc::poll(&raw mut entry, 1, 0) } as isize)? > 0)
}

/// Gives the IP address that the kernel has written.
pub(crate) fn ip_addr(addr: &SockAddr) -> io::Result<SocketAddr> {
    // std's error for it.
    let not_ip = || io::Error::new(io::ErrorKind::InvalidInput, "invalid argument");
    addr.as_socket().ok_or_else(not_ip)
}

/// The error of a call that would have to wait.
#[cold]
pub(crate) fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
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
