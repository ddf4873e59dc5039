//! Several wait for one socket: each edge wakes one, and the baton passes.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use corovent::net::Shutdown;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::reset_on_close;

const SHORT: Duration = Duration::from_millis(3);

#[test]
fn shutdown_wakes_who_waits() {
    // What is shut down, by which end, and what a reader and a writer of the other find.
    run(|| {
        let (client, server) = pair();
        let client = Rc::new(client);
        let reader = spawn({
            let client = Rc::clone(&client);
            move || (&*client).read(&mut [0; 8])
        });
        yield_now();
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0, "one's own reading end");
        drop(server);
    });
    run(|| {
        let (client, server) = pair();
        let mut other = client;
        let reader = spawn(move || other.read(&mut [0; 8]));
        yield_now();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0, "the peer's writing end");
    });
    run(|| {
        let (client, server) = pair();
        let client = Rc::new(client);
        let writer = spawn({
            let client = Rc::clone(&client);
            move || (&*client).write_all(&vec![0; 64 << 20])
        });
        yield_now();
        client.shutdown(Shutdown::Both).unwrap();
        let error = writer.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "and no SIGPIPE");
        drop(server);
    });
}

#[test]
fn several_readers_of_one_socket_are_served_in_turn() {
    run(|| {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let log = Log::new();
        let readers: Vec<_> = (0..10)
            .map(|n| {
                let (client, log) = (Rc::clone(&client), log.clone());
                spawn(move || {
                    let mut byte = [0];
                    assert_eq!((&*client).read(&mut byte).unwrap(), 1);
                    log.add(format!("{n}{}", byte[0] as char));
                })
            })
            .collect();
        yield_now();
        // All at once: the baton passes. Then one by one.
        server.write_all(b"abcde").unwrap();
        while log.text().split(' ').count() < 5 {
            sleep(Duration::from_micros(100));
        }
        for byte in b"fghij" {
            server.write_all(&[*byte]).unwrap();
            sleep(Duration::from_micros(500));
        }
        readers.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0a 1b 2c 3d 4e 5f 6g 7h 8i 9j");
    });
}

/// A waiter that is killed, or whose time is up, leaves what comes to the others.
#[test]
fn a_reader_that_leaves_takes_nothing_along() {
    run(|| {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let reader = |limit: Option<Duration>| {
            let client = Rc::clone(&client);
            spawn(move || {
                let mut byte = [0];
                let mut read = || (&*client).read(&mut byte).unwrap();
                match limit {
                    Some(limit) => timeout(limit, read).is_ok(),
                    None => read() == 1,
                }
            })
        };
        let killed = reader(None);
        let late = reader(Some(SHORT));
        let lucky = reader(None);
        yield_now();
        killed.kill();
        assert!(killed.join().is_err());
        assert!(!late.join().unwrap());
        server.write_all(b"x").unwrap();
        assert!(lucky.join().unwrap());
    });
}

#[test]
fn a_reset_wakes_reader_and_writer() {
    run(|| {
        let (client, server) = pair();
        let server = Rc::new(server);
        let reader = spawn({
            let server = Rc::clone(&server);
            move || (&*server).read(&mut [0; 8])
        });
        let writer = spawn({
            let server = Rc::clone(&server);
            move || (&*server).write_all(&vec![0; 64 << 20])
        });
        yield_now();
        sleep(SHORT);
        reset_on_close(&client);
        drop(client);
        let (read, written) = (reader.join().unwrap(), writer.join().unwrap());
        // The one that comes first gets the reset, the other what is left of it.
        let kinds = [read.map(|_| ()), written].map(|result| result.map_err(|error| error.kind()));
        assert!(kinds.contains(&Err(ErrorKind::ConnectionReset)), "{kinds:?}");
        assert!(kinds[1].is_err(), "{kinds:?}");
    });
}
