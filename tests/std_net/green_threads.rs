//! Our sockets on OS threads where nobody has spawned a coroutine: each waits by itself.

pub(crate) use std::sync::mpsc::channel;
pub(crate) use std::thread::yield_now;

pub(crate) use corovent::net::TcpListener;
pub(crate) use corovent::net::TcpStream;
pub(crate) use corovent::net::UdpSocket;
pub(crate) use corovent::os::unix::net::UnixDatagram;
pub(crate) use corovent::os::unix::net::UnixListener;
pub(crate) use corovent::os::unix::net::UnixStream;

pub(crate) use crate::support::run;

#[path = "tcp.rs"]
mod tcp;
#[path = "udp.rs"]
mod udp;
#[path = "unix.rs"]
mod unix;

/// Runs a closure on a thread of its own, which must leave nothing behind.
pub(crate) fn spawn<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(|| {
        let value = f();
        assert_eq!(corovent::debug::counters().waiting, 0);
        value
    })
}
