//! Listeners: who gets a connection, and whose O_NONBLOCK it is.

use std::cell::Cell;
use std::cell::RefCell;
use std::fs::File;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::run;
use crate::tcp::reset_on_close;
use crate::tcp::until_readable;
use crate::tcp::until_waiting;

const SHORT: Duration = Duration::from_millis(3);

fn flags(fd: &impl AsRawFd) -> libc::c_int {
    // SAFETY: F_GETFL takes no pointer.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags
}

/// Whether an accept waits, and lets others run while it does.
fn waits(listener: &TcpListener) -> bool {
    timeout(SHORT, || listener.accept()).is_err()
}

/// Ten accept from one listener: each connection goes to one, and none is lost.
#[test]
fn several_accept_from_one_listener() {
    run(|| {
        const EACH: usize = 5;
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let served = Rc::new(RefCell::new(vec![0; 10]));
        let acceptors: Vec<_> = (0..10)
            .map(|n| {
                let (listener, served) = (Rc::clone(&listener), Rc::clone(&served));
                spawn(move || {
                    for _ in 0..EACH {
                        let (mut stream, peer) = listener.accept().unwrap();
                        stream.write_all(peer.port().to_string().as_bytes()).unwrap();
                        served.borrow_mut()[n] += 1;
                    }
                })
            })
            .collect();
        yield_now();
        let clients: Vec<_> = (0..10 * EACH)
            .map(|_| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let mut text = String::new();
                    stream.read_to_string(&mut text).unwrap();
                    assert_eq!(text, stream.local_addr().unwrap().port().to_string());
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        acceptors.into_iter().for_each(|task| task.join().unwrap());
        assert!(served.borrow().iter().all(|served| *served == EACH));
    });
}

#[test]
fn an_address_in_use_or_absent_cannot_be_bound() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("192.0.2.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

/// The client resets before it is accepted: Linux hands the connection over, and the read
/// tells.
#[test]
fn a_client_that_is_gone_before_accept_is_found_out_by_the_read() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        reset_on_close(&client);
        drop(client);
        let (mut stream, peer) = listener.accept().unwrap();
        assert!(peer.ip().is_loopback(), "the address is the one accept gave");
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    });
}

/// A storm of connections while the acceptor is busy with each.
#[test]
fn a_storm_of_connections_is_accepted() {
    const COUNT: usize = if cfg!(debug_assertions) { 1_000 } else { 3_000 };

    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let served = Rc::new(Cell::new(0));
        let acceptor = spawn({
            let served = Rc::clone(&served);
            move || {
                for stream in listener.incoming().take(COUNT) {
                    let (mut stream, served) = (stream.unwrap(), Rc::clone(&served));
                    spawn(move || {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        stream.write_all(&byte).unwrap();
                        served.set(served.get() + 1);
                    });
                }
            }
        });
        let clients: Vec<_> = (0..COUNT)
            .map(|n| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let byte = [n as u8];
                    stream.write_all(&byte).unwrap();
                    let mut answer = [0];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, byte);
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        acceptor.join().unwrap();
        assert_eq!(served.get(), COUNT);
    });
}

/// The first made the open file non-blocking; that was taken for the user's wish.
#[test]
fn two_duplicates_of_a_listener_of_stds_both_wait() {
    run(|| {
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = std.local_addr().unwrap();
        let duplicate = std.try_clone().unwrap();
        let listeners = [TcpListener::from(std), TcpListener::from(duplicate)];
        assert!(listeners.iter().all(waits));
        for listener in &listeners {
            let _client = TcpStream::connect(addr).unwrap();
            listener.accept().unwrap();
        }
    });
}

/// The process that had it was killed, and the listener is handed to the next.
#[test]
fn a_listener_that_a_dead_process_has_left_waits() {
    run(|| {
        let activator = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let first = TcpListener::from(activator.try_clone().unwrap());
        let fd = first.as_raw_fd();
        mem::forget(first);
        // SAFETY: its owner is forgotten; a killed process closes without further ado.
        unsafe { libc::close(fd) };
        assert!(waits(&TcpListener::from(activator)));
    });
}

#[test]
fn a_listener_is_given_back_as_it_came() {
    run(|| {
        for nonblocking in [false, true] {
            let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            std.set_nonblocking(nonblocking).unwrap();
            let before = flags(&std);
            let green = TcpListener::from(std);
            assert_eq!(waits(&green), !nonblocking);
            let std = std::net::TcpListener::from(green);
            assert_eq!(flags(&std), before);
        }
        let made_here = TcpListener::bind("127.0.0.1:0").unwrap();
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(flags(&std::net::TcpListener::from(made_here)), flags(&std));
    });
}

