//! Writing: all or a part of it, and a reader that is slow or gone.

use std::cell::Cell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use corovent::Killed;
use corovent::net::Shutdown;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::child;
use crate::support::fill;
use crate::support::is_writable;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::reset_on_close;

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

/// More than the buffers of both ends hold.
const MUCH: usize = 251 * 80_000;

/// Reads to the end, and gives how much that was.
fn drain(stream: TcpStream) -> usize {
    io::copy(&mut &stream, &mut io::sink()).unwrap() as usize
}

/// What one call of a writer came to, with all that the peer got. The peer reads only after
/// `event`, which ends the call.
fn write_much(
    write: impl FnOnce(&TcpStream) -> io::Result<usize> + 'static,
    event: impl FnOnce(&TcpStream),
) -> (io::Result<usize>, usize) {
    let (ours, theirs) = pair();
    let ours = Rc::new(ours);
    let writer = spawn({
        let ours = Rc::clone(&ours);
        move || write(&ours)
    });
    until_full(&ours);
    event(&ours);
    let result = writer.join().unwrap();
    let _ = ours.shutdown(Shutdown::Write);
    (result, drain(theirs))
}

/// Lets the others run until a writer has filled the socket.
fn until_full(stream: &TcpStream) {
    while is_writable(stream) {
        yield_now();
    }
    // The kernel may move what is sent to the peer's buffer later, and make room again.
    sleep(SHORT);
}

/// As the kernel does for std: nothing is left to the caller.
#[test]
fn one_write_writes_all() {
    type OneWrite = fn(&TcpStream, &[u8]) -> io::Result<usize>;
    const VECTORED: OneWrite = |mut stream, data| {
        // An empty buffer, a small one, and two of which one ends somewhere in the middle.
        let (first, rest) = data.split_at(1000);
        let (second, third) = rest.split_at(rest.len() / 3);
        stream.write_vectored(&[&[], first, second, third].map(IoSlice::new))
    };
    run(|| {
        let writes: [OneWrite; 2] = [|mut stream, data| stream.write(data), VECTORED];
        for write in writes {
            for foreign in [false, true] {
                let (mut ours, mut theirs) = pair();
                if foreign {
                    ours = TcpStream::from(std::net::TcpStream::from(ours));
                }
                let writer = spawn(move || {
                    let data = (0..251).collect::<Vec<u8>>().repeat(MUCH / 251);
                    (write(&ours, &data).unwrap(), data)
                });
                let mut got = Vec::new();
                theirs.read_to_end(&mut got).unwrap();
                let (written, data) = writer.join().unwrap();
                assert_eq!((written, got.len()), (MUCH, MUCH));
                assert!(got == data);
            }
        }
    });
}

