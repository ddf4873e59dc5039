//! `rustls`, client and server, over the sockets of the world around.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use rustls::ClientConnection;
use rustls::ServerConnection;
use rustls::StreamOwned;

use super::MANY;
use super::TcpListener;
use super::TcpStream;
use super::spawn;
use super::yield_now;
use crate::keys::keys;
use crate::sockets::is_writable;
use crate::sockets::with_small_buffer;
use crate::support::run;

const SHORT: Duration = Duration::from_millis(3);

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;
pub(crate) type Server = StreamOwned<ServerConnection, TcpStream>;

/// Two ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

pub(crate) fn client(stream: TcpStream) -> Client {
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::clone(&keys().client), name).unwrap();
    StreamOwned::new(connection, stream)
}

pub(crate) fn server(stream: TcpStream) -> Server {
    let connection = ServerConnection::new(Arc::clone(&keys().server)).unwrap();
    StreamOwned::new(connection, stream)
}

/// Writes 4 MiB in pieces, and after each reads one of the peer's, who does the same.
fn exchange<S: Read + Write>(
    stream: &mut S,
    own: u8,
    peers: u8,
    mut before: impl FnMut(&mut S, usize),
) -> Result<()> {
    const SIZE: usize = 16 << 10;
    let mut buf = vec![0; SIZE];
    for n in 0..(4 << 20) / SIZE {
        before(stream, n);
        stream.write_all(&[own ^ n as u8; SIZE])?;
        stream.read_exact(&mut buf)?;
        assert!(buf.iter().all(|byte| *byte == peers ^ n as u8), "in piece {n}");
    }
    stream.flush()
}

#[test]
fn megabytes_go_both_ways_at_once() {
    run(|| {
        let (ours, theirs) = pair();
        let there = spawn(move || exchange(&mut server(theirs), 1, 2, |_, _| ()));
        exchange(&mut client(ours), 2, 1, |_, _| ()).unwrap();
        there.join().unwrap().unwrap();
    });
}

/// Who reads a request for new keys has an answer to write before it reads on.
#[test]
fn keys_are_renewed_in_mid_stream() {
    run(|| {
        let (ours, theirs) = pair();
        let there = spawn(move || {
            exchange(&mut server(theirs), 1, 2, |stream, n| {
                if n % 32 == 16 {
                    stream.conn.refresh_traffic_keys().unwrap();
                }
            })
        });
        exchange(&mut client(ours), 2, 1, |stream, n| {
            if n % 16 == 1 {
                stream.conn.refresh_traffic_keys().unwrap();
            }
        })
        .unwrap();
        there.join().unwrap().unwrap();
    });
}

/// A reader has a megabyte to write first, which the socket does not take: it waits for room
/// to write inside of its read.
#[test]
fn a_read_writes_first_what_there_is_to_write() {
    const SIZE: usize = 1 << 20;
    run(|| {
        let (ours, theirs) = pair();
        with_small_buffer(&ours);
        with_small_buffer(&theirs);
        let full = ours.try_clone().unwrap();
        let there = spawn(move || -> Result<()> {
            let mut stream = server(theirs);
            stream.conn.complete_io(&mut stream.sock)?;
            stream.write_all(b"go")?;
            while is_writable(&full) {
                yield_now();
            }
            // A request for new keys is among what the reader has to answer.
            stream.conn.refresh_traffic_keys().unwrap();
            let mut buf = vec![0; SIZE];
            stream.read_exact(&mut buf)?;
            assert!(buf.iter().all(|byte| *byte == 7));
            stream.write_all(b"thanks")
        });
        let mut stream = client(ours);
        stream.read_exact(&mut [0; 2]).unwrap();
        stream.conn.set_buffer_limit(None);
        stream.conn.writer().write_all(&vec![7; SIZE]).unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"thanks");
        there.join().unwrap().unwrap();
    });
}

