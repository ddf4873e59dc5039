//! Bytes through a bad network: a proxy that forwards in pieces of any size, late, and breaks
//! connections in every way.

use std::cell::Cell;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::IoSlice;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use corovent::debug;
use corovent::net::Shutdown;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::UdpSocket;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support;
use crate::support::resident_bytes;

/// What a direction of the proxy does after so many bytes.
#[derive(Clone, Copy, Debug)]
enum Break {
    Never,
    /// It resets both connections.
    Reset(usize),
    /// It reads no more, and keeps all open.
    Stop(usize),
}

/// How much a direction forwards at once.
#[derive(Clone, Copy, Debug)]
enum Pieces {
    Bytes,
    UpTo(usize),
}

const MEGABYTE: usize = 1 << 20;

/// Runs a body, and lets proxies and servers come to their ends.
fn run(body: impl FnOnce()) {
    support::run(|| {
        body();
        while debug::counters().coroutines > 0 {
            corovent::sleep(Duration::from_nanos(1));
        }
    });
}

/// Starts a proxy for one connection; gives where it listens.
fn dribble(to: SocketAddr, pieces: Pieces, there: Break, back: Break) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(to).unwrap();
        let (client_2, server_2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let forth = spawn(move || forward(client, server, pieces, there));
        forward(server_2, client_2, pieces, back);
        forth.join().unwrap();
    });
    addr
}

/// Forwards one direction; an end is passed on as one.
fn forward(mut from: TcpStream, mut to: TcpStream, pieces: Pieces, end: Break) {
    let mut random = 1usize;
    let mut total = 0;
    let mut buf = vec![0; 16 * 1024];
    loop {
        match end {
            Break::Reset(limit) if total >= limit => {
                set_linger_zero(&from);
                set_linger_zero(&to);
                // Both directions hold both: the reset is by shutting down what is reset later.
                let _ = (reset(&from), reset(&to));
                return;
            }
            Break::Stop(limit) if total >= limit => {
                // Until the other side has gone.
                while !has_gone(&from) {
                    corovent::sleep(Duration::from_millis(1));
                }
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
            _ => {}
        }
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let len = match pieces {
            Pieces::Bytes => 1,
            Pieces::UpTo(limit) => 1 + (random >> 33) % limit,
        };
        match from.read(&mut buf[..len]) {
            Ok(0) => break,
            Ok(n) => {
                if to.write_all(&buf[..n]).is_err() {
                    return;
                }
                total += n;
            }
            Err(_) => return,
        }
        if random >> 60 == 0 {
            (0..random >> 40 & 7).for_each(|_| yield_now());
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Whether the other side has sent an end, behind whatever was not read.
fn has_gone(stream: &TcpStream) -> bool {
    let mut entry = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: it is one entry.
    unsafe { libc::poll(&raw mut entry, 1, 0) == 1 }
}

fn set_option(stream: &impl AsRawFd, level: i32, option: i32, value: &[libc::c_int]) {
    let len = size_of_val(value) as libc::socklen_t;
    // SAFETY: `value` is readable for `len` bytes.
    let set =
        unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, value.as_ptr().cast(), len) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

fn set_linger_zero(stream: &TcpStream) {
    set_option(stream, libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0]);
}

/// Resets a connection though others hold it: connecting to nowhere gives it up at once.
fn reset(stream: &TcpStream) -> i32 {
    // SAFETY: all zeros is a valid address, of no family.
    let nowhere: libc::sockaddr = unsafe { std::mem::zeroed() };
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the address is valid for its length.
    unsafe { libc::connect(stream.as_raw_fd(), &raw const nowhere, len) }
}

/// A listener, and its address.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listen();
    let client = spawn(move || TcpStream::connect(addr).unwrap());
    let (server, _) = listener.accept().unwrap();
    (client.join().unwrap(), server)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8 ^ (n >> 8) as u8).collect()
}

/// Serves one connection by echoing, until its end.
fn echo_server() -> SocketAddr {
    let (listener, addr) = listen();
    spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut answer = stream.try_clone().unwrap();
        let mut stream = stream;
        let _ = corovent::io::copy(&mut stream, &mut answer);
        let _ = answer.shutdown(Shutdown::Write);
    });
    addr
}

