//! Nobody starves.

use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::os::unix::net::UnixStream;
use corovent::sleep;
use corovent::spawn;
use corovent::yield_now;

use crate::support::run;

/// gevent #1071: yields that requeue themselves kept the loop from looking at I/O.
#[test]
fn a_flood_of_yields_stops_neither_io_nor_timers() {
    run(|| {
        let stop = Rc::new(Cell::new(false));
        let flood: Vec<_> = (0..50)
            .map(|_| {
                let stop = Rc::clone(&stop);
                spawn(move || {
                    while !stop.get() {
                        yield_now();
                    }
                })
            })
            .collect();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let echo = spawn(move || {
            let mut byte = [0];
            while server.read(&mut byte).unwrap() == 1 {
                server.write_all(&byte).unwrap();
            }
        });
        for n in 0..20 {
            client.write_all(&[n]).unwrap();
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [n]);
            sleep(Duration::from_micros(100));
        }
        drop(client);
        echo.join().unwrap();
        stop.set(true);
        flood.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A poll takes only some of what the kernel has to tell; the rest is as ready as who yields.
#[test]
fn who_yields_has_hardly_more_turns_than_each_of_many_connections() {
    const MESSAGES: usize = 40;

    for computing in [1, 10] {
        let turns = run(move || turns_beside_messages(computing, MESSAGES));
        // Each connection has one message under way, which the two take in turn.
        assert!(turns <= 4 * 2 * MESSAGES, "{turns} turns of each of {computing}");
    }
}

/// How many turns each of those has who compute, until 150 connections have had so many messages.
fn turns_beside_messages(computing: usize, messages: usize) -> usize {
    let pass_on = move |mut stream: UnixStream, is_first: bool| {
        let mut byte = [0];
        if is_first {
            stream.write_all(&byte).unwrap();
        }
        for _ in 0..messages {
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        }
        stream
    };
    let mut talks = vec![];
    for _ in 0..150 {
        let (one, other) = UnixStream::pair().unwrap();
        talks.push(spawn(move || pass_on(one, true)));
        talks.push(spawn(move || pass_on(other, false)));
    }
    let turns = Rc::new(Cell::new(0));
    let compute = |turns: Rc<Cell<usize>>| {
        loop {
            turns.set(turns.get() + 1);
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(50) {}
            yield_now();
        }
    };
    let handles: Vec<_> = std::iter::repeat_n(&turns, computing)
        .map(|turns| {
            let turns = Rc::clone(turns);
            spawn(move || compute(turns))
        })
        .collect();
    // Open until the end, since a closed one has nobody to write to.
    let streams: Vec<_> = talks.into_iter().map(|talk| talk.join().unwrap()).collect();
    for handle in handles {
        handle.kill();
        assert!(handle.join().is_err());
    }
    drop(streams);
    turns.get() / computing
}

/// gevent #1741: a reader whose socket always has data never let go.
#[test]
fn an_always_readable_socket_does_not_starve_others() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let feeder = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            let chunk = vec![0; 256 * 1024];
            while stream.write_all(&chunk).is_ok() {}
        });
        let (mut stream, _) = listener.accept().unwrap();
        let stop = Rc::new(Cell::new(false));
        let reader = spawn({
            let stop = Rc::clone(&stop);
            move || {
                let mut byte = [0];
                while !stop.get() {
                    stream.read_exact(&mut byte).unwrap();
                }
            }
        });
        // Timers and other coroutines go on.
        for _ in 0..10 {
            let start = Instant::now();
            sleep(Duration::from_millis(1));
            assert!(start.elapsed() >= Duration::from_millis(1));
            spawn(yield_now).join().unwrap();
        }
        stop.set(true);
        reader.join().unwrap();
        feeder.join().unwrap();
    });
}

/// A writer whose peer takes everything, and an accept loop with a full queue, yield too.
#[test]
fn a_writer_that_never_waits_yields_now_and_then() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let drain = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
        });
        let (mut stream, _) = listener.accept().unwrap();
        let others = Rc::new(Cell::new(0u64));
        let other = spawn({
            let others = Rc::clone(&others);
            move || {
                loop {
                    others.set(others.get() + 1);
                    yield_now();
                }
            }
        });
        for _ in 0..1000 {
            stream.write_all(&[0]).unwrap();
        }
        assert!(others.get() >= 1000 / 128 - 1, "{} turns", others.get());
        other.kill();
        assert!(other.join().is_err());
        drop(stream);
        assert_eq!(drain.join().unwrap(), 1000);
    });
}

#[test]
fn a_kill_reaches_a_reader_that_never_has_to_wait() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let feeder = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            let chunk = vec![0; 256 * 1024];
            while stream.write_all(&chunk).is_ok() {}
        });
        let (mut stream, _) = listener.accept().unwrap();
        let reader = spawn(move || {
            let mut byte = [0];
            loop {
                stream.read_exact(&mut byte).unwrap();
            }
        });
        sleep(Duration::from_millis(5));
        assert!(reader.kill());
        let result: std::thread::Result<()> = reader.join();
        assert!(result.unwrap_err().is::<corovent::Killed>());
        feeder.join().unwrap();
    });
}
