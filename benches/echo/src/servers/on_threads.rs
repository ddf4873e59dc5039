//! An OS thread for each connection.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;

pub(super) fn plain() -> Served {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        thread::Builder::new().spawn(|| echo(stream))?;
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
