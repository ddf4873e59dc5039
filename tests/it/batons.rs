//! Several wait for one socket: each edge wakes one, and the baton passes.

use std::cell::Cell;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::net::Shutdown;
use corovent::net::TcpStream;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::fill;
use crate::support::run;
use crate::tcp::pair;
use crate::tcp::reset_on_close;
use crate::tcp::until_readable;
use crate::tcp::until_waiting;

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
        until_waiting(10);
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
        if std::env::var_os("COROVENT_SEED").is_some() {
            // The seed chooses among those who wait.
            return;
        }
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

/// The edge comes when the first in line was killed and had no turn yet: it is the next one's.
#[test]
fn an_edge_is_not_spent_on_one_who_was_killed() {
    run(|| {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let [killed, lucky] = [(); 2].map(|()| {
            let client = Rc::clone(&client);
            spawn(move || (&*client).read(&mut [0]).unwrap())
        });
        until_waiting(2);
        // More are ready than a turn runs, so the hub looks at the socket before the last one's.
        let others: Vec<_> = (0..1000).map(|_| spawn(|| ())).collect();
        killed.kill();
        server.write_all(b"x").unwrap();
        assert!(killed.join().is_err());
        assert_eq!(lucky.join().unwrap(), 1);
        others.into_iter().for_each(|other| other.join().unwrap());
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

/// One edge tells of all the bytes; each reader takes one and wakes the next.
#[test]
fn one_edge_feeds_all_readers() {
    const READERS: u8 = 50;

    run(|| {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let got = Rc::new(RefCell::new(Vec::new()));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (client, got) = (Rc::clone(&client), Rc::clone(&got));
                spawn(move || {
                    let mut byte = [0];
                    (&*client).read_exact(&mut byte).unwrap();
                    got.borrow_mut().extend(byte);
                })
            })
            .collect();
        until_waiting(usize::from(READERS));
        let sent: Vec<u8> = (0..READERS).collect();
        server.write_all(&sent).unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(*got.borrow(), sent, "in the order of the stream");
    });
}

/// The one who was woken is killed before it runs: it takes what it was woken for, or leaves
/// it to the next; never does a byte stay while a reader waits.
#[test]
fn a_killed_holder_of_the_baton_passes_it_on() {
    run(|| {
        for victims in 0..8u32 {
            let (client, mut server) = pair();
            let client = Rc::new(client);
            let got = Rc::new(Cell::new(0));
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let (client, got) = (Rc::clone(&client), Rc::clone(&got));
                    spawn(move || {
                        let count = (&*client).read(&mut [0]).unwrap();
                        got.set(got.get() + count);
                        // The kill may come only here.
                        yield_now();
                    })
                })
                .collect();
            until_waiting(3);
            server.write_all(b"abc").unwrap();
            until_readable(&*client);
            // The first was woken when the poll has told of the bytes.
            while corovent::debug::counters().waiting == 3 && victims & 1 == 1 {
                yield_now();
            }
            for (n, reader) in readers.iter().enumerate() {
                if victims >> n & 1 == 1 {
                    reader.kill();
                }
            }
            readers.into_iter().for_each(|reader| drop(reader.join()));
            let spared = 3 - victims.count_ones() as usize;
            assert!((spared..=3).contains(&got.get()), "{victims:b}");
            let mut rest = vec![0; 3 - got.get()];
            (&*client).read_exact(&mut rest).unwrap();
        }
    });
}

/// A reader of one of four kinds, which counts what it gets until the end.
fn reader(stream: &Rc<TcpStream>, got: &Rc<Cell<usize>>, kind: u32) -> JoinHandle<()> {
    const MOMENT: Duration = Duration::from_micros(300);

    let (stream, got) = (Rc::clone(stream), Rc::clone(got));
    spawn(move || {
        let mut buffer = vec![0; kind as usize % 5 + 1];
        loop {
            let mut stream = &*stream;
            let count = match kind % 4 {
                0 => {
                    let _ = timeout(MOMENT, || stream.wait_readable());
                    timeout(MOMENT, || stream.read(&mut buffer))
                }
                1 => timeout(MOMENT, || stream.read(&mut buffer)),
                2 => {
                    let _ = stream.peek(&mut buffer);
                    Ok(stream.read(&mut buffer))
                }
                _ => Ok(stream.read_vectored(&mut [IoSliceMut::new(&mut buffer)])),
            };
            match count.map(Result::unwrap) {
                Ok(0) => return,
                Ok(count) => got.set(got.get() + count),
                Err(_) => {}
            }
        }
    })
}

