//! TCP sockets, as users of std expect them.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::net::Shutdown;
use corovent::net::SocketAddr;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::ToSocketAddrs;
use corovent::os::linux::net::TcpStreamExt;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::full_listener::FullListener;
use crate::support::run;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(3);

/// Two ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Makes the next send fill the socket soon.
pub(crate) fn with_small_buffers(stream: &TcpStream) {
    let bytes: libc::c_int = 4096;
    for option in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        // SAFETY: the option takes an int.
        let result = unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                4,
            )
        };
        assert_eq!(result, 0);
    }
}

/// Stops the thread until there is something to read, which the hub does not get to know.
pub(crate) fn until_readable(fd: &impl AsRawFd) {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `entry` is one pollfd.
    while unsafe { libc::poll(&raw mut entry, 1, -1) } != 1 {}
}

/// Lets the others run until so many tasks wait for descriptors.
pub(crate) fn until_waiting(count: usize) {
    while corovent::debug::counters().waiting < count {
        yield_now();
    }
}

#[test]
fn a_read_that_times_out_fails_as_in_std_and_loses_nothing() {
    run(|| {
        let (mut client, mut server) = pair();
        client.set_read_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        let error = client.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        assert!(start.elapsed() >= SHORT);
        server.write_all(b"later").unwrap();
        let mut text = [0; 5];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"later");
    });
}

