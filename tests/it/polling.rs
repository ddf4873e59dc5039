//! `poll`: the kernel's poll(2), during which the others run.

use std::cell::Cell;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::io::pipe;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Deadlock;
use corovent::debug;
use corovent::net::TcpListener;
use corovent::os::unix::net::UnixStream;
use corovent::selectors::PollFd;
use corovent::selectors::PollFlags;
use corovent::selectors::Selector;
use corovent::selectors::poll;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::selectors::epoll_over;
use crate::selectors::eventfd;
use crate::support::passes;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::until_waiting;

const NOW: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(3);
/// No descriptor of a test's process has this number.
const NOBODYS: RawFd = 1_000_000;

const IN: PollFlags = PollFlags::IN;
const OUT: PollFlags = PollFlags::OUT;
const ALL: [PollFlags; 4] = [PollFlags::IN, PollFlags::PRI, PollFlags::OUT, PollFlags::RDHUP];

/// What the kernel's own poll(2) finds now.
fn kernels(fds: &[PollFd]) -> (usize, Vec<i16>) {
    let bits = |flags: PollFlags| {
        let bits = [libc::POLLIN, libc::POLLPRI, libc::POLLOUT, libc::POLLRDHUP];
        let all = ALL.into_iter().zip(bits);
        all.filter(|(flag, _)| flags.contains(*flag)).fold(0, |sum, (_, bit)| sum | bit)
    };
    let entry = |fd: &PollFd| libc::pollfd { fd: fd.fd(), events: bits(fd.events()), revents: 0 };
    let mut entries: Vec<_> = fds.iter().map(entry).collect();
    // SAFETY: `entries` are as many as is said.
    let found = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, 0) };
    (found.try_into().unwrap(), entries.iter().map(|entry| entry.revents).collect())
}

/// The number of a set, as poll(2) has it.
fn number(flags: PollFlags) -> i16 {
    let names = [
        (PollFlags::IN, libc::POLLIN),
        (PollFlags::PRI, libc::POLLPRI),
        (PollFlags::OUT, libc::POLLOUT),
        (PollFlags::RDHUP, libc::POLLRDHUP),
        (PollFlags::ERR, libc::POLLERR),
        (PollFlags::HUP, libc::POLLHUP),
        (PollFlags::NVAL, libc::POLLNVAL),
    ];
    names.iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |sum, (_, bit)| sum | bit)
}

/// Calls `poll`, and compares. A child of another test has all descriptors open for a moment, so
/// that an end may come late, in the middle of this.
#[track_caller]
fn check_like_the_kernels(fds: &mut [PollFd], limit: Option<Duration>) -> usize {
    let before = kernels(fds);
    let found = poll(fds, limit).unwrap();
    let ours = (found, fds.iter().map(|fd| number(fd.revents())).collect());
    let after = kernels(fds);
    assert!(ours == after || (limit.is_some() && ours == before), "{fds:?}: {after:?}");
    found
}

#[test]
fn it_finds_what_the_kernels_finds() {
    run(|| {
        let (reader, mut full) = pipe().unwrap();
        full.write_all(b"x").unwrap();
        let (empty, without_readers) = pipe().unwrap();
        let (without_writers, writer) = pipe().unwrap();
        drop((writer, empty));
        let (ours, theirs) = pair();
        let (half, other_half) = UnixStream::pair().unwrap();
        other_half.shutdown(std::net::Shutdown::Write).unwrap();
        let (hung_up, peer) = UnixStream::pair().unwrap();
        drop(peer);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = tempfile::tempfile().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let event = eventfd(1);
        let epoll = epoll_over(event.as_raw_fd(), 0);
        let numbers = [
            reader.as_raw_fd(),
            full.as_raw_fd(),
            without_readers.as_raw_fd(),
            without_writers.as_raw_fd(),
            ours.as_raw_fd(),
            theirs.as_raw_fd(),
            half.as_raw_fd(),
            hung_up.as_raw_fd(),
            listener.as_raw_fd(),
            file.as_raw_fd(),
            null.as_raw_fd(),
            event.as_raw_fd(),
            epoll.as_raw_fd(),
            NOBODYS,
            -1,
            -7,
        ];
        let mut all = Vec::new();
        for subset in 0..16 {
            let chosen = ALL.iter().enumerate().filter(|(n, _)| subset >> n & 1 == 1);
            let events = chosen.fold(PollFlags::empty(), |sum, (_, flag)| sum | *flag);
            for number in numbers {
                let entry = PollFd::new(number, events);
                check_like_the_kernels(&mut [entry], NOW);
                check_like_the_kernels(&mut [entry], Some(Duration::from_nanos(1)));
                all.push(entry);
            }
        }
        // All of them in one call, each number sixteen times.
        assert!(check_like_the_kernels(&mut all, None) > 100);
        assert!(check_like_the_kernels(&mut all, NOW) > 100);
    });
}

