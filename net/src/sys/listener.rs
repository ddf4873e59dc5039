//! Listeners: accept(2) has no flag against blocking, so their open files get O_NONBLOCK.
//!
//! The flag is marked as ours, belongs to all duplicates of the file, and may be taken away
//! by any holder of one.

// accept4(2) and fcntl(2) have no wrapper that takes any kind of listener.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
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

use crate::sys::check;

/// Held shared while a listener's flag is looked at and the call made that depends on it, and
/// exclusively while the flag is changed, for as long as a few system calls take. It is one for
/// the process, since nobody knows which descriptors share an open file.
static FLAG: RwLock<()> = RwLock::new(());

/// Accepts a connection without stopping the thread; `None` if it would have to be risked,
/// since other code has made the open file of the listener block.
pub(crate) fn accept_at_once(listener: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, SockAddr)>> {
    let _unchanged = FLAG.read().unwrap_or_else(PoisonError::into_inner);
    if flags(listener)? & USERS == 0 && is_listening(listener) {
        return Ok(None);
    }
    accept(listener).map(Some)
}

/// Accepts a connection. It stops the thread if the open file of the listener blocks.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let mut storage = SockAddrStorage::zeroed();
    let mut len = storage.size_of();
    let flags = libc::SOCK_CLOEXEC;
    let address = (&raw mut storage).cast();
    // SAFETY: `storage` has room for `len` bytes, and accept4(2) writes no more.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), address, &raw mut len, flags) };
    let fd = check(fd as isize)? as libc::c_int;
    // SAFETY: accept4(2) returned it and nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: accept4(2) wrote an address of `len` bytes.
    let address = unsafe { SockAddr::new(storage, len) };
    Ok((fd, address))
}

/// O_NONBLOCK of a listener, without and with the mark that it is ours. O_APPEND, which means
/// nothing to a socket, is the mark: both belong to the open file, so all duplicates of it,
/// and a process that inherits it, see the same.
const USERS: libc::c_int = libc::O_NONBLOCK;
const OURS: libc::c_int = libc::O_NONBLOCK | libc::O_APPEND;

/// How many connections wait for being accepted at most. std's limit is 128; but one thread
/// accepts here, between two of which a storm of connections may come. The kernel lowers it to
/// net.core.somaxconn.
pub(crate) const BACKLOG: i32 = 4096;

/// Makes a listener with the options of std's, that does not block.
pub(crate) fn listen(addr: &SocketAddr) -> io::Result<TcpListener> {
    listen_with(addr, BACKLOG, false)
}

/// The same with another backlog, and with SO_REUSEPORT if several are to share the address.
pub(crate) fn listen_with(
    addr: &SocketAddr,
    backlog: i32,
    reuse_port: bool,
) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(*addr);
    let kind = socket2::Type::STREAM.nonblocking().cloexec();
    let socket = socket2::Socket::new_raw(domain, kind, None)?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(*addr))?;
    socket.listen(backlog)?;
    let listener = TcpListener::from(socket);
    mark(listener.as_fd(), false)?;
    Ok(listener)
}

/// Gives a listener the O_NONBLOCK that accept(2) needs, unless the user has set it already.
/// What does not listen is left as it is: accept(2) fails there at once.
pub(crate) fn take(fd: BorrowedFd<'_>) -> io::Result<()> {
    let _alone = FLAG.write().unwrap_or_else(PoisonError::into_inner);
    let flags = flags(fd)?;
    if flags & OURS == USERS || !is_listening(fd) {
        return Ok(());
    }
    set_flags(fd, flags | OURS)
}

/// Notes whether the user wants a listener not to block.
pub(crate) fn mark(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
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

/// Takes back what [`take`] has set.
pub(crate) fn release(fd: BorrowedFd<'_>) -> io::Result<()> {
    let _alone = FLAG.write().unwrap_or_else(PoisonError::into_inner);
    let flags = flags(fd)?;
    let is_marked = flags & libc::O_APPEND != 0 && SockRef::from(&fd).r#type().is_ok();
    if is_marked { set_flags(fd, flags & !OURS) } else { Ok(()) }
}

/// Whether the user wants a listener not to block.
pub(crate) fn is_marked_nonblocking(fd: BorrowedFd<'_>) -> bool {
    flags(fd).is_ok_and(|flags| flags & OURS == USERS)
}

/// Whether it is a socket that listens.
pub(crate) fn is_listening(fd: BorrowedFd<'_>) -> bool {
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