#[test]
fn timeouts_read_back_and_zero_is_refused() {
    run(|| {
        let (client, _server) = pair();
        assert_eq!(client.read_timeout().unwrap(), None);
        client.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        client.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        assert_eq!(client.read_timeout().unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(client.write_timeout().unwrap(), Some(Duration::from_secs(2)));
        for error in [
            client.set_read_timeout(Some(Duration::ZERO)).unwrap_err(),
            client.set_write_timeout(Some(Duration::ZERO)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        client.set_read_timeout(None).unwrap();
        assert_eq!(client.read_timeout().unwrap(), None);
    });
}

/// An address that answers nothing: a listener whose queue is full.
#[test]
fn a_connect_that_times_out_says_so() {
    run(|| {
        let full = FullListener::new();
        let start = Instant::now();
        let error = TcpStream::connect_timeout(&full.addr, SHORT).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::TimedOut, "connection timed out".to_owned())
        );
        assert!(start.elapsed() >= SHORT);
        let error = TcpStream::connect_timeout(&full.addr, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(timeout(SHORT, || TcpStream::connect(full.addr)).is_err());
    });
}

#[test]
fn one_coroutine_reads_while_another_writes() {
    run(|| {
        let (client, server) = pair();
        let client = Rc::new(client);
        let echo = spawn(move || io::copy(&mut &server, &mut &server).unwrap());
        const TOTAL: usize = 8 << 20;
        let writer = spawn({
            let client = Rc::clone(&client);
            move || {
                let data: Vec<u8> = (0..TOTAL).map(|n| n as u8).collect();
                (&*client).write_all(&data).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut got = Vec::new();
        (&*client).read_to_end(&mut got).unwrap();
        assert_eq!(got.len(), TOTAL);
        assert!(got.iter().enumerate().all(|(n, byte)| *byte == n as u8));
        writer.join().unwrap();
        assert_eq!(echo.join().unwrap(), TOTAL as u64);
    });
}

#[test]
fn a_half_closed_connection_still_answers() {
    run(|| {
        let (mut client, mut server) = pair();
        let answer = spawn(move || {
            let mut question = String::new();
            server.read_to_string(&mut question).unwrap();
            server.write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "QUESTION");
        answer.join().unwrap();
    });
}

#[test]
fn clones_are_independent_but_share_the_connection() {
    run(|| {
        let (client, mut server) = pair();
        let clone = client.try_clone().unwrap();
        clone.set_read_timeout(Some(SHORT)).unwrap();
        let error = (&client).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "clones share their timeouts");
        clone.set_read_timeout(None).unwrap();

        // One waits on each; both are woken, and each byte is read once.
        let readers = [client, clone].map(|mut stream| {
            spawn(move || {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                (byte[0], stream)
            })
        });
        yield_now();
        server.write_all(b"ab").unwrap();
        let mut got: Vec<_> = readers.into_iter().map(|task| task.join().unwrap()).collect();
        got.sort_by_key(|(byte, _)| *byte);
        assert_eq!(got.iter().map(|(byte, _)| *byte).collect::<Vec<_>>(), b"ab");

        // Closing one leaves the other.
        let (_, mut left) = got.pop().unwrap();
        drop(got);
        server.write_all(b"c").unwrap();
        let mut byte = [0];
        left.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"c");
    });
}

#[test]
fn peek_takes_nothing() {
    run(|| {
        let (client, mut server) = pair();
        let peeker = spawn(move || {
            let mut text = [0; 8];
            let count = client.peek(&mut text).unwrap();
            assert_eq!(client.peek(&mut text).unwrap(), count);
            let mut taken = [0; 8];
            assert_eq!((&client).read(&mut taken).unwrap(), count);
            assert_eq!(taken, text);
            count
        });
        yield_now();
        server.write_all(b"peek").unwrap();
        assert_eq!(peeker.join().unwrap(), 4);
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect_timeout(&addr, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // The first address that works is taken; with none the last error is given.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let both = [addr, listener.local_addr().unwrap()];
        TcpStream::connect(&both[..]).unwrap();
        let none: &[SocketAddr] = &[];
        assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn options_and_addresses_are_those_of_the_socket() {
    run(|| {
        let (client, server) = pair();
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_ttl(99).unwrap();
        assert_eq!(client.ttl().unwrap(), 99);
        client.set_quickack(false).unwrap();
        assert!(!client.quickack().unwrap());
        assert!(client.take_error().unwrap().is_none());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_ttl(42).unwrap();
        assert_eq!(listener.ttl().unwrap(), 42);
        assert!(listener.take_error().unwrap().is_none());
        let text = format!("{listener:?}");
        assert!(text.starts_with("TcpListener { addr: 127.0.0.1:"), "{text}");
        let text = format!("{client:?}");
        assert!(text.starts_with("TcpStream { addr: 127.0.0.1:"), "{text}");
    });
}

pub(crate) fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the option takes a linger.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as u32,
        )
    };
    assert_eq!(result, 0);
}

#[test]
fn names_resolve() {
    run(|| {
        let addrs: Vec<SocketAddr> = "localhost:80".to_socket_addrs().unwrap().collect();
        assert!(addrs.iter().any(|addr| addr.ip().is_loopback() && addr.port() == 80));
        assert!(("no.such.host.invalid", 1).to_socket_addrs().is_err());
        let listener = TcpListener::bind(("localhost", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("localhost".to_owned(), port)).unwrap();
    });
}

/// Numbers in every form that the C library knows, names, and what is neither.
#[test]
fn names_give_what_they_give_in_std() {
    run(|| {
        let label_too_long = format!("{}.invalid", "x".repeat(64));
        let hosts =
            ["localhost", "127.0.0.1", "127.1", "0x7f000001", "::1", "", "a\0b", &label_too_long];
        for host in hosts {
            let std = std::net::ToSocketAddrs::to_socket_addrs(&(host, 80)).map(Vec::from_iter);
            // Several at once share one lookup, whatever their ports are.
            let tasks = [80, 80, 81].map(|port| {
                let host = host.to_owned();
                spawn(move || (host, port).to_socket_addrs().map(Vec::from_iter))
            });
            for (task, port) in tasks.into_iter().zip([80, 80, 81]) {
                match (task.join().unwrap(), &std) {
                    (Ok(ours), Ok(std)) => {
                        let mut std = std.clone();
                        std.iter_mut().for_each(|addr| addr.set_port(port));
                        assert_eq!(ours, std, "{host}");
                    }
                    (Err(ours), Err(std)) => {
                        assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
                    }
                    (ours, std) => panic!("{host}: {ours:?} but std gives {std:?}"),
                }
            }
        }
    });
}

#[test]
fn a_lookup_is_given_up_at_once() {
    run(|| {
        let lookup = spawn(|| "no.such.host.invalid:80".to_socket_addrs().map(drop));
        yield_now();
        lookup.kill();
        match lookup.join() {
            Err(payload) => assert!(payload.is::<corovent::Killed>()),
            // The answer was there before the coroutine had to wait for it.
            Ok(answer) => assert!(answer.is_err()),
        }
    });
}

/// A signal storm interrupts system calls; nobody sees EINTR.
#[test]
fn eintr_is_never_seen() {
    let output = crate::support::child("tcp::child_echoes_in_a_storm_of_signals");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_echoes_in_a_storm_of_signals() {
    crate::support::storm_of_signals();
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || {
            for stream in listener.incoming().take(20) {
                let stream = stream.unwrap();
                spawn(move || io::copy(&mut &stream, &mut &stream).unwrap());
            }
        });
        let clients: Vec<_> = (0..20)
            .map(|_| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    for n in 0..200u8 {
                        stream.write_all(&[n; 100]).unwrap();
                        let mut answer = [0; 100];
                        stream.read_exact(&mut answer).unwrap();
                        assert_eq!(answer, [n; 100]);
                        if n % 20 == 0 {
                            sleep(Duration::from_micros(500));
                        }
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        server.join().unwrap();
        while corovent::debug::counters().coroutines > 0 {
            yield_now();
        }
    });
}
