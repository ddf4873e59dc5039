//! TCP and UDP.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::UdpSocket;

use crate::case::Case;
use crate::case::Closable;
use crate::case::Row;
use crate::case::is_over;
use crate::case::some;
use crate::full_listener::FullListener;
use crate::support::fill;
use crate::support::is_writable;
use crate::support::set_send_buffer;

/// A full queue is looked at again by the kernel after a second, by its own clock.
const SLOW: &[(&str, &str)] = &[
    ("satisfied", "the kernel asks again after a second only"),
    ("threads", "as above"),
    ("ended hub", "as above"),
    ("shield", "as above"),
    ("root", "as above"),
];

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["TcpStream::read"], make: || reading(|s| (&*s).read(&mut [0])), lacks: &[] },
    Row {
        functions: &["TcpStream::read_vectored"],
        make: || reading(|s| (&*s).read_vectored(&mut [IoSliceMut::new(&mut [0])])),
        lacks: &[],
    },
    Row {
        functions: &["TcpStream::peek"],
        make: || {
            reading(|s| match s.peek(&mut [0])? {
                0 => Ok(0),
                _ => (&*s).read(&mut [0]),
            })
        },
        lacks: &[],
    },
    Row {
        functions: &["TcpStream::wait_readable"],
        make: || {
            reading(|s| {
                s.wait_readable()?;
                (&*s).read(&mut [0])
            })
        },
        lacks: &[],
    },
    Row { functions: &["TcpStream::write"], make: || writing(|s| (&*s).write(&[1])), lacks: &[] },
    Row {
        functions: &["TcpStream::write_vectored"],
        make: || writing(|s| (&*s).write_vectored(&[IoSlice::new(&[1])])),
        lacks: &[],
    },
    Row {
        functions: &["TcpStream::wait_writable"],
        make: || {
            writing(|s| {
                s.wait_writable()?;
                (&*s).write(&[1])
            })
        },
        lacks: &[],
    },
    Row { functions: &["TcpStream::connect"], make: connect, lacks: SLOW },
    Row { functions: &["TcpStream::connect_timeout"], make: connect_timeout, lacks: SLOW },
    Row { functions: &["TcpListener::accept"], make: || accepting(accept), lacks: &[] },
    Row { functions: &["Incoming::next"], make: || accepting(incoming), lacks: &[] },
    Row { functions: &["UdpSocket::recv"], make: || receiving(|s| s.recv(&mut [0])), lacks: &[] },
    Row {
        functions: &["UdpSocket::recv_from"],
        make: || receiving(|s| Ok(s.recv_from(&mut [0])?.0)),
        lacks: &[],
    },
    Row {
        functions: &["UdpSocket::peek"],
        make: || {
            receiving(|s| {
                s.peek(&mut [0])?;
                s.recv(&mut [0])
            })
        },
        lacks: &[],
    },
    Row {
        functions: &["UdpSocket::peek_from"],
        make: || {
            receiving(|s| {
                s.peek_from(&mut [0])?;
                s.recv(&mut [0])
            })
        },
        lacks: &[],
    },
];

fn pair() -> (Arc<Closable<TcpStream>>, Arc<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (Closable::new(client), Arc::new(server))
}

fn reading(read: fn(&TcpStream) -> io::Result<usize>) -> Case {
    let (client, server) = pair();
    let (inner, shut, closed) = (Arc::clone(&client), Arc::clone(&client), Arc::clone(&client));
    let peer = Arc::clone(&server);
    Case::new(move || some(read(&client)))
        .limited(move |limit| {
            inner.set_read_timeout(Some(limit)).unwrap();
            let over = is_over(read(&inner));
            inner.set_read_timeout(None).unwrap();
            over
        })
        .released(move || _ = (&*server).write_all(&[1]))
        .ended("shut down", move || shut.shutdown(Shutdown::Read).unwrap(), "UnexpectedEof")
        .ended("the peer ends", move || peer.shutdown(Shutdown::Write).unwrap(), "UnexpectedEof")
        .ended("closed", move || closed.close(), "EBADF")
}

/// Reads until the writer has room for all: the kernel sends the rest at its own pace.
fn drain(reader: &TcpStream, writer: &Closable<TcpStream>) {
    reader.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 65_536];
    loop {
        while (&*reader).read(&mut buffer).is_ok_and(|count| count > 0) {}
        if writer.is_closed() {
            break;
        }
        if is_writable(&**writer) {
            set_send_buffer(writer, 1 << 18);
            break;
        }
        std::thread::yield_now();
    }
    reader.set_nonblocking(false).unwrap();
}

fn writing(write: fn(&TcpStream) -> io::Result<usize>) -> Case {
    let (client, server) = pair();
    fill(&client);
    let (inner, shut, closed) = (Arc::clone(&client), Arc::clone(&client), Arc::clone(&client));
    let full = Arc::clone(&client);
    Case::new(move || write(&client).map(drop))
        .limited(move |limit| {
            inner.set_write_timeout(Some(limit)).unwrap();
            let over = is_over(write(&inner));
            inner.set_write_timeout(None).unwrap();
            over
        })
        .opened(move || drain(&server, &full))
        .ended("shut down", move || shut.shutdown(Shutdown::Write).unwrap(), "BrokenPipe")
        .ended("closed", move || closed.close(), "EBADF")
}

/// An address that answers nothing.
fn full_addr() -> SocketAddr {
    thread_local!(static FULL: FullListener = FullListener::new());

    FULL.with(|full| full.addr)
}

fn connect() -> Case {
    let addr = full_addr();
    Case::new(move || TcpStream::connect(addr).map(drop))
}

fn connect_timeout() -> Case {
    let addr = full_addr();
    let long = Duration::from_secs(3600);
    Case::new(move || TcpStream::connect_timeout(&addr, long).map(drop))
        .limited(move |limit| is_over(TcpStream::connect_timeout(&addr, limit)))
}

fn accept(listener: &TcpListener) -> io::Result<()> {
    listener.accept().map(drop)
}

fn incoming(listener: &TcpListener) -> io::Result<()> {
    listener.incoming().next().expect("it never ends").map(drop)
}

fn accepting(accept: fn(&TcpListener) -> io::Result<()>) -> Case {
    let listener = Closable::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let addr = listener.local_addr().unwrap();
    let clients = Mutex::new(Vec::new());
    let closed = Arc::clone(&listener);
    Case::new(move || accept(&listener))
        .released(move || {
            clients.lock().unwrap().push(std::net::TcpStream::connect(addr).unwrap());
        })
        .ended("closed", move || closed.close(), "EBADF")
}

fn receiving(receive: fn(&UdpSocket) -> io::Result<usize>) -> Case {
    let socket = Closable::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let addr = socket.local_addr().unwrap();
    let (inner, closed) = (Arc::clone(&socket), Arc::clone(&socket));
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    Case::new(move || receive(&socket).map(drop))
        .limited(move |limit| {
            inner.set_read_timeout(Some(limit)).unwrap();
            let over = is_over(receive(&inner));
            inner.set_read_timeout(None).unwrap();
            over
        })
        .released(move || _ = sender.send_to(&[1], addr).unwrap())
        .ended("closed", move || closed.close(), "EBADF")
}
