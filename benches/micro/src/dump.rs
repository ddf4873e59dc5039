//! `debug::dump()`: milliseconds for the table of 10,000 connections that wait to be read, and of
//! 100,000 that are parked: copied; grouped and written as text; with backtraces.

use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

use corovent::debug;
use corovent::net::TcpListener;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;
use support::clients::Clients;
use support::clients::raise_fd_limit;

use crate::operation::Case;
use crate::operation::Figure;
use crate::operation::Measured;
use crate::operation::ns_each;

/// The descriptors of a process that are not connections.
const FDS_OF_ITS_OWN: usize = 100;
/// What a dump of 100,000 may take without backtraces.
const WRITTEN_MS_MAX: f64 = 200.0;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("dump", "10000 connections", 10_000, 500)
            .cold()
            .heavy()
            .several("corovent", connections),
        Case::new("dump", "100000 parked", 100_000, 500).cold().heavy().several("corovent", parked),
    ]
}

fn connections(count: usize) -> Measured {
    let count = count.min(raise_fd_limit() - FDS_OF_ITS_OWN);
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let addr = listener.local_addr().expect("it is bound");
    let clients = Clients::start(addr, count);
    let answered = Rc::new(Cell::new(0));
    for _ in 0..count {
        let (mut stream, _) = listener.accept().expect("the clients connect");
        let answered = Rc::clone(&answered);
        spawn(move || {
            let mut buffer = [0; 4096];
            // Until the clients go, when the process ends.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..count]);
                answered.set(answered.get() + 1);
            }
        });
    }
    while answered.get() < count {
        yield_now();
    }
    let figures = dumps(count, None);
    std::mem::forget(clients);
    Ok(figures)
}

fn parked(count: usize) -> Measured {
    let tasks: Vec<_> = (0..count).map(|_| spawn(park)).collect();
    yield_now();
    let figures = dumps(count, Some(WRITTEN_MS_MAX));
    tasks.iter().for_each(|task| task.thread().unpark());
    Ok(figures)
}

/// Measures how long each kind of dump takes.
fn dumps(count: usize, limit_ms: Option<f64>) -> Vec<Figure> {
    let figure = |bench, mark, f: &dyn Fn()| {
        // Once before, so that what it needs is allocated and loaded.
        f();
        Figure { bench, value: ns_each(1, f) / 1e6, unit: "ms", mark }
    };
    vec![
        figure("dump", limit_ms, &|| {
            let text = debug::dump().to_string();
            // The heading, the root and one group.
            assert_eq!(text.lines().count(), 3, "{text}");
        }),
        figure("dump, copied only", None, &|| {
            assert_eq!(debug::dump().tasks().count(), count + 1);
        }),
        figure("dump, copied with backtraces", None, &|| {
            assert_eq!(debug::dump_with_backtraces().tasks().count(), count + 1);
        }),
        figure("dump, with backtraces", None, &|| {
            let text = debug::dump_with_backtraces().to_string();
            // One group, after the heading.
            assert!(text.contains(&format!("\n{count} coroutines ")), "{text}");
        }),
    ]
}
