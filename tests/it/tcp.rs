//! TCP sockets, as users of std expect them.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::ErrorKind;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
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

use crate::support::Log;
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
fn with_small_buffers(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
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

#[test]
fn a_write_that_times_out_fails_as_in_std() {
    run(|| {
        let (mut client, _server) = pair();
        client.set_write_timeout(Some(SHORT)).unwrap();
        let chunk = vec![0; 1 << 20];
        let error = loop {
            match client.write(&chunk) {
                Ok(count) => assert!(count > 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
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

pub(crate) struct FullListener {
    pub(crate) addr: SocketAddr,
    _listener: std::net::TcpListener,
    _clients: Vec<std::net::TcpStream>,
}

impl FullListener {
    pub(crate) fn new() -> FullListener {
        use std::os::fd::AsRawFd;

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: listen(2) may be called again; it only makes the queue short.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let addr = listener.local_addr().unwrap();
        let fill = || std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(50)).ok();
        FullListener { addr, _clients: std::iter::from_fn(fill).collect(), _listener: listener }
    }
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

/// Ten accept from one listener: each connection goes to one, and none is lost.
#[test]
fn several_accept_from_one_listener() {
    run(|| {
        const EACH: usize = 5;
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let served = Rc::new(RefCell::new(vec![0; 10]));
        let acceptors: Vec<_> = (0..10)
            .map(|n| {
                let (listener, served) = (Rc::clone(&listener), Rc::clone(&served));
                spawn(move || {
                    for _ in 0..EACH {
                        let (mut stream, peer) = listener.accept().unwrap();
                        stream.write_all(peer.port().to_string().as_bytes()).unwrap();
                        served.borrow_mut()[n] += 1;
                    }
                })
            })
            .collect();
        yield_now();
        let clients: Vec<_> = (0..10 * EACH)
            .map(|_| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let mut text = String::new();
                    stream.read_to_string(&mut text).unwrap();
                    assert_eq!(text, stream.local_addr().unwrap().port().to_string());
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        acceptors.into_iter().for_each(|task| task.join().unwrap());
        assert!(served.borrow().iter().all(|served| *served == EACH));
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
fn a_big_write_meets_a_slow_reader() {
    const TOTAL: usize = if cfg!(debug_assertions) { 5_000_000 } else { 50_000_000 };

    run(|| {
        let (mut client, mut server) = pair();
        let writer = spawn(move || {
            let data: Vec<u8> = (0..TOTAL).map(|n| (n % 251) as u8).collect();
            client.write_all(&data).unwrap();
        });
        let mut buffer = [0; 4096];
        let mut seen = 0;
        loop {
            let count = server.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            assert!(buffer[..count].iter().zip(seen..).all(|(byte, n)| *byte == (n % 251) as u8));
            seen += count;
        }
        assert_eq!(seen, TOTAL);
        writer.join().unwrap();
    });
}

#[test]
fn writing_to_a_peer_that_has_gone_fails() {
    run(|| {
        let (mut client, server) = pair();
        server.shutdown(Shutdown::Both).unwrap();
        drop(server);
        let chunk = vec![0; 1 << 20];
        let error = loop {
            match client.write_all(&chunk) {
                Ok(()) => yield_now(),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );

        // In the middle of a big write, while the writer waits.
        let (mut client, server) = pair();
        let writer = spawn(move || client.write_all(&vec![0; 64 << 20]));
        yield_now();
        sleep(SHORT);
        drop(server);
        let error = writer.join().unwrap().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );
    });
}

#[test]
fn empty_buffers_neither_wait_nor_move() {
    run(|| {
        let (mut client, mut server) = pair();
        assert_eq!(client.write(&[]).unwrap(), 0);
        client.write_all(&[]).unwrap();
        // As in std: recv(2) with no room answers at once where nothing is pending.
        client.write_all(b"x").unwrap();
        server.wait_readable().unwrap();
        assert_eq!(server.read(&mut []).unwrap(), 0);
        assert_eq!(server.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(server.write_vectored(&[]).unwrap(), 0);
    });
}

#[test]
fn vectored_calls_move_the_bytes_of_all_buffers() {
    run(|| {
        let (mut client, mut server) = pair();
        let parts: Vec<String> = (0..2000).map(|n| format!("{n};")).collect();
        let whole = parts.concat();
        let writer = spawn(move || {
            let mut left: Vec<IoSlice<'_>> =
                parts.iter().map(|part| IoSlice::new(part.as_bytes())).collect();
            let mut left = &mut left[..];
            while !left.is_empty() {
                let count = client.write_vectored(left).unwrap();
                IoSlice::advance_slices(&mut left, count);
            }
        });
        let mut got = Vec::new();
        loop {
            let (mut first, mut second) = ([0; 3], [0; 100]);
            let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let count = server.read_vectored(&mut buffers).unwrap();
            if count == 0 {
                break;
            }
            got.extend(first.iter().chain(&second).take(count));
        }
        assert_eq!(String::from_utf8(got).unwrap(), whole);
        writer.join().unwrap();
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
fn an_address_in_use_or_absent_cannot_be_bound() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("192.0.2.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn the_users_wish_not_to_block_is_honoured() {
    run(|| {
        let (mut client, mut server) = pair();
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.peek(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.wait_readable().unwrap_err().kind(), ErrorKind::WouldBlock);
        let chunk = vec![0; 1 << 20];
        let error =
            std::iter::from_fn(|| Some(client.write(&chunk))).find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.set_nonblocking(false).unwrap();
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 1);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        while listener.accept().is_err() {
            yield_now();
        }
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

/// The client resets before it is accepted: Linux hands the connection over, and the read
/// tells.
#[test]
fn a_client_that_is_gone_before_accept_is_found_out_by_the_read() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        reset_on_close(&client);
        drop(client);
        let (mut stream, peer) = listener.accept().unwrap();
        assert!(peer.ip().is_loopback(), "the address is the one accept gave");
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    });
}

fn reset_on_close(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
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

/// A storm of connections while the acceptor is busy with each.
#[test]
fn a_storm_of_connections_is_accepted() {
    const COUNT: usize = if cfg!(debug_assertions) { 1_000 } else { 3_000 };

    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let served = Rc::new(Cell::new(0));
        let acceptor = spawn({
            let served = Rc::clone(&served);
            move || {
                for stream in listener.incoming().take(COUNT) {
                    let (mut stream, served) = (stream.unwrap(), Rc::clone(&served));
                    spawn(move || {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        stream.write_all(&byte).unwrap();
                        served.set(served.get() + 1);
                    });
                }
            }
        });
        let clients: Vec<_> = (0..COUNT)
            .map(|n| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let byte = [n as u8];
                    stream.write_all(&byte).unwrap();
                    let mut answer = [0];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, byte);
                })
            })
            .collect();
        clients.into_iter().for_each(|task| task.join().unwrap());
        acceptor.join().unwrap();
        assert_eq!(served.get(), COUNT);
    });
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

#[test]
fn a_reader_may_wait_before_it_takes_a_buffer() {
    run(|| {
        let (client, mut server) = pair();
        let reader = spawn(move || {
            let mut words = Vec::new();
            loop {
                client.wait_readable().unwrap();
                let mut buffer = vec![0; 64];
                let count = (&client).read(&mut buffer).unwrap();
                if count == 0 {
                    return words.concat();
                }
                words.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
            }
        });
        for word in ["one ", "two ", "three"] {
            yield_now();
            server.write_all(word.as_bytes()).unwrap();
            sleep(Duration::from_micros(200));
        }
        drop(server);
        assert_eq!(reader.join().unwrap(), "one two three");
    });
}

#[test]
fn wait_readable_knows_what_came_before_it_was_asked() {
    run(|| {
        let (client, mut server) = pair();
        server.write_all(b"x").unwrap();
        // Never registered, with data there.
        client.wait_readable().unwrap();
        client.wait_readable().unwrap();
        client.wait_writable().unwrap();
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 1);
        let limit = timeout(SHORT, || client.wait_readable());
        assert!(limit.is_err(), "there is no more");
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(client.wait_readable().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(server);
        client.wait_readable().unwrap();
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn wait_writable_ends_when_there_is_room() {
    run(|| {
        let (mut client, mut server) = pair();
        with_small_buffers(&client);
        client.set_nonblocking(true).unwrap();
        while client.write(&[0; 4096]).is_ok() {}
        client.set_nonblocking(false).unwrap();
        let writer = spawn(move || {
            client.wait_writable().unwrap();
            client.write(&[1]).unwrap()
        });
        yield_now();
        sleep(SHORT);
        assert!(!writer.is_finished());
        let mut sink = vec![0; 1 << 20];
        while !writer.is_finished() {
            let _ = server.read(&mut sink).unwrap();
            yield_now();
        }
        assert_eq!(writer.join().unwrap(), 1);
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
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: all zeros is a valid action; without SA_RESTART calls are interrupted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    let none = std::ptr::null_mut();
    // SAFETY: the handler does nothing.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, none) }, 0);
    let every = libc::timeval { tv_sec: 0, tv_usec: 200 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    let none = std::ptr::null_mut();
    // SAFETY: `timer` is valid for the call.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, none) }, 0);

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

/// SIGPIPE kills processes that did not ask Rust's runtime to ignore it.
#[test]
fn sigpipe_never_kills() {
    let output = crate::support::child("tcp::child_writes_to_a_closed_peer_with_sigpipe");
    assert!(output.status.success(), "{:?}", output.status);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_writes_to_a_closed_peer_with_sigpipe() {
    // SAFETY: the default action needs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|| {
        let (mut client, server) = pair();
        drop(server);
        let chunk = vec![0; 1 << 16];
        let plain = std::iter::from_fn(|| Some(client.write(&chunk))).find_map(Result::err);
        assert!(plain.is_some());
        let vectored = client.write_vectored(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]);
        assert_eq!(vectored.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}
