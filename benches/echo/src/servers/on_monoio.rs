//! A task of monoio for each connection, on io_uring or on epoll.

use std::io;

use monoio::IoUringDriver;
use monoio::LegacyDriver;
use monoio::RuntimeBuilder;
use monoio::io::AsyncReadRent;
use monoio::io::AsyncWriteRentExt;
use monoio::net::TcpListener;
use monoio::net::TcpStream;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;

/// So many operations fit into the ring: one for each connection, and more.
const RING_ENTRIES: u32 = 16 * 1024;

pub(super) fn on_the_ring() -> Served {
    let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES);
    builder.build()?.block_on(serve())
}

pub(super) fn on_epoll() -> Served {
    RuntimeBuilder::<LegacyDriver>::new().build()?.block_on(serve())
}

async fn serve() -> Served {
    let listener = TcpListener::bind(ADDR)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        monoio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (count, filled) = stream.read(buffer).await;
        if count? == 0 {
            return Ok(());
        }
        let (written, written_from) = stream.write_all(filled).await;
        written?;
        buffer = written_from;
        buffer.clear();
    }
}
