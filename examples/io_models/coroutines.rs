//! A coroutine for each connection: the server with threads, line by line, on one thread.
//!
//! Where a call would wait, others run; below, corovent waits for all of them with `epoll`.

use std::io;
use std::net::TcpListener as StdTcpListener;
use std::time::Duration;

use corovent::Builder;
use corovent::net::TcpListener;
use corovent::sleep;

use crate::tally;
use crate::upper::serve_stream;

pub(crate) fn serve(listener: StdTcpListener) -> io::Result<()> {
    let listener = TcpListener::from(listener);
    loop {
        let started = listener.accept().and_then(|(mut stream, _)| {
            tally::accepted();
            Builder::new().spawn(move || serve_stream(&mut stream))
        });
        // If no stack is to be had, the client is sent away; the others go on.
        if let Err(error) = started {
            eprintln!("io_models: cannot take in a client: {error}");
            sleep(Duration::from_millis(10));
        }
    }
}
