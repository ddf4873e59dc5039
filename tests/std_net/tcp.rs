//! The cases of TCP. What `spawn`, `channel` and the sockets are the module above says.

use std::fmt::Debug;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::time::Instant;

use super::TcpListener;
use super::TcpStream;
use super::channel;
use super::run;
use super::spawn;
use super::yield_now;

/// Runs a case with a listener on either loopback address.
#[track_caller]
fn each_ip(case: impl Fn(TcpListener, SocketAddr)) {
    for ip in ["127.0.0.1:0", "[::1]:0"] {
        let listener = || TcpListener::bind(ip);
        // A machine without IPv6 has one loopback address.
        if listener().is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable) {
            assert_ne!(ip, "127.0.0.1:0");
            continue;
        }
        run(|| {
            let listener = listener().unwrap();
            let addr = listener.local_addr().unwrap();
            case(listener, addr);
        });
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Asserts that a result is an error of one of these kinds.
#[track_caller]
fn fails<T>(result: Result<T>, kinds: &[ErrorKind]) {
    let kind = result.err().expect("an error").kind();
    assert!(kinds.contains(&kind), "{kind:?} is none of {kinds:?}");
}

#[test]
fn bind_error() {
    run(|| {
        fails(TcpListener::bind("1.1.1.1:9999"), &[ErrorKind::AddrNotAvailable]);
    });
}

#[test]
fn connect_error() {
    run(|| {
        let kinds = [
            ErrorKind::ConnectionRefused,
            ErrorKind::InvalidInput,
            ErrorKind::AddrInUse,
            ErrorKind::AddrNotAvailable,
            ErrorKind::NetworkUnreachable,
        ];
        fails(TcpStream::connect("0.0.0.0:1"), &kinds);
    });
}

#[test]
fn connect_timeout_error() {
    run(|| {
        let (closed, addr) = listener();
        drop(closed);
        fails(TcpStream::connect_timeout(&addr, Duration::MAX), &[ErrorKind::ConnectionRefused]);
        let (_listener, addr) = listener();
        TcpStream::connect_timeout(&addr, Duration::MAX).unwrap();
    });
}

#[test]
fn connect_timeout_valid() {
    run(|| {
        let (_listener, addr) = listener();
        TcpStream::connect_timeout(&addr, Duration::from_secs(60)).unwrap();
    });
}

#[test]
fn listen_localhost() {
    run(|| {
        let (listener, addr) = listener();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(("localhost", addr.port())).unwrap();
            stream.write_all(&[144]).unwrap();
        });
        let mut buf = [0];
        listener.accept().unwrap().0.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [144]);
        client.join().unwrap();
    });
}

#[test]
fn connect_loopback() {
    each_ip(|listener, addr| {
        let client = spawn(move || {
            let host = if addr.is_ipv4() { "127.0.0.1" } else { "::1" };
            let mut stream = TcpStream::connect((host, addr.port())).unwrap();
            stream.write_all(&[66]).unwrap();
        });
        let mut buf = [0];
        listener.accept().unwrap().0.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [66]);
        client.join().unwrap();
    });
}

#[test]
fn smoke_test() {
    each_ip(|listener, addr| {
        let (told, client_addr) = channel();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&[99]).unwrap();
            told.send(stream.local_addr().unwrap()).unwrap();
        });
        let (mut stream, addr) = listener.accept().unwrap();
        let mut buf = [0];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [99]);
        assert_eq!(addr, client_addr.recv().unwrap());
        client.join().unwrap();
    });
}

#[test]
fn read_eof() {
    each_ip(|listener, addr| {
        let client = spawn(move || drop(TcpStream::connect(addr).unwrap()));
        let mut stream = listener.accept().unwrap().0;
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "an end stays");
        client.join().unwrap();
    });
}

