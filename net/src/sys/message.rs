//! Messages with control data: sendmsg(2) and recvmsg(2) as Unix sockets need them.

// recvmsg(2) has no wrapper that takes initialised buffers.
#![allow(unsafe_code)]

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

use socket2::MsgHdr;
use socket2::SockAddr;
use socket2::SockAddrStorage;
use socket2::SockRef;

use crate::sys::check;

/// What recvmsg(2) says of a message.
pub(crate) struct Received {
    /// The bytes in the buffers.
    pub(crate) count: usize,
    /// Whether the buffers were too small for the datagram.
    pub(crate) truncated: bool,
    /// The bytes of control data. Descriptors in it are open, and closed on exec.
    pub(crate) control_len: usize,
    /// Whether there was more control data. The kernel has closed the descriptors in it.
    pub(crate) control_truncated: bool,
    /// The address of the sender.
    pub(crate) addr: SockAddr,
}

/// Receives a message. Whoever owns `control` owns the descriptors that are in it then.
pub(crate) fn recv(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    control: &mut [u8],
) -> io::Result<Received> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: msghdr is plain data for which all zeros means nothing of anything.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = (&raw mut storage).cast();
    message.msg_namelen = storage.size_of();
    message.msg_iov = bufs.as_mut_ptr().cast();
    message.msg_iovlen = bufs.len() as _;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: IoSliceMut has the layout of iovec, by its documentation; its buffers, `control`
    // and `storage` are writable for the lengths in `message`.
    let count = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) })?;
    // SAFETY: recvmsg(2) wrote an address of so many bytes, into zeros.
    let addr = unsafe { SockAddr::new(storage, message.msg_namelen) };
    Ok(Received {
        count,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        control_len: message.msg_controllen as usize,
        control_truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
        addr,
    })
}

/// Sends a message, to an address or to the peer.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    addr: Option<&SockAddr>,
    control: &[u8],
) -> io::Result<usize> {
    let mut message = MsgHdr::new().with_buffers(bufs).with_control(control);
    if let Some(addr) = addr {
        message = message.with_addr(addr);
    }
    SockRef::from(&fd).sendmsg(&message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}
