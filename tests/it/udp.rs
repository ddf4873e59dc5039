//! UDP sockets: what their waits promise, and what datagrams are like.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread as os;
use std::time::Duration;

use corovent::debug;
use corovent::net::SocketAddr;
use corovent::net::UdpSocket;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::storm_of_signals;
use crate::support::was_killed;
use crate::tcp::until_readable;
use crate::tcp::until_waiting;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(3);

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Receives a datagram of one byte.
fn byte(socket: &UdpSocket) -> u8 {
    let mut buf = [0; 2];
    assert_eq!(socket.recv(&mut buf).unwrap(), 1);
    buf[0]
}

/// Asserts that a socket has nothing, and that to wait for it lets others run.
fn is_empty(socket: &UdpSocket) -> bool {
    timeout(SHORT, || socket.recv(&mut [0])).is_err()
}

/// The port is unreachable: who waits to receive learns it, once.
#[test]
fn a_refused_datagram_is_told_to_the_receiver() {
    run(|| {
        let (socket, _) = socket();
        let (closed, addr) = self::socket();
        drop(closed);
        let socket = Rc::new(socket);
        socket.connect(addr).unwrap();
        let receiver = spawn({
            let socket = Rc::clone(&socket);
            move || socket.recv(&mut [0])
        });
        until_waiting(1);
        socket.send(b"anybody?").unwrap();
        let error = receiver.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(is_empty(&socket));

        // Or to the next who sends.
        socket.send(b"anybody?").unwrap();
        assert_eq!(socket.send(b"?").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        socket.send(b"anybody?").unwrap();
        let error = socket.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(socket.take_error().unwrap().is_none());
        assert!(is_empty(&socket));
    });
}

#[test]
fn a_datagram_of_nothing_is_one() {
    run(|| {
        let (receiver, addr) = socket();
        let (sender, sender_addr) = socket();
        assert_eq!(sender.send_to(&[], addr).unwrap(), 0);
        assert_eq!(receiver.recv_from(&mut [0; 8]).unwrap(), (0, sender_addr));
        assert!(is_empty(&receiver));
    });
}

/// What does not fit is lost, and nothing of the next.
#[test]
fn a_datagram_is_cut_to_the_buffer() {
    run(|| {
        let (receiver, addr) = socket();
        let (sender, _) = socket();
        sender.send_to(b"long", addr).unwrap();
        sender.send_to(b"next", addr).unwrap();
        let mut buf = [0; 2];
        assert_eq!(receiver.peek(&mut buf).unwrap(), 2);
        assert_eq!(receiver.recv(&mut buf).unwrap(), 2);
        assert_eq!(&buf, b"lo");
        let mut buf = [0; 8];
        assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"next");
        // A count below the room says nothing of what is behind it.
        assert!(is_empty(&receiver));
    });
}

#[test]
fn a_datagram_that_is_too_long_is_an_error() {
    run(|| {
        let (sender, addr) = socket();
        let error = sender.send_to(&vec![0; 1 << 17], addr).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    });
}

/// They come while nobody runs, by one event: each waiter gets one, in the order of waiting.
#[test]
fn a_burst_feeds_all_who_wait() {
    run(|| {
        let (receiver, addr) = socket();
        let receiver = Rc::new(receiver);
        let got = Rc::new(RefCell::new(Vec::new()));
        let waiters: Vec<_> = (0..5)
            .map(|n| {
                let (receiver, got) = (Rc::clone(&receiver), Rc::clone(&got));
                spawn(move || {
                    let byte = byte(&receiver);
                    got.borrow_mut().push((n, byte));
                })
            })
            .collect();
        until_waiting(5);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..5).for_each(|n| assert_eq!(sender.send_to(&[n], addr).unwrap(), 1));
        waiters.into_iter().for_each(|task| task.join().unwrap());
        let mut got = got.take();
        if std::env::var_os("COROVENT_SEED").is_some() {
            got.sort_by_key(|(_, byte)| *byte);
            assert!(got.iter().map(|(_, byte)| *byte).eq(0..5));
        } else {
            assert!(got.into_iter().eq((0..5).map(|n| (n, n))));
        }
    });
}

