//! Ends of `main` while the watchdog and the threads of the dump signal are busy: a return and a
//! panic end the process as ever.
//!
//! The harness of tests has a `main` of its own; so this program has none, and starts itself.

#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

use std::env;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

/// How the child is to end.
const END: &str = "COROVENT_TEST_END";

/// Says that it is dropped, which nobody is to.
struct Parked;

impl Drop for Parked {
    fn drop(&mut self) {
        eprintln!("a parked destructor has run");
    }
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box(());
    }
}

/// What all children do before they end: some park, one computes, and dumps are asked for.
fn live() {
    for _ in 0..20 {
        drop(spawn(|| {
            let _parked = Parked;
            park();
        }));
    }
    yield_now();
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::USR1).unwrap();
    // Long enough for reports, which take their time too.
    spawn(|| spin(Duration::from_millis(20))).join().unwrap();
    rustix::process::kill_process(own, rustix::process::Signal::USR1).unwrap();
}

fn end(how: &str) {
    live();
    match how {
        "return" => {}
        "panic" => panic!("the end of main"),
        // The watchdog looks at a root that ends.
        "compute" => spin(Duration::from_millis(10)),
        other => unreachable!("{other}"),
    }
}

fn main() {
    if let Ok(how) = env::var(END) {
        return end(&how);
    }
    for (how, status) in [("return", 0), ("compute", 0), ("panic", 101)] {
        for _ in 0..10 {
            let output = Command::new(env::current_exe().unwrap())
                .env(END, how)
                .env("COROVENT_WATCHDOG_MS", "1")
                .env("COROVENT_TRACE", "1")
                .env("COROVENT_DUMP_SIGNAL", "USR1")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            let killed_by = output.status.signal();
            assert_eq!((output.status.code(), killed_by), (Some(status), None), "{how}: {text}");
            assert_eq!(text.contains("the end of main"), how == "panic", "{text}");
            assert!(!text.contains("a parked destructor"), "{how}: {text}");
        }
        println!("{how}: ok");
    }
}
