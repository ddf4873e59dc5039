//! What tests of servers have in common: an echo, and who asks for it.

use std::io;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

pub(crate) const ANY: &str = "127.0.0.1:0";
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Sends back what comes, until that ends.
pub(crate) fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n])?,
        }
    }
}

/// Sends a byte and waits for it to come back.
pub(crate) fn ping(mut stream: impl Read + Write) {
    stream.write_all(b"x").unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"x");
}
