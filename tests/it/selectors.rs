//! `Selector`: descriptors that stay registered. The cases are those of CPython's
//! `test_selectors.py` where they are about a selector that is an epoll instance.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::io::PipeReader;
use std::io::PipeWriter;
use std::io::Read;
use std::io::Write;
use std::io::pipe;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::UdpSocket;
use corovent::os::unix::net::UnixStream;
use corovent::selectors::Events;
use corovent::selectors::Key;
use corovent::selectors::PollFd;
use corovent::selectors::PollFlags;
use corovent::selectors::Selector;
use corovent::selectors::poll;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::open_fds;
use crate::support::passes;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::until_waiting;
use crate::worlds::until;

const NOW: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(3);

/// The data of what is ready now, or within the time, by number.
fn ready<F: AsFd>(selector: &Selector<F, u32>, timeout: Option<Duration>) -> Vec<(u32, Events)> {
    let ready = selector.select(timeout).unwrap();
    let mut ready: Vec<_> = ready.iter().map(|(key, events)| (*key.data(), *events)).collect();
    ready.sort_by_key(|(data, _)| *data);
    ready
}

pub(crate) fn eventfd(count: u32) -> OwnedFd {
    // SAFETY: eventfd(2) takes no pointer.
    let fd = unsafe { libc::eventfd(count, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(fd >= 0);
    // SAFETY: eventfd(2) returned it and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// An epoll instance of other code, which watches one descriptor for data.
pub(crate) fn epoll_over(fd: RawFd, bits: i32) -> OwnedFd {
    // SAFETY: epoll_create1(2) takes no pointer.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(epoll >= 0);
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | bits) as u32, u64: 0 };
    // SAFETY: `event` is valid for the call.
    let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    assert_eq!(added, 0);
    // SAFETY: epoll_create1(2) returned it and nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(epoll) }
}

#[test]
fn others_run_while_one_selects() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let (idle, _idle) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(&reader, Events::READ, 1).unwrap();
        selector.register(&idle, Events::READ, 2).unwrap();
        let turns = Rc::new(Cell::new(0));
        let other = spawn({
            let turns = Rc::clone(&turns);
            move || {
                for _ in 0..5 {
                    turns.set(turns.get() + 1);
                    sleep(Duration::from_micros(50));
                }
                writer.write_all(b"x").unwrap();
            }
        });
        assert_eq!(ready(&selector, None), [(1, Events::READ)]);
        assert_eq!(turns.get(), 5);
        other.join().unwrap();
        assert_eq!(debug::counters().descriptors, 1, "the hub knows the selector only");
    });
}

#[test]
fn what_is_ready_is_told_until_it_is_no_longer() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(reader.as_fd().try_clone_to_owned().unwrap(), Events::READ, 1).unwrap();
        assert_eq!(ready(&selector, NOW), []);
        writer.write_all(b"ab").unwrap();
        for _ in 0..2 {
            assert_eq!(ready(&selector, None), [(1, Events::READ)]);
            assert_eq!(ready(&selector, NOW), [(1, Events::READ)]);
            reader.read_exact(&mut [0]).unwrap();
        }
        assert_eq!(ready(&selector, Some(SHORT)), []);
        // The end of a pipe is told as well, and is an end of its reader alone.
        drop(writer);
        assert_eq!(ready(&selector, None), [(1, Events::READ)]);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_limit_is_never_early_and_a_zero_one_only_looks() {
    run(|| {
        let (reader, _writer) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(reader, Events::READ, 1).unwrap();
        for limit in [Duration::from_nanos(1), Duration::from_micros(300), SHORT] {
            let start = Instant::now();
            assert_eq!(ready(&selector, Some(limit)), []);
            assert!(start.elapsed() >= limit);
        }
        let ran = spawn(|| ());
        assert_eq!(ready(&selector, NOW), []);
        assert!(!ran.is_finished(), "a look lets nobody run");
        ran.join().unwrap();
        let empty: Selector<OwnedFd> = Selector::new().unwrap();
        assert!(empty.select(Some(SHORT)).unwrap().is_empty());
        assert!(timeout(SHORT, || empty.select(None)).is_err());
        assert!(timeout(SHORT, || selector.select(Some(Duration::MAX))).is_err());
    });
}