/// A megabyte through the proxy and back, by each way of writing and of reading.
#[test]
fn a_megabyte_comes_back_in_pieces_of_any_size() {
    type Writer = fn(TcpStream, &[u8]) -> io::Result<()>;
    type Reader = fn(TcpStream, usize) -> io::Result<Vec<u8>>;
    let writers: [Writer; 4] = [
        |mut stream, data| stream.write_all(data),
        |stream, data| {
            let mut writer = BufWriter::with_capacity(777, stream);
            data.chunks(100).try_for_each(|chunk| writer.write_all(chunk))?;
            writer.flush()
        },
        |mut stream, mut data| {
            // More slices than the kernel takes at once.
            while !data.is_empty() {
                let slices: Vec<_> = data.chunks(3).take(2000).map(IoSlice::new).collect();
                let n = stream.write_vectored(&slices)?;
                data = &data[n..];
            }
            Ok(())
        },
        |mut stream, mut data| corovent::io::copy(&mut data, &mut stream).map(drop),
    ];
    let readers: [Reader; 4] = [
        |mut stream, len| {
            let mut data = vec![0; len];
            stream.read_exact(&mut data)?;
            Ok(data)
        },
        |stream, _| {
            let mut data = Vec::new();
            let mut reader = BufReader::with_capacity(1000, stream);
            while reader.read_until(b'!', &mut data)? > 0 {}
            Ok(data)
        },
        |mut stream, _| {
            let mut data = Vec::new();
            stream.read_to_end(&mut data).map(|_| data)
        },
        |mut stream, _| {
            let mut data = Vec::new();
            corovent::io::copy(&mut stream, &mut data).map(|_| data)
        },
    ];
    let sizes =
        [Pieces::UpTo(3000), Pieces::UpTo(16 * 1024), Pieces::UpTo(700), Pieces::UpTo(9000)];
    run(|| {
        for ((writer, reader), pieces) in writers.into_iter().zip(readers).zip(sizes) {
            let proxy = dribble(echo_server(), pieces, Break::Never, Break::Never);
            let data = Rc::new(pattern(MEGABYTE + 13));
            let stream = TcpStream::connect(proxy).unwrap();
            let writing = spawn({
                let (data, stream) = (Rc::clone(&data), stream.try_clone().unwrap());
                move || {
                    writer(stream.try_clone().unwrap(), &data).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                }
            });
            let answer = reader(stream, data.len()).unwrap();
            assert!(answer == *data, "{pieces:?}: {} bytes came back", answer.len());
            writing.join().unwrap();
        }
    });
}

