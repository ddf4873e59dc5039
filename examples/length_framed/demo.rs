//! What goes wrong without frames: messages stick together.

use std::io::Read;
use std::io::Result;
use std::io::Write;

use corovent::net::TcpListener;
use corovent::net::TcpStream;

use crate::frame::copy_payload;
use crate::frame::read_header;
use crate::frame::write_header;

const MESSAGES: [&str; 3] = ["one", "and two", "and three"];

/// Sends the same messages twice, over a connection to itself.
pub(crate) fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    sender.set_nodelay(true)?;

    println!("sent in {} pieces, without frames:", MESSAGES.len());
    for message in MESSAGES {
        sender.write_all(message.as_bytes())?;
    }
    let mut buf = [0; 64];
    let mut left = MESSAGES.concat().len();
    while left > 0 {
        let count = receiver.read(&mut buf)?;
        println!("  received {:?}", String::from_utf8_lossy(&buf[..count]));
        left -= count;
    }

    println!("the same in frames, whose header is the size alone:");
    for message in MESSAGES {
        write_header(&mut sender, &message.len())?;
        sender.write_all(message.as_bytes())?;
    }
    drop(sender);
    while let Some(size) = read_header::<u64>(&mut receiver)? {
        let mut message = Vec::new();
        copy_payload(&mut receiver, &mut message, size)?;
        println!("  received {:?}", String::from_utf8_lossy(&message));
    }
    Ok(())
}
