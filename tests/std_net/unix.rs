//! The cases of Unix sockets. What `spawn` and the sockets are the module above says.

use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tempfile::tempdir;

use super::UnixDatagram;
use super::UnixListener;
use super::UnixStream;
use super::run;
use super::spawn;

/// A directory, and paths in it for sockets.
fn paths<const COUNT: usize>() -> (TempDir, [PathBuf; COUNT]) {
    let dir = tempdir().unwrap();
    let paths = std::array::from_fn(|n| dir.path().join(format!("sock{n}")));
    (dir, paths)
}

/// A name that no other test of any process uses, since the directories have theirs.
fn abstract_addr(dir: &TempDir, name: &str) -> SocketAddr {
    let name = format!("{}-{name}", dir.path().display());
    SocketAddr::from_abstract_name(name).unwrap()
}

/// Asserts that a result is an error of that kind.
#[track_caller]
fn fails<T>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.err().expect("an error").kind(), kind);
}

#[test]
fn basic() {
    run(|| {
        let (_dir, [path]) = paths();
        let listener = UnixListener::bind(&path).unwrap();
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut buf = [0; 5];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            stream.write_all(b"world!").unwrap();
        });
        let mut stream = UnixStream::connect(&path).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
        stream.write_all(b"hello").unwrap();
        let mut buf = vec![];
        stream.read_to_end(&mut buf).unwrap();
        assert_eq!(buf, b"world!");
        server.join().unwrap();
    });
}

#[test]
fn vectored() {
    run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let bufs = [&b"hello"[..], b" ", b"world!"].map(IoSlice::new);
        assert_eq!(one.write_vectored(&bufs).unwrap(), 12);
        let (mut a, mut b) = ([0; 6], [0; 7]);
        let mut bufs = [&mut a[..], &mut b].map(IoSliceMut::new);
        assert_eq!(other.read_vectored(&mut bufs).unwrap(), 12);
        assert_eq!((&a, &b), (b"hello ", b"world!\0"));
    });
}

#[test]
fn pair() {
    run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let answering = spawn(move || {
            let mut buf = [0; 5];
            one.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            one.write_all(b"world!").unwrap();
        });
        other.write_all(b"hello").unwrap();
        let mut buf = vec![];
        other.read_to_end(&mut buf).unwrap();
        assert_eq!(buf, b"world!");
        answering.join().unwrap();
    });
}

#[test]
fn try_clone() {
    run(|| {
        let (_dir, [path]) = paths();
        let listener = UnixListener::bind(&path).unwrap();
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"hello").unwrap();
            stream.write_all(b"world").unwrap();
        });
        let mut stream = UnixStream::connect(&path).unwrap();
        let mut clone = stream.try_clone().unwrap();
        let mut buf = [0; 5];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello");
        clone.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"world");
        server.join().unwrap();
    });
}

fn accepts_two(listener: UnixListener, connect: impl Fn() -> UnixStream) {
    let server = spawn(move || {
        for stream in listener.incoming().take(1) {
            stream.unwrap().read_exact(&mut [0]).unwrap();
        }
        for stream in (&listener).into_iter().take(1) {
            stream.unwrap().read_exact(&mut [0]).unwrap();
        }
    });
    for _ in 0..2 {
        connect().write_all(&[0]).unwrap();
    }
    server.join().unwrap();
}

#[test]
fn iter() {
    run(|| {
        let (_dir, [path]) = paths();
        accepts_two(UnixListener::bind(&path).unwrap(), || UnixStream::connect(&path).unwrap());
    });
}

#[test]
fn long_path() {
    run(|| {
        let path = "x".repeat(110);
        fails(UnixStream::connect(&path), ErrorKind::InvalidInput);
        fails(UnixListener::bind(&path), ErrorKind::InvalidInput);
        fails(UnixDatagram::bind(&path), ErrorKind::InvalidInput);
    });
}

#[test]
fn timeouts() {
    run(|| {
        let (_dir, [path]) = paths();
        let _listener = UnixListener::bind(&path).unwrap();
        let stream = UnixStream::connect(&path).unwrap();
        for timeout in [None, Some(Duration::from_secs(15410)), None] {
            stream.set_read_timeout(timeout).unwrap();
            stream.set_write_timeout(timeout).unwrap();
            assert_eq!(stream.read_timeout().unwrap(), timeout);
            assert_eq!(stream.write_timeout().unwrap(), timeout);
        }
    });
}

#[test]
fn read_with_timeout() {
    run(|| {
        let (_dir, [path]) = paths();
        let listener = UnixListener::bind(&path).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut other_end = listener.accept().unwrap().0;
        other_end.write_all(b"hello world").unwrap();
        let mut buf = [0; 11];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello world");
        fails(stream.read_exact(&mut buf), ErrorKind::WouldBlock);
    });
}

