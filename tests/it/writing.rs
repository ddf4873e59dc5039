//! Writing: all or a part of it, and a reader that is slow or gone.

use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

use corovent::net::Shutdown;
use corovent::sleep;
use corovent::spawn;
use corovent::yield_now;

use crate::support::child;
use crate::support::run;
use crate::tcp::pair;

const SHORT: Duration = Duration::from_millis(3);

#[test]
fn a_write_that_times_out_fails_as_in_std() {
    run(|| {
        let (mut client, _server) = pair();
        client.set_write_timeout(Some(SHORT)).unwrap();
        let chunk = vec![0; 1 << 20];
        let error = loop {
            match client.write(&chunk) {
                Ok(count) => assert!(count > 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_big_write_meets_a_slow_reader() {
    const TOTAL: usize = if cfg!(debug_assertions) { 5_000_000 } else { 50_000_000 };

    run(|| {
        let (mut client, mut server) = pair();
        let writer = spawn(move || {
            let data: Vec<u8> = (0..TOTAL).map(|n| (n % 251) as u8).collect();
            client.write_all(&data).unwrap();
        });
        let mut buffer = [0; 4096];
        let mut seen = 0;
        loop {
            let count = server.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            assert!(buffer[..count].iter().zip(seen..).all(|(byte, n)| *byte == (n % 251) as u8));
            seen += count;
        }
        assert_eq!(seen, TOTAL);
        writer.join().unwrap();
    });
}

#[test]
fn writing_to_a_peer_that_has_gone_fails() {
    run(|| {
        let (mut client, server) = pair();
        server.shutdown(Shutdown::Both).unwrap();
        drop(server);
        let chunk = vec![0; 1 << 20];
        let error = loop {
            match client.write_all(&chunk) {
                Ok(()) => yield_now(),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );

        // In the middle of a big write, while the writer waits.
        let (mut client, server) = pair();
        let writer = spawn(move || client.write_all(&vec![0; 64 << 20]));
        yield_now();
        sleep(SHORT);
        drop(server);
        let error = writer.join().unwrap().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );
    });
}

#[test]
fn empty_buffers_neither_wait_nor_move() {
    run(|| {
        let (mut client, mut server) = pair();
        assert_eq!(client.write(&[]).unwrap(), 0);
        client.write_all(&[]).unwrap();
        // As in std: recv(2) with no room answers at once where nothing is pending.
        client.write_all(b"x").unwrap();
        server.wait_readable().unwrap();
        assert_eq!(server.read(&mut []).unwrap(), 0);
        assert_eq!(server.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(server.write_vectored(&[]).unwrap(), 0);
    });
}

#[test]
fn vectored_calls_move_the_bytes_of_all_buffers() {
    run(|| {
        let (mut client, mut server) = pair();
        let parts: Vec<String> = (0..2000).map(|n| format!("{n};")).collect();
        let whole = parts.concat();
        let writer = spawn(move || {
            let mut left: Vec<IoSlice<'_>> =
                parts.iter().map(|part| IoSlice::new(part.as_bytes())).collect();
            let mut left = &mut left[..];
            while !left.is_empty() {
                let count = client.write_vectored(left).unwrap();
                IoSlice::advance_slices(&mut left, count);
            }
        });
        let mut got = Vec::new();
        loop {
            let (mut first, mut second) = ([0; 3], [0; 100]);
            let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let count = server.read_vectored(&mut buffers).unwrap();
            if count == 0 {
                break;
            }
            got.extend(first.iter().chain(&second).take(count));
        }
        assert_eq!(String::from_utf8(got).unwrap(), whole);
        writer.join().unwrap();
    });
}

/// SIGPIPE kills processes that did not ask Rust's runtime to ignore it.
#[test]
fn sigpipe_never_kills() {
    let output = child("writing::child_writes_to_a_closed_peer_with_sigpipe");
    assert!(output.status.success(), "{:?}", output.status);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_writes_to_a_closed_peer_with_sigpipe() {
    // SAFETY: the default action needs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|| {
        let (mut client, server) = pair();
        drop(server);
        let chunk = vec![0; 1 << 16];
        let plain = std::iter::from_fn(|| Some(client.write(&chunk))).find_map(Result::err);
        assert!(plain.is_some());
        let vectored = client.write_vectored(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]);
        assert_eq!(vectored.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}