#[test]
fn keys_are_found_changed_and_forgotten() {
    run(|| {
        let (first, _writer) = pipe().unwrap();
        let (second, _writer) = pipe().unwrap();
        let selector: Selector<&PipeReader, &str> = Selector::new().unwrap();
        let other: Selector<&PipeReader, &str> = Selector::new().unwrap();
        assert!(selector.is_empty() && selector.get(&first).is_none());

        let key = selector.register(&first, Events::READ, "first").unwrap();
        let error = selector.register(&first, Events::WRITE, "again").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(selector.get(&first), Some(key.clone()));
        assert_eq!(selector.get(&second), None);
        selector.register(&second, Events::READ | Events::WRITE, "second").unwrap();
        let data: BTreeSet<&str> = selector.keys().iter().map(|key| *key.data()).collect();
        assert_eq!((data, selector.len()), (BTreeSet::from(["first", "second"]), 2));
        let text = format!("{key:?} {selector:?}");
        assert!(
            text.contains("events: READ, data: \"first\"") && text.contains("len: 2"),
            "{text}"
        );

        selector.modify(&key, Events::READ | Events::WRITE).unwrap();
        assert_eq!(format!("{:?}", key.events()), "READ | WRITE");
        assert_eq!(other.modify(&key, Events::READ).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(other.unregister(&key).unwrap_err().kind(), ErrorKind::NotFound);
        selector.unregister(&key).unwrap();
        assert_eq!(selector.unregister(&key).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(selector.modify(&key, Events::READ).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!((selector.len(), selector.get(&first)), (1, None));

        // The same descriptor again is another registration.
        let again = selector.register(&first, Events::READ, "third").unwrap();
        assert!(again != key);
        assert_eq!(selector.unregister(&key).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(key.into_inner().map(|(_, data)| data), Some("first"));
        assert!(again.into_inner().is_none(), "the selector has it");
    });
}

#[test]
fn a_change_takes_effect_at_once() {
    run(|| {
        let (one, mut two) = UnixStream::pair().unwrap();
        let selector = Selector::new().unwrap();
        let key = selector.register(&one, Events::WRITE, 1).unwrap();
        assert_eq!(ready(&selector, None), [(1, Events::WRITE)]);
        two.write_all(b"x").unwrap();
        assert_eq!(ready(&selector, None), [(1, Events::WRITE)], "what was not asked for");
        selector.modify(&key, Events::READ | Events::WRITE).unwrap();
        assert_eq!(ready(&selector, None), [(1, Events::READ | Events::WRITE)]);
        selector.modify(&key, Events::READ).unwrap();
        assert_eq!(ready(&selector, None), [(1, Events::READ)]);
        selector.unregister(&key).unwrap();
        assert_eq!(ready(&selector, NOW), []);
    });
}

#[test]
fn what_others_register_ends_the_wait() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let (one, _two) = UnixStream::pair().unwrap();
        let selector: Rc<Selector<OwnedFd, u32>> = Rc::new(Selector::new().unwrap());
        let selecting = |count| {
            let selector = Rc::clone(&selector);
            let task = spawn(move || ready(&selector, None));
            until_waiting(count);
            task
        };
        let task = selecting(1);
        writer.write_all(b"x").unwrap();
        let key = selector.register(reader.into(), Events::READ, 1).unwrap();
        assert_eq!(task.join().unwrap(), [(1, Events::READ)]);
        selector.unregister(&key).unwrap();

        let task = selecting(1);
        let key = selector.register(one.into(), Events::READ, 2).unwrap();
        yield_now();
        assert!(!task.is_finished());
        selector.modify(&key, Events::WRITE).unwrap();
        assert_eq!(task.join().unwrap(), [(2, Events::WRITE)]);
    });
}

#[test]
fn any_kind_of_descriptor_can_be_watched() {
    #[track_caller]
    fn check(name: &str, fd: impl AsFd, make_ready: impl FnOnce() + 'static) {
        let selector = Selector::new().unwrap();
        selector.register(fd.as_fd(), Events::READ, 1).unwrap();
        assert_eq!(ready(&selector, NOW), [], "{name}");
        let other = spawn(make_ready);
        assert_eq!(ready(&selector, None), [(1, Events::READ)], "{name}");
        other.join().unwrap();
    }

    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        check("pipe", reader, move || writer.write_all(b"x").unwrap());
        let (reader, mut writer) = corovent::io::pipe().unwrap();
        check("our pipe", reader, move || writer.write_all(b"x").unwrap());
        let (ours, mut theirs) = pair();
        check("our stream", ours, move || theirs.write_all(b"x").unwrap());
        let (ours, theirs) = pair();
        check("end of a stream", ours, move || drop(theirs));
        let (one, mut two) = std::os::unix::net::UnixStream::pair().unwrap();
        check("std's stream", one, move || two.write_all(b"x").unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        check("listener", &listener, move || drop(TcpStream::connect(addr).unwrap()));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (addr, sender) = (udp.local_addr().unwrap(), udp.try_clone().unwrap());
        check("datagrams", udp, move || assert_eq!(sender.send_to(b"x", addr).unwrap(), 1));

        let event = Rc::new(eventfd(0));
        let raise = |event: &Rc<OwnedFd>| {
            let event = Rc::clone(event);
            move || {
                let one = 1u64;
                // SAFETY: `one` is readable for eight bytes.
                let count = unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), 8) };
                assert_eq!(count, 8);
            }
        };
        check("eventfd", &event, raise(&event));
        for bits in [0, libc::EPOLLET] {
            let event = Rc::new(eventfd(0));
            let epoll = epoll_over(event.as_raw_fd(), bits);
            check("epoll instance", epoll, raise(&event));
        }
        let inner = Selector::new().unwrap();
        let event = Rc::new(eventfd(0));
        inner.register(&event, Events::READ, ()).unwrap();
        check("selector", &inner, raise(&event));

        // SAFETY: posix_openpt(3) takes no pointer.
        let terminal = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) };
        // SAFETY: it was just opened, and its mode is known to nobody.
        assert_eq!(unsafe { libc::unlockpt(terminal) }, 0);
        // SAFETY: posix_openpt(3) returned it and nobody else owns it.
        let terminal = unsafe { OwnedFd::from_raw_fd(terminal) };
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        // SAFETY: the ioctl takes flags.
        let other = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGPTPEER, flags) };
        assert!(other >= 0);
        // SAFETY: the ioctl opened it and nobody else owns it.
        let mut other = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(other) });
        check("terminal", terminal, move || other.write_all(b"x\n").unwrap());
    });
}

