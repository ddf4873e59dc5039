//! `port_forwarder`: in front of good servers, a bad one and none.

use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;
use crate::process::run;

const FORWARDER: &str = "port_forwarder";

fn start(target: &str, more: &[&str]) -> (Process, String) {
    let args = [&["127.0.0.1:0", target], more].concat();
    Process::start_server(FORWARDER, &args)
}

/// Stops a program, and checks that it complains about nothing.
#[track_caller]
fn stop(server: Process, expected: &str) {
    server.signal(Signal::TERM);
    let ending = server.end();
    ending.assert_done();
    assert_eq!(ending.stdout, [expected]);
}

#[track_caller]
fn exchange(mut stream: &TcpStream, message: &[u8]) {
    stream.write_all(message).unwrap();
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer == message, "another answer came back");
}

#[test]
fn a_hundred_connections_go_through_at_once() {
    let (echo, target) = Process::start_echo_server();
    let (forwarder, addr) = start(&target, &[]);
    let args = [&addr, "--connections", "100", "--messages", "20", "--size", "5000"];
    let client = run("echo_client", &args);
    assert_eq!(client.code, Some(0), "{client:?}");
    let bytes = 100 * 20 * 5000;
    stop(forwarder, &format!("forwarded 100 connections and {} bytes, 0 failed", 2 * bytes));
    stop(echo, &format!("served 100 connections and {bytes} bytes"));
}

/// Each side ends its own direction, in either order, and hears the other one out.
#[test]
fn the_end_of_one_direction_is_passed_on() {
    fn read_all(mut stream: &TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let (forwarder, addr) = start(&target, &[]);
    let (question, answer) = (vec![1; 300_000], vec![2; 500_000]);
    for is_client_first in [true, false] {
        let client = TcpStream::connect(&addr).unwrap();
        let (peer, _) = server.accept().unwrap();
        let sides = [(&client, &question), (&peer, &answer)];
        let [first, second] = if is_client_first { sides } else { [sides[1], sides[0]] };
        let say = |(mut stream, bytes): (&TcpStream, &Vec<u8>)| {
            stream.write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        };
        thread::scope(|scope| {
            scope.spawn(|| say(first));
            assert!(read_all(second.0) == *first.1);
            // The first has ended its own direction, and still hears.
            scope.spawn(|| say(second));
            assert!(read_all(first.0) == *second.1);
        });
    }
    stop(forwarder, "forwarded 2 connections and 1600000 bytes, 0 failed");
}

#[test]
fn a_target_that_is_down_is_told_and_the_next_may_be_up() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    // The port of a connection: nobody listens there, and nobody else gets it.
    let taken = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let target = taken.local_addr().unwrap().to_string();
    let (forwarder, addr) = start(&target, &[]);
    for _ in 0..3 {
        let mut client = TcpStream::connect(&addr).unwrap();
        match client.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    forwarder.signal(Signal::TERM);
    let ending = forwarder.end();
    let why = format!("port_forwarder: cannot connect to {target}: Connection refused");
    assert_eq!(ending.stderr.len(), 3, "{ending:?}");
    assert!(ending.stderr.iter().all(|line| line.starts_with(&why)), "{ending:?}");
    assert_eq!(ending.stdout, ["forwarded 3 connections and 0 bytes, 3 failed"]);
    assert_eq!(ending.code, Some(0));
}

#[test]
fn more_than_are_allowed_have_to_wait() {
    let (echo, target) = Process::start_echo_server();
    let (forwarder, addr) = start(&target, &["2"]);
    let connect = || TcpStream::connect(&addr).unwrap();
    let (first, second) = (connect(), connect());
    exchange(&first, b"first");
    exchange(&second, b"second");
    let third = connect();
    (&third).write_all(b"third").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut answer = [0; 5];
    assert_eq!((&third).read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);

    drop(first);
    third.set_read_timeout(None).unwrap();
    (&third).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"third");
    exchange(&second, b"still there");
    drop((second, third));
    stop(forwarder, "forwarded 3 connections and 54 bytes, 0 failed");
    stop(echo, "served 3 connections and 27 bytes");
}

#[test]
fn the_help_and_bad_arguments() {
    let help = run(FORWARDER, &["--help"]);
    help.assert_done();
    assert!(help.stdout.join("\n").contains("port_forwarder LISTEN TARGET"), "{help:?}");

    let check = |args: &[&str], why: &str| run(FORWARDER, args).assert_gave_up(FORWARDER, why);
    check(&[], "LISTEN and TARGET are missing");
    check(&["127.0.0.1:0"], "LISTEN and TARGET are missing");
    check(&["127.0.0.1:0", "a:1", "0"], "CONNECTIONS must be a number from 1 to 65535, not '0'");
    check(&["127.0.0.1:0", "a:1", "many"], "not 'many'");
    check(&["127.0.0.1:0", "a:1", "5", "more"], "unexpected argument 'more'");
    check(&["nonsense", "a:1"], "cannot listen on nonsense: ");
}
