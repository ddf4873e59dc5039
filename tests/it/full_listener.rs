//! A listener whose queue is full: connecting to it is never answered.
//!
//! A file of its own, beside `support.rs`, for the test binaries that connect.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

pub(crate) struct FullListener {
    pub(crate) addr: SocketAddr,
    _listener: TcpListener,
    _clients: Vec<TcpStream>,
}

impl FullListener {
    pub(crate) fn new() -> FullListener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: listen(2) may be called again; it only makes the queue short.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let addr = listener.local_addr().unwrap();
        // The queue has room for one; an answer that is only late must not pass for none.
        let first = TcpStream::connect(addr).unwrap();
        let fill = || TcpStream::connect_timeout(&addr, Duration::from_millis(50)).ok();
        let clients = std::iter::once(first).chain(std::iter::from_fn(fill)).collect();
        FullListener { addr, _clients: clients, _listener: listener }
    }
}
