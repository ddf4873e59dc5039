//! Copying from one stream to another.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use corovent::fs::File;
use corovent::io::PipeReader;
use corovent::io::PipeWriter;
use corovent::io::copy;
use corovent::io::copy_bidirectional;
use corovent::io::pipe;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::run;
use crate::support::was_killed;

const MOMENT: Duration = Duration::from_millis(2);
/// More than the buffers of a connection hold.
const LONG: usize = 12 << 20;

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// The cases of std's tests, library/std/src/io/copy/tests.rs and util/tests.rs.
#[test]
fn what_is_not_ours_is_copied_as_stds() {
    struct Interrupts(u8);
    impl Read for Interrupts {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 => Err(ErrorKind::Interrupted.into()),
                2 => (&b"data"[..]).read(buf),
                _ => Ok(0),
            }
        }
    }

    let mut to = Vec::new();
    let reader: &mut dyn Read = &mut io::repeat(4).take(17);
    assert_eq!(copy(reader, &mut to as &mut dyn Write).unwrap(), 17);
    assert_eq!(copy(&mut io::repeat(0).take(1 << 17), &mut io::sink()).unwrap(), 1 << 17);
    assert_eq!(copy(&mut Interrupts(0), &mut to).unwrap(), 4);
    assert_eq!(to, [&[4; 17][..], b"data"].concat());
    run(|| {
        let (mut client, mut server) = pair();
        let task = spawn(move || copy(&mut Interrupts(0), &mut client));
        assert_eq!(task.join().unwrap().unwrap(), 4);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "data");
    });
}

#[test]
fn files_are_copied_from_their_positions() {
    for dir in [tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()] {
        let copies = || {
            let (from, to) = (dir.path().join("a"), dir.path().join("b"));
            let data = pattern(LONG);
            std::fs::write(&from, &data).unwrap();
            let (mut from, mut to) = (File::open(from).unwrap(), File::create(&to).unwrap());
            from.seek(SeekFrom::Start(5)).unwrap();
            to.write_all(b"12").unwrap();
            assert_eq!(copy(&mut from, &mut &to).unwrap(), LONG as u64 - 5);
            assert_eq!(copy(&mut &from, &mut to).unwrap(), 0, "it is at the end");
            let copied = std::fs::read(dir.path().join("b")).unwrap();
            assert!(copied[..2] == *b"12" && copied[2..] == data[5..]);
            let error = copy(&mut to, &mut from).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        };
        std::thread::scope(|scope| scope.spawn(copies).join().unwrap());
        run(|| {
            spawn(|| ()).join().unwrap();
            copies();
        });
    }
}

#[test]
fn a_file_is_sent_over_a_connection_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    run(|| {
        let data = pattern(LONG);
        std::fs::write(dir.path().join("a"), &data).unwrap();
        let (client, server) = pair();
        let send = spawn({
            let from = File::open(dir.path().join("a")).unwrap();
            move || {
                let count = copy(&mut &from, &mut &client)?;
                client.shutdown(Shutdown::Write).map(|()| count)
            }
        });
        let echo = spawn(move || {
            copy(&mut &server, &mut File::create(dir.path().join("b"))?)
                .map(|count| (count, std::fs::read(dir.path().join("b")).unwrap()))
        });
        assert_eq!(send.join().unwrap().unwrap(), LONG as u64);
        let (count, copied) = echo.join().unwrap().unwrap();
        assert!(count == LONG as u64 && copied == data);
    });
}

