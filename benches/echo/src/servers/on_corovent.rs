//! A coroutine for each connection.

use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::server::StreamServer;
use corovent::spawn;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;
use super::echo;

pub(super) fn plain() -> Served {
    accept_all(announced()?, echo)
}

/// On a listener that another thread may have as well.
pub(super) fn serve_plain(listener: std::net::TcpListener) -> Served {
    accept_all(listener.into(), echo)
}

/// As `examples/coroutine_echo` does it, with a few buffers for all.
pub(super) fn waiting_first() -> Served {
    let buffers = Buffers::default();
    accept_all(announced()?, move |stream| echo_ready(stream, &buffers.clone()))
}

/// With a `StreamServer` in place of the loop.
pub(super) fn by_server() -> Served {
    let server = StreamServer::bind(ADDR, |stream, _| echo(stream))?;
    announce(server.local_addr());
    server.serve_forever()?;
    Err(io::Error::other("the server has ended"))
}

fn announced() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    Ok(listener)
}

fn accept_all(
    listener: TcpListener,
    handle: impl FnOnce(TcpStream) -> io::Result<()> + Clone + 'static,
) -> Served {
    loop {
        let (stream, _) = listener.accept()?;
        let handle = handle.clone();
        spawn(move || handle(stream));
    }
}

/// Free buffers, for handlers that hold none while they wait.
type Buffers = Rc<RefCell<Vec<Box<[u8]>>>>;

fn echo_ready(mut stream: TcpStream, buffers: &Buffers) -> io::Result<()> {
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
