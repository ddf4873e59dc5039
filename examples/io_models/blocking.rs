//! Blocking: one client at a time, to its end. The simplest server there is.

use std::io;
use std::net::TcpListener;

use crate::connection::pause;
use crate::tally;
use crate::upper::serve_stream;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        match tally::call(|| listener.accept()) {
            Ok((mut stream, _)) => {
                tally::accepted();
                // Everybody else waits here, in the listener's queue. A connection that
                // breaks is the client's business.
                let _ = serve_stream(&mut stream);
            }
            Err(error) => pause(&error),
        }
    }
}
