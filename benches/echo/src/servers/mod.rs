//! The echo servers, each of which is a process of its own, with one thread that serves.
//!
//! Each is written as that runtime's own examples are, with a buffer of 16 KiB for each connection.
//! Those that *wait first* take a buffer only when there is something to read.

mod on_corovent;
mod on_may;
mod on_monoio;
mod on_smol;
mod on_threads;
mod on_tokio;
mod raw;

use std::convert::Infallible;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;

use rustix::net::AddressFamily;
use rustix::net::SocketType;
use rustix::net::sockopt;
use support::clients::raise_fd_limit;

const ADDR: &str = "127.0.0.1:0";
const BUFFER_BYTES: usize = 16 * 1024;
/// How many connections may wait for being accepted, as std's listeners and most others have it.
const BACKLOG: i32 = 4096;

/// Serving has no end but an error.
type Served = io::Result<Infallible>;

pub(crate) fn serve(kind: &str) -> io::Result<()> {
    raise_fd_limit();
    let Err(error) = match kind {
        "raw" => raw::edge_triggered(),
        "raw-level" => raw::level_triggered(),
        "raw-64" => raw::few_at_a_time(),
        "raw-2" => on_two_threads(raw::serve_edges),
        "corovent" => on_corovent::waiting_first(),
        "corovent-plain" => on_corovent::plain(),
        "corovent-server" => on_corovent::by_server(),
        "corovent-2" => on_two_threads(on_corovent::serve_plain),
        "tokio" => on_tokio::plain(),
        "tokio-ready" => on_tokio::waiting_first(),
        "tokio-2" => on_tokio::on_two_threads(),
        "monoio" => on_monoio::on_the_ring(),
        "monoio-epoll" => on_monoio::on_epoll(),
        "may" => on_may::plain(),
        "smol" => on_smol::plain(),
        "threads" => on_threads::plain(),
        _ => Err(io::Error::other(format!("no server is called '{kind}'"))),
    };
    Err(error)
}

/// Serves a connection of those whose streams are std's kind, in a coroutine or a thread.
fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

/// Tells the parent where the server listens.
fn announce(addr: SocketAddr) {
    println!("listening on {addr}");
    io::stdout().flush().expect("the parent reads it");
}

/// Has two threads serve one address, between which the kernel divides the connections.
fn on_two_threads(serve: fn(TcpListener) -> Served) -> Served {
    let first = listener_of_many(ADDR.parse().map_err(io::Error::other)?)?;
    let addr = first.local_addr()?;
    let second = listener_of_many(addr)?;
    announce(addr);
    std::thread::spawn(move || serve(second));
    serve(first)
}

/// Binds a listener to an address that others may have as well.
fn listener_of_many(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &addr)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}
