//! Non-blocking calls and no way to wait: the server asks everybody, over and over.

use std::io;
use std::iter;
use std::net::TcpListener;

use crate::connection::Connection;
use crate::connection::Outcome;
use crate::connection::accept;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut connections: Vec<Connection> = Vec::new();
    // The loop never sleeps: that is the model. A short sleep would save the processor, and
    // make every answer late.
    loop {
        connections.extend(iter::from_fn(|| accept(&listener)));
        connections.retain(|connection| connection.serve() != Outcome::Closed);
    }
}