#[test]
fn what_the_kernel_cannot_watch_is_always_ready() {
    run(|| {
        let both = Events::READ | Events::WRITE;
        let file = tempfile::tempfile().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let (reader, mut writer) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        let key = selector.register(file.as_fd(), both, 1).unwrap();
        selector.register(null.as_fd(), Events::READ, 2).unwrap();
        selector.register(reader.as_fd(), Events::READ, 3).unwrap();
        assert_eq!(ready(&selector, None), [(1, both), (2, Events::READ)]);
        selector.modify(&key, Events::WRITE).unwrap();
        writer.write_all(b"x").unwrap();
        let expected = [(1, Events::WRITE), (2, Events::READ), (3, Events::READ)];
        assert_eq!(ready(&selector, None), expected);
        let error = selector.register(file.as_fd(), Events::READ, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        selector.unregister(&key).unwrap();
        assert_eq!(ready(&selector, None), expected[1..]);
        selector.register(file.as_fd(), Events::READ, 5).unwrap();
        assert_eq!(ready(&selector, None).len(), 3);
    });
}

/// Other tests open descriptors as well.
#[test]
fn no_descriptor_is_left() {
    passes("selectors::child_counts_its_descriptors");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_counts_its_descriptors() {
    run(|| {
        sleep(SHORT);
        let before = open_fds();
        for _ in 0..3 {
            let selector = Selector::new().unwrap();
            let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            let key = selector.register(null(), Events::READ, 1).unwrap();
            selector.register(null(), Events::READ, 2).unwrap();
            selector.register(eventfd(0), Events::READ, 3).unwrap();
            assert_eq!(ready(&selector, None).len(), 2);
            selector.unregister(&key).unwrap();
            let mut fds = [PollFd::new(selector.as_raw_fd(), PollFlags::PRI)];
            assert_eq!(poll(&mut fds, Some(SHORT)).unwrap(), 0);
            assert!(timeout(SHORT, || poll(&mut fds, None)).is_err());
        }
        assert_eq!(open_fds(), before);
    });
}

/// A hang-up and an error are found by any call.
#[test]
fn an_error_is_told_whatever_is_asked_for() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(writer, Events::READ, 1).unwrap();
        assert_eq!(ready(&selector, NOW), []);
        drop(reader);
        assert_eq!(ready(&selector, None), [(1, Events::READ)]);

        let (reader, writer) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(reader, Events::READ | Events::WRITE, 1).unwrap();
        drop(writer);
        assert_eq!(ready(&selector, None), [(1, Events::READ | Events::WRITE)]);
    });
}