#[test]
fn others_run_while_it_waits() {
    run(|| {
        let pipes: Vec<_> = (0..3).map(|_| pipe().unwrap()).collect();
        let mut fds: Vec<_> =
            pipes.iter().map(|(reader, _)| PollFd::new(reader.as_raw_fd(), IN)).collect();
        // Twice the same, once for something that does not come; one is passed over.
        fds.push(fds[1]);
        fds.push(PollFd::new(fds[1].fd(), PollFlags::PRI));
        fds.push(PollFd::new(-1, IN | OUT));
        let writer = spawn({
            let mut writer = pipes[1].1.try_clone().unwrap();
            move || {
                for _ in 0..5 {
                    yield_now();
                }
                writer.write_all(b"x").unwrap();
            }
        });
        assert_eq!(check_like_the_kernels(&mut fds, None), 2);
        let found: Vec<bool> = fds.iter().map(|fd| fd.revents() == IN).collect();
        assert_eq!(found, [false, true, false, true, false, false]);
        writer.join().unwrap();
        assert_eq!(debug::counters().descriptors, 0, "nothing stays registered");
    });
}

/// What comes only later: data, an end, an error, urgent data, room.
#[test]
fn whatever_was_asked_for_ends_the_wait() {
    #[track_caller]
    fn check(fd: RawFd, events: PollFlags, act: impl FnOnce() + 'static, found: PollFlags) {
        let mut fds = [PollFd::new(fd, events)];
        assert_eq!(check_like_the_kernels(&mut fds, NOW), 0);
        let other = spawn(act);
        assert_eq!(check_like_the_kernels(&mut fds, None), 1);
        assert_eq!(fds[0].revents(), found);
        other.join().unwrap();
    }

    run(|| {
        let (reader, writer) = pipe().unwrap();
        check(reader.as_raw_fd(), PollFlags::empty(), move || drop(writer), PollFlags::HUP);
        let (reader, writer) = pipe().unwrap();
        check(writer.as_raw_fd(), PollFlags::empty(), move || drop(reader), PollFlags::ERR);
        let (mut reader, mut writer) = corovent::io::pipe().unwrap();
        (0..16).for_each(|_| writer.write_all(&[0; 4096]).unwrap());
        let _reader = reader.as_fd().try_clone_to_owned().unwrap();
        check(writer.as_raw_fd(), OUT, move || reader.read_exact(&mut [0; 40_000]).unwrap(), OUT);
        let (ours, theirs) = pair();
        let peer = theirs.try_clone().unwrap();
        let end = move || theirs.shutdown(std::net::Shutdown::Write).unwrap();
        check(ours.as_raw_fd(), PollFlags::RDHUP, end, PollFlags::RDHUP);
        let _ours = ours.try_clone().unwrap();
        let urgent = move || {
            // SAFETY: the buffer is readable for its one byte.
            let sent =
                unsafe { libc::send(ours.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
            assert_eq!(sent, 1);
        };
        check(peer.as_raw_fd(), PollFlags::PRI, urgent, PollFlags::PRI);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connect = move || drop(corovent::net::TcpStream::connect(addr).unwrap());
        check(listener.as_raw_fd(), IN, connect, IN);
        for bits in [0, libc::EPOLLET] {
            let (reader, mut writer) = pipe().unwrap();
            let epoll = epoll_over(reader.as_raw_fd(), bits);
            check(epoll.as_raw_fd(), IN, move || writer.write_all(b"x").unwrap(), IN);
        }
        let (reader, mut writer) = pipe().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(&reader, corovent::selectors::Events::READ, ()).unwrap();
        check(selector.as_raw_fd(), IN, move || writer.write_all(b"x").unwrap(), IN);
    });
}

#[test]
fn a_limit_is_never_early_and_a_zero_one_only_looks() {
    run(|| {
        let (reader, _writer) = pipe().unwrap();
        let file = tempfile::tempfile().unwrap();
        let idle = PollFd::new(reader.as_raw_fd(), IN);
        let nothing = PollFd::new(file.as_raw_fd(), PollFlags::empty());
        let cases: [&mut [PollFd]; 5] = [
            &mut [],
            &mut [PollFd::new(-1, IN)],
            &mut [idle],
            &mut [nothing],
            &mut [idle, nothing],
        ];
        for fds in cases {
            for limit in [Duration::from_nanos(1), Duration::from_micros(300), SHORT] {
                let start = Instant::now();
                assert_eq!(poll(fds, Some(limit)).unwrap(), 0);
                assert!(start.elapsed() >= limit, "{fds:?}");
            }
            let other = spawn(|| ());
            assert_eq!(poll(fds, NOW).unwrap(), 0);
            assert!(!other.is_finished(), "a look lets nobody run");
            assert_eq!(poll(fds, Some(SHORT)).unwrap(), 0);
            assert!(other.is_finished(), "a wait does");
            other.join().unwrap();
            assert!(timeout(SHORT, || poll(fds, None)).is_err());
            assert!(timeout(SHORT, || poll(fds, Some(Duration::MAX))).is_err());
        }
    });
}

#[test]
fn a_loop_that_is_always_served_lets_others_run() {
    run(|| {
        let event = eventfd(1);
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
            assert_eq!(poll(&mut [PollFd::new(event.as_raw_fd(), IN)], NOW).unwrap(), 1);
        }
        assert_eq!(turns.get(), 5);
        other.join().unwrap();
    });
}

/// What `poll` waits for may be registered with the hub, and be waited for by others.
#[test]
fn several_may_wait_for_one_socket() {
    run(|| {
        let (ours, mut theirs) = pair();
        let number = ours.as_raw_fd();
        for byte in 0..20 {
            let polling: Vec<_> = (0..3)
                .map(|_| spawn(move || poll(&mut [PollFd::new(number, IN)], None).unwrap()))
                .collect();
            let reader = spawn({
                let ours = ours.try_clone().unwrap();
                move || ours.wait_readable().unwrap()
            });
            until_waiting(4);
            theirs.write_all(&[byte]).unwrap();
            for task in polling {
                assert_eq!(task.join().unwrap(), 1);
            }
            reader.join().unwrap();
            let mut read = [0];
            (&ours).read_exact(&mut read).unwrap();
            assert_eq!(read, [byte]);
        }
    });
}

/// gevent #2100. The numbers would go to other tests.
#[test]
fn what_it_waits_for_may_be_closed() {
    passes("polling::child_closes_what_is_polled");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_what_is_polled() {
    run(|| {
        // It has no data, and never will: the end of the wait finds that it is gone.
        for limit in [Some(SHORT), None] {
            let (ours, _theirs) = pair();
            let (reader, mut writer) = pipe().unwrap();
            let fds = [&ours.as_raw_fd(), &reader.as_raw_fd()].map(|fd| PollFd::new(*fd, IN));
            let polling = spawn(move || {
                let mut fds = fds;
                let found = poll(&mut fds, limit).unwrap();
                (found, fds.map(|fd| fd.revents()))
            });
            until_waiting(1);
            drop(ours);
            yield_now();
            assert!(!polling.is_finished(), "as in the kernel, nobody tells");
            if limit.is_none() {
                writer.write_all(b"x").unwrap();
            }
            let (found, revents) = polling.join().unwrap();
            match limit {
                None => assert_eq!((found, revents), (2, [PollFlags::NVAL, IN])),
                Some(_) => {
                    assert_eq!((found, revents), (1, [PollFlags::NVAL, PollFlags::empty()]));
                }
            }
        }
        // The number is used again by a socket that is ready.
        let (ours, _theirs) = pair();
        let number = ours.as_raw_fd();
        let polling = spawn(move || {
            let mut fds = [PollFd::new(number, IN)];
            poll(&mut fds, Some(SHORT)).map(|found| (found, fds[0].revents()))
        });
        until_waiting(1);
        drop(ours);
        let (reader, mut writer) = pipe().unwrap();
        assert_eq!(reader.as_raw_fd(), number);
        writer.write_all(b"x").unwrap();
        assert_eq!(polling.join().unwrap().unwrap(), (1, IN), "what the number is by then");
    });
}

#[test]
fn a_thousand_descriptors_can_be_polled() {
    run(|| {
        let events: Vec<_> = (0..1000).map(|_| eventfd(0)).collect();
        let mut fds: Vec<_> =
            events.iter().map(|event| PollFd::new(event.as_raw_fd(), IN)).collect();
        let last = events[777].try_clone().unwrap();
        let raiser = spawn(move || {
            let one = 1u64;
            // SAFETY: `one` is readable for eight bytes.
            unsafe { libc::write(last.as_raw_fd(), (&raw const one).cast(), 8) }
        });
        assert_eq!(check_like_the_kernels(&mut fds, None), 1);
        assert_eq!(fds[777].revents(), IN);
        assert_eq!(raiser.join().unwrap(), 8);
    });
}

/// More entries than descriptors may be open.
#[test]
fn too_many_entries_are_an_error() {
    run(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is writable.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
        let mut fds = vec![PollFd::new(-1, IN); limit.rlim_cur as usize + 1];
        assert_eq!(poll(&mut fds, None).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(poll(&mut fds[1..], NOW).unwrap(), 0);
    });
}

#[test]
fn a_poll_of_nothing_without_a_limit_is_a_deadlock() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        let mut nothing = [PollFd::new(-1, IN)];
        let payload = catch_unwind(AssertUnwindSafe(|| poll(&mut nothing, None))).unwrap_err();
        assert!(payload.is::<Deadlock>());
    });
}

