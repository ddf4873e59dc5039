//! What becomes of a hub whose own descriptors are closed, or replaced, by other code: it makes
//! new ones, and nobody who waits is forgotten.

use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::thread as os;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::os::unix::net::UnixStream;
use corovent::remote;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::passes;
use crate::support::run;
use crate::support::until_waiting;

/// What the message of the hub says.
const REPORT: &str = "has closed or replaced a descriptor of the hub";

/// The numbers of this process's descriptors of one kind, by what /proc says of them. In a
/// process of its own they are the hub's alone.
fn numbers_of(kind: &str) -> Vec<RawFd> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let is_meant = fs::read_link(&path).is_ok_and(|target| target.to_str() == Some(kind));
        let number: RawFd = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        found.extend(is_meant.then_some(number));
    }
    found
}

/// The descriptors of this thread's hub: its epoll instance and its eventfd.
fn own_numbers() -> [RawFd; 2] {
    spawn(|| ()).join().unwrap();
    let [epoll] = numbers_of("anon_inode:[eventpoll]")[..] else { panic!("one epoll instance") };
    let [alarm] = numbers_of("anon_inode:[eventfd]")[..] else { panic!("one eventfd") };
    [epoll, alarm]
}

fn close(number: RawFd) {
    // SAFETY: what it does to the hub is what is tested.
    assert_eq!(unsafe { libc::close(number) }, 0);
}

/// Puts another file in the place of a descriptor.
fn replace(number: RawFd, by: &impl AsRawFd) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::dup2(by.as_raw_fd(), number) }, number);
}