#[test]
fn a_copy_is_killed_and_timed_out_and_others_run() {
    run(|| {
        let (client, server) = pair();
        let task = spawn({
            let (client, server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            move || copy(&mut &client, &mut &server)
        });
        yield_now();
        assert!(task.kill());
        assert!(was_killed(task));
        assert!(timeout(MOMENT, || copy(&mut &client, &mut &server)).is_err());
        // One whose other side does not read.
        assert!(timeout(MOMENT, || copy(&mut io::repeat(1), &mut &client)).is_err());
        // Limits of the connection itself are the copy's.
        server.set_read_timeout(Some(MOMENT)).unwrap();
        let error = copy(&mut &server, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

/// A client, a proxy in the middle, and a server.
struct Proxied {
    client: TcpStream,
    a: TcpStream,
    b: TcpStream,
    server: TcpStream,
}

fn proxied() -> Proxied {
    let ((client, a), (b, server)) = (pair(), pair());
    Proxied { client, a, b, server }
}

#[test]
fn both_directions_are_copied_at_once_and_each_ends_on_its_own() {
    run(|| {
        let Proxied { client, a, b, server } = proxied();
        let proxy = spawn(move || copy_bidirectional(&a, &b));
        let (up, down) = (pattern(LONG), pattern(LONG / 2));
        let send = spawn({
            let (mut client, up) = (client.try_clone().unwrap(), up.clone());
            move || {
                client.write_all(&up)?;
                client.shutdown(Shutdown::Write)
            }
        });
        let answer = spawn({
            let (mut server, down) = (server.try_clone().unwrap(), down.clone());
            move || {
                server.write_all(&down[..down.len() - 1])?;
                let mut all = Vec::new();
                server.read_to_end(&mut all)?;
                // The other direction goes on after the end of the first.
                server.write_all(&down[down.len() - 1..])?;
                server.shutdown(Shutdown::Write).map(|()| all)
            }
        });
        let mut got = Vec::new();
        (&client).read_to_end(&mut got).unwrap();
        assert!(got == down);
        send.join().unwrap().unwrap();
        assert!(answer.join().unwrap().unwrap() == up);
        assert_eq!(proxy.join().unwrap().unwrap(), (LONG as u64, LONG as u64 / 2));
    });
}

#[test]
fn a_connection_is_copied_to_a_unix_socket_and_back() {
    use corovent::os::unix::net::UnixStream;

    run(|| {
        let ((mut client, a), (b, mut server)) = (pair(), UnixStream::pair().unwrap());
        let proxy = spawn(move || copy_bidirectional(&a, &b));
        let echo = spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all)?;
            server.write_all(&all)
        });
        client.write_all(b"there and back").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "there and back");
        echo.join().unwrap().unwrap();
        assert_eq!(proxy.join().unwrap().unwrap(), (14, 14));
    });
}

#[test]
fn an_error_ends_both_directions() {
    run(|| {
        let Proxied { client, a, b, server } = proxied();
        let proxy = spawn(move || copy_bidirectional(&a, &b));
        yield_now();
        // With something unread a close is a reset.
        (&server).write_all(b"unread").unwrap();
        client.wait_readable().unwrap();
        drop(client);
        assert!(proxy.join().unwrap().is_err());
        assert!((&server).read(&mut [0]).is_ok_and(|count| count == 0));
    });
}

#[test]
fn a_proxy_is_killed_and_timed_out() {
    run(|| {
        let Proxied { mut client, a, b, mut server } = proxied();
        assert!(timeout(MOMENT, || copy_bidirectional(&a, &b)).is_err());
        let proxy = spawn(move || copy_bidirectional(&a, &b));
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        assert!(proxy.kill());
        assert!(was_killed(proxy));
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_panic_in_a_direction_is_the_callers() {
    struct Bomb(TcpStream);
    impl corovent::io::Duplex for Bomb {
        fn shutdown_write(&self) -> io::Result<()> {
            self.0.shutdown(Shutdown::Write)
        }
    }
    impl Read for &Bomb {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            yield_now();
            panic!("a bomb")
        }
    }
    impl Write for &Bomb {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            (&self.0).write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    run(|| {
        let Proxied { client, a, b, server } = proxied();
        let proxy = spawn(move || copy_bidirectional(&a, &Bomb(b)));
        let payload = proxy.join().unwrap_err();
        assert!(crate::support::is_message(&*payload, "a bomb"));
        drop((client, server));
    });
}

/// What this thread has read by calls that copy.
fn bytes_read() -> u64 {
    let counts = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let count = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    count.unwrap().parse().unwrap()
}

/// The feeder and the drain are threads, so that what this one reads is the copy's.
#[test]
fn from_a_pipe_to_a_pipe_nothing_is_copied() {
    let ((reader, mut feed), (mut drain, writer)) =
        (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let feeder = std::thread::spawn(move || feed.write_all(&pattern(LONG)).unwrap());
    let drained = std::thread::spawn(move || {
        let mut data = vec![0; LONG];
        drain.read_exact(&mut data).unwrap();
        (drain, data)
    });
    let copied = std::thread::spawn(move || {
        let before = bytes_read();
        let copied = run(|| {
            let (reader, mut writer) = (PipeReader::from(reader), PipeWriter::from(writer));
            let others = spawn(|| (0..10).for_each(|_| corovent::sleep(MOMENT)));
            let flags = |fd: &dyn AsRawFd| {
                // SAFETY: F_GETFL has no argument.
                unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }
            };
            let flags_before = (flags(&reader), flags(&writer));
            let copied = spawn(move || {
                let copied = copy(&mut &reader, &mut writer);
                assert_eq!((flags(&reader), flags(&writer)), flags_before);
                let (_reader, fresh) = pipe().unwrap();
                assert_eq!(writes_at_once(&writer), writes_at_once(&fresh));
                writer.write_all(b"end").unwrap();
                copied
            });
            others.join().unwrap();
            copied.join().unwrap().unwrap()
        });
        (copied, bytes_read() - before)
    });
    let (copied, read) = copied.join().unwrap();
    feeder.join().unwrap();
    let (mut drain, data) = drained.join().unwrap();
    assert!(data == pattern(LONG));
    assert_eq!(copied, LONG as u64);
    assert!(read < LONG as u64 / 2, "{read}");
    let mut rest = String::new();
    drain.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("end"), "{rest}");
}

/// Whether the kernel takes a call that writes a byte and may not block: splice(2) puts an end
/// to that.
fn writes_at_once(fd: &PipeWriter) -> bool {
    let byte = [io::IoSlice::new(b".")];
    // SAFETY: IoSlice has the layout of iovec, and there is one.
    let count =
        unsafe { libc::pwritev2(fd.as_raw_fd(), byte.as_ptr().cast(), 1, -1, libc::RWF_NOWAIT) };
    count == 1
}

#[test]
fn a_copy_between_pipes_is_killed_and_nothing_is_lost() {
    run(|| {
        copies_that_are_killed();
        readers_that_go();
        one_that_does_not_block();
    });
}

fn copies_that_are_killed() {
    let ((reader, mut feed), (mut drain, writer)) = (pipe().unwrap(), pipe().unwrap());
    let (reader, writer) = (Rc::new(reader), Rc::new(writer));
    let start = || {
        let (reader, writer) = (Rc::clone(&reader), Rc::clone(&writer));
        let task = spawn(move || copy(&mut &*reader, &mut &*writer));
        (0..100).for_each(|_| yield_now());
        task
    };
    // While the first is empty.
    let task = start();
    assert!(task.kill());
    assert!(was_killed(task));
    // While the second is full.
    let data = pattern(1 << 20);
    let feeder = spawn({
        let data = data.clone();
        move || feed.write_all(&data)
    });
    for _ in 0..3 {
        let task = start();
        assert!(task.kill());
        assert!(was_killed(task));
    }
    let task = start();
    drop(writer);
    let mut copied = vec![0; data.len()];
    drain.read_exact(&mut copied).unwrap();
    assert!(copied == data);
    feeder.join().unwrap().unwrap();
    assert!(task.join().unwrap().unwrap() > 0);
    assert_eq!(drain.read(&mut [0]).unwrap(), 0, "nothing is left open");
}

/// While the copy waits for room.
fn readers_that_go() {
    let ((reader, mut feed), (drain, writer)) = (pipe().unwrap(), pipe().unwrap());
    let feeder = spawn(move || feed.write_all(&[0; 1 << 20]));
    let task = spawn(move || copy(&mut &reader, &mut &writer));
    (0..100).for_each(|_| yield_now());
    drop(drain);
    assert_eq!(task.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    let error = feeder.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "nothing is left open");
}

/// By somebody's wish, which the copy does not put an end to.
fn one_that_does_not_block() {
    let ((reader, _feed), (_drain, mut writer)) = (pipe().unwrap(), pipe().unwrap());
    // SAFETY: F_SETFL takes an int.
    unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let error = copy(&mut &reader, &mut writer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}
