//! A coroutine of may for each connection, with one worker.

use std::io;
use std::io::Read;
use std::io::Write;

use may::net::TcpListener;
use may::net::TcpStream;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;

pub(super) fn plain() -> Served {
    may::config().set_workers(1).set_worker_pin(false);
    may::go!(serve).join().unwrap_or_else(|_| Err(io::Error::other("the server has panicked")))
}

fn serve() -> Served {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        may::go!(move || echo(stream));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}