#[test]
fn a_thousand_descriptors_each_tell_their_own() {
    run(|| {
        let selector = Selector::new().unwrap();
        for n in 0..1000 {
            selector.register(eventfd(0), Events::READ, n).unwrap();
        }
        let keys = selector.keys();
        assert_eq!((keys.len(), selector.len()), (1000, 1000));
        let raiser = spawn({
            let keys = keys.clone();
            move || {
                for key in keys.iter().filter(|key| key.data() % 3 == 0) {
                    let one = 1u64;
                    // SAFETY: `one` is readable for eight bytes.
                    unsafe { libc::write(key.source().as_raw_fd(), (&raw const one).cast(), 8) };
                }
            }
        });
        assert_eq!(ready(&selector, None).len(), 334, "all were raised in one turn");
        raiser.join().unwrap();
        let expected: Vec<_> = (0..1000).step_by(3).map(|n| (n, Events::READ)).collect();
        assert_eq!(ready(&selector, None), expected);
        for key in keys.iter().filter(|key| key.data() % 2 == 0) {
            selector.unregister(key).unwrap();
        }
        let expected: Vec<_> = (3..1000).step_by(6).map(|n| (n, Events::READ)).collect();
        assert_eq!(ready(&selector, None), expected);
        assert_eq!(debug::counters().descriptors, 1);
    });
}

#[test]
fn of_more_than_a_select_tells_all_get_their_turn() {
    run(|| {
        // Duplicates of one descriptor are descriptors of their own.
        let event = eventfd(1);
        let selector = Selector::new().unwrap();
        for n in 0..2500 {
            selector.register(event.try_clone().unwrap(), Events::READ, n).unwrap();
        }
        let mut told = BTreeSet::new();
        for _ in 0..3 {
            told.extend(ready(&selector, None).iter().map(|(n, _)| *n));
        }
        assert_eq!(told.len(), 2500);
    });
}

