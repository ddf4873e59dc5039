//! Servers.

use std::io;
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::UdpSocket;
use corovent::server::DatagramServer;
use corovent::server::Handle;
use corovent::server::StreamServer;

use crate::case::Case;
use crate::case::Row;

pub(crate) const ROWS: &[Row] = &[
    Row {
        functions: &["Handle::stop"],
        make: stop,
        lacks: &[("alone", "the server is on another thread, which may hold their lock")],
    },
    Row {
        functions: &["StreamServer::serve_forever"],
        make: serve_forever,
        lacks: &[("behind", "each has a server of its own")],
    },
    Row { functions: &["StreamServer::handle_request"], make: handle_request, lacks: &[] },
    Row {
        functions: &["DatagramServer::serve_forever"],
        make: serve_datagrams,
        lacks: &[("behind", "each has a server of its own")],
    },
    Row { functions: &["DatagramServer::handle_request"], make: handle_datagram, lacks: &[] },
];

const LONG: Duration = Duration::from_secs(3600);

/// A server on a thread of its own, whose one handler waits for the end of its client.
struct Elsewhere {
    client: Mutex<Option<TcpStream>>,
    thread: Option<os::JoinHandle<()>>,
}

impl Elsewhere {
    fn start() -> (Elsewhere, Handle) {
        let (sender, receiver) = mpsc::channel();
        let thread = os::spawn(move || {
            corovent::run(|| {
                let handler = |mut stream: corovent::net::TcpStream, _| stream.read(&mut [0]);
                let server = StreamServer::bind("127.0.0.1:0", handler).unwrap();
                sender.send((server.handle(), server.local_addr())).unwrap();
                server.serve_forever().unwrap();
            });
        });
        let (handle, addr) = receiver.recv().unwrap();
        let client = Mutex::new(Some(TcpStream::connect(addr).unwrap()));
        while handle.stats().active == 0 {
            os::yield_now();
        }
        (Elsewhere { client, thread: Some(thread) }, handle)
    }

    fn release(&self) {
        drop(self.client.lock().unwrap().take());
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.release();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn stop() -> Case {
    let (server, handle) = Elsewhere::start();
    let server = Arc::new(server);
    let inner = Arc::clone(&server);
    let last = handle.clone();
    Case::infallible(move || {
        assert!(handle.stop(LONG).is_clean());
    })
    .opened(move || inner.release())
    .keep(StopAtEnd(last))
    .keep(server)
}

/// A server that nobody has stopped.
struct StopAtEnd(Handle);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.request_stop(Duration::ZERO);
    }
}

fn serve_forever() -> Case {
    serving(|note| {
        let server = StreamServer::bind("127.0.0.1:0", |_, _| ())?;
        note(server.handle());
        server.serve_forever()
    })
}

fn serve_datagrams() -> Case {
    serving(|note| {
        let server = DatagramServer::bind("127.0.0.1:0", |_, _, _| ())?;
        note(server.handle());
        server.serve_forever()
    })
}

/// A call that makes a server, notes its handle and serves.
fn serving(serve: fn(&dyn Fn(Handle)) -> io::Result<()>) -> Case {
    let handles = Arc::new(Mutex::new(Vec::<Handle>::new()));
    let inner = Arc::clone(&handles);
    Case::waiting(move || serve(&|handle| inner.lock().unwrap().push(handle)))
        .released(move || {
            // The last one: those before it were killed, or are on a hub that has ended.
            let handle = loop {
                match handles.lock().unwrap().pop() {
                    Some(handle) => break handle,
                    None => os::yield_now(),
                }
            };
            handle.request_stop(Duration::ZERO);
        })
        .personal()
        .stepwise()
}

fn handle_request() -> Case {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let clients = Mutex::new(Vec::new());
    let handle = move || -> io::Result<()> {
        let listener = listener.try_clone()?;
        StreamServer::builder().listener(listener, |_, _| ())?.handle_request()
    };
    Case::new(handle)
        .released(move || clients.lock().unwrap().push(TcpStream::connect(addr).unwrap()))
}

fn handle_datagram() -> Case {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let handle = move || -> io::Result<()> {
        let socket = socket.try_clone()?;
        DatagramServer::builder().socket(socket, |_, _, _| ())?.handle_request()
    };
    Case::new(handle).released(move || _ = client.send_to(&[1], addr).unwrap())
}
