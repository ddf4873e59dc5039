//! An OS thread for each connection.

use std::net::TcpListener;
use std::thread;

use super::ADDR;
use super::Served;
use super::announce;
use super::echo;

pub(super) fn plain() -> Served {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        thread::Builder::new().spawn(|| echo(stream))?;
    }
}