fn epoll() -> OwnedFd {
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    // SAFETY: it was just made.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Fifty coroutines that wait for a socket each, some that wait for time, and one that waits for
/// another thread. While they do, `harm` is done; all of them must come back.
fn all_come_back(harm: impl FnOnce([RawFd; 2])) {
    run(|| {
        let numbers = own_numbers();
        let order = Rc::new(RefCell::new(Vec::new()));
        let (readers, mut ends): (Vec<_>, Vec<_>) = (0..50u8)
            .map(|n| {
                let (mut reader, end) = UnixStream::pair().unwrap();
                let order = Rc::clone(&order);
                let reader = spawn(move || {
                    let mut byte = [0];
                    while reader.read(&mut byte).unwrap() == 1 {
                        assert_eq!(byte[0], n);
                        order.borrow_mut().push(n);
                    }
                });
                (reader, end)
            })
            .unzip();
        let parked = spawn(park);
        until_waiting(51);
        // On a slow machine the first is back before the last is asleep.
        let sleepers: Vec<_> =
            (1..5).map(|n| spawn(move || sleep(Duration::from_millis(n)))).collect();
        yield_now();
        harm(numbers);
        for _ in 0..3 {
            let before = order.borrow().len();
            for (n, end) in (0..50).zip(&mut ends) {
                end.write_all(&[n]).unwrap();
            }
            while order.borrow().len() < before + 50 {
                yield_now();
            }
        }
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        // New registrations, and the way in from other threads while the hub sleeps.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = spawn(move || listener.accept().unwrap());
        yield_now();
        let client = TcpStream::connect(addr).unwrap();
        drop((accepted.join().unwrap(), client));
        let unparker = parked.thread().clone();
        let thread = os::spawn(move || {
            os::sleep(Duration::from_millis(5));
            unparker.unpark();
        });
        parked.join().unwrap();
        thread.join().unwrap();
        drop(ends);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// Checks that a child passes in which the hub has noticed its loss.
#[track_caller]
fn passes_and_reports(test: &str) {
    let text = passes(&format!("lost_descriptors::{test}"));
    assert!(text.contains(REPORT), "{text}");
}

#[test]
fn a_closed_epoll_instance_is_made_anew() {
    passes_and_reports("child_closes_the_instance");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_the_instance() {
    all_come_back(|[epoll, _]| close(epoll));
}

/// Of a number that was given to others meanwhile a new instance knows the wrong file.
#[test]
fn a_wait_for_a_foreign_number_is_for_its_file_still() {
    passes_and_reports("child_replaces_a_foreign_number_and_closes_the_instance");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_replaces_a_foreign_number_and_closes_the_instance() {
    run(|| {
        let [epoll, _] = own_numbers();
        let (reader, mut end) = std::os::unix::net::UnixStream::pair().unwrap();
        let (other, _other_end) = std::os::unix::net::UnixStream::pair().unwrap();
        let number = reader.as_raw_fd();
        let waiter = spawn(move || corovent::io::wait_readable(&reader, None));
        until_waiting(1);
        replace(number, &other);
        close(epoll);
        yield_now();
        end.write_all(b"x").unwrap();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn an_epoll_instance_replaced_by_a_file_is_made_anew() {
    passes_and_reports("child_puts_a_file_there");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_puts_a_file_there() {
    all_come_back(|[epoll, _]| {
        replace(epoll, &fs::File::open("/dev/null").unwrap());
    });
}

#[test]
fn one_replaced_by_a_socket_is_made_anew() {
    passes_and_reports("child_puts_a_socket_there");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_puts_a_socket_there() {
    all_come_back(|[epoll, _]| {
        replace(epoll, &std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    });
}

#[test]
fn one_replaced_by_another_instance_is_found_out() {
    passes_and_reports("child_puts_an_instance_there");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_puts_an_instance_there() {
    all_come_back(|[number, _]| {
        // Nothing is ever told there: the hub looks when its next second begins.
        replace(number, &epoll());
        os::sleep(Duration::from_millis(1001));
    });
}

#[test]
fn one_that_tells_of_other_things_is_found_out() {
    passes_and_reports("child_puts_a_busy_instance_there");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_puts_a_busy_instance_there() {
    all_come_back(|[number, _]| {
        // It goes on and on about descriptors that the hub knows not of.
        let (busy, other) = (epoll(), std::os::unix::net::UnixStream::pair().unwrap().0);
        for data in [7, u64::MAX] {
            let mut event = libc::epoll_event { events: libc::EPOLLOUT as u32, u64: data };
            let (busy, other) = (busy.as_raw_fd(), other.try_clone().unwrap());
            // SAFETY: `event` is valid for the call.
            let added = unsafe {
                libc::epoll_ctl(busy, libc::EPOLL_CTL_ADD, other.as_raw_fd(), &raw mut event)
            };
            assert_eq!(added, 0);
            // It stays open, or it would leave the instance.
            std::mem::forget(other);
        }
        replace(number, &busy);
    });
}

#[test]
fn both_closed_are_made_anew() {
    passes_and_reports("child_closes_both");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_both() {
    all_come_back(|numbers| numbers.into_iter().for_each(close));
}

/// Waits until a thread sleeps in epoll_wait(2).
fn until_in_epoll(thread: libc::pid_t) {
    let path = format!("/proc/self/task/{thread}/syscall");
    let call = format!("{} ", libc::SYS_epoll_wait);
    while !fs::read_to_string(&path).unwrap().starts_with(&call) {
        os::yield_now();
    }
}

/// The eventfd is closed while the hub sleeps in the kernel: whoever wakes it finds another way.
#[test]
fn a_sleeping_hub_without_its_eventfd_is_woken() {
    passes_and_reports("child_closes_the_eventfd");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_closes_the_eventfd() {
    run(|| {
        let [_, alarm] = own_numbers();
        for round in 0..3 {
            let own = remote();
            let parked = spawn(park);
            let unparker = parked.thread().clone();
            // SAFETY: the call has no preconditions.
            let hub_thread = unsafe { libc::gettid() };
            let thread = os::spawn(move || {
                if round == 0 {
                    until_in_epoll(hub_thread);
                    close(alarm);
                }
                unparker.unpark();
                own.spawn(move || round).unwrap().join().unwrap()
            });
            parked.join().unwrap();
            while !thread.is_finished() {
                yield_now();
            }
            assert_eq!(thread.join().unwrap(), round);
        }
    });
}

/// Again and again, while connections are served: each time a new pair, and no spin in between.
#[test]
fn a_hub_that_is_robbed_again_and_again_serves_on() {
    let text = passes("lost_descriptors::child_is_robbed_again_and_again");
    assert_eq!(text.matches(REPORT).count(), 20, "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_is_robbed_again_and_again() {
    run(|| {
        own_numbers();
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let echo = spawn(move || {
            let mut byte = [0];
            while there.read(&mut byte).unwrap() == 1 {
                there.write_all(&byte).unwrap();
            }
        });
        for n in 0..20 {
            let [epoll] = numbers_of("anon_inode:[eventpoll]")[..] else { panic!("one instance") };
            close(epoll);
            here.write_all(&[n]).unwrap();
            let mut byte = [0];
            here.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [n]);
        }
        drop(here);
        echo.join().unwrap();
    });
}
