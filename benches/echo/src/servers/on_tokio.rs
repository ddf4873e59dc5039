//! A task of tokio for each connection, on one thread unless it says otherwise.

use std::cell::RefCell;
use std::io;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use super::ADDR;
use super::BUFFER_BYTES;
use super::Served;
use super::announce;

pub(super) fn plain() -> Served {
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = announced().await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(echo(stream));
        }
    })
}

pub(super) fn waiting_first() -> Served {
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = announced().await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(echo_ready(stream));
        }
    })
}

pub(super) fn on_two_threads() -> Served {
    Builder::new_multi_thread().worker_threads(2).enable_io().build()?.block_on(async {
        // The thread that starts the runtime is none of its workers.
        let accepting: tokio::task::JoinHandle<Served> = tokio::spawn(async {
            let listener = announced().await?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(echo(stream));
            }
        });
        accepting.await?
    })
}

async fn announced() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(ADDR).await?;
    announce(listener.local_addr()?);
    Ok(listener)
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn echo_ready(mut stream: TcpStream) -> io::Result<()> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
    }
    loop {
        stream.readable().await?;
        let echoed: io::Result<_> = BUFFER.with_borrow_mut(|buffer| {
            let count = stream.try_read(buffer)?;
            let sent = match stream.try_write(&buffer[..count]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                sent => sent?,
            };
            // What did not fit has to be kept across a wait.
            Ok((count, buffer[sent..count].to_vec()))
        });
        match echoed {
            Ok((0, _)) => return Ok(()),
            Ok((_, rest)) if rest.is_empty() => {}
            Ok((_, rest)) => stream.write_all(&rest).await?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