/// O_APPEND, by which we mark a listener, would mean something to a file.
#[test]
fn what_is_no_listener_is_left_alone() {
    run(|| {
        let file = File::options().write(true).open("/dev/null").unwrap();
        let before = flags(&file);
        let odd = TcpListener::from(OwnedFd::from(file));
        assert_eq!(odd.accept().unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
        odd.set_nonblocking(true).unwrap();
        odd.set_nonblocking(false).unwrap();
        assert_eq!(flags(&odd), before);
        assert_eq!(flags(&OwnedFd::from(odd)), before);

        let file = File::options().append(true).open("/dev/null").unwrap();
        let before = flags(&file);
        let odd = TcpListener::from(OwnedFd::from(file));
        assert_eq!(flags(&OwnedFd::from(odd)), before);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let odd = TcpListener::from(OwnedFd::from(stream));
        assert_eq!(odd.accept().unwrap_err().raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn the_users_wish_reaches_every_holder() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clone = listener.try_clone().unwrap();
        let std = std::net::TcpListener::from(listener.try_clone().unwrap());
        listener.set_nonblocking(true).unwrap();
        assert_eq!(std.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(clone.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        std.set_nonblocking(false).unwrap();
        assert!(waits(&clone) && waits(&listener));
        std.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        clone.set_nonblocking(false).unwrap();
        assert!(waits(&clone) && waits(&listener));
    });
}

/// Giving a clone away makes the open file block, under those that stay and those that came
/// back.
#[test]
fn an_accept_never_stops_the_thread() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let clone = listener.try_clone().unwrap();
        let back = TcpListener::from(std::net::TcpListener::from(listener));
        let std = std::net::TcpListener::from(clone);
        assert_eq!(flags(&std) & libc::O_NONBLOCK, 0);
        // The hub knows nothing of it, so that a call is made.
        assert!(waits(&back));
        for _ in 0..3 {
            let client = TcpStream::connect(addr).unwrap();
            let (_, peer) = back.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

/// A connection that a thread of the pool has taken is not lost to a kill.
#[test]
fn a_kill_during_an_accept_off_the_thread_loses_nothing() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let given_away = std::net::TcpListener::from(listener.try_clone().unwrap());
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        until_readable(&given_away);
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

/// A clone in the hands of std's code, on a thread that is stopped in accept(2): each
/// connection goes to one of the two, and the hub is not stopped.
#[test]
fn a_thread_of_stds_competes_for_connections() {
    const COUNT: usize = 200;

    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let std = std::net::TcpListener::from(listener.try_clone().unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let theirs = os::spawn({
            let over = Arc::clone(&over);
            move || {
                while !over.load(Ordering::Acquire) {
                    let (mut stream, _) = std.accept().unwrap();
                    stream.write_all(b"t").unwrap();
                }
            }
        });
        let ours = spawn({
            let over = Arc::clone(&over);
            move || {
                while !over.load(Ordering::Acquire) {
                    let (mut stream, _) = listener.accept().unwrap();
                    stream.write_all(b"o").unwrap();
                }
            }
        });
        let client = move || {
            let mut byte = [0];
            TcpStream::connect(addr).unwrap().read_exact(&mut byte).unwrap();
            byte[0]
        };
        let clients: Vec<_> = (0..COUNT).map(|_| spawn(client)).collect();
        for client in clients {
            assert!(b"ot".contains(&client.join().unwrap()));
        }
        // Each is in an accept and looks at the mark after it.
        over.store(true, Ordering::Release);
        while !(theirs.is_finished() && ours.is_finished()) {
            let _ = TcpStream::connect_timeout(&addr, SHORT);
            yield_now();
        }
        theirs.join().unwrap();
        ours.join().unwrap();
    });
}

#[test]
fn acceptors_that_are_killed_leave_their_connections_to_others() {
    run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        for victims in 0..8u32 {
            let acceptors: Vec<_> = (0..3)
                .map(|_| {
                    let listener = Rc::clone(&listener);
                    spawn(move || listener.accept().map(drop))
                })
                .collect();
            until_waiting(3);
            let _clients = [(); 3].map(|()| std::net::TcpStream::connect(addr).unwrap());
            until_readable(&*listener);
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
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let acceptors = [(); 3].map(|()| {
            let listener = Rc::clone(&listener);
            spawn(move || listener.accept().map(drop))
        });
        until_waiting(3);
        // SAFETY: shutdown(2) takes no pointer.
        assert_eq!(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) }, 0);
        for acceptor in acceptors {
            let error = acceptor.join().unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    });
}

/// The flag is looked at and the call made in one step, as far as this crate changes it.
#[test]
fn an_accept_does_not_meet_a_conversion_on_another_thread() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let converting = os::spawn({
            let (stop, listener) = (Arc::clone(&stop), listener.try_clone().unwrap());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let given = std::net::TcpListener::from(listener.try_clone().unwrap());
                    drop(TcpListener::from(given));
                }
            }
        });
        for _ in 0..2_000 {
            let clone = listener.try_clone().unwrap();
            assert!(timeout(Duration::from_micros(1), || clone.accept()).is_err());
        }
        stop.store(true, Ordering::Relaxed);
        converting.join().unwrap();
    });
}
