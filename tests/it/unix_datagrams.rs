//! Unix datagrams: what their waits promise, most of all those for a receiver that is full.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread as os;
use std::time::Duration;

use corovent::debug;
use corovent::os::unix::net::UnixDatagram;
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
use crate::tcp::until_waiting;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(3);

/// Receives a datagram of one byte.
fn byte(socket: &UnixDatagram) -> u8 {
    let mut buf = [0; 2];
    assert_eq!(socket.recv(&mut buf).unwrap(), 1);
    buf[0]
}

fn is_empty(socket: &UnixDatagram) -> bool {
    timeout(SHORT, || socket.recv(&mut [0])).is_err()
}

/// A receiver whose queue is full of datagrams of others.
struct Full {
    path: PathBuf,
    receiver: UnixDatagram,
    count: usize,
    _dir: TempDir,
}

impl Full {
    fn new() -> Full {
        let dir = tempdir().unwrap();
        let path = dir.path().join("sock");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let count = (0..).take_while(|_| sender.send_to(b"f", &path).is_ok()).count();
        assert!(count > 0);
        Full { path, receiver, count, _dir: dir }
    }

    /// Takes what the others have sent.
    fn drain(&self) {
        (0..self.count).for_each(|_| assert_eq!(byte(&self.receiver), b'f'));
    }
}

/// Sends a byte to a receiver, by either way.
type Send = fn(&UnixDatagram, u8, &PathBuf) -> std::io::Result<usize>;

/// The two ways: for the first the sender has been connected.
const WAYS: [Send; 2] =
    [|sender, byte, _| sender.send(&[byte]), |sender, byte, path| sender.send_to(&[byte], path)];

/// Calls a case for each way to send, with a receiver that is full.
fn each_way(case: impl Fn(Full, UnixDatagram, Send)) {
    for (n, send) in WAYS.into_iter().enumerate() {
        let full = Full::new();
        let sender = UnixDatagram::unbound().unwrap();
        if n == 0 {
            sender.connect(&full.path).unwrap();
        }
        case(full, sender, send);
    }
}

#[test]
fn a_send_waits_for_room_at_the_receiver() {
    run(|| {
        each_way(|full, sender, send| {
            let path = full.path.clone();
            let sending = spawn(move || send(&sender, b'x', &path).unwrap());
            until_waiting(1);
            assert!(!sending.is_finished());
            full.drain();
            assert_eq!(byte(&full.receiver), b'x');
            assert_eq!(sending.join().unwrap(), 1);
            assert!(is_empty(&full.receiver));
        });
    });
}

