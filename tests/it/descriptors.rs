//! Who owns a descriptor, where it is registered, and what conversions keep.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::child;
use crate::support::open_fds;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::until_waiting;

const SHORT: Duration = Duration::from_millis(3);

fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: F_GETFL takes no pointer.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

/// Reads once in a coroutine, so that the socket is registered with this thread's hub.
fn register(stream: &TcpStream) {
    assert!(timeout(Duration::ZERO, || stream.wait_readable()).is_err());
}

#[test]
fn streams_keep_the_kernels_blocking_mode() {
    run(|| {
        let (client, server) = pair();
        assert!(!is_nonblocking(&client) && !is_nonblocking(&server));
        register(&client);
        assert!(!is_nonblocking(&client));
        client.set_nonblocking(true).unwrap();
        assert!(is_nonblocking(&client));
        let std: std::net::TcpStream = client.into();
        assert!(is_nonblocking(&std), "the user's own wish is kept");
    });
}

#[test]
fn a_listener_blocks_again_when_it_is_given_away() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_nonblocking(&listener));
        let std: std::net::TcpListener = listener.into();
        assert!(!is_nonblocking(&std));
        let back = TcpListener::from(std);
        assert!(is_nonblocking(&back));
        back.set_nonblocking(true).unwrap();
        let std: std::net::TcpListener = back.into();
        assert!(is_nonblocking(&std), "the user's own wish is kept");
        let back = TcpListener::from(std);
        assert_eq!(back.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// A clone that was given away made the open file block; accept(2) has no flag against it.
#[test]
fn a_listener_whose_clone_was_given_away_does_not_stop_the_thread() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let std: std::net::TcpListener = listener.try_clone().unwrap().into();
        assert!(timeout(SHORT, || listener.accept()).is_err(), "others can run");
        let _client = TcpStream::connect(addr).unwrap();
        listener.accept().unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        std.accept().unwrap();
    });
}

#[test]
fn a_std_clone_of_a_converted_socket_still_blocks() {
    run(|| {
        let (client, server) = pair();
        let std: std::net::TcpStream = client.into();
        let clone = std.try_clone().unwrap();
        let ours = TcpStream::from(std);
        register(&ours);
        // An OS thread reads the clone by std: it is stopped until there is data.
        let reader = os::spawn(move || {
            let mut byte = [0];
            (&clone).read(&mut byte).map(|_| byte[0])
        });
        sleep(SHORT);
        assert!(!reader.is_finished());
        (&server).write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b'x');
    });
}

