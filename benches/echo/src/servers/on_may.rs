//! A coroutine of may for each connection, with one worker.

use std::io;

use may::net::TcpListener;

use super::ADDR;
use super::Served;
use super::announce;
use super::echo;

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