/// Byte by byte, with the smallest buffers that the kernel allows and a small segment size.
#[test]
fn single_bytes_and_tiny_buffers_lose_nothing() {
    run(|| {
        let (listener, addr) = listen();
        spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            tiny(&stream);
            let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
            io::copy(&mut from, &mut to).unwrap();
            to.shutdown(Shutdown::Write).unwrap();
        });
        let proxy = dribble(addr, Pieces::Bytes, Break::Never, Break::Never);
        let stream = TcpStream::connect(proxy).unwrap();
        tiny(&stream);
        let data = pattern(20_000);
        let writing = spawn({
            let (mut stream, data) = (stream.try_clone().unwrap(), data.clone());
            move || {
                stream.write_all(&data).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut answer = Vec::new();
        (&stream).read_to_end(&mut answer).unwrap();
        assert!(answer == data);
        writing.join().unwrap();
    });
}

fn tiny(stream: &TcpStream) {
    set_option(stream, libc::SOL_SOCKET, libc::SO_SNDBUF, &[1]);
    set_option(stream, libc::SOL_SOCKET, libc::SO_RCVBUF, &[1]);
}

/// A reset in the middle: both sides end with an error or an end, at once, whether they write or
/// read; what had come before is whole.
#[test]
fn a_reset_in_the_middle_ends_both_sides() {
    run(|| {
        for (there, back) in [
            (Break::Reset(100_000), Break::Never),
            (Break::Never, Break::Reset(100_000)),
            (Break::Reset(1), Break::Never),
        ] {
            let proxy = dribble(echo_server(), Pieces::UpTo(5000), there, back);
            let stream = TcpStream::connect(proxy).unwrap();
            let data = pattern(MEGABYTE);
            let writing = spawn({
                let (mut stream, data) = (stream.try_clone().unwrap(), data.clone());
                move || loop {
                    if let Err(error) = stream.write_all(&data) {
                        return error.kind();
                    }
                }
            });
            let mut answer = Vec::new();
            let mut buf = [0; 1000];
            let end = loop {
                match (&stream).read(&mut buf) {
                    Ok(0) => break None,
                    Ok(n) => answer.extend_from_slice(&buf[..n]),
                    Err(error) => break Some(error.kind()),
                }
            };
            // The error is told once, to whoever comes first.
            let error = writing.join().unwrap();
            assert!([None, Some(io::ErrorKind::ConnectionReset)].contains(&end), "{end:?}");
            let errors = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
            assert!(errors.contains(&error), "{error:?}");
            let rest = (0..answer.len()).step_by(MEGABYTE).all(|start| {
                let end = answer.len().min(start + MEGABYTE);
                answer[start..end] == data[..end - start]
            });
            assert!(rest, "what came was sent");
        }
    });
}

/// After the client's end the server goes on answering.
#[test]
fn a_server_answers_after_the_clients_end() {
    run(|| {
        let (listener, addr) = listen();
        let server = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = Vec::new();
            stream.read_to_end(&mut question).unwrap();
            for _ in 0..20 {
                stream.write_all(&question).unwrap();
                yield_now();
            }
        });
        let proxy = dribble(addr, Pieces::UpTo(2000), Break::Never, Break::Never);
        let mut stream = TcpStream::connect(proxy).unwrap();
        let question = pattern(70_000);
        stream.write_all(&question).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer == question.repeat(20));
        server.join().unwrap();
    });
}

/// A proxy that stops reading stops the writer alone: its timeout fires, and tells of its part.
#[test]
fn a_peer_that_stops_reading_stops_its_writer_alone() {
    run(|| {
        let proxy = dribble(echo_server(), Pieces::UpTo(500), Break::Stop(5000), Break::Never);
        let mut stream = TcpStream::connect(proxy).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(30))).unwrap();
        let data = pattern(64 * 1024);
        let error = loop {
            if let Err(error) = stream.write_all(&data) {
                break error.kind();
            }
        };
        assert_eq!(error, io::ErrorKind::WouldBlock);
        let mut answer = vec![0; 5000];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer == data[..5000]);
    });
}

/// Peers that never read, with a writer each that is stuck, and one connection that works: it is
/// served as ever, and no memory grows.
#[test]
fn stuck_peers_cost_the_others_nothing() {
    const STUCK: usize = 1000;

    run(|| {
        let is_over = Rc::new(Cell::new(false));
        let stuck: Vec<_> = (0..STUCK)
            .map(|_| {
                let (client, server) = pair();
                // Little is on its way for each.
                set_option(&server, libc::SOL_SOCKET, libc::SO_SNDBUF, &[4096]);
                set_option(&client, libc::SOL_SOCKET, libc::SO_RCVBUF, &[4096]);
                let (mut writer, is_over) = (server.try_clone().unwrap(), Rc::clone(&is_over));
                let writing = spawn(move || {
                    let data = [7; 16 * 1024];
                    while writer.write_all(&data).is_ok() {}
                    assert!(is_over.get(), "it was not told to end");
                });
                (client, server, writing)
            })
            .collect();
        let (mut client, server) = pair();
        let echo = spawn(move || {
            let (mut from, mut to) = (server.try_clone().unwrap(), server);
            io::copy(&mut from, &mut to).map(drop)
        });
        let mut byte = [0];
        let mut exchange = |count: u32| {
            for n in 0..count {
                client.write_all(&[n as u8]).unwrap();
                client.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [n as u8]);
            }
        };
        exchange(200);
        let resident = resident_bytes();
        exchange(2000);
        // Other tests of this process run beside it.
        assert!(resident_bytes() < resident + (64 << 20));
        is_over.set(true);
        for (client, server, writing) in stuck {
            server.shutdown(Shutdown::Both).unwrap();
            writing.join().unwrap();
            drop(client);
        }
        drop(client);
        echo.join().unwrap().unwrap();
    });
}