#[test]
fn conversions_keep_the_timeouts() {
    run(|| {
        let (client, _server) = pair();
        client.set_read_timeout(Some(SHORT)).unwrap();
        let std: std::net::TcpStream = client.into();
        assert!(std.read_timeout().unwrap().is_some());
        assert_eq!((&std).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let ours = TcpStream::from(std);
        assert_eq!((&ours).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let ours = TcpStream::from(OwnedFd::from(ours));
        assert_eq!((&ours).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_round_trip_through_a_descriptor_keeps_the_connection() {
    run(|| {
        let (client, mut server) = pair();
        register(&client);
        let registered = debug::counters().descriptors;
        let fd = OwnedFd::from(client);
        assert_eq!(debug::counters().descriptors, registered - 1, "given away: not registered");
        let client = TcpStream::from(fd);
        server.write_all(b"a").unwrap();
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 1);
        register(&client);
        let raw = client.into_raw_fd();
        // SAFETY: the number was just given away by its owner.
        let mut client = unsafe { TcpStream::from_raw_fd(raw) };
        server.write_all(b"b").unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(client.as_fd().as_raw_fd(), raw);
    });
}

/// Makes a connection whose one end has that number, which must be free.
fn take_number(number: RawFd) -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    let wanted = [client.as_raw_fd(), peer.as_raw_fd(), listener.as_raw_fd()];
    if wanted[0] == number {
        return (client, peer);
    }
    if wanted[1] == number {
        return (peer, client);
    }
    drop(listener);
    // SAFETY: F_DUPFD_CLOEXEC gives the lowest free number from `number` on.
    let copy = unsafe { libc::fcntl(client.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) };
    assert_eq!(copy, number, "somebody else has the number");
    // SAFETY: fcntl(2) returned it and nobody else owns it.
    (unsafe { std::net::TcpStream::from_raw_fd(copy) }, peer)
}

/// Registered here, dropped there, the number used again and sent back. Other tests would
/// take the numbers, so it is a process of its own.
#[test]
fn a_number_that_was_used_again_is_not_mistaken() {
    let output = child("descriptors::child_reuses_numbers");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reuses_numbers() {
    run(|| {
        let before = open_fds();
        for round in 0..300u32 {
            let (old, _old_peer) = pair();
            register(&old);
            let number = old.as_raw_fd();
            match round % 3 {
                // Dropped on another thread, one that has a hub or one that has not.
                0 => os::spawn(move || drop(old)).join().unwrap(),
                1 => {
                    let dropper = os::spawn(move || {
                        spawn(|| ()).join().unwrap();
                        register(&old);
                        drop(old);
                    });
                    dropper.join().unwrap();
                }
                _ => drop(old),
            }
            let (new, mut peer) = take_number(number);
            let new = TcpStream::from(new);
            let mut reader = spawn(move || {
                let mut byte = [0];
                (&new).read_exact(&mut byte).unwrap();
                byte[0]
            });
            yield_now();
            reader = reader.join_timeout(Duration::from_micros(10)).unwrap_err();
            peer.write_all(&[round as u8]).unwrap();
            assert_eq!(reader.join().unwrap(), round as u8);
        }
        assert_eq!(open_fds(), before + 2, "the epoll instance and the eventfd");
    });
}

/// Safe code cannot close a socket that somebody waits on; unsafe code that does so through
/// our types wakes the waiter first.
#[test]
fn a_descriptor_closed_under_a_waiter_is_an_error_and_no_cross_talk() {
    let output = child("descriptors::child_closes_under_waiters");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_under_waiters() {
    fn close(fd: RawFd) {
        // SAFETY: the test is about a descriptor that is closed behind its owner's back; the
        // owner is forgotten.
        drop(unsafe { TcpStream::from_raw_fd(fd) });
    }

    run(|| {
        for direction in ["read", "write", "accept"] {
            let (client, server) = pair();
            let client = Rc::new(ManuallyDrop::new(client));
            let listener = ManuallyDrop::new(TcpListener::bind("127.0.0.1:0").unwrap());
            let fd = match direction {
                "accept" => listener.as_raw_fd(),
                _ => client.as_raw_fd(),
            };
            let waiter = spawn({
                let client = Rc::clone(&client);
                move || match direction {
                    "read" => (&**client).read(&mut [0; 8]).map(drop),
                    "write" => (&**client).write_all(&vec![0; 64 << 20]),
                    _ => listener.accept().map(drop),
                }
            });
            until_waiting(1);
            close(fd);
            // The number is used again before the waiter runs.
            let (reused, _peer) = take_number(fd);
            (&_peer).write_all(b"not for the waiter").unwrap();
            let error = waiter.join().unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{direction}");
            let mut text = [0; 18];
            (&reused).read_exact(&mut text).unwrap();
            if direction == "accept" {
                drop(Rc::into_inner(client).map(ManuallyDrop::into_inner));
            }
            drop(server);
        }
    });
}

/// A raw close leaves a registration behind that cannot be removed, as a duplicate keeps the
/// file: the same file comes back under the number, and then another one.
#[test]
fn a_number_with_a_leftover_registration_works() {
    let output = child("descriptors::child_reuses_numbers_with_leftovers");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reuses_numbers_with_leftovers() {
    fn replace(number: RawFd, file: &impl AsRawFd) -> TcpStream {
        // SAFETY: the owner of the number is forgotten; dup2(2) closes it on the way.
        assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
        // SAFETY: dup2(2) made it for nobody else.
        unsafe { TcpStream::from_raw_fd(number) }
    }

    run(|| {
        for same in [true, false] {
            let (old, mut old_peer) = pair();
            let (other, mut other_peer) = pair();
            register(&old);
            let old = ManuallyDrop::new(old);
            let keeper = old.as_fd().try_clone_to_owned().unwrap();
            let mut new = match same {
                true => replace(old.as_raw_fd(), &keeper),
                false => replace(old.as_raw_fd(), &other),
            };
            register(&new);
            old_peer.write_all(b"old").unwrap();
            other_peer.write_all(b"other").unwrap();
            assert_eq!(new.read(&mut [0; 8]).unwrap(), if same { 3 } else { 5 });
            register(&new);
        }
    });
}

/// Owners come and go with events on their way to them.
#[test]
fn conversions_with_events_under_way_lose_none() {
    run(|| {
        let (mut client, mut server) = pair();
        for round in 0..200 {
            register(&client);
            server.write_all(b"abc").unwrap();
            if round % 2 == 0 {
                sleep(SHORT / 30);
            }
            client = match round % 4 {
                0 => TcpStream::from(OwnedFd::from(client)),
                // SAFETY: the number was just given away by its owner.
                1 => unsafe { TcpStream::from_raw_fd(client.into_raw_fd()) },
                2 => TcpStream::from(std::net::TcpStream::from(client)),
                _ => client.try_clone().unwrap(),
            };
            if round % 3 == 0 {
                client.wait_readable().unwrap();
            }
            client.read_exact(&mut [0; 3]).unwrap();
        }
    });
}

/// Urgent data makes the kernel return short with more behind it, and no further edge.
#[test]
fn data_behind_an_urgent_byte_is_not_stuck() {
    run(|| {
        let (client, mut server) = pair();
        let reader = spawn(move || {
            let mut got = Vec::new();
            let mut buffer = [0; 4096];
            while !got.ends_with(b"end") {
                let count = (&client).read(&mut buffer).unwrap();
                assert!(count > 0);
                got.extend_from_slice(&buffer[..count]);
            }
            got
        });
        yield_now();
        server.write_all(b"before").unwrap();
        // SAFETY: the buffer is readable for its one byte.
        let sent =
            unsafe { libc::send(server.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
        server.write_all(b"behind, end").unwrap();
        // The urgent byte itself is not part of the stream.
        assert_eq!(reader.join().unwrap(), b"beforebehind, end");
    });
}

/// Every call that waits, when a kill or a timeout ends it, leaves no waiter behind.
#[test]
fn interrupted_calls_leave_no_waiter() {
    run(|| {
        let (client, _server) = pair();
        let client = Rc::new(client);
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        for round in 0..20 {
            let tasks: Vec<_> = (0..6)
                .map(|n| {
                    let (client, listener) = (Rc::clone(&client), Rc::clone(&listener));
                    spawn(move || match n % 3 {
                        0 => (&*client).read(&mut [0; 8]).map(drop),
                        1 => client.wait_readable(),
                        _ => listener.accept().map(drop),
                    })
                })
                .collect();
            until_waiting(6);
            for task in &tasks {
                if round % 2 == 0 {
                    task.kill();
                }
            }
            if round % 2 == 1 {
                tasks.iter().rev().for_each(|task| assert!(task.kill()));
            }
            assert!(tasks.into_iter().all(|task| task.join().is_err()));
            assert_eq!(debug::counters().waiting, 0);
        }
    });
}

#[test]
fn a_foreign_descriptor_is_watched_for_one_wait_only() {
    use corovent::io::wait_readable;
    use corovent::io::wait_writable;

    run(|| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let limit = Instant::now() + SHORT;
        let late = wait_readable(&reader, limit);
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= limit);
        // Ready wins over a deadline that is past, and an outer timeout over one to come.
        wait_writable(&writer, limit).unwrap();
        assert!(
            timeout(Duration::ZERO, || wait_readable(
                &reader,
                Some(limit + Duration::from_secs(3600))
            ))
            .is_err()
        );
        assert_eq!(debug::counters(), debug::Counters::default());
        let waiter = spawn(move || {
            wait_readable(&reader, None).unwrap();
            let mut byte = [0];
            (&reader).read_exact(&mut byte).unwrap();
            byte[0]
        });
        yield_now();
        writer.write_all(b"p").unwrap();
        assert_eq!(waiter.join().unwrap(), b'p');
        // A file is always ready; one of our own sockets can be asked for as well.
        let file = std::fs::File::open("/proc/self/maps").unwrap();
        wait_readable(&file, None).unwrap();
        let (client, mut server) = pair();
        register(&client);
        server.write_all(b"x").unwrap();
        wait_readable(&client, None).unwrap();
    });
}

/// What epoll knows of a number after a wait is used for the next, whoever has the number then.
#[test]
fn a_foreign_number_is_waited_for_again_whatever_it_is_by_then() {
    use corovent::io::wait_readable;
    use std::os::unix::net::UnixStream;

    fn is_waited_for(fd: &impl AsFd, mut peer: &UnixStream) {
        let fd = fd.as_fd();
        corovent::scope(|scope| {
            let waiter = scope.spawn(|| wait_readable(fd, None));
            until_waiting(1);
            peer.write_all(b"x").unwrap();
            waiter.join().unwrap().unwrap();
        });
    }

    run(|| {
        let (own, peer) = UnixStream::pair().unwrap();
        let number = own.as_raw_fd();
        let read = |mut stream: &UnixStream| assert_eq!(stream.read(&mut [0; 8]).unwrap(), 1);
        (0..3).for_each(|_| {
            is_waited_for(&own, &peer);
            read(&own);
        });
        // The file lives on by a duplicate, and another gets its number.
        let keeper = own.try_clone().unwrap();
        let (other, other_peer) = UnixStream::pair().unwrap();
        // SAFETY: the owner of the number is forgotten; dup2(2) closes it on the way.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), number) }, number);
        std::mem::forget(own);
        // SAFETY: dup2(2) made it for nobody else.
        let own = unsafe { UnixStream::from_raw_fd(number) };
        (&peer).write_all(b"x").unwrap();
        let limit = Instant::now() + SHORT;
        let late = wait_readable(&own, limit);
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut, "it has nothing");
        is_waited_for(&own, &other_peer);
        read(&own);
        read(&keeper);
        is_waited_for(&keeper, &peer);
        // A stream of ours gets it.
        let mut own = corovent::os::unix::net::UnixStream::from(own);
        let reader = spawn(move || own.read(&mut [0; 8]).unwrap());
        until_waiting(1);
        (&other_peer).write_all(b"xy").unwrap();
        assert_eq!(reader.join().unwrap(), 2);
        assert_eq!(debug::counters(), debug::Counters::default());
    });
}

#[test]
fn all_who_wait_for_one_number_are_woken() {
    use corovent::io::wait_readable;

    run(|| {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let wait = |client: &Rc<TcpStream>| {
            let client = Rc::clone(client);
            spawn(move || wait_readable(&*client, None).map(|()| 0))
        };
        // The second finds the number taken, and the reader takes it over.
        let mut waiters = vec![wait(&client), wait(&client)];
        until_waiting(2);
        let reader = Rc::clone(&client);
        waiters.push(spawn(move || (&*reader).read(&mut [0])));
        until_waiting(3);
        waiters.push(wait(&client));
        until_waiting(4);
        // More than the reader takes, so that all find something.
        server.write_all(b"xyz").unwrap();
        let read: usize = waiters.into_iter().map(|one| one.join().unwrap().unwrap()).sum();
        assert_eq!(read, 1);
        drop(client);
        assert_eq!(debug::counters(), debug::Counters::default());
    });
}
