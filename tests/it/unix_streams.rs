//! Unix streams and listeners: what their waits promise, and where they differ from TCP.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::thread as os;
use std::time::Duration;

use corovent::debug;
use corovent::os::unix::net::UnixListener;
use corovent::os::unix::net::UnixStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;
use tempfile::TempDir;
use tempfile::tempdir;

use crate::support::on_drop;
use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;
use crate::support::storm_of_signals;
use crate::support::was_killed;
use crate::tcp::until_readable;
use crate::tcp::until_waiting;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(3);

fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: F_GETFL takes no pointer.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

/// A listener whose queue is full: the next one who connects has to wait.
struct Full {
    path: PathBuf,
    listener: UnixListener,
    /// The one in the queue.
    first: std::os::unix::net::UnixStream,
    _dir: TempDir,
}

impl Full {
    fn new() -> Full {
        let dir = tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: listen(2) may be called again; it only makes the queue short.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let first = std::os::unix::net::UnixStream::connect(&path).unwrap();
        Full { path, listener, first, _dir: dir }
    }
}

/// Lets others run until somebody sleeps, or pauses before trying again.
fn until_pausing() {
    while debug::counters().timers == 0 {
        yield_now();
    }
}

#[test]
fn a_connect_waits_for_room_in_the_queue() {
    run(|| {
        let full = Full::new();
        let path = full.path.clone();
        let client = spawn(move || UnixStream::connect(path).unwrap());
        until_pausing();
        assert!(!client.is_finished());
        drop(full.listener.accept().unwrap());
        let mut client = client.join().unwrap();
        assert!(!is_nonblocking(&client), "only while it connects");
        let (mut server, _) = full.listener.accept().unwrap();
        server.write_all(b"hello").unwrap();
        let mut text = [0; 5];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        drop(full.first);
    });
}

#[test]
fn a_connect_that_waits_is_given_up() {
    run(|| {
        let full = Full::new();
        let path = full.path.clone();
        assert!(timeout(SHORT, || UnixStream::connect(&path)).is_err());
        let client = spawn(move || UnixStream::connect(path));
        until_pausing();
        client.kill();
        assert!(was_killed(client));
        assert_eq!(debug::counters().timers, 0);
        // Nobody is left behind in the queue.
        full.listener.accept().unwrap();
        assert!(timeout(SHORT, || full.listener.accept()).is_err());
    });
}