#[test]
fn a_send_that_waits_is_given_up() {
    run(|| {
        each_way(|full, sender, send| {
            assert!(timeout(SHORT, || send(&sender, b'x', &full.path)).is_err());
            sender.set_write_timeout(Some(LONG)).unwrap();
            assert!(timeout(SHORT, || send(&sender, b'x', &full.path)).is_err());
            sender.set_write_timeout(Some(SHORT)).unwrap();
            let error = send(&sender, b'x', &full.path).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
            sender.set_write_timeout(None).unwrap();
            sender.set_nonblocking(true).unwrap();
            let error = send(&sender, b'x', &full.path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            sender.set_nonblocking(false).unwrap();

            let path = full.path.clone();
            let victim = spawn(move || send(&sender, b'x', &path));
            until_waiting(1);
            victim.kill();
            assert!(was_killed(victim));
            assert_eq!(debug::counters().waiting, 0);
            full.drain();
            assert!(is_empty(&full.receiver), "nothing was sent");
        });
    });
}

#[test]
fn sends_that_are_given_up_leave_no_descriptor() {
    passes("unix_datagrams::child_gives_up_sends");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_gives_up_sends() {
    run(|| {
        let full = Full::new();
        let sender = Rc::new(UnixDatagram::unbound().unwrap());
        assert!(timeout(SHORT, || sender.send_to(b"x", &full.path)).is_err());
        let before = open_fds();
        for _ in 0..50 {
            let (sender, path) = (Rc::clone(&sender), full.path.clone());
            let victim = spawn(move || sender.send_to(b"x", path));
            until_waiting(1);
            victim.kill();
            assert!(was_killed(victim));
        }
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn a_send_that_waits_learns_that_the_receiver_is_gone() {
    run(|| {
        each_way(|full, sender, send| {
            let path = full.path.clone();
            let sending = spawn(move || send(&sender, b'x', &path));
            until_waiting(1);
            drop(full);
            let kind = sending.join().unwrap().unwrap_err().kind();
            let gone = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset];
            assert!(gone.contains(&kind) || kind == ErrorKind::NotFound, "{kind:?}");
        });
    });
}

/// Epoll says nothing of that to one who waits to send.
#[test]
fn a_shutdown_ends_a_send_that_waits() {
    run(|| {
        each_way(|full, sender, send| {
            let sender = Rc::new(sender);
            let sending = spawn({
                let (sender, path) = (Rc::clone(&sender), full.path.clone());
                move || send(&sender, b'x', &path)
            });
            until_waiting(1);
            sender.shutdown(Shutdown::Write).unwrap();
            assert_eq!(sending.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn a_destructor_does_not_wait_to_send() {
    run(|| {
        each_way(|full, sender, send| {
            let told = Rc::new(RefCell::new(None));
            let victim = spawn({
                let (told, path) = (Rc::clone(&told), full.path.clone());
                move || {
                    let _last = on_drop(|| {
                        let error = send(&sender, b'x', &path).unwrap_err();
                        *told.borrow_mut() = Some(error.to_string());
                    });
                    sleep(LONG);
                }
            });
            // It has begun when it sleeps.
            while debug::counters().timers == 0 {
                yield_now();
            }
            victim.kill();
            assert!(was_killed(victim));
            assert_eq!(told.take().unwrap(), "the coroutine is unwinding");
        });
    });
}

/// By a thread that never had a coroutine, while one of ours waits as well.
#[test]
fn threads_wait_for_room_as_well() {
    run(|| {
        each_way(|full, sender, send| {
            let sender = Arc::new(sender);
            let (theirs, path) = (Arc::clone(&sender), full.path.clone());
            let thread = os::spawn(move || send(&theirs, b'x', &path).unwrap());
            let path = full.path.clone();
            let here = spawn(move || send(&sender, b'x', &path).unwrap());
            until_waiting(1);
            full.drain();
            assert_eq!([byte(&full.receiver), byte(&full.receiver)], [b'x'; 2]);
            thread.join().unwrap();
            here.join().unwrap();
        });
    });
}

/// What waits for one receiver says nothing of the way to another.
#[test]
fn a_full_receiver_does_not_hold_up_another() {
    run(|| {
        let full = Full::new();
        let other = Full::new();
        other.drain();
        let sender = Rc::new(UnixDatagram::unbound().unwrap());
        sender.connect(&full.path).unwrap();
        let to_full = [0, 1].map(|n| {
            let (sender, path) = (Rc::clone(&sender), full.path.clone());
            spawn(move || WAYS[n](&sender, b'x', &path).unwrap())
        });
        until_waiting(2);
        sender.send_to(b"o", &other.path).unwrap();
        assert_eq!(byte(&other.receiver), b'o');
        // The socket looks full, as the one that it is connected to is.
        let other = Full::new();
        let sending = spawn({
            let (sender, path) = (Rc::clone(&sender), other.path.clone());
            move || sender.send_to(b"o", &path).unwrap()
        });
        until_waiting(3);
        other.drain();
        assert_eq!(byte(&other.receiver), b'o');
        sending.join().unwrap();
        full.drain();
        assert_eq!([byte(&full.receiver), byte(&full.receiver)], [b'x'; 2]);
        to_full.into_iter().for_each(|sending| assert_eq!(sending.join().unwrap(), 1));
    });
}

/// The queue of a receiver that is connected to the sender has no limit for it: then it is the
/// sender's own buffer that is full.
#[test]
fn a_send_waits_for_room_in_the_sender() {
    run(|| {
        let dir = tempdir().unwrap();
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        let [one, other] = [0, 1].map(|n| UnixDatagram::bind(&paths[n]).unwrap());
        one.connect(&paths[1]).unwrap();
        other.connect(&paths[0]).unwrap();
        for send in WAYS {
            one.set_nonblocking(true).unwrap();
            let count = (0..).take_while(|_| one.send(b"f").is_ok()).count();
            one.set_nonblocking(false).unwrap();
            let sending = spawn({
                let (one, path) = (one.try_clone().unwrap(), paths[1].clone());
                move || send(&one, b'x', &path).unwrap()
            });
            until_waiting(1);
            (0..count).for_each(|_| assert_eq!(byte(&other), b'f'));
            assert_eq!(byte(&other), b'x');
            sending.join().unwrap();
        }
    });
}

/// Twenty send to one: each in its order, and nothing is lost.
#[test]
fn many_send_to_one() {
    run(|| {
        const SENDERS: u8 = 20;
        const EACH: u8 = 50;

        for send in WAYS {
            let dir = tempdir().unwrap();
            let path = dir.path().join("sock");
            let receiver = UnixDatagram::bind(&path).unwrap();
            let senders: Vec<_> = (0..SENDERS)
                .map(|n| {
                    let path = path.clone();
                    spawn(move || {
                        let sender = UnixDatagram::unbound().unwrap();
                        let _ = sender.connect(&path);
                        // A datagram for each byte of a pair; the pairs of one do not mix.
                        (0..EACH).for_each(|i| {
                            assert_eq!(send(&sender, n, &path).unwrap(), 1, "{i}");
                        });
                    })
                })
                .collect();
            let mut seen = [0; SENDERS as usize];
            for _ in 0..usize::from(SENDERS) * usize::from(EACH) {
                seen[usize::from(byte(&receiver))] += 1;
            }
            assert_eq!(seen, [EACH; SENDERS as usize]);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        }
    });
}

#[test]
fn sends_survive_signals() {
    passes("unix_datagrams::child_sends_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_sends_in_a_storm_of_signals() {
    storm_of_signals();
    run(|| {
        for send in WAYS {
            let dir = tempdir().unwrap();
            let path = dir.path().join("sock");
            let receiver = UnixDatagram::bind(&path).unwrap();
            let sending = spawn(move || {
                let sender = UnixDatagram::unbound().unwrap();
                sender.connect(&path).unwrap();
                (0..=255).for_each(|n| assert_eq!(send(&sender, n, &path).unwrap(), 1));
            });
            for n in 0..=255 {
                assert_eq!(byte(&receiver), n);
                if n % 20 == 0 {
                    sleep(Duration::from_micros(500));
                }
            }
            sending.join().unwrap();
        }
    });
}

#[test]
fn a_datagram_of_nothing_is_one_and_a_long_one_is_cut() {
    run(|| {
        let (one, other) = UnixDatagram::pair().unwrap();
        assert_eq!(one.send(&[]).unwrap(), 0);
        one.send(b"long").unwrap();
        one.send(b"next").unwrap();
        assert_eq!(other.recv(&mut [0; 8]).unwrap(), 0);
        let mut buf = [0; 2];
        assert_eq!(other.recv(&mut buf).unwrap(), 2);
        assert_eq!(&buf, b"lo");
        let mut buf = [0; 8];
        let (count, addr) = other.recv_from(&mut buf).unwrap();
        assert!(addr.is_unnamed());
        assert_eq!(&buf[..count], b"next");
        assert!(is_empty(&other));
    });
}

#[test]
fn a_shutdown_wakes_the_receiver() {
    run(|| {
        let (one, other) = UnixDatagram::pair().unwrap();
        let one = Rc::new(one);
        let receiver = spawn({
            let one = Rc::clone(&one);
            move || one.recv(&mut [0]).unwrap()
        });
        until_waiting(1);
        one.shutdown(Shutdown::Read).unwrap();
        assert_eq!(receiver.join().unwrap(), 0);
        assert_eq!(other.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

/// Some of those who wait to receive are killed: no datagram is.
#[test]
fn receivers_that_are_killed_leave_their_datagrams_to_others() {
    run(|| {
        let (one, other) = UnixDatagram::pair().unwrap();
        let one = Rc::new(one);
        for victims in 0..8u32 {
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    let one = Rc::clone(&one);
                    spawn(move || byte(&one))
                })
                .collect();
            until_waiting(3);
            (0..3).for_each(|_| assert_eq!(other.send(b"x").unwrap(), 1));
            let is_victim = |n: usize| victims >> n & 1 == 1;
            for (n, receiver) in receivers.iter().enumerate() {
                if is_victim(n) {
                    receiver.kill();
                }
            }
            for (n, receiver) in receivers.into_iter().enumerate() {
                assert_eq!(receiver.join().is_err(), is_victim(n), "{victims:b}");
            }
            (0..victims.count_ones()).for_each(|_| assert_eq!(byte(&one), b'x'));
            assert!(is_empty(&one));
        }
    });
}

/// A path that fills the kernel's address has no zero at its end, and no form in std: the
/// datagram comes all the same.
#[test]
fn a_sender_with_the_longest_path_is_heard() {
    run(|| {
        let dir = tempdir().unwrap();
        let mut path = dir.path().join("x").into_os_string().into_encoded_bytes();
        path.resize(108, b'x');
        let (family, path) = ((libc::AF_UNIX as libc::sa_family_t).to_ne_bytes(), path);
        let addr = [&family[..], &path].concat();
        let sender = UnixDatagram::unbound().unwrap();
        // SAFETY: the address is readable for its length.
        let bound = unsafe {
            libc::bind(sender.as_raw_fd(), addr.as_ptr().cast(), addr.len() as libc::socklen_t)
        };
        assert_eq!(bound, 0);
        let receiver = UnixDatagram::bind(dir.path().join("r")).unwrap();
        sender.send_to(b"x", dir.path().join("r")).unwrap();
        let (count, addr) = receiver.recv_from(&mut [0; 2]).unwrap();
        assert_eq!(count, 1);
        assert!(addr.is_unnamed());
    });
}

#[test]
fn conversions_keep_the_mode_and_the_timeouts() {
    run(|| {
        let (one, other) = UnixDatagram::pair().unwrap();
        assert!(is_empty(&one));
        one.set_read_timeout(Some(SHORT)).unwrap();
        let std = std::os::unix::net::UnixDatagram::from(one);
        assert_eq!(std.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let one = UnixDatagram::from(OwnedFd::from(std));
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.set_read_timeout(None).unwrap();
        assert!(is_empty(&one));
        other.send(b"x").unwrap();
        assert_eq!(byte(&one), b'x');
    });
}

#[test]
fn a_descriptor_closed_under_a_waiter_is_an_error() {
    passes("unix_datagrams::child_closes_under_waiters");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_under_waiters() {
    run(|| {
        for direction in ["receive", "send"] {
            let full = Full::new();
            let one = ManuallyDrop::new(UnixDatagram::unbound().unwrap());
            one.connect(&full.path).unwrap();
            let fd = one.as_raw_fd();
            let waiter = spawn(move || match direction {
                "receive" => one.recv(&mut [0]),
                _ => one.send(b"x"),
            });
            until_waiting(1);
            // SAFETY: the test is about a descriptor that is closed behind its owner's back;
            // the owner is forgotten.
            drop(unsafe { UnixDatagram::from_raw_fd(fd) });
            let error = waiter.join().unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{direction}");
        }
    });
}