#[test]
fn two_coroutines_play_ping_pong() {
    run(|| {
        let (one, one_addr) = socket();
        let (other, other_addr) = socket();
        let answering = spawn(move || {
            for n in 0..1_000u32 {
                let mut buf = [0; 4];
                assert_eq!(other.recv_from(&mut buf).unwrap(), (4, one_addr));
                assert_eq!(u32::from_ne_bytes(buf), n);
                other.send_to(&buf, one_addr).unwrap();
            }
        });
        for n in 0..1_000u32 {
            one.send_to(&n.to_ne_bytes(), other_addr).unwrap();
            let mut buf = [0; 4];
            assert_eq!(one.recv_from(&mut buf).unwrap(), (4, other_addr));
            assert_eq!(u32::from_ne_bytes(buf), n);
        }
        answering.join().unwrap();
    });
}

/// Every wait to receive ends by a kill, and takes nothing.
#[test]
fn a_kill_takes_no_datagram() {
    run(|| {
        let (receiver, addr) = socket();
        let (sender, _) = socket();
        let receiver = Rc::new(receiver);
        let calls: [fn(&UdpSocket); 4] = [
            |socket| drop(socket.recv(&mut [0])),
            |socket| drop(socket.recv_from(&mut [0])),
            |socket| drop(socket.peek(&mut [0])),
            |socket| drop(socket.peek_from(&mut [0])),
        ];
        for (n, call) in (0..).zip(calls) {
            let victim = spawn({
                let receiver = Rc::clone(&receiver);
                move || call(&receiver)
            });
            until_waiting(1);
            // The datagram is there before the victim runs.
            sender.send_to(&[n], addr).unwrap();
            until_readable(&*receiver);
            victim.kill();
            assert!(was_killed(victim));
            assert_eq!(debug::counters().waiting, 0);
            assert_eq!(byte(&receiver), n);
        }
    });
}

/// The one that was woken is killed: the datagram goes to the next.
#[test]
fn a_killed_receiver_passes_the_wake_on() {
    run(|| {
        let (receiver, addr) = socket();
        let (sender, _) = socket();
        let receiver = Rc::new(receiver);
        for n in 0..20 {
            let [victim, heir] = [(); 2].map(|()| {
                let receiver = Rc::clone(&receiver);
                spawn(move || byte(&receiver))
            });
            until_waiting(2);
            sender.send_to(&[n], addr).unwrap();
            until_readable(&*receiver);
            victim.kill();
            assert!(was_killed(victim));
            assert_eq!(heir.join().unwrap(), n);
        }
    });
}

