//! A process that is stopped for a while: whoever answered in time is not timed out.

use std::env;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener as StdListener;
use std::process::Child;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use corovent::net::TcpStream;
use corovent::spawn;
use corovent::sync::mpsc;
use corovent::timeout;

use crate::peers::ANY;
use crate::support::child_command;
use crate::support::has_passed;
use crate::support::run;

/// More than one look at epoll shows.
const PEERS: usize = 200;

/// The process stops while it waits for many answers, and goes on when they are there and their
/// time is over. SIGCONT alone makes epoll_wait(2) fail with EINTR.
#[test]
fn whoever_answers_while_the_process_is_stopped_is_not_timed_out() {
    is_stopped_in_time("stopping::child_waits_for_answers");
}

/// The same, where the time is that of others, to whom the answers are passed on.
#[test]
fn what_is_passed_on_after_a_stop_is_not_timed_out() {
    is_stopped_in_time("stopping::child_passes_answers_on");
}

fn is_stopped_in_time(child: &str) {
    let mut limit = Duration::from_millis(1500);
    // On a slow machine the time may be over before the process is stopped.
    while !stops_in_time(child, limit) {
        limit *= 2;
        assert!(limit < Duration::from_secs(60), "the machine is too slow");
    }
}

fn stops_in_time(name: &str, limit: Duration) -> bool {
    let listener = StdListener::bind(ANY).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut command = child_command(name);
    command.envs([("FAULTS_PEER", addr), ("FAULTS_LIMIT", limit.as_millis().to_string())]);
    let begun = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut streams: Vec<_> = (0..PEERS).map(|_| listener.accept().unwrap().0).collect();
    streams.iter_mut().for_each(|stream| stream.read_exact(&mut [0]).unwrap());
    // Everybody has asked, and now the hub waits.
    wait_for(|| waits_in_epoll(&child));
    send(&child, libc::SIGSTOP);
    wait_for(|| state(&child) == 'T');
    let was_in_time = begun.elapsed() < limit;
    streams.iter_mut().for_each(|stream| stream.write_all(b"x").unwrap());
    thread::sleep(limit + Duration::from_millis(20));
    send(&child, libc::SIGCONT);
    let output = child.wait_with_output().unwrap();
    if was_in_time {
        has_passed(name, &output);
    }
    was_in_time
}

#[test]
#[ignore = "is stopped by its parent"]
fn child_waits_for_answers() {
    let (peer, limit) = peer_and_limit();
    run(|| {
        let ask = |n: usize| {
            let mut stream = TcpStream::connect(&peer).unwrap();
            spawn(move || {
                stream.write_all(b"x").unwrap();
                let mut buf = [0];
                // Both kinds of deadlines.
                if n.is_multiple_of(2) {
                    stream.set_read_timeout(Some(limit)).unwrap();
                    stream.read(&mut buf)
                } else {
                    timeout(limit, || stream.read(&mut buf)).expect("the answer came in time")
                }
            })
        };
        let tasks: Vec<_> = (0..PEERS).map(ask).collect();
        for task in tasks {
            assert_eq!(task.join().unwrap().unwrap(), 1);
        }
    });
}

#[test]
#[ignore = "is stopped by its parent"]
fn child_passes_answers_on() {
    let (peer, limit) = peer_and_limit();
    run(|| {
        let ask = || {
            let mut stream = TcpStream::connect(&peer).unwrap();
            let (sender, answers) = mpsc::channel();
            let asks = spawn(move || {
                stream.write_all(b"x").unwrap();
                let mut buf = [0];
                stream.read_exact(&mut buf).unwrap();
                sender.send(buf).unwrap();
            });
            (asks, spawn(move || answers.recv_timeout(limit)))
        };
        let tasks: Vec<_> = (0..PEERS).map(|_| ask()).collect();
        for (asks, waits) in tasks {
            assert_eq!(waits.join().unwrap(), Ok(*b"x"));
            asks.join().unwrap();
        }
    });
}

/// What the parent has told.
fn peer_and_limit() -> (String, Duration) {
    let limit = env::var("FAULTS_LIMIT").unwrap().parse().unwrap();
    (env::var("FAULTS_PEER").unwrap(), Duration::from_millis(limit))
}

fn wait_for(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The state of the process.
fn state(child: &Child) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    // The name before it may have any sign in it.
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// Whether one of its threads does.
fn waits_in_epoll(child: &Child) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    tasks.flatten().any(|task| {
        // A thread may end meanwhile.
        let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        let number = call.split(' ').next().unwrap_or_default();
        [libc::SYS_epoll_wait, libc::SYS_epoll_pwait2].iter().any(|call| number == call.to_string())
    })
}

fn send(child: &Child, signal: libc::c_int) {
    // SAFETY: the child was not reaped yet, so the number is its own.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
}
