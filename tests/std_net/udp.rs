//! The cases of UDP. What `spawn`, `channel` and the sockets are the module above says.

use std::io::ErrorKind;
use std::io::Result;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::time::Instant;

use super::UdpSocket;
use super::channel;
use super::run;
use super::spawn;

/// Runs a case with two sockets on either loopback address.
#[track_caller]
fn each_ip(case: impl Fn([(UdpSocket, SocketAddr); 2])) {
    for ip in ["127.0.0.1:0", "[::1]:0"] {
        // A machine without IPv6 has one loopback address.
        if UdpSocket::bind(ip).is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable) {
            assert_ne!(ip, "127.0.0.1:0");
            continue;
        }
        run(|| case([socket(ip), socket(ip)]));
    }
}

fn socket(ip: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(ip).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Asserts that a result is an error of that kind.
#[track_caller]
fn fails<T>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.err().expect("an error").kind(), kind);
}

#[test]
fn bind_error() {
    run(|| fails(UdpSocket::bind("1.1.1.1:9999"), ErrorKind::AddrNotAvailable));
}

#[test]
fn socket_smoke_test() {
    each_ip(|[(server, server_addr), (client, client_addr)]| {
        let (sent, wait) = channel();
        let sending = spawn(move || {
            client.send_to(&[99], server_addr).unwrap();
            sent.send(()).unwrap();
        });
        let mut buf = [0];
        assert_eq!(server.recv_from(&mut buf).unwrap(), (1, client_addr));
        assert_eq!(buf, [99]);
        wait.recv().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn socket_name() {
    each_ip(|[(server, addr), _]| {
        assert_eq!(server.local_addr().unwrap(), addr);
        fails(UdpSocket::bind(addr), ErrorKind::AddrInUse);
    });
}

#[test]
fn socket_peer() {
    each_ip(|[(one, _), (_other, addr)]| {
        fails(one.peer_addr(), ErrorKind::NotConnected);
        one.connect(addr).unwrap();
        assert_eq!(one.peer_addr().unwrap(), addr);
    });
}

#[test]
fn udp_clone_smoke() {
    each_ip(|[(one, one_addr), (other, other_addr)]| {
        let answering = spawn(move || {
            let mut buf = [0; 2];
            assert_eq!(other.recv_from(&mut buf).unwrap(), (1, one_addr));
            assert_eq!(buf[0], 1);
            other.send_to(&[2], one_addr).unwrap();
        });
        let clone = one.try_clone().unwrap();
        let sending = spawn(move || clone.send_to(&[1], other_addr).unwrap());
        assert_eq!(one.recv_from(&mut [0; 2]).unwrap(), (1, other_addr));
        sending.join().unwrap();
        answering.join().unwrap();
    });
}

#[test]
fn udp_clone_two_read() {
    each_ip(|[(one, addr), (other, _)]| {
        let (one_read, reads) = channel();
        let clone_read = one_read.clone();
        let sending = spawn(move || {
            for byte in [1, 2] {
                other.send_to(&[byte], addr).unwrap();
                reads.recv().unwrap();
            }
        });
        let clone = one.try_clone().unwrap();
        let reading = spawn(move || {
            clone.recv_from(&mut [0; 2]).unwrap();
            clone_read.send(()).unwrap();
        });
        one.recv_from(&mut [0; 2]).unwrap();
        one_read.send(()).unwrap();
        reading.join().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn udp_clone_two_write() {
    each_ip(|[(one, _), (other, addr)]| {
        let reading = spawn(move || {
            let mut got = [0; 2].map(|_: u8| {
                let mut buf = [0];
                other.recv_from(&mut buf).unwrap();
                buf[0]
            });
            got.sort_unstable();
            assert_eq!(got, [1, 2]);
        });
        let clone = one.try_clone().unwrap();
        let writing = spawn(move || clone.send_to(&[1], addr).unwrap());
        one.send_to(&[2], addr).unwrap();
        writing.join().unwrap();
        reading.join().unwrap();
    });
}

#[test]
fn debug() {
    run(|| {
        let (socket, addr) = socket("127.0.0.1:0");
        let fd = socket.as_raw_fd();
        assert_eq!(format!("{socket:?}"), format!("UdpSocket {{ addr: {addr:?}, fd: {fd:?} }}"));
    });
}

#[test]
fn timeouts() {
    run(|| {
        let (socket, _) = socket("127.0.0.1:0");
        for timeout in [None, Some(Duration::from_secs(15410)), None] {
            socket.set_read_timeout(timeout).unwrap();
            socket.set_write_timeout(timeout).unwrap();
            assert_eq!(socket.read_timeout().unwrap(), timeout);
            assert_eq!(socket.write_timeout().unwrap(), timeout);
        }
    });
}

#[test]
fn read_with_timeout() {
    run(|| {
        let timeout = Duration::from_millis(100);
        let (socket, addr) = socket("127.0.0.1:0");
        socket.set_read_timeout(Some(timeout)).unwrap();
        socket.send_to(b"hello world", addr).unwrap();
        let mut buf = [0; 11];
        socket.recv_from(&mut buf).unwrap();
        assert_eq!(&buf, b"hello world");
        let start = Instant::now();
        fails(socket.recv_from(&mut buf), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= timeout);
    });
}

#[test]
fn timeout_zero_duration() {
    run(|| {
        let (socket, _) = socket("127.0.0.1:0");
        fails(socket.set_read_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        fails(socket.set_write_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
    });
}

#[test]
fn connect_send_recv() {
    run(|| {
        let (socket, addr) = socket("127.0.0.1:0");
        socket.connect(addr).unwrap();
        socket.send(b"hello world").unwrap();
        let mut buf = [0; 11];
        assert_eq!(socket.recv(&mut buf).unwrap(), 11);
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn connect_send_peek_recv() {
    each_ip(|[(socket, addr), _]| {
        socket.connect(addr).unwrap();
        socket.send(b"hello world").unwrap();
        for _ in 0..2 {
            let mut buf = [0; 11];
            assert_eq!(socket.peek(&mut buf).unwrap(), 11);
            assert_eq!(&buf, b"hello world");
        }
        let mut buf = [0; 11];
        assert_eq!(socket.recv(&mut buf).unwrap(), 11);
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn peek_from() {
    each_ip(|[(socket, addr), _]| {
        socket.send_to(b"hello world", addr).unwrap();
        for _ in 0..2 {
            let mut buf = [0; 11];
            assert_eq!(socket.peek_from(&mut buf).unwrap(), (11, addr));
            assert_eq!(&buf, b"hello world");
        }
        let mut buf = [0; 11];
        assert_eq!(socket.recv_from(&mut buf).unwrap(), (11, addr));
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn ttl() {
    run(|| {
        let (socket, _) = socket("127.0.0.1:0");
        socket.set_ttl(100).unwrap();
        assert_eq!(socket.ttl().unwrap(), 100);
    });
}

#[test]
fn set_nonblocking() {
    each_ip(|[(socket, addr), _]| {
        socket.set_nonblocking(true).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.connect(addr).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.set_nonblocking(true).unwrap();
        fails(socket.recv(&mut [0]), ErrorKind::WouldBlock);
    });
}