/// Readers of all kinds are killed and time out at random.
#[test]
fn no_byte_is_stuck_while_a_reader_waits() {
    run(|| {
        for seed in 1..20u32 {
            let mut random = seed.wrapping_mul(7919);
            let mut random = move || {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                random
            };
            let (client, mut server) = pair();
            let client = Rc::new(client);
            let got = Rc::new(Cell::new(0));
            let mut readers: Vec<_> = (0..6).map(|_| reader(&client, &got, random())).collect();
            let mut sent = 0;
            for _ in 0..80 {
                match random() % 6 {
                    0 => {
                        let victim = readers.swap_remove(random() as usize % readers.len());
                        victim.kill();
                        // What it took it has counted, or it took nothing.
                        drop(victim.join());
                        readers.push(reader(&client, &got, random()));
                    }
                    1 => yield_now(),
                    2 => sleep(Duration::from_micros(u64::from(random() % 400))),
                    _ => {
                        let count = random() as usize % 20 + 1;
                        server.write_all(&vec![1; count]).unwrap();
                        sent += count;
                    }
                }
            }
            // One that only reads is enough.
            readers.push(reader(&client, &got, 3));
            while got.get() < sent {
                sleep(SHORT / 10);
            }
            drop(server);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert_eq!(got.get(), sent, "seed {seed}");
        }
    });
}

/// Three readers, three writers and two that wait without a buffer; what each of them finds
/// when an end shuts down or resets the connection.
#[test]
fn an_end_wakes_everybody() {
    type Event = fn(&TcpStream, TcpStream);
    let cases: [(&str, Event); 4] = [
        ("own both", |ours, _| ours.shutdown(Shutdown::Both).unwrap()),
        ("own both by a clone", |ours, _| {
            ours.try_clone().unwrap().shutdown(Shutdown::Both).unwrap();
        }),
        ("reset", |_, theirs| reset_on_close(&theirs)),
        ("closed with data unread", |_, theirs| drop(theirs)),
    ];
    for (what, event) in cases {
        run(|| {
            let (ours, theirs) = pair();
            let ours = Rc::new(ours);
            fill(&ours);
            let each = |call: fn(&TcpStream) -> Option<ErrorKind>| {
                let ours = Rc::clone(&ours);
                spawn(move || call(&ours))
            };
            let read = |mut stream: &TcpStream| stream.read(&mut [0; 8]).err().map(|e| e.kind());
            let write = |mut stream: &TcpStream| {
                stream.write_all(&[0; 1 << 20]).err().map(|error| error.kind())
            };
            let wait = |stream: &TcpStream| stream.wait_readable().err().map(|error| error.kind());
            let calls = [read, read, read, write, write, write, wait, wait];
            let tasks = calls.map(each);
            until_waiting(tasks.len());
            event(&ours, theirs);
            for (n, task) in tasks.into_iter().enumerate() {
                let found = task.join().unwrap();
                // A read may find the end; a write always fails.
                assert!(found.is_some() || !(3..6).contains(&n), "{what}: {n}");
            }
        });
    }
}

/// Killing many who wait for one socket takes each out of the line.
#[test]
fn thousands_wait_for_one_socket() {
    const READERS: usize = 2_000;

    run(|| {
        let (client, mut server) = pair();
        let client = Rc::new(client);
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let client = Rc::clone(&client);
                spawn(move || (&*client).read(&mut [0]).unwrap())
            })
            .collect();
        until_waiting(READERS);
        assert!(readers.iter().step_by(2).all(|reader| reader.kill()));
        server.write_all(&vec![1; READERS / 2]).unwrap();
        for (n, reader) in readers.into_iter().enumerate() {
            assert_eq!(reader.join().ok(), (n % 2 == 1).then_some(1));
        }
    });
}
