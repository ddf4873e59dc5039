//! Signals all the time: no call is ever seen to be interrupted.

use std::io::Read;
use std::io::Write;
use std::mem;
use std::ptr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::fs;
use corovent::io::pipe;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::ToSocketAddrs;
use corovent::net::UdpSocket;
use corovent::process::Command;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc;
use corovent::threadpool;

use crate::peers::ANY;
use crate::peers::echo;
use crate::peers::ping;
use crate::strace::inject;
use crate::support::passes;
use crate::support::run;

/// A timer's signal every 200 µs, whose handler was set without SA_RESTART, under everything at
/// once.
#[test]
fn nobody_sees_eintr_in_a_storm_of_signals() {
    assert!(passes("interruptions::child_works_in_a_storm").contains("signals"));
}

#[test]
#[ignore = "sets a timer and a handler"]
fn child_works_in_a_storm() {
    run(|| {
        start_storm();
        while SIGNALS.load(Ordering::Relaxed) < 500 {
            work();
        }
        eprintln!("{} signals", SIGNALS.load(Ordering::Relaxed));
    });
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

/// A handler that counts, and a timer.
fn start_storm() {
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: all zeros is a valid action; without SA_RESTART calls are interrupted.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = count as *const () as usize;
    // SAFETY: the handler changes a counter and nothing else.
    let set = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) };
    assert_eq!(set, 0);
    let every = libc::timeval { tv_sec: 0, tv_usec: 200 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: `timer` is valid for the call.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
    assert_eq!(set, 0);
}

/// A little of everything, at once.
pub(crate) fn work() {
    let tasks = [
        spawn(talk_over_tcp),
        spawn(talk_over_udp),
        spawn(pass_through_pipes),
        spawn(pass_between_threads),
        spawn(|| threadpool::blocking(pass_between_bare_threads)),
        spawn(use_files),
        spawn(run_processes),
        spawn(sleep_a_little),
        spawn(|| {
            let found = ("localhost", 80).to_socket_addrs().unwrap().count();
            assert!(found > 0);
            assert_eq!(threadpool::blocking(|| 5), 5);
        }),
    ];
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

fn talk_over_tcp() {
    let listener = TcpListener::bind(ANY).unwrap();
    let addr = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            spawn(move || {
                let stream = TcpStream::connect(addr).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                (0..20).for_each(|_| ping(&stream));
            })
        })
        .collect();
    let servers: Vec<_> = (0..4)
        .map(|_| {
            let stream = listener.accept().unwrap().0;
            spawn(move || echo(stream).unwrap())
        })
        .collect();
    clients.into_iter().chain(servers).for_each(|task| task.join().unwrap());
}

fn talk_over_udp() {
    let (one, other) = (UdpSocket::bind(ANY).unwrap(), UdpSocket::bind(ANY).unwrap());
    let addr = other.local_addr().unwrap();
    let answers = spawn(move || {
        for _ in 0..10 {
            let (count, from) = other.recv_from(&mut [0; 8]).unwrap();
            assert_eq!(other.send_to(&[0; 8][..count], from).unwrap(), count);
        }
    });
    for n in 1..=8 {
        one.send_to(&[1; 8][..n], addr).unwrap();
        assert_eq!(one.recv(&mut [0; 8]).unwrap(), n);
    }
    (0..2).for_each(|_| assert_eq!(one.send_to(&[], addr).unwrap(), 0));
    answers.join().unwrap();
}

fn pass_through_pipes() {
    let (mut reader, mut writer) = pipe().unwrap();
    let task = spawn(move || writer.write_all(&[7; 300_000]).unwrap());
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 300_000);
    task.join().unwrap();
}

/// An OS thread without a hub sleeps on a futex, and this hub in epoll.
fn pass_between_threads() {
    let (there, from_here) = mpsc::channel();
    let (back, from_there) = mpsc::channel();
    let thread = os::spawn(move || from_here.iter().for_each(|n: u32| back.send(n + 1).unwrap()));
    for n in 0..50 {
        there.send(n).unwrap();
        assert_eq!(from_there.recv_timeout(Duration::from_secs(60)), Ok(n + 1));
    }
    drop(there);
    thread.join().unwrap();
}

fn use_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, [3; 100_000]).unwrap();
    assert_eq!(fs::read(&path).unwrap().len(), 100_000);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    fs::remove_file(&path).unwrap();
}

fn run_processes() {
    let output = Command::new("sh").args(["-c", "echo out; sleep 0.01"]).output().unwrap();
    assert_eq!(output.stdout, b"out\n");
}

fn sleep_a_little() {
    for _ in 0..5 {
        let begun = Instant::now();
        sleep(Duration::from_millis(2));
        assert!(begun.elapsed() >= Duration::from_millis(2));
    }
}

/// The wait itself: what it was for is seen at the next look, and no timer is lost or early.
#[test]
fn an_interrupted_epoll_wait_is_a_look_that_saw_nothing() {
    let faults = ["epoll_wait:error=EINTR:when=1+2", "epoll_pwait2:error=EINTR:when=1+2"];
    let Some(traced) = inject("interruptions::child_works", &faults) else { return };
    let hits = traced.injected("epoll_wait") + traced.injected("epoll_pwait2");
    assert!(hits >= 10, "{hits}");
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_works() {
    run(work);
}

/// Both sleep on a futex.
fn pass_between_bare_threads() {
    let (there, from_here) = mpsc::sync_channel(1);
    let thread = os::spawn(move || from_here.iter().sum::<u32>());
    (0..100).for_each(|n| there.send(n).unwrap());
    drop(there);
    assert_eq!(thread.join().unwrap(), 4950);
}
