//! Writes to a peer that has gone, in a program where SIGPIPE ends the process: they fail.

use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::Write;
use std::os::fd::AsRawFd;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::os::unix::net::UnixDatagram;
use corovent::os::unix::net::UnixStream;

use crate::support::passes;
use crate::support::run;

/// What SIGPIPE does in a program that is not Rust's, and a library of Rust's in it.
fn let_sigpipe_kill() {
    // SAFETY: the default is a valid action.
    assert_ne!(unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) }, libc::SIG_ERR);
}

#[test]
fn a_write_to_nobody_is_an_error_in_every_way() {
    passes("broken_pipes::child_writes_to_nobody_in_every_way");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_writes_to_nobody_in_every_way() {
    run(|| {
        let_sigpipe_kill();
        let tcp = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            drop(listener.accept().unwrap());
            client
        };
        fails_in_every_way(tcp);
        fails_in_every_way(|| UnixStream::pair().unwrap().0);
        fails_in_every_way(|| corovent::io::pipe().unwrap().1);
        let (datagrams, other) = UnixDatagram::pair().unwrap();
        drop(other);
        let errors = [ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
        for _ in 0..2 {
            let error = datagrams.send(b"x").unwrap_err().kind();
            assert!(errors.contains(&error) || error == ErrorKind::NotConnected, "{error:?}");
        }
    });
}

/// Writes by one call, by several buffers, and by copies from a file, a pipe and a socket, which
/// the kernel does without a buffer.
fn fails_in_every_way<S: Write + std::os::fd::AsFd>(connect: impl Fn() -> S) {
    type Way<'a, S> = dyn Fn(&mut S) -> io::Result<()> + 'a;

    let file = || File::open(std::env::current_exe().unwrap()).unwrap();
    let ways: [&Way<'_, S>; 6] = [
        &|to| to.write_all(&[1; 1000]),
        &|to| to.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]).map(drop),
        &|to| corovent::io::copy(&mut file(), to).map(drop),
        &|to| {
            let (mut from, mut end) = corovent::io::pipe().unwrap();
            end.write_all(&[1; 1000]).unwrap();
            drop(end);
            corovent::io::copy(&mut from, to).map(drop)
        },
        &|to| {
            let (mut from, mut end) = UnixStream::pair().unwrap();
            end.write_all(&[1; 1000]).unwrap();
            drop(end);
            corovent::io::copy(&mut from, to).map(drop)
        },
        &|to| write!(to, "{}", 7),
    ];
    for (n, way) in ways.iter().enumerate() {
        let mut stream = connect();
        let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        // The first write may reach a peer that answers by a reset.
        let errors: Vec<_> = (0..20)
            .filter_map(|_| {
                corovent::sleep(std::time::Duration::from_micros(100));
                way(&mut stream).err()
            })
            .collect();
        assert!(!errors.is_empty(), "way {n}");
        assert!(errors.iter().all(|error| kinds.contains(&error.kind())), "way {n}: {errors:?}");
    }
}

#[test]
fn standard_streams_that_nobody_reads_do_not_kill() {
    passes("broken_pipes::child_prints_to_nobody");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_prints_to_nobody() {
    run(|| {
        let_sigpipe_kill();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        for number in [1, 2] {
            // SAFETY: the numbers are those of the standard streams, which are put back.
            let kept = unsafe { libc::dup(number) };
            // SAFETY: as above.
            assert_eq!(unsafe { libc::dup2(writer.as_raw_fd(), number) }, number);
            let written = if number == 1 {
                corovent::io::stdout().write_all(b"a line\n")
            } else {
                corovent::io::stderr().write_all(b"a line\n")
            };
            // SAFETY: as above.
            assert_eq!(unsafe { libc::dup2(kept, number) }, number);
            // SAFETY: it was made above.
            unsafe { libc::close(kept) };
            assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe, "{number}");
        }
    });
}