/// Both ends of a connection wait, one to read and one to write, when a reset comes.
#[test]
fn a_reset_wakes_both_directions() {
    run(|| {
        let (client, server) = pair();
        let reading = spawn({
            let mut server = server.try_clone().unwrap();
            move || server.read(&mut [0; 10]).map_err(|error| error.kind())
        });
        let writing = spawn({
            let mut server = server.try_clone().unwrap();
            move || loop {
                if let Err(error) = server.write_all(&[0; 100_000]) {
                    return error.kind();
                }
            }
        });
        crate::support::until_waiting(2);
        set_linger_zero(&client);
        drop(client);
        let read = reading.join().unwrap();
        let written = writing.join().unwrap();
        assert!([Ok(0), Err(io::ErrorKind::ConnectionReset)].contains(&read), "{read:?}");
        let errors = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(errors.contains(&written), "{written:?}");
        // Later reads find the end.
        assert_eq!((&server).read(&mut [0; 10]).unwrap(), 0);
    });
}

/// Data and the end of a wait meet in one turn, in every order: there is one outcome, and no byte
/// is lost.
#[test]
fn data_and_a_deadline_in_one_turn_have_one_outcome() {
    run(|| {
        let (mut client, server) = pair();
        server.set_read_timeout(Some(Duration::from_micros(50))).unwrap();
        let sent = Rc::new(Cell::new(0u32));
        let writing = spawn({
            let sent = Rc::clone(&sent);
            move || {
                for n in 0..1000u32 {
                    client.write_all(&[n as u8]).unwrap();
                    sent.set(n + 1);
                    corovent::sleep(Duration::from_micros(u64::from(n % 100)));
                }
            }
        });
        let mut received = 0u32;
        let mut timeouts = 0;
        let mut buf = [0; 64];
        loop {
            let outer = timeout(Duration::from_micros(55), || (&server).read(&mut buf));
            let n = match outer {
                Ok(Ok(0)) => break,
                Ok(Ok(n)) => n,
                Ok(Err(error)) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    timeouts += 1;
                    continue;
                }
                Err(_) => {
                    timeouts += 1;
                    continue;
                }
            };
            for byte in &buf[..n] {
                assert_eq!(*byte, received as u8);
                received += 1;
            }
        }
        assert_eq!((received, sent.get()), (1000, 1000));
        assert!(timeouts > 0, "no deadline was met");
        writing.join().unwrap();
    });
}

/// A datagram that somebody else has taken when the woken receiver comes: it waits on.
#[test]
fn a_datagram_taken_by_another_is_waited_for_again() {
    run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let raw = socket.as_raw_fd();
        let receiving = spawn(move || {
            let mut buf = [0; 10];
            let (n, _) = socket.recv_from(&mut buf).unwrap();
            buf[..n].to_vec()
        });
        for _ in 0..50 {
            yield_now();
            sender.send_to(b"taken", addr).unwrap();
            let mut buf = [0u8; 10];
            // SAFETY: `buf` is writable for its length.
            let n = unsafe { libc::recv(raw, buf.as_mut_ptr().cast(), buf.len(), 0) };
            assert_eq!(n, 5);
            corovent::sleep(Duration::from_nanos(1));
            assert!(!receiving.is_finished());
        }
        sender.send_to(b"kept", addr).unwrap();
        assert_eq!(receiving.join().unwrap(), b"kept");
    });
}
