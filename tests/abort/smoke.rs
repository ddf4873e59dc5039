//! What is left of the semantics when nothing can unwind: run in a build with
//! `panic = "abort"`.
//!
//! ```text
//! cargo run --profile abort -p abort_smoke
//! ```
//!
//! It is a program since cargo builds every test so that it can unwind.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::cell::Cell;
use std::cell::RefCell;
use std::env;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process;
use std::process::Command;
use std::process::Output;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Killed;
use corovent::coroutine_local;
use corovent::debug;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::scope;
use corovent::server::StreamServer;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

/// Long enough never to end by itself.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(5);

const SIGABRT: i32 = 6;

fn main() {
    match env::args().nth(1).as_deref() {
        Some("deadlock") => return deadlock(),
        Some("panic") => return drop(spawn(|| panic!("on purpose")).join()),
        _ => {}
    }
    if cfg!(panic = "unwind") {
        panic!("this build unwinds: see the top of this file");
    }
    let checks: [(&str, fn()); 14] = [
        ("the main thread is called main", the_main_thread_has_a_name),
        ("coroutines run and are joined", coroutines_run),
        ("coroutine-locals are destroyed", locals_are_destroyed),
        ("a scope waits for its children", a_scope_waits),
        ("a kill before the start drops the captures", a_kill_before_the_start_works),
        ("a kill of one that has started is refused", a_kill_of_a_started_one_is_refused),
        ("a timeout ends an I/O call", a_timeout_ends_an_io_call),
        ("a timeout leaves other waits alone", a_timeout_leaves_other_waits_alone),
        ("a timeout ends a child", a_timeout_ends_a_child),
        ("connections echo", connections_echo),
        ("a server serves and stops", a_server_serves_and_stops),
        ("run gives up what it cannot end", run_gives_up_what_it_cannot_end),
        ("a deadlock prints its table and aborts", a_deadlock_aborts),
        ("a panic is printed and aborts", a_panic_aborts),
    ];
    for (name, check) in checks {
        check();
        assert_eq!(debug::counters(), debug::Counters::default(), "{name}: left behind");
        println!("{name}: ok");
    }
}

fn the_main_thread_has_a_name() {
    let before = corovent::current();
    assert_eq!(before.name(), Some("main"));
    yield_now();
    assert_eq!(before.id(), corovent::current().id());
}

fn locals_are_destroyed() {
    coroutine_local!(static VALUE: RefCell<Option<Rc<()>>> = const { RefCell::new(None) });

    let value = Rc::new(());
    let held = Rc::clone(&value);
    spawn(move || VALUE.set(Some(held))).join().unwrap();
    assert_eq!(Rc::strong_count(&value), 1);
}

fn coroutines_run() {
    let tasks: Vec<_> = (0..100).map(|n| spawn(move || n)).collect();
    let sum: u32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!(sum, 4950);

    let start = Instant::now();
    let sleepers: Vec<_> = (0..100).map(|_| spawn(|| sleep(SHORT))).collect();
    sleepers.into_iter().for_each(|task| task.join().unwrap());
    assert!(start.elapsed() >= SHORT);
}

fn a_scope_waits() {
    let done = Cell::new(0);
    scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                yield_now();
                done.set(done.get() + 1);
            });
        }
    });
    assert_eq!(done.get(), 10);
}

fn a_kill_before_the_start_works() {
    let capture = Rc::new(());
    let task = spawn({
        let capture = Rc::clone(&capture);
        move || {
            drop(capture);
            unreachable!("it was killed before it ran")
        }
    });
    assert!(task.kill());
    let result: std::thread::Result<()> = task.join();
    assert!(result.unwrap_err().is::<Killed>());
    assert_eq!(Rc::strong_count(&capture), 1);
}

fn a_kill_of_a_started_one_is_refused() {
    let task = spawn(|| {
        park();
        park();
        7
    });
    yield_now();
    assert!(!task.kill(), "blocked");
    assert!(!task.kill_timeout(SHORT), "nothing to wait for");
    task.thread().unpark();
    assert!(!task.kill(), "ready");
    yield_now();
    assert!(!task.is_finished());
    let thread = task.thread().clone();
    let killer = std::thread::spawn(move || {
        let killed = task.kill();
        thread.unpark();
        (killed, task.join())
    });
    // This thread's coroutine runs while its root waits.
    while !killer.is_finished() {
        sleep(Duration::from_millis(1));
    }
    let (killed, result) = killer.join().unwrap();
    assert!(!killed, "from another thread");
    assert_eq!(result.unwrap(), 7);
}

