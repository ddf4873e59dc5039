//! What only coroutines can do to such code: kill it, or give it up by a `timeout`. And what
//! it meets on two hubs, and while its coroutine unwinds.

use std::cell::Cell;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use corovent::Elapsed;
use corovent::net::TcpListener;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::coroutines::client::agent;
use crate::coroutines::tls::client;
use crate::coroutines::tls::pair;
use crate::coroutines::tls::server;
use crate::coroutines::websocket;
use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(3);

#[test]
fn a_handshake_with_nobody_is_given_up() {
    run(|| {
        let (ours, _theirs) = pair();
        let mut stream = client(ours);
        let late = timeout(SHORT, || stream.conn.complete_io(&mut stream.sock));
        assert_eq!(late.unwrap_err(), Elapsed);
        let (_ours, theirs) = pair();
        let mut stream = server(theirs);
        let late = timeout(SHORT, || stream.read(&mut [0]));
        assert_eq!(late.unwrap_err(), Elapsed);
    });
}

/// Its peer, of either side, finds the connection at an end.
#[test]
fn a_kill_in_mid_handshake_ends_the_connection() {
    run(|| {
        let (ours, mut theirs) = pair();
        let task = spawn(move || client(ours).read(&mut [0]));
        // All of its first message, which is answered by nothing.
        theirs.read_exact(&mut [0; 5]).unwrap();
        while theirs.read(&mut [0; 4096]).unwrap() == 4096 {}
        task.kill();
        assert!(was_killed(task));
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);

        let (ours, theirs) = pair();
        let task = spawn(move || server(theirs).read(&mut [0]));
        yield_now();
        task.kill();
        assert!(was_killed(task));
        let error = client(ours).read(&mut [0]).unwrap_err();
        assert!([ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()));
    });
}

/// A client that was unwound out of its read, as by a panic, is of no more use: it is dropped.
#[test]
fn a_message_that_does_not_come_is_given_up() {
    run(|| {
        for is_killed in [true, false] {
            let (ours, theirs) = pair();
            let there = spawn(move || tungstenite::accept(theirs).unwrap().read().is_err());
            let mut socket = websocket::client(ours);
            if is_killed {
                let task = spawn(move || socket.read().is_ok());
                yield_now();
                task.kill();
                assert!(was_killed(task));
            } else {
                assert!(timeout(SHORT, move || socket.read().is_ok()).is_err());
            }
            assert!(there.join().unwrap(), "the connection is at an end");
        }
    });
}

#[test]
fn a_request_that_is_not_answered_is_given_up() {
    run(|| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/");
        let agent = agent(None);
        assert!(timeout(SHORT, || agent.get(&url).call().is_ok()).is_err());
        let task = spawn(move || agent.get(url).call().is_ok());
        let (mut stream, _) = silent.accept().unwrap();
        let (mut second, _) = silent.accept().unwrap();
        second.read_exact(&mut [0; 3]).unwrap();
        task.kill();
        assert!(was_killed(task));
        // Both connections are at an end.
        for stream in [&mut stream, &mut second] {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
        }
    });
}

#[test]
fn a_coroutine_that_unwinds_is_refused_a_wait() {
    run(|| {
        let (ours, theirs) = pair();
        let text = Rc::new(RefCell::new(String::new()));
        let ready = Rc::new(Cell::new(false));
        let task = spawn({
            let (text, ready) = (Rc::clone(&text), Rc::clone(&ready));
            move || {
                let mut stream = client(ours);
                let _guard = on_drop(move || {
                    let error = stream.read(&mut [0]).unwrap_err();
                    *text.borrow_mut() = format!("{:?}: {error}", error.kind());
                });
                ready.set(true);
                corovent::thread::park();
            }
        });
        while !ready.get() {
            yield_now();
        }
        task.kill();
        assert!(was_killed(task));
        assert_eq!(*text.borrow(), "Other: the coroutine is unwinding");
        drop(theirs);
    });
}

/// The ends of a connection are on two hubs, and one wanders to a third in mid-stream.
#[test]
fn a_stream_may_move_to_another_hub() {
    run(|| {
        let (ours, theirs) = pair();
        let there = std::thread::spawn(move || {
            run(|| {
                let echo = spawn(move || {
                    let mut stream = server(theirs);
                    let mut word = [0; 3];
                    while stream.read_exact(&mut word).is_ok() {
                        stream.write_all(&word).unwrap();
                    }
                });
                echo.join().unwrap();
            });
        });
        let mut stream = client(ours);
        let mut word = [0; 3];
        stream.write_all(b"one").unwrap();
        stream.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"one");
        let third = std::thread::spawn(move || {
            run(|| {
                let talk = spawn(move || {
                    stream.write_all(b"two").unwrap();
                    stream.read_exact(&mut word).unwrap();
                    word
                });
                talk.join().unwrap()
            })
        });
        assert_eq!(&corovent::threadpool::blocking(|| third.join().unwrap()), b"two");
        corovent::threadpool::blocking(|| there.join().unwrap());
    });
}
