//! `coroutine_echo`: its arguments, its echo, and how it stops.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Signal;

use crate::process::Process;
use crate::process::run;

const SERVER: &str = "coroutine_echo";
/// How long the server lets connections go on after the signal.
const GRACE: Duration = Duration::from_secs(1);

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Sends a message and compares what comes back.
fn exchange(mut stream: &TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(message)?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer)?;
    assert!(answer == message, "another answer came back");
    Ok(())
}

#[test]
fn the_help_says_what_the_arguments_are() {
    for option in ["--help", "-h"] {
        let ending = run(SERVER, &[option]);
        ending.assert_done();
        let text = ending.stdout.join("\n");
        for part in ["Usage: coroutine_echo [ADDR]", "127.0.0.1:7777", "SIGTERM"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let bad = "cannot listen on nonsense: ";
    run(SERVER, &["nonsense"]).assert_gave_up(SERVER, bad);
    run(SERVER, &["127.0.0.1:99999"]).assert_gave_up(SERVER, "on 127.0.0.1:99999: invalid port");
    // Addresses for documentation are nobody's, RFC 5737.
    run(SERVER, &["192.0.2.1:0"]).assert_gave_up(SERVER, "on 192.0.2.1:0: Cannot assign");
    run(SERVER, &["127.0.0.1:0", "more"]).assert_gave_up(SERVER, "unexpected argument 'more'");
}

#[test]
fn an_address_in_use_is_refused_in_one_line() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap().to_string();
    run(SERVER, &[&addr]).assert_gave_up(SERVER, &format!("on {addr}: Address already in use"));
}

#[test]
fn it_echoes_until_a_signal_and_sums_up() {
    for signal in [Signal::INT, Signal::TERM] {
        let (server, addr) = Process::start_echo_server();
        let addr: SocketAddr = addr.parse().unwrap();
        assert!(addr.ip().is_loopback() && addr.port() != 0, "{addr}");

        // Several at once, each with messages smaller and larger than the server's buffer.
        let client = |n: u8| {
            move || {
                let stream = TcpStream::connect(addr).unwrap();
                for len in [1, 64, 16 * 1024, 50_000] {
                    exchange(&stream, &vec![n; len]).unwrap();
                }
            }
        };
        let clients: Vec<_> = (0..5).map(|n| thread::spawn(client(n))).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        // One more goes away without a word, one without reading its answer.
        drop(TcpStream::connect(addr).unwrap());
        let stream = TcpStream::connect(addr).unwrap();
        exchange(&stream, b"last").unwrap();
        drop(stream);

        server.signal(signal);
        let ending = server.end();
        ending.assert_done();
        let bytes = 5 * (1 + 64 + 16 * 1024 + 50_000) + 4;
        assert_eq!(ending.stdout, [format!("served 7 connections and {bytes} bytes")]);
    }
}

/// Under load the server says where its coroutines wait, and loses nothing by it.
#[test]
fn a_signal_has_it_print_where_its_coroutines_wait() {
    const CONNECTIONS: usize = 50;
    const LOADED: usize = 4;

    let quit = [("COROVENT_DUMP_SIGNAL", "QUIT")];
    let (server, addr) = Process::start_server_with(SERVER, &["127.0.0.1:0"], &quit);
    let idle: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let stream = TcpStream::connect(&addr).unwrap();
            exchange(&stream, b"one").unwrap();
            stream
        })
        .collect();
    let is_over = AtomicBool::new(false);
    let exchanged = AtomicUsize::new(0);
    thread::scope(|threads| {
        for n in 0..LOADED {
            let (addr, is_over, exchanged) = (&addr, &is_over, &exchanged);
            threads.spawn(move || {
                let stream = TcpStream::connect(addr).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    exchange(&stream, &[n as u8; 20_000]).unwrap();
                    exchanged.fetch_add(20_000, Ordering::Relaxed);
                }
            });
        }
        // The load ends with a check that fails, too.
        let _end = OnDrop(|| is_over.store(true, Ordering::Relaxed));
        let line = 1 + include_str!("../../examples/coroutine_echo.rs")
            .lines()
            .position(|line| line.contains("stream.wait_readable()?"))
            .unwrap();
        for _ in 0..3 {
            server.signal(Signal::QUIT);
            let group =
                format!(" coroutines at examples/coroutine_echo.rs:{line} wait to read, for ");
            let paragraph = server.error_line_with(&group);
            // Those of the load may wait at the same line, or be on their way.
            let (count, _) = paragraph.split_once(" coroutines at ").unwrap();
            let count: usize = count.parse().unwrap();
            assert!((CONNECTIONS..=CONNECTIONS + LOADED).contains(&count), "{paragraph}");
            // How a type stands before its methods is the compiler's choice.
            server.error_line_with("::echo at examples/coroutine_echo.rs:");
            server.error_line_with("::serve_one at examples/coroutine_echo.rs:");
        }
    });
    idle.iter().for_each(|stream| exchange(stream, b"two").unwrap());
    drop(idle);
    server.signal(Signal::TERM);
    let ending = server.end();
    assert_eq!(ending.code, Some(0), "{ending:?}");
    let connections = CONNECTIONS + LOADED;
    let bytes = 6 * CONNECTIONS + exchanged.into_inner();
    assert_eq!(ending.stdout, [format!("served {connections} connections and {bytes} bytes")]);
}

#[test]
fn a_connection_may_finish_after_the_signal() {
    let (server, addr) = Process::start_echo_server();
    let stream = TcpStream::connect(&addr).unwrap();
    exchange(&stream, b"before").unwrap();

    let signalled = Instant::now();
    server.signal(Signal::TERM);
    // It has noticed when it does not listen any more.
    while TcpStream::connect(&addr).is_ok() {}
    let bytes = match exchange(&stream, b"after") {
        Ok(()) => 11,
        // On a busy machine the time may have been up.
        Err(_) if signalled.elapsed() >= GRACE => 6,
        Err(error) => panic!("it was cut too early: {error}"),
    };
    drop(stream);
    let ending = server.end();
    ending.assert_done();
    assert!(ending.stdout[0].ends_with(&format!(" and {bytes} bytes")), "{ending:?}");
}

#[test]
fn a_connection_that_stays_is_cut_after_a_while() {
    let (server, addr) = Process::start_echo_server();
    let mut stream = TcpStream::connect(&addr).unwrap();
    exchange(&stream, b"before").unwrap();

    let signalled = Instant::now();
    server.signal(Signal::TERM);
    let ending = server.end();
    assert!(signalled.elapsed() >= GRACE);
    ending.assert_done();
    assert_eq!(ending.stdout, ["served 1 connections and 6 bytes"]);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn the_address_is_free_again_afterwards() {
    let (first, addr) = Process::start_echo_server();
    let stream = TcpStream::connect(&addr).unwrap();
    exchange(&stream, b"hello").unwrap();
    drop(stream);
    first.signal(Signal::TERM);
    first.end().assert_done();

    let second = Process::start(SERVER, &[&addr]);
    assert_eq!(second.line(), format!("listening on {addr}"));
}