/// A socket is registered with the hub, edge-triggered, and with selectors, level-triggered.
#[test]
fn the_hub_and_selectors_may_watch_the_same_socket() {
    run(|| {
        let (ours, mut theirs) = pair();
        let ours = Rc::new(ours);
        let first = Selector::new().unwrap();
        let second = Selector::new().unwrap();
        let key = first.register(Rc::clone(&ours), Events::READ, 1).unwrap();
        second.register(Rc::clone(&ours), Events::READ | Events::WRITE, 2).unwrap();
        for round in 0..50u8 {
            let reader = spawn({
                let ours = Rc::clone(&ours);
                move || {
                    let mut byte = [0];
                    (&*ours).read_exact(&mut byte).unwrap();
                    byte[0]
                }
            });
            until_waiting(1);
            if round % 2 == 0 {
                theirs.write_all(&[round]).unwrap();
                assert_eq!(ready(&first, NOW), [(1, Events::READ)], "nobody has read it");
                assert_eq!(ready(&second, NOW), [(2, Events::READ | Events::WRITE)]);
            } else {
                let writer = spawn({
                    let theirs = theirs.try_clone().unwrap();
                    move || (&theirs).write_all(&[round]).unwrap()
                });
                // The reader, which came first, or the selector gets it first.
                assert!(ready(&first, Some(SHORT)).len() <= 1);
                writer.join().unwrap();
            }
            assert_eq!(reader.join().unwrap(), round);
            assert_eq!(ready(&first, NOW), []);
            assert_eq!(ready(&second, NOW), [(2, Events::WRITE)]);
        }
        first.unregister(&key).unwrap();
        drop((key, first, second));
        // The last owner goes, and the peer finds the end.
        assert_eq!(Rc::strong_count(&ours), 1);
        drop(ours);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn what_a_key_owns_is_closed_with_its_last_copy() {
    run(|| {
        let (ours, mut theirs) = pair();
        let selector = Selector::new().unwrap();
        // It is registered with the hub as well.
        assert!(timeout(SHORT, || (&ours).read(&mut [0])).is_err());
        let key = selector.register(ours, Events::WRITE, 1).unwrap();
        let told = selector.select(None).unwrap();
        selector.unregister(&key).unwrap();
        drop(key);
        let end = timeout(SHORT, || theirs.read(&mut [0]));
        assert!(end.is_err(), "what select has given is a copy");
        drop(told);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);

        let (ours, mut theirs) = pair();
        selector.register(ours, Events::WRITE, 1).unwrap();
        drop(selector);
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    });
}

/// gevent #2100: closing a descriptor while it is selected on crashed the loop. The numbers
/// would go to other tests.
#[test]
fn unsafe_code_may_close_what_is_registered() {
    passes("selectors::child_closes_what_is_registered");
}

fn close(fd: RawFd) {
    // SAFETY: the test is about a descriptor that is closed behind its owner's back; the owner
    // is forgotten.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_what_is_registered() {
    run(|| {
        let (reader, writer) = pipe().unwrap();
        let (other, mut other_writer) = pipe().unwrap();
        let selector = Rc::new(Numbers(Selector::new().unwrap()));
        let (reader, other) = (ManuallyDrop::new(reader), ManuallyDrop::new(other));
        let key = selector.register(reader.as_raw_fd(), 1);
        let selecting = spawn({
            let selector = Rc::clone(&selector);
            move || ready(&selector.0, None)
        });
        until_waiting(1);
        close(reader.as_raw_fd());
        drop(writer);
        yield_now();
        assert!(!selecting.is_finished(), "it is silent");
        // The number is another's, and is registered again.
        let (new, mut new_writer) = pipe().unwrap();
        assert_eq!(new.as_raw_fd(), reader.as_raw_fd());
        let new = ManuallyDrop::new(new);
        let new_key = selector.register(new.as_raw_fd(), 2);
        assert_eq!(selector.0.len(), 1, "the old one is forgotten");
        assert_eq!(selector.0.unregister(&key).unwrap_err().kind(), ErrorKind::NotFound);
        new_writer.write_all(b"x").unwrap();
        assert_eq!(selecting.join().unwrap(), [(2, Events::READ)]);

        // Closed and unregistered after that: a stranger has the number now, and is left alone.
        close(new.as_raw_fd());
        let (stranger, mut stranger_writer) = pipe().unwrap();
        assert_eq!(stranger.as_raw_fd(), new.as_raw_fd());
        assert!(selector.0.modify(&new_key, Events::READ | Events::WRITE).is_err());
        stranger_writer.write_all(b"x").unwrap();
        assert_eq!(ready(&selector.0, NOW), []);
        selector.0.unregister(&new_key).unwrap();

        // A duplicate keeps the kernel's registration alive, and nobody can remove it.
        let key = selector.register(other.as_raw_fd(), 3);
        let duplicate = other.as_fd().try_clone_to_owned().unwrap();
        close(other.as_raw_fd());
        other_writer.write_all(b"x").unwrap();
        assert_eq!(ready(&selector.0, None), [(3, Events::READ)], "the file is the same");
        selector.0.unregister(&key).unwrap();
        let error = selector.0.select(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().contains("closed while registered"), "{error}");
        drop(duplicate);
        assert_eq!(ready(&selector.0, NOW), []);
    });
}

/// Numbers whose owners are closed behind it.
struct Numbers(Selector<Number, u32>);

struct Number(RawFd);

impl AsFd for Number {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: it is open when this is called, and that is what the test is about.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) }
    }
}

impl Numbers {
    fn register(&self, number: RawFd, data: u32) -> Key<Number, u32> {
        self.0.register(Number(number), Events::READ, data).unwrap()
    }
}

#[test]
fn several_may_select_at_once() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let selector = Arc::new(Selector::new().unwrap());
        selector.register(reader, Events::READ, 1).unwrap();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let selector = Arc::clone(&selector);
                spawn(move || ready(&selector, None))
            })
            .collect();
        let selector_there = Arc::clone(&selector);
        let thread = os::spawn(move || spawn(move || ready(&selector_there, None)).join().unwrap());
        until_waiting(3);
        writer.write_all(b"x").unwrap();
        for task in tasks {
            assert_eq!(task.join().unwrap(), [(1, Events::READ)]);
        }
        until(|| thread.is_finished());
        assert_eq!(thread.join().unwrap(), [(1, Events::READ)]);
    });
}

