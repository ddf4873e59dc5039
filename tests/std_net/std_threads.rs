//! The reference: std's sockets on OS threads.

pub(crate) use std::net::TcpListener;
pub(crate) use std::net::TcpStream;
pub(crate) use std::net::UdpSocket;
pub(crate) use std::os::unix::net::UnixDatagram;
pub(crate) use std::os::unix::net::UnixListener;
pub(crate) use std::os::unix::net::UnixStream;
pub(crate) use std::sync::mpsc::channel;
pub(crate) use std::thread::spawn;
pub(crate) use std::thread::yield_now;

pub(crate) use crate::support::run;

#[path = "tcp.rs"]
mod tcp;
#[path = "udp.rs"]
mod udp;
#[path = "unix.rs"]
mod unix;
