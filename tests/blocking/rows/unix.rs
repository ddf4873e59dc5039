//! Unix sockets.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::Mutex;

use corovent::os::unix::net::SocketAncillary;
use corovent::os::unix::net::UnixDatagram;
use corovent::os::unix::net::UnixListener;
use corovent::os::unix::net::UnixStream;

use crate::case::Case;
use crate::case::Closable;
use crate::case::Row;
use crate::case::is_over;
use crate::case::some;

pub(crate) const ROWS: &[Row] = &[
    Row {
        functions: &["UnixStream::read"],
        make: || reading(|s| (&*s).read(&mut [0])),
        lacks: &[],
    },
    Row {
        functions: &["UnixStream::recv_vectored_with_ancillary"],
        make: || {
            reading(|s| {
                let ancillary = &mut SocketAncillary::new(&mut []);
                s.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut [0])], ancillary)
            })
        },
        lacks: &[],
    },
    Row { functions: &["UnixStream::write"], make: || writing(|s| (&*s).write(&[1])), lacks: &[] },
    Row {
        functions: &["UnixStream::send_vectored_with_ancillary"],
        make: || {
            writing(|s| {
                let ancillary = &mut SocketAncillary::new(&mut []);
                s.send_vectored_with_ancillary(&[IoSlice::new(&[1])], ancillary)
            })
        },
        lacks: &[],
    },
    Row {
        functions: &["UnixStream::connect", "UnixStream::connect_addr"],
        make: connecting,
        lacks: &[("seeds", "who accepts waits as well, and blocks the thread")],
    },
    Row { functions: &["UnixListener::accept"], make: accepting, lacks: &[] },
    Row {
        functions: &["UnixDatagram::recv"],
        make: || receiving(|s| s.recv(&mut [0])),
        lacks: &[],
    },
    Row {
        functions: &["UnixDatagram::recv_from"],
        make: || receiving(|s| Ok(s.recv_from(&mut [0])?.0)),
        lacks: &[],
    },
    Row {
        functions: &["UnixDatagram::recv_vectored_with_ancillary"],
        make: || {
            receiving(|s| {
                let ancillary = &mut SocketAncillary::new(&mut []);
                Ok(s.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut [0])], ancillary)?.0)
            })
        },
        lacks: &[],
    },
    Row {
        functions: &["UnixDatagram::recv_vectored_with_ancillary_from"],
        make: || {
            receiving(|s| {
                let ancillary = &mut SocketAncillary::new(&mut []);
                let mut byte = [0];
                let buffers = &mut [IoSliceMut::new(&mut byte)];
                Ok(s.recv_vectored_with_ancillary_from(buffers, ancillary)?.0)
            })
        },
        lacks: &[],
    },
    Row { functions: &["UnixDatagram::send"], make: || sending(|s, _| s.send(&[1])), lacks: &[] },
    Row {
        functions: &["UnixDatagram::send_vectored_with_ancillary"],
        make: || {
            sending(|s, _| {
                let ancillary = &mut SocketAncillary::new(&mut []);
                s.send_vectored_with_ancillary(&[IoSlice::new(&[1])], ancillary)
            })
        },
        lacks: &[],
    },
    Row {
        functions: &["UnixDatagram::send_to", "UnixDatagram::send_to_addr"],
        make: || sending(|s, path| s.send_to(&[1], path)),
        lacks: &[],
    },
    Row {
        functions: &["UnixDatagram::send_vectored_with_ancillary_to"],
        make: || {
            sending(|s, path| {
                let ancillary = &mut SocketAncillary::new(&mut []);
                s.send_vectored_with_ancillary_to(&[IoSlice::new(&[1])], ancillary, path)
            })
        },
        lacks: &[],
    },
];

fn reading(read: fn(&UnixStream) -> io::Result<usize>) -> Case {
    let (client, server) = UnixStream::pair().unwrap();
    let (client, server) = (Closable::new(client), Arc::new(server));
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

fn writing(write: fn(&UnixStream) -> io::Result<usize>) -> Case {
    let (client, server) = UnixStream::pair().unwrap();
    let (client, server) = (Closable::new(client), Arc::new(server));
    client.set_nonblocking(true).unwrap();
    for size in [65_536, 1] {
        while (&**client).write(&vec![0; size]).is_ok() {}
    }
    client.set_nonblocking(false).unwrap();
    let (inner, shut, closed) = (Arc::clone(&client), Arc::clone(&client), Arc::clone(&client));
    Case::new(move || write(&client).map(drop))
        .limited(move |limit| {
            inner.set_write_timeout(Some(limit)).unwrap();
            let over = is_over(write(&inner));
            inner.set_write_timeout(None).unwrap();
            over
        })
        .opened(move || {
            server.set_nonblocking(true).unwrap();
            while (&*server).read(&mut vec![0; 65_536]).is_ok_and(|count| count > 0) {}
            server.set_nonblocking(false).unwrap();
        })
        .ended("shut down", move || shut.shutdown(Shutdown::Both).unwrap(), "BrokenPipe")
        .ended("closed", move || closed.close(), "EBADF")
}

/// A listener whose queue is full; whoever accepts one makes room for one.
fn connecting() -> Case {
    use std::os::fd::AsRawFd;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("listener");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // SAFETY: listen(2) may be called again; it only makes the queue short.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let made = Mutex::new(Vec::new());
    let call = move || {
        let stream = UnixStream::connect(&path)?;
        made.lock().unwrap().push(stream);
        Ok(())
    };
    Case::new(call).released(move || drop(listener.accept().unwrap())).keep((first, directory))
}

fn accepting() -> Case {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("listener");
    let listener = Closable::new(UnixListener::bind(&path).unwrap());
    let closed = Arc::clone(&listener);
    let clients = Mutex::new(Vec::new());
    Case::new(move || listener.accept().map(drop))
        .released(move || {
            let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
            clients.lock().unwrap().push(client);
        })
        .ended("closed", move || closed.close(), "EBADF")
        .keep(directory)
}

fn receiving(receive: fn(&UnixDatagram) -> io::Result<usize>) -> Case {
    let (socket, sender) = UnixDatagram::pair().unwrap();
    let socket = Closable::new(socket);
    let (inner, shut, closed) = (Arc::clone(&socket), Arc::clone(&socket), Arc::clone(&socket));
    Case::new(move || some(receive(&socket)))
        .limited(move |limit| {
            inner.set_read_timeout(Some(limit)).unwrap();
            let over = is_over(receive(&inner));
            inner.set_read_timeout(None).unwrap();
            over
        })
        .released(move || _ = sender.send(&[1]))
        .ended("shut down", move || shut.shutdown(Shutdown::Read).unwrap(), "UnexpectedEof")
        .ended("closed", move || closed.close(), "EBADF")
}

/// A receiver whose queue is full; a receive makes room for one.
fn sending(send: fn(&UnixDatagram, &std::path::Path) -> io::Result<usize>) -> Case {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("receiver");
    let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send(&[0]).is_ok() {}
    sender.set_nonblocking(false).unwrap();
    let sender = Closable::new(sender);
    let (inner, closed, target) = (Arc::clone(&sender), Arc::clone(&sender), path.clone());
    Case::new(move || send(&sender, &path).map(drop))
        .limited(move |limit| {
            inner.set_write_timeout(Some(limit)).unwrap();
            let over = is_over(send(&inner, &target));
            inner.set_write_timeout(None).unwrap();
            over
        })
        .released(move || _ = receiver.recv(&mut [0]).unwrap())
        .ended("closed", move || closed.close(), "EBADF")
        .keep(directory)
}
