//! What the cases ask of the kernel, whichever world a socket is of.

use std::os::fd::AsRawFd;

/// Makes a socket that soon has no more room to write. (A small buffer for reading as well would
/// make the kernel wait 40 ms for acknowledgements again and again.)
pub(crate) fn with_small_buffer(socket: &impl AsRawFd) {
    let bytes: libc::c_int = 4096;
    let value = (&raw const bytes).cast();
    let level = libc::SOL_SOCKET;
    // SAFETY: the option takes an int.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, libc::SO_SNDBUF, value, 4) };
    assert_eq!(result, 0);
}

/// Whether poll(2) says that there is room to write.
pub(crate) fn is_writable(socket: &impl AsRawFd) -> bool {
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `entry` is one pollfd.
    unsafe { libc::poll(&raw mut entry, 1, 0) == 1 && entry.revents & libc::POLLOUT != 0 }
}
