//! The echo servers that the peers are measured against, each a process of its own.

// The raw loop is written with the kernel's own calls.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::RawFd;
use std::rc::Rc;

use corovent::net::TcpStream;

use crate::epoll;
use crate::support::clients::raise_fd_limit;

const BUFFER_BYTES: usize = 16 * 1024;

/// Tells the parent where the server listens.
type Announce = fn(SocketAddr);

pub(crate) fn serve(kind: &str) {
    raise_fd_limit();
    let announce: Announce = |addr: SocketAddr| {
        println!("listening on {addr}");
        io::stdout().flush().unwrap();
    };
    match kind {
        "raw" => serve_raw(announce),
        "corovent" => serve_corovent(announce, wait_first),
        "plain" => serve_corovent(announce, plain),
        "server" => serve_by_server(announce),
        "threads" => serve_threads(announce),
        other => panic!("no server is called {other}"),
    }
}

/// The best that can be written by hand: one buffer, edge-triggered, two calls a request.
fn serve_raw(announce: Announce) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    announce(listener.local_addr().unwrap());
    let epoll = epoll::create();
    let listener_fd = listener.as_raw_fd();
    epoll::add(epoll.as_raw_fd(), listener_fd, listener_fd as u64);
    let mut buffer = vec![0u8; BUFFER_BYTES];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    loop {
        let count = epoll::wait(epoll.as_raw_fd(), &mut events);
        for event in &events[..count] {
            let fd = event.u64 as RawFd;
            if fd == listener_fd {
                accept_all(&listener, epoll.as_raw_fd());
            } else {
                echo_raw(fd, &mut buffer);
            }
        }
    }
}

fn accept_all(listener: &std::net::TcpListener, epoll: RawFd) {
    while let Ok((stream, _)) = listener.accept() {
        let fd = stream.into_raw_fd();
        epoll::add(epoll, fd, fd as u64);
    }
}

fn echo_raw(fd: RawFd, buffer: &mut [u8]) {
    let room = buffer.len();
    loop {
        // SAFETY: `buffer` is writable for its length.
        let got = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), room, libc::MSG_DONTWAIT) };
        if got <= 0 {
            if got == 0 || io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock {
                // SAFETY: this loop owns the connection.
                unsafe { libc::close(fd) };
            }
            return;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `got` bytes of the buffer were just written.
        let sent = unsafe { libc::send(fd, buffer.as_ptr().cast(), got as usize, flags) };
        assert_eq!(sent, got, "a short message fits into the socket");
        // A short read has emptied the socket: the next edge tells of more.
        if (got as usize) < room {
            return;
        }
    }
}

/// Free buffers, for handlers that hold none while they wait.
type Buffers = Rc<RefCell<Vec<Box<[u8]>>>>;

fn serve_corovent(announce: Announce, handler: fn(TcpStream, Buffers) -> io::Result<()>) {
    let listener = corovent::net::TcpListener::bind("127.0.0.1:0").unwrap();
    announce(listener.local_addr().unwrap());
    let buffers = Buffers::default();
    loop {
        let (stream, _) = listener.accept().unwrap();
        let buffers = Rc::clone(&buffers);
        corovent::spawn(move || handler(stream, buffers));
    }
}

/// The same with a `StreamServer` in place of the loop.
fn serve_by_server(announce: Announce) {
    let buffers = Buffers::default();
    let handler = move |stream, _| plain(stream, Rc::clone(&buffers));
    let server = corovent::server::StreamServer::bind("127.0.0.1:0", handler).unwrap();
    announce(server.local_addr());
    server.serve_forever().unwrap();
}

/// The handler of `examples/coroutine_echo`, without its bookkeeping.
fn wait_first(mut stream: TcpStream, buffers: Buffers) -> io::Result<()> {
    loop {
        stream.wait_readable()?;
        let free = buffers.borrow_mut().pop();
        let mut buffer = free.unwrap_or_else(|| vec![0; BUFFER_BYTES].into());
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
        buffers.borrow_mut().push(buffer);
    }
}

/// The handler that one writes first, with a buffer of its own.
fn plain(mut stream: TcpStream, _: Buffers) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

fn serve_threads(announce: Announce) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    announce(listener.local_addr().unwrap());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let builder = std::thread::Builder::new().stack_size(64 * 1024);
        let spawned = builder.spawn(move || -> io::Result<()> {
            let mut buffer = [0; BUFFER_BYTES];
            loop {
                let count = stream.read(&mut buffer)?;
                if count == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..count])?;
            }
        });
        spawned.unwrap();
    }
}
