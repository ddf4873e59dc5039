//! A thread for each connection: the blocking server, as often as there are clients.

use std::io;
use std::net::TcpListener;
use std::thread::Builder;

use crate::connection::pause;
use crate::tally;
use crate::upper::serve_stream;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let started = tally::call(|| listener.accept()).and_then(|(mut stream, _)| {
            tally::accepted();
            Builder::new().spawn(move || serve_stream(&mut stream))
        });
        // If no thread is to be had, the client is sent away.
        if let Err(error) = started {
            pause(&error);
        }
    }
}
