//! `echo_client`: against a good server, a bad one and none.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::thread;

use rustix::process::Signal;

use crate::process::Process;
use crate::process::run;

const CLIENT: &str = "echo_client";

/// The number that stands behind a word, or else before it.
#[track_caller]
fn number(lines: &[String], name: &str) -> f64 {
    let text = lines.join(" ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|word| *word == name).unwrap_or_else(|| panic!("{lines:?}"));
    let beside = [words.get(at.wrapping_sub(1)), words.get(at + 1)];
    let mut numbers = beside.into_iter().flatten().filter_map(|word| word.parse().ok());
    numbers.next_back().unwrap_or_else(|| panic!("no number at {name}: {lines:?}"))
}

#[test]
fn the_help_names_the_options() {
    let ending = run(CLIENT, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in ["Usage: echo_client ADDR", "--connections N", "--messages M", "--size B"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let check = |args: &[&str], why: &str| run(CLIENT, args).assert_gave_up(CLIENT, why);
    check(&[], "ADDR is missing");
    check(&["a:1", "b:1"], "unexpected argument 'b:1'");
    check(&["a:1", "--colour"], "unknown option --colour");
    check(&["a:1", "--size"], "--size needs a number");
    check(&["a:1", "--size", "0"], "--size needs a number from 1");
    check(&["a:1", "--messages", "many"], "not 'many'");
    check(&["nonsense"], "cannot connect to nonsense");
}

#[test]
fn it_measures_a_good_server() {
    for size in ["1", "64", "100000"] {
        let (server, addr) = Process::start_echo_server();
        let args = [&addr, "--connections", "20", "--messages", "25", "--size", size];
        let client = run(CLIENT, &args);
        // Progress is told on stderr if it takes long.
        assert_eq!(client.code, Some(0), "{client:?}");
        assert_eq!(number(&client.stdout, "messages"), 500.0);
        assert!(number(&client.stdout, "requests/s") > 0.0);
        assert!(number(&client.stdout, "p50") > 0.0);
        assert!(number(&client.stdout, "p99") >= number(&client.stdout, "p50"));

        server.signal(Signal::TERM);
        let bytes = 500 * size.parse::<u64>().unwrap();
        let expected = format!("served 20 connections and {bytes} bytes");
        assert_eq!(server.end().stdout, [expected]);
    }
}

/// Serves one connection with a function, and runs the client against it.
#[track_caller]
fn client_of(serve: fn(TcpStream), why: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    let client = run(CLIENT, &[&addr, "--connections", "1", "--messages", "3"]);
    server.join().unwrap();
    client.assert_gave_up(CLIENT, why);
}

#[test]
fn a_wrong_answer_is_found() {
    fn flip_one_bit(mut stream: TcpStream) {
        let mut message = [0; 64];
        stream.read_exact(&mut message).unwrap();
        message[40] ^= 1;
        stream.write_all(&message).unwrap();
    }
    client_of(flip_one_bit, "connection 0: message 0 came back wrong from byte 40 on");
}

#[test]
fn an_answer_that_is_too_short_is_found() {
    fn drop_the_end(mut stream: TcpStream) {
        let mut message = [0; 64];
        stream.read_exact(&mut message).unwrap();
        stream.write_all(&message[..63]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    client_of(drop_the_end, "connection 0: failed to fill whole buffer");
}

#[test]
fn nobody_there_is_one_clear_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The port of a connection: nobody listens there, and nobody else gets it.
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let addr = stream.local_addr().unwrap().to_string();
    let why = format!("cannot connect to {addr} (number 0): Connection refused");
    run(CLIENT, &[&addr]).assert_gave_up(CLIENT, &why);
}