#[test]
fn timeout_zero_duration() {
    run(|| {
        let (stream, _other) = UnixStream::pair().unwrap();
        fails(stream.set_read_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        fails(stream.set_write_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        let datagram = UnixDatagram::unbound().unwrap();
        fails(datagram.set_read_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        fails(datagram.set_write_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
    });
}

#[test]
fn unix_datagram() {
    run(|| {
        let (_dir, [one, other]) = paths();
        let sender = UnixDatagram::bind(&one).unwrap();
        let receiver = UnixDatagram::bind(&other).unwrap();
        sender.send_to(b"hello world", &other).unwrap();
        let mut buf = [0; 11];
        let (count, addr) = receiver.recv_from(&mut buf).unwrap();
        assert_eq!((count, addr.as_pathname()), (11, Some(&*one)));
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn unnamed_unix_datagram() {
    run(|| {
        let (_dir, [path]) = paths();
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"hello world", &path).unwrap();
        let mut buf = [0; 11];
        let (count, addr) = receiver.recv_from(&mut buf).unwrap();
        assert_eq!(count, 11);
        assert!(addr.is_unnamed());
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn unix_datagram_connect_to_recv_addr() {
    run(|| {
        let (_dir, [one, other]) = paths();
        let one = UnixDatagram::bind(&one).unwrap();
        let other = UnixDatagram::bind(&other).unwrap();
        other.send_to_addr(b"hello world", &one.local_addr().unwrap()).unwrap();
        let (_, addr) = one.recv_from(&mut [0; 11]).unwrap();
        // It is the address of the sender itself.
        other.connect_addr(&addr).unwrap();
        other.send(b"hello back").unwrap();
        let mut buf = [0; 10];
        assert_eq!(other.recv(&mut buf).unwrap(), 10);
        assert_eq!(&buf, b"hello back");
    });
}

#[test]
fn connect_unix_datagram() {
    run(|| {
        let (_dir, [one, other]) = paths();
        let receivers = [&one, &other].map(|path| UnixDatagram::bind(path).unwrap());
        let sender = UnixDatagram::unbound().unwrap();
        fails(sender.send(b"to nobody"), ErrorKind::NotConnected);
        for (path, receiver) in [one, other].iter().zip(receivers) {
            sender.connect(path).unwrap();
            sender.send(b"hello there").unwrap();
            let mut buf = [0; 11];
            let (count, addr) = receiver.recv_from(&mut buf).unwrap();
            assert_eq!(count, 11);
            assert!(addr.is_unnamed());
            assert_eq!(&buf, b"hello there");
        }
    });
}

#[test]
fn datagram_pair() {
    run(|| {
        let (one, other) = UnixDatagram::pair().unwrap();
        let answering = spawn(move || {
            let mut buf = [0; 5];
            one.recv(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            one.send(b"world!").unwrap();
        });
        other.send(b"hello").unwrap();
        let mut buf = [0; 6];
        other.recv(&mut buf).unwrap();
        assert_eq!(&buf, b"world!");
        answering.join().unwrap();
    });
}

#[test]
fn abstract_stream_connect() {
    run(|| {
        let (dir, []) = paths();
        let addr = abstract_addr(&dir, "name");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), addr.as_abstract_name());
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut buf = [0; 5];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"hello");
            stream.write_all(b"world!").unwrap();
        });
        let mut stream = UnixStream::connect_addr(&addr).unwrap();
        let peer = stream.peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), addr.as_abstract_name());
        stream.write_all(b"hello").unwrap();
        let mut buf = vec![];
        stream.read_to_end(&mut buf).unwrap();
        assert_eq!(buf, b"world!");
        server.join().unwrap();
    });
}

#[test]
fn abstract_stream_iter() {
    run(|| {
        let (dir, []) = paths();
        let addr = abstract_addr(&dir, "hidden");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        accepts_two(listener, || UnixStream::connect_addr(&addr).unwrap());
    });
}

#[test]
fn abstract_datagram_bind_send_to_addr() {
    run(|| {
        let (dir, []) = paths();
        let [one, other] = ["ns1", "ns2"].map(|name| abstract_addr(&dir, name));
        let sender = UnixDatagram::bind_addr(&one).unwrap();
        let local = sender.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), one.as_abstract_name());
        let receiver = UnixDatagram::bind_addr(&other).unwrap();
        sender.send_to_addr(b"hello world", &other).unwrap();
        let mut buf = [0; 11];
        let (count, addr) = receiver.recv_from(&mut buf).unwrap();
        assert_eq!(count, 11);
        assert_eq!(&buf, b"hello world");
        assert_eq!(addr.as_abstract_name(), one.as_abstract_name());
    });
}

#[test]
fn abstract_datagram_connect_addr() {
    run(|| {
        let (dir, []) = paths();
        let sender = UnixDatagram::unbound().unwrap();
        for name in ["ns3", "ns4"] {
            let addr = abstract_addr(&dir, name);
            let receiver = UnixDatagram::bind_addr(&addr).unwrap();
            sender.connect_addr(&addr).unwrap();
            sender.send(b"hello world").unwrap();
            let mut buf = [0; 11];
            let (count, from) = receiver.recv_from(&mut buf).unwrap();
            assert_eq!(count, 11);
            assert!(from.is_unnamed());
            assert_eq!(&buf, b"hello world");
        }
    });
}
