//! The service: what comes in goes back in upper case, byte by byte, in pieces of any size.
//!
//! [`serve_stream`] is how code that blocks writes it: the models with one thread or one
//! coroutine for each client differ in nothing but in who calls it.

use std::io;
use std::io::Read;
use std::io::Write;

use crate::tally;

/// How much is read at once.
pub(crate) const BUFFER_BYTES: usize = 4096;

/// Answers until the client has nothing more to say.
pub(crate) fn serve_stream(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let count = tally::call(|| stream.read(&mut buffer))?;
        if count == 0 {
            return Ok(());
        }
        let answer = &mut buffer[..count];
        answer.make_ascii_uppercase();
        tally::call(|| stream.write_all(answer))?;
        tally::served_bytes(count);
    }
}
