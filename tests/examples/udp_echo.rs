//! `udp_echo`: the server against std's sockets, the client against good and bad servers.

use std::net::SocketAddr;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;
use crate::process::run;

const ECHO: &str = "udp_echo";

/// A socket of std's, which does not wait for ever.
fn socket() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(100))).unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    (socket, addr)
}

#[test]
fn the_help_and_bad_arguments() {
    let help = run(ECHO, &["--help"]);
    help.assert_done();
    assert!(help.stdout.join("\n").contains("udp_echo --to ADDR TEXT"), "{help:?}");

    let check = |args: &[&str], why: &str| run(ECHO, args).assert_gave_up(ECHO, why);
    check(&["nonsense"], "cannot listen on nonsense: ");
    check(&["127.0.0.1:0", "more"], "unexpected argument 'more'");
    check(&["--to"], "--to needs an address and a text");
    check(&["--to", "127.0.0.1:1"], "--to needs an address and a text");
    let (_taken, addr) = socket();
    check(&[&addr], &format!("cannot listen on {addr}: Address already in use"));
}

#[test]
fn datagrams_come_back_to_whoever_sent_them() {
    for signal in [Signal::INT, Signal::TERM] {
        let (server, addr) = Process::start_server(ECHO, &["127.0.0.1:0"]);
        let addr: SocketAddr = addr.parse().unwrap();
        let exchange = move |n: u8, lens: &[usize]| {
            let (socket, _) = socket();
            socket.connect(addr).unwrap();
            for len in lens {
                socket.send(&vec![n; *len]).unwrap();
                let mut buf = vec![0; 70_000];
                let count = socket.recv(&mut buf).unwrap();
                assert!(buf[..count] == vec![n; *len]);
            }
        };
        let client = |n| thread::spawn(move || exchange(n, &[1, 0, 1000]));
        let clients: Vec<_> = (0..5).map(client).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        // The largest there is; several at once might not fit into the server's socket.
        exchange(5, &[65_507]);
        let ours = run(ECHO, &["--to", &addr.to_string(), "first", "second"]);
        ours.assert_done();
        assert_eq!(ours.stdout, ["first", "second"]);

        server.signal(signal);
        let ending = server.end();
        ending.assert_done();
        let bytes = 5 * (1 + 1000) + 65_507 + 11;
        assert_eq!(ending.stdout, [format!("echoed 18 datagrams and {bytes} bytes")]);
    }
}

/// The first datagram is lost, and something else is said before the second comes back.
#[test]
fn the_client_asks_again() {
    let (server, addr) = socket();
    let client = Process::start(ECHO, &["--to", &addr, "hello"]);
    let mut buf = [0; 100];
    assert_eq!(server.recv(&mut buf).unwrap(), 5);
    let (count, from) = server.recv_from(&mut buf).unwrap();
    server.send_to(b"other", from).unwrap();
    server.send_to(&buf[..count], from).unwrap();
    let ending = client.end();
    ending.assert_done();
    assert_eq!(ending.stdout, ["hello"]);
}

#[test]
fn the_client_gives_up() {
    let (server, addr) = socket();
    let ending = run(ECHO, &["--to", &addr, "hello"]);
    ending.assert_gave_up(ECHO, &format!("cannot ask {addr}: no answer to 'hello'"));
    for _ in 0..3 {
        assert_eq!(server.recv(&mut [0; 100]).unwrap(), 5);
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.recv(&mut [0; 100]).is_err(), "three times are enough");
}

#[test]
fn nobody_there_is_one_clear_line() {
    // The port is taken, but by one who hears another only.
    let (socket, addr) = socket();
    socket.connect("127.0.0.1:9").unwrap();
    let why = format!("cannot ask {addr}: Connection refused");
    run(ECHO, &["--to", &addr, "hello"]).assert_gave_up(ECHO, &why);
}
