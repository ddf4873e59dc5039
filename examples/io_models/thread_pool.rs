//! A fixed number of threads, each the blocking server: they accept from one listener.
//!
//! What the clients can cost is bounded, and so is how many are served at once.

use std::io;
use std::net::TcpListener;
use std::thread::Builder;

use crate::blocking;

/// So many clients are served at once.
pub(crate) const THREADS: usize = 8;

pub(crate) fn serve(listener: TcpListener) -> io::Result<()> {
    // The first of them is this one.
    for _ in 1..THREADS {
        let listener = listener.try_clone()?;
        Builder::new().spawn(move || blocking::serve(listener))?;
    }
    blocking::serve(listener)
}