#[test]
fn an_outer_timeout_is_not_lost() {
    run(|| {
        let (socket, _) = socket();
        socket.set_read_timeout(Some(LONG)).unwrap();
        assert!(timeout(SHORT, || socket.recv_from(&mut [0])).is_err());
        socket.set_read_timeout(Some(SHORT)).unwrap();
        let inner = timeout(LONG, || socket.recv_from(&mut [0])).unwrap();
        assert_eq!(inner.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
    });
}

#[test]
fn a_destructor_does_not_wait_for_a_datagram() {
    run(|| {
        let (socket, addr) = socket();
        let told = Rc::new(RefCell::new(None));
        let victim = spawn({
            let told = Rc::clone(&told);
            move || {
                let _last = on_drop(|| {
                    let error = socket.recv(&mut [0]).unwrap_err();
                    socket.send_to(b"x", addr).unwrap();
                    *told.borrow_mut() = Some((error.kind(), byte(&socket)));
                });
                corovent::sleep(LONG);
            }
        });
        // It has begun when it sleeps.
        while debug::counters().timers == 0 {
            yield_now();
        }
        victim.kill();
        assert!(was_killed(victim));
        assert_eq!(told.take(), Some((ErrorKind::Other, b'x')));
    });
}

/// Receivers on two hubs, and one on a thread that has none.
#[test]
fn threads_share_a_socket() {
    run(|| {
        const EACH: u8 = 50;

        let (receiver, addr) = socket();
        let receiver = Arc::new(receiver);
        let receive = |receiver: &UdpSocket| (0..EACH).map(|_| byte(receiver)).collect::<Vec<_>>();
        let with_hub = os::spawn({
            let receiver = Arc::clone(&receiver);
            move || spawn(move || receive(&receiver)).join().unwrap()
        });
        let without = os::spawn({
            let receiver = Arc::clone(&receiver);
            move || receive(&receiver)
        });
        let here = spawn({
            let receiver = Arc::clone(&receiver);
            move || receive(&receiver)
        });
        let (sender, _) = socket();
        (0..3 * EACH).for_each(|n| assert_eq!(sender.send_to(&[n], addr).unwrap(), 1));
        let mut got = here.join().unwrap();
        got.extend(with_hub.join().unwrap());
        got.extend(without.join().unwrap());
        got.sort_unstable();
        assert!(got.into_iter().eq(0..3 * EACH));
    });
}

#[test]
fn conversions_keep_the_mode_and_the_timeouts() {
    run(|| {
        let (socket, addr) = socket();
        assert!(is_empty(&socket));
        socket.set_read_timeout(Some(SHORT)).unwrap();
        let std = std::net::UdpSocket::from(socket);
        // SAFETY: F_GETFL takes no pointer.
        let flags = unsafe { libc::fcntl(std.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        assert_eq!(std.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        std.set_read_timeout(None).unwrap();
        std.set_nonblocking(true).unwrap();
        let socket = UdpSocket::from(std);
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        socket.set_nonblocking(false).unwrap();
        socket.send_to(b"x", addr).unwrap();
        assert_eq!(byte(&socket), b'x');
        assert!(is_empty(&socket));
    });
}

#[test]
fn a_socket_closed_under_a_receiver_is_an_error() {
    passes("udp::child_closes_under_a_receiver");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_under_a_receiver() {
    run(|| {
        let socket = ManuallyDrop::new(socket().0);
        let fd = socket.as_raw_fd();
        let receiver = spawn(move || socket.recv(&mut [0]));
        until_waiting(1);
        // SAFETY: the test is about a descriptor that is closed behind its owner's back; the
        // owner is forgotten.
        drop(unsafe { UdpSocket::from_raw_fd(fd) });
        let (reused, addr) = self::socket();
        assert_eq!(reused.as_raw_fd(), fd);
        reused.send_to(b"x", addr).unwrap();
        let error = receiver.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert_eq!(byte(&reused), b'x');
    });
}

#[test]
fn eintr_is_never_seen() {
    passes("udp::child_receives_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_receives_in_a_storm_of_signals() {
    storm_of_signals();
    run(|| {
        let (one, one_addr) = socket();
        let (other, other_addr) = socket();
        let answering = spawn(move || {
            for n in 0..500u32 {
                let mut buf = [0; 4];
                other.recv_from(&mut buf).unwrap();
                if n % 20 == 0 {
                    corovent::sleep(Duration::from_micros(500));
                }
                other.send_to(&buf, one_addr).unwrap();
            }
        });
        for n in 0..500u32 {
            one.send_to(&n.to_ne_bytes(), other_addr).unwrap();
            let mut buf = [0; 4];
            one.recv_from(&mut buf).unwrap();
            assert_eq!(u32::from_ne_bytes(buf), n);
        }
        answering.join().unwrap();
    });
}

/// Every option, set and read back by us and by std.
#[test]
fn the_options_are_stds() {
    macro_rules! options {
        ($socket:ty) => {{
            let socket = <$socket>::bind("127.0.0.1:0").unwrap();
            let six = <$socket>::bind("[::1]:0");
            let mut said: Vec<String> = Vec::new();
            macro_rules! say {
                ($result:expr) => {
                    said.push(format!("{:?}", $result.map_err(|error| error.kind())))
                };
            }
            say!(socket.broadcast());
            say!(socket.set_broadcast(true));
            say!(socket.broadcast());
            say!(socket.multicast_loop_v4());
            say!(socket.set_multicast_loop_v4(false));
            say!(socket.multicast_loop_v4());
            say!(socket.set_multicast_ttl_v4(7));
            say!(socket.multicast_ttl_v4());
            say!(socket.set_ttl(77));
            say!(socket.ttl());
            say!(socket.set_ttl(1000));
            let (group, lo) = (Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::LOCALHOST);
            say!(socket.leave_multicast_v4(&group, &lo));
            say!(socket.join_multicast_v4(&group, &lo));
            say!(socket.join_multicast_v4(&group, &lo));
            say!(socket.leave_multicast_v4(&group, &lo));
            say!(socket.multicast_loop_v6());
            if let Ok(socket) = six {
                say!(socket.multicast_loop_v6());
                say!(socket.set_multicast_loop_v6(false));
                say!(socket.multicast_loop_v6());
                let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
                say!(socket.leave_multicast_v6(&group, 1));
                say!(socket.join_multicast_v6(&group, 1));
                say!(socket.leave_multicast_v6(&group, 1));
            }
            said
        }};
    }
    run(|| assert_eq!(options!(UdpSocket), options!(std::net::UdpSocket)));
}