fn a_timeout_ends_an_io_call() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let accepted = timeout(SHORT, || listener.accept().map(drop));
    let error = accepted.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= SHORT);

    // The next call knows nothing of it.
    let addr = listener.local_addr().unwrap();
    let client = spawn(move || TcpStream::connect(addr));
    let (mut served, _) = listener.accept().unwrap();
    client.join().unwrap().unwrap().write_all(b"x").unwrap();
    assert_eq!(timeout(LONG, || served.read(&mut [0; 9])).unwrap().unwrap(), 1);
}

fn a_timeout_ends_a_child() {
    let mut sleeper = corovent::process::Command::new("sleep");
    sleeper.arg("1000");
    let ended = timeout(SHORT, || sleeper.output().unwrap_err().kind());
    assert_eq!(ended, Ok(io::ErrorKind::TimedOut));
    let ended = timeout(SHORT, || sleeper.status().unwrap_err().kind());
    assert_eq!(ended, Ok(io::ErrorKind::TimedOut));
    let children = std::fs::read_to_string(format!("/proc/self/task/{}/children", process::id()));
    assert_eq!(children.unwrap(), "", "killed and reaped");
}

fn a_timeout_leaves_other_waits_alone() {
    let start = Instant::now();
    assert_eq!(timeout(Duration::from_millis(1), || sleep(SHORT)), Ok(()));
    assert!(start.elapsed() >= SHORT);
}

/// Its acceptor looks now and then whether it is to stop. A handler that does not end cannot be
/// made to.
fn a_server_serves_and_stops() {
    let server =
        StreamServer::builder().limit(2).bind("127.0.0.1:0", |mut stream: TcpStream, _| {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            stream.write_all(&byte)
        });
    let server = server.unwrap();
    for _ in 0..2 {
        server.start().unwrap();
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        let mut waits = TcpStream::connect(server.local_addr()).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        let name = waits.local_addr().unwrap().to_string();
        assert_eq!(server.stop(SHORT).stuck, [name]);
        waits.write_all(b"x").unwrap();
        waits.read_exact(&mut [0]).unwrap();
        while server.stats().active > 0 {
            yield_now();
        }
    }
    assert_eq!(server.stats().accepted, 4);
}

fn connections_echo() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = spawn(move || {
        for _ in 0..20 {
            let (mut stream, _) = listener.accept().unwrap();
            spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    stream.write_all(&buffer[..count]).unwrap();
                }
            });
        }
    });
    let clients = (0..20).map(|n: u8| {
        spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            for _ in 0..50 {
                let mut answer = [0; 32];
                stream.write_all(&[n; 32]).unwrap();
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [n; 32]);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.join().unwrap();
    // The server's coroutines see the ends of their connections.
    while debug::counters() != debug::Counters::default() {
        sleep(Duration::from_millis(1));
    }
}

fn run_gives_up_what_it_cannot_end() {
    let stuck = corovent::run(|| {
        let stuck = spawn(park);
        yield_now();
        stuck
    });
    assert!(stuck.join().unwrap_err().is::<corovent::Abandoned>());
}

fn deadlock() {
    let stuck = corovent::Builder::new().name("stuck".to_owned()).spawn(park).unwrap();
    drop(stuck.join());
    println!("the root goes on");
}

fn a_deadlock_aborts() {
    let output = child("deadlock");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{text}");
    assert!(text.contains("'stuck' (#") && text.contains("smoke.rs:"), "{text}");
    assert!(output.stdout.is_empty(), "the root went on");
}

fn a_panic_aborts() {
    let output = child("panic");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{text}");
    assert!(text.contains("on purpose"), "{text}");
}

fn child(what: &str) -> Output {
    Command::new(env::current_exe().unwrap()).arg(what).output().unwrap()
}