#[test]
fn write_close() {
    each_ip(|listener, addr| {
        let (done, closed) = channel();
        let client = spawn(move || {
            drop(TcpStream::connect(addr).unwrap());
            done.send(()).unwrap();
        });
        let mut stream = listener.accept().unwrap().0;
        closed.recv().unwrap();
        if let Err(error) = stream.write(&[0]) {
            let kinds =
                [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
            fails::<()>(Err(error), &kinds);
        }
        client.join().unwrap();
    });
}

#[test]
fn multiple_connect_serial() {
    const MAX: usize = 10;
    each_ip(|listener, addr| {
        let client = spawn(move || {
            for _ in 0..MAX {
                TcpStream::connect(addr).unwrap().write_all(&[99]).unwrap();
            }
        });
        for stream in listener.incoming().take(MAX) {
            let mut buf = [0];
            stream.unwrap().read_exact(&mut buf).unwrap();
            assert_eq!(buf, [99]);
        }
        client.join().unwrap();
    });
}

/// Each client connects the next before it writes, so that all connections are open.
fn connect_interleaved(i: u8, count: u8, addr: SocketAddr, byte: fn(u8) -> u8) {
    if i == count {
        return;
    }
    let client = spawn(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        connect_interleaved(i + 1, count, addr, byte);
        stream.write_all(&[byte(i)]).unwrap();
    });
    client.join().unwrap();
}

fn check_interleaved(byte: fn(u8) -> u8) {
    const MAX: u8 = 10;
    each_ip(|listener, addr| {
        let server = spawn(move || {
            let accepted: Vec<_> = (0..MAX)
                .zip(listener.incoming())
                .map(|(i, stream)| {
                    let mut stream = stream.unwrap();
                    spawn(move || {
                        let mut buf = [0];
                        stream.read_exact(&mut buf).unwrap();
                        assert_eq!(buf, [byte(i)]);
                    })
                })
                .collect();
            accepted.into_iter().for_each(|reader| reader.join().unwrap());
        });
        connect_interleaved(0, MAX, addr, byte);
        server.join().unwrap();
    });
}

#[test]
fn multiple_connect_interleaved_greedy_schedule() {
    check_interleaved(|i| i);
}

#[test]
fn multiple_connect_interleaved_lazy_schedule() {
    check_interleaved(|_| 99);
}

#[test]
fn socket_and_peer_name() {
    each_ip(|listener, addr| {
        let server = spawn(move || listener.accept().unwrap());
        let stream = TcpStream::connect(addr).unwrap();
        assert_eq!(addr, stream.peer_addr().unwrap());
        let (accepted, client_addr) = server.join().unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), client_addr);
        assert_eq!(stream.local_addr().unwrap(), client_addr);
    });
}

#[test]
fn partial_read() {
    each_ip(|listener, addr| {
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(&[10]).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        });
        let mut client = TcpStream::connect(addr).unwrap();
        assert_eq!(client.read(&mut [0; 10]).unwrap(), 1);
        client.write_all(&[1]).unwrap();
        server.join().unwrap();
    });
}

#[test]
fn read_vectored() {
    each_ip(|listener, addr| {
        let mut writer = TcpStream::connect(addr).unwrap();
        let mut reader = listener.accept().unwrap().0;
        writer.write_all(&[10, 11, 12]).unwrap();
        let (mut a, mut b, mut c) = ([], [0], [0; 3]);
        let mut bufs = [&mut a[..], &mut b, &mut c].map(IoSliceMut::new);
        assert_eq!(reader.read_vectored(&mut bufs).unwrap(), 3);
        assert_eq!((b, c), ([10], [11, 12, 0]));
    });
}

#[test]
fn write_vectored() {
    each_ip(|listener, addr| {
        let mut writer = TcpStream::connect(addr).unwrap();
        let mut reader = listener.accept().unwrap().0;
        let bufs = [&[][..], &[10], &[11, 12]].map(IoSlice::new);
        assert_eq!(writer.write_vectored(&bufs).unwrap(), 3);
        let mut buf = [0; 4];
        assert_eq!(reader.read(&mut buf).unwrap(), 3);
        assert_eq!(buf, [10, 11, 12, 0]);
    });
}

#[test]
fn double_bind() {
    each_ip(|_listener, addr| {
        fails(TcpListener::bind(addr), &[ErrorKind::AddrInUse]);
    });
}