#[test]
fn connects_that_are_given_up_leave_no_descriptor() {
    passes("unix_streams::child_gives_up_connects");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_gives_up_connects() {
    run(|| {
        let full = Full::new();
        assert!(timeout(SHORT, || UnixStream::connect(&full.path)).is_err());
        let before = open_fds();
        for _ in 0..50 {
            let path = full.path.clone();
            let client = spawn(move || UnixStream::connect(path));
            until_pausing();
            client.kill();
            assert!(was_killed(client));
        }
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn a_connect_that_waits_learns_that_the_listener_is_gone() {
    run(|| {
        let full = Full::new();
        let path = full.path.clone();
        let client = spawn(move || UnixStream::connect(path));
        until_pausing();
        drop(full.listener);
        let error = client.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_destructor_does_not_wait_to_connect() {
    run(|| {
        let full = Full::new();
        let told = Rc::new(RefCell::new(None));
        let victim = spawn({
            let (told, path) = (Rc::clone(&told), full.path.clone());
            move || {
                let _last = on_drop(|| {
                    let error = UnixStream::connect(path).unwrap_err();
                    *told.borrow_mut() = Some(error.to_string());
                });
                sleep(LONG);
            }
        });
        until_pausing();
        victim.kill();
        assert!(was_killed(victim));
        assert_eq!(told.take().unwrap(), "the coroutine is unwinding");
    });
}

/// On a thread that never had a coroutine, where the wait makes the hub.
#[test]
fn a_connect_on_another_thread_waits_as_well() {
    run(|| {
        let full = Full::new();
        let path = full.path.clone();
        let client = os::spawn(move || UnixStream::connect(path).map(drop));
        drop(full.listener.accept().unwrap());
        full.listener.accept().unwrap();
        client.join().unwrap().unwrap();
    });
}

/// Many want in through a queue of one.
#[test]
fn all_who_connect_are_served() {
    run(|| {
        const COUNT: u8 = 30;

        let full = Full::new();
        let clients: Vec<_> = (0..COUNT)
            .map(|n| {
                let path = full.path.clone();
                spawn(move || UnixStream::connect(path).unwrap().write_all(&[n]).unwrap())
            })
            .collect();
        drop(full.first);
        assert_eq!(full.listener.accept().unwrap().0.read(&mut [0]).unwrap(), 0);
        let mut seen: Vec<u8> = full
            .listener
            .incoming()
            .take(COUNT.into())
            .map(|stream| {
                let mut byte = [0];
                stream.unwrap().read_exact(&mut byte).unwrap();
                byte[0]
            })
            .collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..COUNT));
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn connects_and_accepts_survive_signals() {
    passes("unix_streams::child_connects_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_connects_in_a_storm_of_signals() {
    storm_of_signals();
    run(|| {
        let dir = tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: listen(2) may be called again; it only makes the queue short.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 1) }, 0);
        let server = spawn(move || {
            for stream in listener.incoming().take(20) {
                let stream = stream.unwrap();
                spawn(move || io::copy(&mut &stream, &mut &stream).unwrap());
            }
        });
        let clients: Vec<_> = (0..20)
            .map(|n| {
                let path = path.clone();
                spawn(move || {
                    let mut stream = UnixStream::connect(path).unwrap();
                    for _ in 0..100 {
                        stream.write_all(&[n; 100]).unwrap();
                        let mut answer = [0; 100];
                        stream.read_exact(&mut answer).unwrap();
                        assert_eq!(answer, [n; 100]);
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        server.join().unwrap();
        while debug::counters().coroutines > 0 {
            yield_now();
        }
    });
}

#[test]
fn an_end_and_half_an_end() {
    run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let answering = spawn(move || {
            let mut question = String::new();
            other.read_to_string(&mut question).unwrap();
            other.write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        one.write_all(b"question").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "QUESTION");
        assert_eq!(one.read(&mut [0]).unwrap(), 0, "an end stays");
        answering.join().unwrap();
    });
}

#[test]
fn a_shutdown_wakes_those_who_wait() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let one = Rc::new(one);
        let reader = spawn({
            let one = Rc::clone(&one);
            move || (&*one).read(&mut [0]).unwrap()
        });
        until_waiting(1);
        one.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        assert_eq!((&other).read(&mut [0]).unwrap(), 0);
    });
}

/// Of either end epoll says nothing to one who waits to write.
#[test]
fn a_shutdown_ends_a_write_that_waits() {
    run(|| {
        for own in [true, false] {
            let (one, other) = UnixStream::pair().unwrap();
            let one = Rc::new(one);
            let writer = spawn({
                let one = Rc::clone(&one);
                move || (&*one).write_all(&vec![0; 64 << 20])
            });
            until_waiting(1);
            match own {
                true => one.shutdown(Shutdown::Write).unwrap(),
                false => other.shutdown(Shutdown::Read).unwrap(),
            }
            assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    });
}

/// The peer goes under a writer that waits, and no signal kills.
#[test]
fn a_peer_that_goes_is_an_error_and_no_signal() {
    passes("unix_streams::child_writes_to_nobody");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_writes_to_nobody() {
    // SAFETY: the default action of SIGPIPE, which a Rust program ignores, is to kill.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        let writer = spawn(move || (&one).write_all(&vec![0; 64 << 20]));
        until_waiting(1);
        drop(other);
        let kind = writer.join().unwrap().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");

        let (one, other) = UnixStream::pair().unwrap();
        drop(other);
        let bufs = [io::IoSlice::new(b"a"), io::IoSlice::new(b"b")];
        assert_eq!((&one).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!((&one).write_vectored(&bufs).unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// What was not read when the peer closed is lost, and that is told.
#[test]
fn data_left_unread_resets() {
    run(|| {
        let (one, other) = UnixStream::pair().unwrap();
        (&one).write_all(b"unread").unwrap();
        let reader = Rc::new(one);
        let waiting = spawn({
            let reader = Rc::clone(&reader);
            move || (&*reader).read(&mut [0])
        });
        until_waiting(1);
        drop(other);
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!((&*reader).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_big_write_meets_a_slow_reader() {
    run(|| {
        const TOTAL: usize = 5_000_000;

        let (mut one, mut other) = UnixStream::pair().unwrap();
        let writer = spawn(move || {
            let data: Vec<u8> = (0..TOTAL).map(|n| (n % 251) as u8).collect();
            assert_eq!(one.write(&data).unwrap(), TOTAL, "one write writes all");
        });
        let mut buffer = [0; 4096];
        let mut seen = 0;
        loop {
            let count = other.read(&mut buffer).unwrap();
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
fn a_write_whose_time_is_up_tells_of_its_part() {
    run(|| {
        let (mut one, _other) = UnixStream::pair().unwrap();
        one.set_write_timeout(Some(SHORT)).unwrap();
        let count = one.write(&vec![0; 64 << 20]).unwrap();
        assert!(0 < count && count < 64 << 20);
        assert_eq!(one.write(&[0; 1 << 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        // A limit from outside is not lost in one from inside.
        one.set_write_timeout(Some(LONG)).unwrap();
        assert!(timeout(SHORT, || one.write_all(&[0; 1 << 16])).is_err());
        one.set_read_timeout(Some(LONG)).unwrap();
        assert!(timeout(SHORT, || one.read(&mut [0])).is_err());
        one.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// Several wait to read one stream, some are killed: each byte goes to one of the others.
#[test]
fn readers_that_are_killed_leave_their_bytes_to_others() {
    run(|| {
        let (one, mut other) = UnixStream::pair().unwrap();
        let one = Rc::new(one);
        for victims in 0..8u32 {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let one = Rc::clone(&one);
                    spawn(move || (&*one).read_exact(&mut [0]).unwrap())
                })
                .collect();
            until_waiting(3);
            other.write_all(&[0; 3]).unwrap();
            let is_victim = |n: usize| victims >> n & 1 == 1;
            for (n, reader) in readers.iter().enumerate() {
                if is_victim(n) {
                    reader.kill();
                }
            }
            for (n, reader) in readers.into_iter().enumerate() {
                assert_eq!(reader.join().is_err(), is_victim(n), "{victims:b}");
            }
            for _ in 0..victims.count_ones() {
                (&*one).read_exact(&mut [0]).unwrap();
            }
            assert!(timeout(SHORT, || (&*one).read(&mut [0])).is_err());
        }
    });
}

/// Readers on two hubs, and one on a thread that has none.
#[test]
fn threads_share_a_stream() {
    run(|| {
        const EACH: usize = 200;

        let (one, mut other) = UnixStream::pair().unwrap();
        let one = Arc::new(one);
        let read = |one: &UnixStream| (0..EACH).for_each(|_| (&*one).read_exact(&mut [0]).unwrap());
        let with_hub = os::spawn({
            let one = Arc::clone(&one);
            move || spawn(move || read(&one)).join().unwrap()
        });
        let without = os::spawn({
            let one = Arc::clone(&one);
            move || read(&one)
        });
        let here = spawn({
            let one = Arc::clone(&one);
            move || read(&one)
        });
        for _ in 0..3 * EACH {
            other.write_all(&[1]).unwrap();
            yield_now();
        }
        here.join().unwrap();
        with_hub.join().unwrap();
        without.join().unwrap();
        assert!(timeout(SHORT, || (&*one).read(&mut [0])).is_err());
    });
}

#[test]
fn a_stream_to_another_process() {
    run(|| {
        let (mut one, other) = UnixStream::pair().unwrap();
        let stdout = Stdio::from(OwnedFd::from(other.try_clone().unwrap()));
        let stdin = Stdio::from(OwnedFd::from(other));
        let mut child = Command::new("cat").stdin(stdin).stdout(stdout).spawn().unwrap();
        one.write_all(b"through another process").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through another process");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn streams_keep_the_kernels_blocking_mode() {
    run(|| {
        let (one, mut other) = UnixStream::pair().unwrap();
        assert!(timeout(SHORT, || one.wait_readable()).is_err());
        assert!(!is_nonblocking(&one));
        one.set_read_timeout(Some(SHORT)).unwrap();
        let std = std::os::unix::net::UnixStream::from(one);
        assert!(!is_nonblocking(&std));
        assert_eq!((&std).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let one = UnixStream::from(std);
        assert_eq!((&one).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.set_nonblocking(true).unwrap();
        assert!(is_nonblocking(&one));
        let one = UnixStream::from(OwnedFd::from(one));
        assert_eq!((&one).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        other.write_all(b"x").unwrap();
        assert_eq!((&one).read(&mut [0; 8]).unwrap(), 1);
        one.wait_writable().unwrap();
    });
}

/// Whether an accept waits, and lets others run while it does.
fn waits(listener: &UnixListener) -> bool {
    timeout(SHORT, || listener.accept()).is_err()
}

#[test]
fn a_listener_is_given_back_as_it_came() {
    run(|| {
        let dir = tempdir().unwrap();
        for (name, nonblocking) in [("a", false), ("b", true)] {
            let std = std::os::unix::net::UnixListener::bind(dir.path().join(name)).unwrap();
            std.set_nonblocking(nonblocking).unwrap();
            let green = UnixListener::from(std);
            assert!(is_nonblocking(&green));
            assert_eq!(waits(&green), !nonblocking);
            let std = std::os::unix::net::UnixListener::from(green);
            assert_eq!(is_nonblocking(&std), nonblocking);
        }
        let green = UnixListener::bind(dir.path().join("c")).unwrap();
        assert!(is_nonblocking(&green));
        green.set_nonblocking(true).unwrap();
        assert_eq!(green.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        green.set_nonblocking(false).unwrap();
        assert!(waits(&green));
        assert!(!is_nonblocking(&std::os::unix::net::UnixListener::from(green)));
    });
}

/// A clone that was given away made the open file block, and a kill finds the acceptor while a
/// thread of the pool accepts for it.
#[test]
fn an_accept_never_stops_the_thread() {
    run(|| {
        let dir = tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let std = std::os::unix::net::UnixListener::from(listener.try_clone().unwrap());
        assert!(waits(&listener));
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        std.accept().unwrap();

        let _client = UnixStream::connect(&path).unwrap();
        until_readable(&std);
        let progress = Rc::new(Cell::new("none"));
        let acceptor = spawn({
            let progress = Rc::clone(&progress);
            move || {
                progress.set("begun");
                listener.accept().unwrap();
                progress.set("accepted");
                yield_now();
            }
        });
        while progress.get() == "none" {
            yield_now();
        }
        acceptor.kill();
        // The kill may be too late for it, but not come in between.
        let _ = acceptor.join();
        assert_ne!(progress.get(), "begun");
    });
}

#[test]
fn several_accept_from_one_listener() {
    run(|| {
        let dir = tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = Rc::new(UnixListener::bind(&path).unwrap());
        for victims in 0..8u32 {
            let acceptors: Vec<_> = (0..3)
                .map(|_| {
                    let listener = Rc::clone(&listener);
                    spawn(move || listener.accept().map(drop).unwrap())
                })
                .collect();
            until_waiting(3);
            let _clients =
                [(); 3].map(|()| std::os::unix::net::UnixStream::connect(&path).unwrap());
            let is_victim = |n: usize| victims >> n & 1 == 1;
            for (n, acceptor) in acceptors.iter().enumerate() {
                if is_victim(n) {
                    acceptor.kill();
                }
            }
            for (n, acceptor) in acceptors.into_iter().enumerate() {
                assert_eq!(acceptor.join().is_err(), is_victim(n), "{victims:b}");
            }
            for _ in 0..victims.count_ones() {
                listener.accept().unwrap();
            }
            assert!(waits(&listener));
        }
    });
}

#[test]
fn a_listener_that_is_shut_down_wakes_its_acceptors() {
    run(|| {
        let dir = tempdir().unwrap();
        let listener = Rc::new(UnixListener::bind(dir.path().join("sock")).unwrap());
        let acceptor = spawn({
            let listener = Rc::clone(&listener);
            move || listener.accept().map(drop)
        });
        until_waiting(1);
        // SAFETY: shutdown(2) takes no pointer.
        assert_eq!(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) }, 0);
        let error = acceptor.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn a_descriptor_closed_under_a_waiter_is_an_error() {
    passes("unix_streams::child_closes_under_waiters");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_under_waiters() {
    run(|| {
        let dir = tempdir().unwrap();
        for direction in ["read", "write", "accept"] {
            let (one, _other) = UnixStream::pair().unwrap();
            let listener = UnixListener::bind(dir.path().join(direction)).unwrap();
            let one = ManuallyDrop::new(one);
            let listener = ManuallyDrop::new(listener);
            let fds = [one.as_raw_fd(), listener.as_raw_fd()];
            let waiter = spawn(move || match direction {
                "read" => (&*one).read(&mut [0; 8]).map(drop),
                "write" => (&*one).write_all(&vec![0; 64 << 20]),
                _ => listener.accept().map(drop),
            });
            until_waiting(1);
            for fd in fds {
                // SAFETY: the test is about descriptors that are closed behind their owners'
                // back; the owners are forgotten.
                drop(unsafe { UnixStream::from_raw_fd(fd) });
            }
            let error = waiter.join().unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{direction}");
        }
    });
}
