//! A byte there and one back between two that wait for a pair of sockets: as the runtime's own
//! streams, and as descriptors that it only watches.

// tokio has the word that a descriptor stays open.
#![allow(unsafe_code)]

use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

use smol::io::AsyncReadExt as _;
use smol::io::AsyncWriteExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_smol;
use crate::peers::on_tokio;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("readiness", "stream", 50_000, 200)
            .who("corovent", corovent_streams)
            .who("tokio", tokio_streams)
            .who("smol", smol_streams)
            .who("may", may_streams)
            .who("threads", thread_streams),
        Case::new("readiness", "foreign descriptor", 30_000, 200)
            .who("corovent", corovent_foreign)
            .who("tokio", tokio_foreign)
            .who("smol", smol_foreign),
    ]
}

/// Sends a byte and waits for the answer, or the other way round.
fn play(mut stream: impl Read + Write, own: usize, count: usize) -> io::Result<()> {
    let mut byte = [7];
    for _ in 0..count {
        if own == 0 {
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
        } else {
            stream.read_exact(&mut byte)?;
            stream.write_all(&byte)?;
        }
    }
    Ok(())
}

/// The same, awaiting. A macro, as the traits of the two libraries have the same names.
macro_rules! play_async {
    ($stream:expr, $own:expr, $count:expr) => {{
        let mut stream = $stream;
        let mut byte = [7];
        for _ in 0..$count {
            if $own == 0 {
                stream.write_all(&byte).await.expect("the other end is there");
                stream.read_exact(&mut byte).await.expect("the other end is there");
            } else {
                stream.read_exact(&mut byte).await.expect("the other end is there");
                stream.write_all(&byte).await.expect("the other end is there");
            }
        }
    }};
}

fn corovent_streams(count: usize) -> f64 {
    let (first, second) = corovent::os::unix::net::UnixStream::pair().expect("there are two fds");
    let players = [
        corovent::spawn(move || play(first, 0, count)),
        corovent::spawn(move || play(second, 1, count)),
    ];
    ns_each(count, || {
        for player in players {
            player.join().expect("it does not panic").expect("the other end is there");
        }
    })
}

fn tokio_streams(count: usize) -> f64 {
    on_tokio(async {
        let (first, second) = tokio::net::UnixStream::pair().expect("there are two fds");
        let players = [
            tokio::spawn(async move { play_async!(first, 0, count) }),
            tokio::spawn(async move { play_async!(second, 1, count) }),
        ];
        let start = Instant::now();
        for player in players {
            player.await.expect("it does not panic");
        }
        ns_since(start, count)
    })
}

fn smol_streams(count: usize) -> f64 {
    on_smol(async |executor| {
        let (first, second) = smol::net::unix::UnixStream::pair().expect("there are two fds");
        let players = [
            executor.spawn(async move { play_async!(first, 0, count) }),
            executor.spawn(async move { play_async!(second, 1, count) }),
        ];
        let start = Instant::now();
        for player in players {
            player.await;
        }
        ns_since(start, count)
    })
}

fn may_streams(count: usize) -> f64 {
    on_may(move || {
        let (first, second) = may::os::unix::net::UnixStream::pair().expect("there are two fds");
        let players =
            [may::go!(move || play(first, 0, count)), may::go!(move || play(second, 1, count))];
        ns_each(count, || {
            for player in players {
                player.join().expect("it does not panic").expect("the other end is there");
            }
        })
    })
}

fn thread_streams(count: usize) -> f64 {
    let (first, second) = UnixStream::pair().expect("there are two fds");
    let players = [
        thread::spawn(move || play(first, 0, count)),
        thread::spawn(move || play(second, 1, count)),
    ];
    ns_each(count, || {
        for player in players {
            player.join().expect("it does not panic").expect("the other end is there");
        }
    })
}

fn corovent_foreign(count: usize) -> f64 {
    struct Waiting(UnixStream);

    impl Read for Waiting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            corovent::io::wait_readable(&self.0, None)?;
            self.0.read(buffer)
        }
    }

    impl Write for Waiting {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.write(buffer)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let (first, second) = UnixStream::pair().expect("there are two fds");
    let players = [
        corovent::spawn(move || play(Waiting(first), 0, count)),
        corovent::spawn(move || play(Waiting(second), 1, count)),
    ];
    ns_each(count, || {
        for player in players {
            player.join().expect("it does not panic").expect("the other end is there");
        }
    })
}

fn tokio_foreign(count: usize) -> f64 {
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    async fn play(stream: UnixStream, own: usize, count: usize) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        // SAFETY: the stream owns its descriptor, and is not given another.
        let fd = unsafe { AsyncFd::register_with_interest(stream, Interest::READABLE) }?;
        let read = async || fd.async_io(Interest::READABLE, |mut fd| fd.read(&mut [0])).await;
        for _ in 0..count {
            if own == 0 {
                fd.get_ref().write_all(&[7])?;
                read().await?;
            } else {
                read().await?;
                fd.get_ref().write_all(&[7])?;
            }
        }
        Ok(())
    }

    on_tokio(async {
        let (first, second) = UnixStream::pair().expect("there are two fds");
        let players = [tokio::spawn(play(first, 0, count)), tokio::spawn(play(second, 1, count))];
        let start = Instant::now();
        for player in players {
            player.await.expect("it does not panic").expect("the other end is there");
        }
        ns_since(start, count)
    })
}

fn smol_foreign(count: usize) -> f64 {
    async fn play(stream: UnixStream, own: usize, count: usize) -> io::Result<()> {
        let fd = smol::Async::new(stream)?;
        let read = async || fd.read_with(|mut fd| fd.read(&mut [0])).await;
        for _ in 0..count {
            if own == 0 {
                fd.get_ref().write_all(&[7])?;
                read().await?;
            } else {
                read().await?;
                fd.get_ref().write_all(&[7])?;
            }
        }
        Ok(())
    }

    on_smol(async |executor| {
        let (first, second) = UnixStream::pair().expect("there are two fds");
        let players =
            [executor.spawn(play(first, 0, count)), executor.spawn(play(second, 1, count))];
        let start = Instant::now();
        for player in players {
            player.await.expect("the other end is there");
        }
        ns_since(start, count)
    })
}