#[test]
fn tcp_clone_smoke() {
    each_ip(|listener, addr| {
        let client = spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            let mut buf = [0; 2];
            assert_eq!(stream.read(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], 1);
            stream.write_all(&[2]).unwrap();
        });
        let mut reader = listener.accept().unwrap().0;
        let mut writer = reader.try_clone().unwrap();
        let writing = spawn(move || writer.write_all(&[1]).unwrap());
        assert_eq!(reader.read(&mut [0; 2]).unwrap(), 1);
        writing.join().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn tcp_clone_two_read() {
    each_ip(|listener, addr| {
        let (one_read, reads) = channel();
        let other_read = one_read.clone();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            for byte in [1, 2] {
                stream.write_all(&[byte]).unwrap();
                reads.recv().unwrap();
            }
        });
        let mut one = listener.accept().unwrap().0;
        let mut other = one.try_clone().unwrap();
        let reading = spawn(move || {
            assert_eq!(other.read(&mut [0; 2]).unwrap(), 1);
            other_read.send(()).unwrap();
        });
        assert_eq!(one.read(&mut [0; 2]).unwrap(), 1);
        one_read.send(()).unwrap();
        reading.join().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn tcp_clone_two_write() {
    each_ip(|listener, addr| {
        let client = spawn(move || {
            let mut buf = [0; 2];
            TcpStream::connect(addr).unwrap().read_exact(&mut buf).unwrap();
            buf.sort_unstable();
            assert_eq!(buf, [1, 2]);
        });
        let mut one = listener.accept().unwrap().0;
        let mut other = one.try_clone().unwrap();
        let writing = spawn(move || other.write_all(&[1]).unwrap());
        one.write_all(&[2]).unwrap();
        writing.join().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn shutdown_smoke() {
    each_ip(|listener, addr| {
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            stream.write_all(&[1]).unwrap();
        });
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        fails(stream.write(&[1]), &[ErrorKind::BrokenPipe]);
        let mut buf = [0; 2];
        assert_eq!(stream.read(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], 1);
        server.join().unwrap();
    });
}

#[test]
fn close_readwrite_smoke() {
    fn is_shut(stream: &mut TcpStream) {
        fails(stream.write(&[0]), &[ErrorKind::BrokenPipe]);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    each_ip(|listener, addr| {
        let (over, wait) = channel::<()>();
        let server = spawn(move || {
            let _stream = listener.accept().unwrap();
            let _ = wait.recv();
        });
        let mut stream = TcpStream::connect(addr).unwrap();
        let mut before = stream.try_clone().unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        fails(stream.write(&[0]), &[ErrorKind::BrokenPipe]);
        stream.shutdown(Shutdown::Read).unwrap();
        is_shut(&mut stream);
        is_shut(&mut before);
        let mut after = stream.try_clone().unwrap();
        is_shut(&mut after);
        for handle in [&before, &after] {
            let _ = handle.shutdown(Shutdown::Read);
            let _ = handle.shutdown(Shutdown::Write);
        }
        drop(over);
        server.join().unwrap();
    });
}

#[test]
fn close_read_wakes_up() {
    each_ip(|listener, addr| {
        let server = spawn(move || listener.accept().unwrap().0);
        let mut stream = TcpStream::connect(addr).unwrap();
        let other = stream.try_clone().unwrap();
        let closing = spawn(move || {
            // So that it is likely that the read below has begun.
            (0..50).for_each(|_| yield_now());
            other.shutdown(Shutdown::Read).unwrap();
        });
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        closing.join().unwrap();
        drop(server.join().unwrap());
    });
}

#[test]
fn clone_while_reading() {
    each_ip(|listener, addr| {
        let (go, wait) = channel();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            wait.recv().unwrap();
            stream.write_all(&[0]).unwrap();
        });
        let stream = listener.accept().unwrap().0;
        let mut other = stream.try_clone().unwrap();
        let reading = spawn(move || other.read_exact(&mut [0]).unwrap());
        // So that it is likely that the clone is reading.
        (0..50).for_each(|_| yield_now());
        drop(stream.try_clone().unwrap());
        go.send(()).unwrap();
        reading.join().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn clone_accept_smoke() {
    each_ip(|one, addr| {
        let other = one.try_clone().unwrap();
        let clients = [(); 2].map(|()| spawn(move || TcpStream::connect(addr).unwrap()));
        one.accept().unwrap();
        other.accept().unwrap();
        clients.into_iter().for_each(|client| drop(client.join().unwrap()));
    });
}

#[test]
fn clone_accept_concurrent() {
    each_ip(|one, addr| {
        let other = one.try_clone().unwrap();
        let servers = [one, other].map(|listener| spawn(move || listener.accept().unwrap()));
        let clients = [(); 2].map(|()| spawn(move || TcpStream::connect(addr).unwrap()));
        servers.into_iter().for_each(|server| drop(server.join().unwrap()));
        clients.into_iter().for_each(|client| drop(client.join().unwrap()));
    });
}

#[test]
fn debug() {
    run(|| {
        let shown = |socket: &dyn Debug| format!("{socket:?}");
        let (listener, addr) = listener();
        let fd = listener.as_raw_fd();
        assert_eq!(shown(&listener), format!("TcpListener {{ addr: {addr:?}, fd: {fd:?} }}"));
        let stream = TcpStream::connect(addr).unwrap();
        let (own, fd) = (stream.local_addr().unwrap(), stream.as_raw_fd());
        let expected = format!("TcpStream {{ addr: {own:?}, peer: {addr:?}, fd: {fd:?} }}");
        assert_eq!(shown(&stream), expected);
    });
}

#[test]
fn timeouts() {
    run(|| {
        let (_listener, addr) = listener();
        let stream = TcpStream::connect(addr).unwrap();
        for timeout in [None, Some(Duration::from_secs(15410)), None] {
            stream.set_read_timeout(timeout).unwrap();
            stream.set_write_timeout(timeout).unwrap();
            assert_eq!(stream.read_timeout().unwrap(), timeout);
            assert_eq!(stream.write_timeout().unwrap(), timeout);
        }
    });
}

/// Reads until the timeout, which is not to come early.
fn times_out(stream: &mut TcpStream, timeout: Duration) {
    let start = Instant::now();
    fails(stream.read_exact(&mut [0; 10]), &[ErrorKind::WouldBlock]);
    assert!(start.elapsed() >= timeout);
}

#[test]
fn read_timeout() {
    run(|| {
        let timeout = Duration::from_millis(100);
        let (_listener, addr) = listener();
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(timeout)).unwrap();
        times_out(&mut stream, timeout);
    });
}

#[test]
fn read_with_timeout() {
    run(|| {
        let timeout = Duration::from_millis(100);
        let (listener, addr) = listener();
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(timeout)).unwrap();
        let mut other_end = listener.accept().unwrap().0;
        other_end.write_all(b"hello world").unwrap();
        let mut buf = [0; 11];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello world");
        times_out(&mut stream, timeout);
    });
}

#[test]
fn timeout_zero_duration() {
    run(|| {
        let (_listener, addr) = listener();
        let stream = TcpStream::connect(addr).unwrap();
        let zero = Some(Duration::ZERO);
        fails(stream.set_read_timeout(zero), &[ErrorKind::InvalidInput]);
        fails(stream.set_write_timeout(zero), &[ErrorKind::InvalidInput]);
    });
}

#[test]
fn nodelay() {
    run(|| {
        let (_listener, addr) = listener();
        let stream = TcpStream::connect(addr).unwrap();
        assert!(!stream.nodelay().unwrap());
        for nodelay in [true, false] {
            stream.set_nodelay(nodelay).unwrap();
            assert_eq!(stream.nodelay().unwrap(), nodelay);
        }
    });
}

#[test]
fn ttl() {
    run(|| {
        let (listener, addr) = listener();
        listener.set_ttl(100).unwrap();
        assert_eq!(listener.ttl().unwrap(), 100);
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_ttl(100).unwrap();
        assert_eq!(stream.ttl().unwrap(), 100);
    });
}

#[test]
fn set_nonblocking() {
    run(|| {
        let (listener, addr) = listener();
        listener.set_nonblocking(true).unwrap();
        listener.set_nonblocking(false).unwrap();
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_nonblocking(true).unwrap();
        fails(stream.read(&mut [0]), &[ErrorKind::WouldBlock]);
    });
}

#[test]
fn peek() {
    each_ip(|listener, addr| {
        let (done, wait) = channel();
        let server = spawn(move || {
            listener.accept().unwrap().0.write_all(&[1, 3, 3, 7]).unwrap();
            wait.recv().unwrap();
        });
        let mut stream = TcpStream::connect(addr).unwrap();
        let mut buf = [0; 10];
        for _ in 0..2 {
            assert_eq!(stream.peek(&mut buf).unwrap(), 4);
        }
        assert_eq!(stream.read(&mut buf).unwrap(), 4);
        done.send(()).unwrap();
        server.join().unwrap();
    });
}

#[test]
fn peek_nonblocking() {
    run(|| {
        let (listener, addr) = listener();
        let stream = TcpStream::connect(addr).unwrap();
        let _other_end = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        fails(stream.peek(&mut [0]), &[ErrorKind::WouldBlock]);
    });
}
