//! Unix sockets: their addresses in std's form and in the kernel's, and connecting.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;

use socket2::SockAddr;
use socket2::SockRef;

/// Gives an address in the kernel's form.
pub(crate) fn kernel_addr(addr: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(name) = addr.as_abstract_name() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        return SockAddr::unix(OsStr::from_bytes(&[&[0], name].concat()));
    }
    // The empty path is that of a socket without a name.
    SockAddr::unix(addr.as_pathname().unwrap_or("".as_ref()))
}

/// Gives an address that the kernel has written.
pub(crate) fn std_addr(addr: &SockAddr) -> io::Result<SocketAddr> {
    // Of a sender without a name the kernel writes nothing.
    if addr.len() > 0 && !addr.is_unix() {
        let message = "file descriptor did not correspond to a Unix socket";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    if let Some(name) = addr.as_abstract_namespace() {
        return SocketAddr::from_abstract_name(name);
    }
    match addr.as_pathname() {
        // A path without an end, of 108 bytes, can be bound, but not be written down in std:
        // what its owner sends is not to be lost for that.
        Some(path) => SocketAddr::from_pathname(path).or_else(|_| unnamed()),
        None => unnamed(),
    }
}

/// Gives the address of a socket without a name.
pub(crate) fn unnamed() -> io::Result<SocketAddr> {
    SocketAddr::from_pathname("")
}

/// Makes a stream socket that does not block.
pub(crate) fn stream() -> io::Result<UnixStream> {
    let kind = socket2::Type::STREAM.nonblocking().cloexec();
    Ok(socket2::Socket::new_raw(socket2::Domain::UNIX, kind, None)?.into())
}

/// Connects; EAGAIN: the listener's queue is full.
pub(crate) fn connect(socket: BorrowedFd<'_>, addr: &SockAddr) -> io::Result<()> {
    SockRef::from(&socket).connect(addr)
}

/// Makes a datagram socket that is writable when the socket at an address has room.
pub(crate) fn watcher_of(addr: &SockAddr) -> io::Result<UnixDatagram> {
    let watcher = UnixDatagram::unbound()?;
    SockRef::from(&watcher).connect(addr)?;
    Ok(watcher)
}