/// One deals with it, and the other goes on waiting.
#[test]
fn one_who_comes_too_late_goes_on_waiting() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let selector = Rc::new(Selector::new().unwrap());
        selector.register(reader, Events::READ, 1).unwrap();
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let selector = Rc::clone(&selector);
                spawn(move || {
                    let ready = selector.select(None).unwrap();
                    let mut pipe = ready[0].0.source();
                    pipe.read_exact(&mut [0]).unwrap();
                })
            })
            .collect();
        until_waiting(2);
        writer.write_all(b"x").unwrap();
        until(|| tasks.iter().any(|task| task.is_finished()));
        (0..5).for_each(|_| yield_now());
        assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 1);
        writer.write_all(b"y").unwrap();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// Threads register, change and unregister while others wait on the same selector.
/// Each hub has the selector's descriptor registered by edges: no look of one takes an edge from
/// the other.
#[test]
fn what_stays_ready_is_told_to_all_hubs() {
    let (reader, mut writer) = pipe().unwrap();
    let selector = Arc::new(Selector::new().unwrap());
    selector.register(reader, Events::READ, ()).unwrap();
    writer.write_all(b"x").unwrap();
    let hubs: Vec<_> = (0..2)
        .map(|_| {
            let selector = Arc::clone(&selector);
            os::spawn(move || {
                run(|| {
                    let select = |limit| selector.select(limit).unwrap().len();
                    (0..2000).for_each(|_| assert_eq!((select(None), select(NOW)), (1, 1)));
                });
            })
        })
        .collect();
    hubs.into_iter().for_each(|hub| hub.join().unwrap());
}

#[test]
fn threads_may_share_one() {
    run(|| {
        let selector: Arc<Selector<PipeReader, u32>> = Arc::new(Selector::new().unwrap());
        let (stop, mut stopper) = pipe().unwrap();
        let stop = selector.register(stop, Events::READ, u32::MAX).unwrap();
        let told = Arc::clone(&selector);
        let waiting = os::spawn(move || {
            let mut count = 0;
            loop {
                for (key, _) in told.select(None).unwrap() {
                    match *key.data() {
                        u32::MAX => return count,
                        _ => count += 1,
                    }
                }
            }
        });
        let changing: Vec<_> = (0..3)
            .map(|n| {
                let selector = Arc::clone(&selector);
                os::spawn(move || {
                    for _ in 0..300 {
                        let (reader, mut writer) = pipe().unwrap();
                        let key = selector.register(reader, Events::WRITE, n).unwrap();
                        writer.write_all(b"x").unwrap();
                        selector.modify(&key, Events::READ).unwrap();
                        selector.modify(&key, Events::READ | Events::WRITE).unwrap();
                        assert!(selector.len() <= 4);
                        selector.unregister(&key).unwrap();
                    }
                })
            })
            .collect();
        changing.into_iter().for_each(|thread| thread.join().unwrap());
        stopper.write_all(b"x").unwrap();
        waiting.join().unwrap();
        assert_eq!(selector.keys(), [stop]);
    });
}

#[test]
fn selectors_nest_as_far_as_the_kernel_lets_them() {
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let inner = Selector::new().unwrap();
        inner.register(&reader, Events::READ, 1).unwrap();
        let outer = Selector::new().unwrap();
        outer.register(&inner, Events::READ, 2).unwrap();
        let other = spawn(move || {
            writer.write_all(b"x").unwrap();
            writer
        });
        assert_eq!(ready(&outer, None), [(2, Events::READ)]);
        assert_eq!(ready(&inner, NOW), [(1, Events::READ)]);
        assert_eq!(ready(&outer, None), [(2, Events::READ)], "the inner one has it still");
        (&reader).read_exact(&mut [0]).unwrap();
        assert_eq!(ready(&inner, NOW), []);
        assert_eq!(ready(&outer, Some(SHORT)), []);
        drop(other.join().unwrap());

        // In a ring nothing could ever be found out.
        let (one, two) = (Arc::new(Selector::new().unwrap()), Arc::new(Selector::new().unwrap()));
        let key =
            one.register(two.as_fd().try_clone_to_owned().unwrap(), Events::READ, ()).unwrap();
        let one_fd = one.as_fd().try_clone_to_owned().unwrap();
        let error = two.register(one_fd, Events::READ, ()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        one.unregister(&key).unwrap();
    });
}

