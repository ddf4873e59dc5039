//! Echo servers on other runtimes, each with one thread that serves.
//!
//! ```text
//! server tokio|tokio-ready|monoio|monoio-epoll|may|smol
//! ```
//!
//! It prints `listening on IP:PORT`, and serves until it is killed. Each is written as that
//! runtime's own examples are, with a buffer of 16 KiB for each connection; `tokio-ready`
//! waits first and uses one buffer for all, as `examples/coroutine_echo` does.

#[path = "../../../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::env;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use monoio::io::AsyncReadRent;
use monoio::io::AsyncWriteRentExt;
use smol::io::AsyncReadExt as _;
use smol::io::AsyncWriteExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::support::clients::raise_fd_limit;

const ADDR: &str = "127.0.0.1:0";
const BUFFER_BYTES: usize = 16 * 1024;
/// So many operations fit into monoio's ring: one for each connection, and more.
const RING_ENTRIES: u32 = 16 * 1024;

fn main() -> ExitCode {
    raise_fd_limit();
    let kind = env::args().nth(1).unwrap_or_default();
    let served = match kind.as_str() {
        "tokio" => on_tokio(false),
        "tokio-ready" => on_tokio(true),
        "monoio" => on_monoio_ring(),
        "monoio-epoll" => on_monoio_epoll(),
        "may" => on_may(),
        "smol" => on_smol(),
        _ => {
            eprintln!("server: no server is called '{kind}'");
            return ExitCode::FAILURE;
        }
    };
    // It serves for ever, or says why it does not.
    let Err(error) = served;
    eprintln!("server {kind}: {error}");
    ExitCode::FAILURE
}

/// Serving has no end but an error.
type Served = io::Result<std::convert::Infallible>;

fn announce(addr: SocketAddr) {
    println!("listening on {addr}");
    io::stdout().flush().expect("the parent reads it");
}

fn on_tokio(ready: bool) -> Served {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(ADDR).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            if ready {
                tokio::spawn(tokio_ready(stream));
            } else {
                tokio::spawn(tokio_plain(stream));
            }
        }
    })
}

async fn tokio_plain(mut stream: tokio::net::TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn tokio_ready(mut stream: tokio::net::TcpStream) -> io::Result<()> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
    }
    loop {
        stream.readable().await?;
        let echoed: io::Result<_> = BUFFER.with_borrow_mut(|buffer| {
            let count = stream.try_read(buffer)?;
            let sent = match stream.try_write(&buffer[..count]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                sent => sent?,
            };
            // What did not fit has to be kept across a wait.
            Ok((count, buffer[sent..count].to_vec()))
        });
        match echoed {
            Ok((0, _)) => return Ok(()),
            Ok((_, rest)) if rest.is_empty() => {}
            Ok((_, rest)) => stream.write_all(&rest).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn on_monoio_ring() -> Served {
    let builder = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new();
    builder.with_entries(RING_ENTRIES).build()?.block_on(serve_monoio())
}

fn on_monoio_epoll() -> Served {
    monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().build()?.block_on(serve_monoio())
}

async fn serve_monoio() -> Served {
    let listener = monoio::net::TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        monoio::spawn(monoio_plain(stream));
    }
}

async fn monoio_plain(mut stream: monoio::net::TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (count, filled) = stream.read(buffer).await;
        if count? == 0 {
            return Ok(());
        }
        let (written, written_from) = stream.write_all(filled).await;
        written?;
        buffer = written_from;
        buffer.clear();
    }
}

fn on_may() -> Served {
    may::config().set_workers(1).set_worker_pin(false);
    let accepting = || -> Served {
        let listener = may::net::TcpListener::bind(ADDR)?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept()?;
            may::go!(move || may_plain(stream));
        }
    };
    may::go!(accepting).join().expect("nothing panics here")
}

fn may_plain(mut stream: may::net::TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

fn on_smol() -> Served {
    // Everything on this thread, as in the others; `smol::spawn` would need a second.
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let listener = smol::net::TcpListener::bind(ADDR).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            executor.spawn(smol_plain(stream)).detach();
        }
    }))
}

async fn smol_plain(mut stream: smol::net::TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