#[test]
fn an_end_without_a_farewell_is_an_error() {
    for says_farewell in [true, false] {
        run(|| {
            let (ours, theirs) = pair();
            let there = spawn(move || -> Result<()> {
                let mut stream = server(theirs);
                stream.write_all(b"last words")?;
                if says_farewell {
                    stream.conn.send_close_notify();
                }
                stream.flush()
            });
            let mut text = Vec::new();
            let end = client(ours).read_to_end(&mut text);
            assert_eq!(text, b"last words");
            match end {
                Ok(count) => assert_eq!((count, says_farewell), (10, true)),
                Err(error) => {
                    assert_eq!((error.kind(), says_farewell), (ErrorKind::UnexpectedEof, false));
                }
            }
            there.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_peer_that_leaves_in_the_handshake_is_an_error() {
    run(|| {
        let (ours, mut theirs) = pair();
        let there = spawn(move || -> Result<()> {
            // All of the first message, so that leaving is no reset.
            theirs.read_exact(&mut [0; 5])?;
            while theirs.read(&mut [0; 4096])? == 4096 {}
            Ok(())
        });
        let mut stream = client(ours);
        let error = stream.conn.complete_io(&mut stream.sock).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        there.join().unwrap().unwrap();
    });
}

#[test]
fn a_handshake_obeys_the_read_timeout_of_its_socket() {
    run(|| {
        let (ours, theirs) = pair();
        ours.set_read_timeout(Some(SHORT)).unwrap();
        let mut stream = client(ours);
        let start = Instant::now();
        let error = stream.conn.complete_io(&mut stream.sock).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= SHORT);
        // It goes on where it stopped.
        stream.sock.set_read_timeout(None).unwrap();
        let there = spawn(move || server(theirs).write_all(b"late"));
        let mut text = [0; 4];
        stream.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"late");
        there.join().unwrap().unwrap();
    });
}

#[test]
fn a_read_that_times_out_loses_nothing() {
    run(|| {
        let (ours, theirs) = pair();
        let there = spawn(move || {
            let mut stream = server(theirs);
            let mut word = [0; 2];
            while stream.read_exact(&mut word).is_ok() {
                stream.write_all(&word).unwrap();
            }
        });
        let mut stream = client(ours);
        for n in 0..20 {
            stream.sock.set_read_timeout(None).unwrap();
            stream.write_all(&[n, n]).unwrap();
            let mut word = [0; 2];
            stream.read_exact(&mut word).unwrap();
            assert_eq!(word, [n, n]);
            stream.sock.set_read_timeout(Some(SHORT)).unwrap();
            let error = stream.read(&mut word).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        drop(stream);
        there.join().unwrap();
    });
}

/// None begins before all are connected.
#[test]
fn many_handshakes_at_once() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptor = spawn(move || {
            let serve = |_| {
                let (stream, _) = listener.accept().unwrap();
                spawn(move || -> Result<()> {
                    let mut stream = server(stream);
                    let mut word = [0; 4];
                    stream.read_exact(&mut word)?;
                    word.reverse();
                    stream.write_all(&word)?;
                    stream.flush()
                })
            };
            let servers: Vec<_> = (0..MANY).map(serve).collect();
            servers.into_iter().for_each(|server| server.join().unwrap().unwrap());
        });
        let connected = Arc::new(AtomicUsize::new(0));
        let ask = |n: usize| {
            let connected = Arc::clone(&connected);
            spawn(move || -> Result<[u8; 4]> {
                let stream = TcpStream::connect(addr)?;
                connected.fetch_add(1, Ordering::SeqCst);
                while connected.load(Ordering::SeqCst) < MANY {
                    yield_now();
                }
                let mut stream = client(stream);
                stream.write_all(&(n as u32).to_le_bytes())?;
                let mut word = [0; 4];
                stream.read_exact(&mut word)?;
                Ok(word)
            })
        };
        let clients: Vec<_> = (0..MANY).map(ask).collect();
        for (n, client) in clients.into_iter().enumerate() {
            assert_eq!(client.join().unwrap().unwrap(), (n as u32).to_be_bytes());
        }
        acceptor.join().unwrap();
    });
}
