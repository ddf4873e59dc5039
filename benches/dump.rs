//! `debug::dump()`: milliseconds for the table of 10,000 connections that wait to be read, and of
//! 100,000 that are parked: copied; grouped and written as text; with backtraces.
//!
//! ```text
//! cargo bench --bench dump [-- --quick]
//! ```

mod support;

use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

use corovent::debug;
use corovent::net::TcpListener;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::Race;
use crate::support::clients::Clients;
use crate::support::clients::become_clients;
use crate::support::clients::raise_fd_limit;
use crate::support::elapsed_ms;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;

/// The descriptors of a process that are not connections.
const FDS_OF_ITS_OWN: usize = 100;
const WRITTEN: &str = "copied, grouped and written";
/// What a dump of 100,000 may take without backtraces.
const WRITTEN_MS_MAX: f64 = 200.0;

fn main() {
    become_clients();
    let connections = scale(10_000, 500).min(raise_fd_limit() - FDS_OF_ITS_OWN);
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let addr = listener.local_addr().expect("it is bound");
    let clients = Clients::start(addr, connections);
    let answered = Rc::new(Cell::new(0));
    for _ in 0..connections {
        let (mut stream, _) = listener.accept().expect("the clients connect");
        let answered = Rc::clone(&answered);
        spawn(move || {
            let mut buffer = [0; 4096];
            // Until the clients go, when the bench ends.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..count]);
                answered.set(answered.get() + 1);
            }
        });
    }
    while answered.get() < connections {
        yield_now();
    }
    measure(&format!("dump: ms for {connections} connections"), connections, None);
    drop(clients);
    while debug::counters().coroutines > 0 {
        yield_now();
    }

    let count = scale(100_000, 500);
    let parked: Vec<_> = (0..count).map(|_| spawn(park)).collect();
    while debug::counters().coroutines > count {
        yield_now();
    }
    yield_now();
    measure(&format!("dump: ms for {count} parked"), count, Some(WRITTEN_MS_MAX));
    parked.iter().for_each(|task| task.thread().unpark());
}

/// Prints how long each kind of dump takes.
fn measure(head: &str, count: usize, limit_ms: Option<f64>) {
    let mut race = Race::default();
    race.add("copied", || elapsed_ms(|| assert_eq!(debug::dump().tasks().count(), count + 1)));
    race.add(WRITTEN, || {
        elapsed_ms(|| {
            let text = debug::dump().to_string();
            // The heading, the root and one group.
            assert_eq!(text.lines().count(), 3, "{text}");
        })
    });
    race.add("copied with backtraces", || {
        elapsed_ms(|| {
            let dump = debug::dump_with_backtraces();
            assert_eq!(dump.tasks().count(), count + 1);
        })
    });
    race.add("copied with backtraces, grouped and written", || {
        elapsed_ms(|| {
            let text = debug::dump_with_backtraces().to_string();
            assert!(text.contains(&format!("{count} coroutines at ")), "{text}");
        })
    });
    print_head(head);
    for (name, figure) in race.run(scale(9, 1)) {
        print_figure(&name, figure, limit_ms.filter(|_| name == WRITTEN));
    }
}