#[test]
fn eintr_is_never_seen() {
    passes("polling::child_polls_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_polls_in_a_storm_of_signals() {
    crate::support::storm_of_signals();
    run(|| {
        let (reader, mut writer) = corovent::io::pipe().unwrap();
        let task = spawn(move || {
            for _ in 0..100 {
                sleep(Duration::from_millis(1));
                writer.write_all(b"x").unwrap();
            }
        });
        let mut fds = [PollFd::new(reader.as_raw_fd(), IN)];
        for _ in 0..100 {
            assert_eq!(poll(&mut fds, None).unwrap(), 1);
            (&reader).read_exact(&mut [0]).unwrap();
            let start = Instant::now();
            if poll(&mut fds, Some(SHORT / 6)).unwrap() == 0 {
                assert!(start.elapsed() >= SHORT / 6);
            }
        }
        task.join().unwrap();
    });
}

#[test]
fn sets_of_flags_are_shown_by_name() {
    let mut flags = IN | PollFlags::HUP;
    assert!(flags.intersects(IN | OUT) && !flags.contains(IN | OUT) && flags.contains(IN));
    let entry = PollFd::new(3, flags);
    let text = "PollFd { fd: 3, events: IN | HUP, revents: empty }";
    assert_eq!(format!("{entry:?}"), text);
    flags = flags & OUT;
    assert!(flags.is_empty() && flags == PollFlags::default());
}