#[test]
fn a_write_whose_time_is_up_tells_of_its_part() {
    run(|| {
        let (ours, theirs) = pair();
        ours.set_write_timeout(Some(SHORT)).unwrap();
        let mut written = (&ours).write(&vec![0; MUCH]).unwrap();
        assert!((1..MUCH).contains(&written));
        // Without a part the timeout is seen.
        let error = loop {
            match (&ours).write(&vec![0; MUCH]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(ours);
        assert_eq!(drain(theirs), written);
    });
}

/// `write_all` goes on after a part, and what the peer gets is a beginning of the whole.
#[test]
fn a_write_all_that_is_ended_has_written_a_beginning() {
    type End = fn(&TcpStream) -> bool;
    const TIMES_OUT: End = |mut stream| {
        stream.set_write_timeout(Some(SHORT)).unwrap();
        let result = stream.write_all(&numbered());
        result.unwrap_err().kind() == ErrorKind::WouldBlock
    };
    const IS_TIMED_OUT: End =
        |mut stream| timeout(SHORT, || stream.write_all(&numbered())).is_err();
    const MAY_NOT_WAIT: End = |mut stream| {
        stream.set_nonblocking(true).unwrap();
        let result = stream.write_all(&numbered());
        result.unwrap_err().kind() == ErrorKind::WouldBlock
    };
    fn numbered() -> Vec<u8> {
        (0..251).collect::<Vec<u8>>().repeat(MUCH / 251)
    }
    run(|| {
        for end in [TIMES_OUT, IS_TIMED_OUT, MAY_NOT_WAIT] {
            let (ours, mut theirs) = pair();
            assert!(end(&ours));
            drop(ours);
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).unwrap();
            assert!(!got.is_empty() && got.len() < MUCH);
            assert!(numbered().starts_with(&got));
        }
        // A kill.
        let (ours, mut theirs) = pair();
        let ours = Rc::new(ours);
        let writer = spawn({
            let ours = Rc::clone(&ours);
            move || (&*ours).write_all(&numbered())
        });
        until_full(&ours);
        assert!(writer.kill());
        assert!(writer.join().unwrap_err().is::<Killed>());
        drop(ours);
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        assert!(!got.is_empty() && got.len() < MUCH && numbered().starts_with(&got));
    });
}

#[test]
fn a_timeout_around_a_write_that_did_a_part_is_late() {
    run(|| {
        let write =
            |mut stream: &TcpStream| timeout(SHORT, || stream.write(&vec![0; MUCH])).unwrap();
        let (result, got) = write_much(write, |_| ());
        assert_eq!(result.unwrap(), got);
        assert!((1..MUCH).contains(&got));
    });
}

#[test]
fn a_kill_comes_after_the_part_that_was_written() {
    run(|| {
        let (mut ours, theirs) = pair();
        let written = Rc::new(Cell::new(0));
        let writer = spawn({
            let written = Rc::clone(&written);
            let other = ours.try_clone().unwrap();
            move || {
                loop {
                    let count = (&other).write(&vec![0; MUCH]).unwrap();
                    written.set(written.get() + count);
                }
            }
        });
        until_full(&ours);
        assert!(writer.kill());
        assert!(writer.join().unwrap_err().is::<Killed>());
        assert!((1..MUCH).contains(&written.get()));
        ours.flush().unwrap();
        drop(ours);
        assert_eq!(drain(theirs), written.get(), "nothing is written that nobody knows of");
    });
}

#[test]
fn a_write_that_is_shut_down_tells_of_its_part() {
    run(|| {
        let write = |mut stream: &TcpStream| {
            let part = stream.write(&vec![0; MUCH]);
            let error = stream.write(&[0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            part
        };
        let (result, got) = write_much(write, |stream| stream.shutdown(Shutdown::Write).unwrap());
        assert_eq!(result.unwrap(), got);
        assert!((1..MUCH).contains(&got));
    });
}

#[test]
fn a_write_whose_peer_goes_tells_of_its_part() {
    run(|| {
        let (ours, theirs) = pair();
        let ours = Rc::new(ours);
        let writer = spawn({
            let ours = Rc::clone(&ours);
            move || {
                let part = (&*ours).write(&vec![0; MUCH]).unwrap();
                (part, (&*ours).write(&[0]).unwrap_err().kind())
            }
        });
        until_full(&ours);
        reset_on_close(&theirs);
        drop(theirs);
        let (part, kind) = writer.join().unwrap();
        assert!((1..MUCH).contains(&part));
        assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");
    });
}

#[test]
fn an_empty_write_does_not_wait() {
    run(|| {
        let (ours, _theirs) = pair();
        fill(&ours);
        // Full, and somebody waits for room.
        let ours = Rc::new(ours);
        let writer = spawn({
            let ours = Rc::clone(&ours);
            move || (&*ours).write(&[1])
        });
        sleep(SHORT);
        assert_eq!((&*ours).write(&[]).unwrap(), 0);
        assert_eq!((&*ours).write_vectored(&[IoSlice::new(&[])]).unwrap(), 0);
        writer.kill();
        assert!(writer.join().is_err());
    });
}

/// epoll tells of room only when a third is free; a write needs less.
#[test]
fn a_write_that_has_room_does_not_wait() {
    run(|| {
        let (ours, mut theirs) = pair();
        ours.set_write_timeout(Some(SHORT)).unwrap();
        // The hub takes it to be full when a write has waited in vain.
        while (&ours).write(&[0; 1 << 14]).is_ok() {}
        let same_file = std::net::TcpStream::from(ours.as_fd().try_clone_to_owned().unwrap());
        let has_room = || {
            // SAFETY: the buffer is readable for its one byte.
            let sent = unsafe {
                libc::send(same_file.as_raw_fd(), b"x".as_ptr().cast(), 1, libc::MSG_DONTWAIT)
            };
            sent == 1
        };
        let mut taken = 0;
        while !has_room() {
            let count = theirs.read(&mut vec![0; 1 << 14]).unwrap();
            taken += count;
            assert!(count > 0);
        }
        if is_writable(&ours) {
            // A kernel that makes no difference.
            return;
        }
        assert_eq!((&ours).write(b"y").unwrap(), 1, "after the peer took {taken}");
    });
}

/// Writers that are killed and timed out, and a reader that rests now and then: what the
/// calls say is what was sent.
#[test]
fn the_counts_of_many_writers_add_up() {
    const WRITERS: usize = 8;

    run(|| {
        for round in 0..3 {
            let (ours, mut theirs) = pair();
            let ours = Rc::new(ours);
            let sent = Rc::new(Cell::new(0));
            let writers: Vec<_> = (0..WRITERS)
                .map(|n| {
                    let (ours, sent) = (Rc::clone(&ours), Rc::clone(&sent));
                    let data = vec![n as u8; 40_000 * (n + 1)];
                    let vectored = move || {
                        let bufs = [IoSlice::new(&data[..100]), IoSlice::new(&data)];
                        let count = match n % 2 {
                            0 => (&*ours).write(&data),
                            _ => (&*ours).write_vectored(&bufs),
                        };
                        sent.set(sent.get() + count.unwrap());
                    };
                    spawn(move || {
                        for _ in 0..20 {
                            match n % 4 {
                                0 => vectored(),
                                _ => drop(timeout(SHORT / 3, &vectored)),
                            }
                        }
                    })
                })
                .collect();
            let reader = spawn(move || {
                let (mut total, mut buffer) = (0, vec![0; 70_000]);
                loop {
                    match theirs.read(&mut buffer).unwrap() {
                        0 => return total,
                        count => total += count,
                    }
                    if total % 3 == 0 {
                        sleep(SHORT / 10);
                    }
                }
            });
            sleep(SHORT);
            writers[round].kill();
            writers[round + 4].kill();
            writers.into_iter().for_each(|writer| drop(writer.join()));
            ours.shutdown(Shutdown::Write).unwrap();
            assert_eq!(reader.join().unwrap(), sent.get());
        }
    });
}
