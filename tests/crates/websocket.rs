//! `tungstenite`, client and server, over the sockets of the world around.

use std::io::ErrorKind;
use std::time::Duration;

use tungstenite::Error;
use tungstenite::Message;
use tungstenite::WebSocket;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::TcpListener;
use super::TcpStream;
use super::spawn;
use super::tls::pair;
use crate::sockets::with_small_buffer;
use crate::support::run;

const SHORT: Duration = Duration::from_millis(3);

/// Shakes hands as a client.
pub(crate) fn client(stream: TcpStream) -> WebSocket<TcpStream> {
    let (socket, response) = tungstenite::client("ws://localhost/chat", stream).unwrap();
    assert_eq!(response.status().as_u16(), 101);
    socket
}

/// Sends every message back, until the client has said farewell; gives what it said.
pub(crate) fn echo(stream: TcpStream) -> Option<CloseFrame> {
    let mut socket = tungstenite::accept(stream).unwrap();
    let mut farewell = None;
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => farewell = frame,
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).unwrap(),
            // A ping is answered by the socket itself.
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return farewell,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Says farewell and waits until the peer has.
pub(crate) fn leave(mut socket: WebSocket<TcpStream>) {
    let frame = CloseFrame { code: CloseCode::Away, reason: "home".into() };
    socket.close(Some(frame)).unwrap();
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => assert_eq!(frame.unwrap().code, CloseCode::Away),
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn messages_pings_and_farewells() {
    run(|| {
        let (ours, theirs) = pair();
        let server = spawn(move || echo(theirs));
        let mut socket = client(ours);
        for message in [Message::text("grüß dich"), Message::binary(vec![0, 255]), "".into()] {
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
        socket.send(Message::Ping(vec![1, 2, 3].into())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong(vec![1, 2, 3].into()));
        leave(socket);
        assert_eq!(server.join().unwrap().unwrap().reason.as_str(), "home");
    });
}

/// The sockets take a few kilobytes at a time.
#[test]
fn large_messages_go_through_small_sockets() {
    run(|| {
        let (ours, theirs) = pair();
        with_small_buffer(&ours);
        with_small_buffer(&theirs);
        let server = spawn(move || echo(theirs));
        let mut socket = client(ours);
        for size in [1 << 20, 100_000, 1] {
            let message = Message::binary((0..size).map(|n| n as u8).collect::<Vec<_>>());
            socket.send(message.clone()).unwrap();
            assert!(socket.read().unwrap() == message, "{size} bytes");
        }
        leave(socket);
        server.join().unwrap().unwrap();
    });
}

#[test]
fn a_read_that_times_out_loses_nothing() {
    run(|| {
        let (ours, theirs) = pair();
        let server = spawn(move || echo(theirs));
        let mut socket = client(ours);
        for n in 0..20 {
            let message = Message::text(format!("message {n}"));
            socket.get_mut().set_read_timeout(None).unwrap();
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
            socket.get_mut().set_read_timeout(Some(SHORT)).unwrap();
            let late = socket.read().unwrap_err();
            assert!(matches!(late, Error::Io(error) if error.kind() == ErrorKind::WouldBlock));
        }
        socket.get_mut().set_read_timeout(None).unwrap();
        leave(socket);
        server.join().unwrap().unwrap();
    });
}

#[test]
fn many_talk_at_once() {
    const CLIENTS: usize = 20;
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptor = spawn(move || {
            let serve = |_| {
                let (stream, _) = listener.accept().unwrap();
                spawn(move || echo(stream))
            };
            let servers: Vec<_> = (0..CLIENTS).map(serve).collect();
            servers.into_iter().for_each(|server| drop(server.join().unwrap()));
        });
        let talk = |n: usize| {
            spawn(move || {
                let mut socket = client(TcpStream::connect(addr).unwrap());
                for word in 0..50 {
                    let message = Message::text(format!("{word} of {n}"));
                    socket.send(message.clone()).unwrap();
                    assert_eq!(socket.read().unwrap(), message);
                }
                leave(socket);
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(talk).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        acceptor.join().unwrap();
    });
}