#[test]
fn a_loop_that_is_always_served_lets_others_run() {
    run(|| {
        let selector = Selector::new().unwrap();
        selector.register(eventfd(1), Events::READ, ()).unwrap();
        let turns = Rc::new(Cell::new(0));
        let other = spawn({
            let turns = Rc::clone(&turns);
            move || {
                for _ in 0..5 {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            }
        });
        for _ in 0..2000 {
            assert_eq!(selector.select(None).unwrap().len(), 1);
        }
        assert_eq!(turns.get(), 5);
        other.join().unwrap();
    });
}

#[test]
fn the_table_names_what_it_waits_for() {
    run(|| {
        let selector: Selector<OwnedFd> = Selector::new().unwrap();
        let name = format!("descriptors (fd {})", selector.as_raw_fd());
        let task = spawn(move || selector.select(None).map(drop));
        until_waiting(1);
        let dump = debug::dump();
        assert!(dump.tasks().any(|task| task.waits_for().as_deref() == Some(&name)), "{dump}");
        task.kill();
        assert!(task.join().is_err());
    });
}

#[test]
fn eintr_is_never_seen() {
    passes("selectors::child_selects_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_selects_in_a_storm_of_signals() {
    crate::support::storm_of_signals();
    run(|| {
        let (reader, mut writer) = corovent::io::pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(&reader, Events::READ, 1).unwrap();
        let task = spawn(move || {
            for _ in 0..100 {
                sleep(Duration::from_millis(1));
                writer.write_all(b"x").unwrap();
            }
        });
        for _ in 0..100 {
            assert_eq!(ready(&selector, None), [(1, Events::READ)]);
            (&reader).read_exact(&mut [0]).unwrap();
            let start = Instant::now();
            if ready(&selector, Some(SHORT / 6)).is_empty() {
                assert!(start.elapsed() >= SHORT / 6);
            }
        }
        task.join().unwrap();
    });
}

/// Random programs, beside what poll(2) says of the same pipes. A child of another test has them
/// open for a moment, so that their ends come late.
#[test]
fn it_agrees_with_poll_on_random_programs() {
    passes("selectors::child_agrees_with_poll_on_random_programs");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_agrees_with_poll_on_random_programs() {
    struct Pipe {
        reader: PipeReader,
        writer: Option<PipeWriter>,
        filled: u32,
    }

    run(|| {
        for seed in 0..20u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut draw = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random >> 11) % below
            };
            let selector: Selector<Rc<OwnedFd>, u32> = Selector::new().unwrap();
            let mut pipes = Vec::new();
            let mut watched: Vec<(Rc<OwnedFd>, u32)> = Vec::new();
            for n in 0..8 {
                let (reader, writer) = pipe().unwrap();
                let copy = Rc::new(reader.as_fd().try_clone_to_owned().unwrap());
                watched.push((copy, n));
                pipes.push(Pipe { reader, writer: Some(writer), filled: 0 });
            }
            for step in 0..300 {
                let (fd, n) = &watched[draw(8) as usize];
                let pipe = &mut pipes[*n as usize];
                match draw(20) {
                    0..5 => drop(selector.register(Rc::clone(fd), Events::READ, *n)),
                    5..8 => drop(selector.get(fd).map(|key| selector.unregister(&key))),
                    8..9 => drop(pipe.writer.take()),
                    9..14 if pipe.writer.is_some() => {
                        pipe.writer.as_ref().unwrap().write_all(b"x").unwrap();
                        pipe.filled += 1;
                    }
                    9..19 if pipe.filled > 0 => {
                        pipe.reader.read_exact(&mut [0]).unwrap();
                        pipe.filled -= 1;
                    }
                    _ => {}
                }
                let is_ready = |key: &Key<Rc<OwnedFd>, u32>| {
                    let fd = key.source().as_raw_fd();
                    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                    // SAFETY: `entry` is one pollfd.
                    unsafe { libc::poll(&raw mut entry, 1, 0) == 1 }
                };
                let keys = selector.keys();
                let mut expected: Vec<_> = keys.iter().filter(|key| is_ready(key)).collect();
                expected.sort_by_key(|key| *key.data());
                let limit = if step % 7 == 0 { Some(Duration::from_micros(20)) } else { NOW };
                let found = selector.select(limit).unwrap();
                let mut found: Vec<_> = found.iter().map(|(key, _)| key).collect();
                found.sort_by_key(|key| *key.data());
                assert_eq!(found, expected, "seed {seed}, step {step}");
            }
        }
    });
}

/// Threads share it if they may share what it watches.
#[test]
fn it_is_send_and_sync_if_what_it_keeps_is() {
    fn check<T: Send + Sync>() {}
    check::<Selector<TcpStream, u32>>();
    check::<Key<OwnedFd, u32>>();
}
