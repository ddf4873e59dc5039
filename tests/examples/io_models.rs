//! `io_models`: every model gives the same service, and the comparison ends and is complete.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Signal;

use crate::process::Ending;
use crate::process::Process;
use crate::process::run;

const PROGRAM: &str = "io_models";
const MODELS: [&str; 13] = [
    "blocking",
    "nonblocking",
    "threads",
    "thread_pool",
    "select",
    "poll",
    "epoll_level",
    "epoll_edge",
    "signal_driven",
    "async_io",
    "selectors",
    "socketserver",
    "coroutines",
];

/// An answer that has not come after so long never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than the buffers of both sockets and both directions hold: the answers come back
/// while the rest is still being written, or nothing goes on.
const BIG_BYTES: usize = 24 << 20;

/// A big message, and its answer.
static BIG: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let message = text(1, BIG_BYTES);
    let answer = message.to_ascii_uppercase();
    (message, answer)
});

/// Starts a server and gives its address; `None` if the kernel forbids the model.
fn start(model: &str) -> Option<(Process, String)> {
    let server = Process::start(PROGRAM, &["serve", model, "127.0.0.1:0"]);
    let line = server.line();
    let addr = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    if model == "async_io" && !has_io_uring() {
        server.end().assert_gave_up(PROGRAM, "the kernel refuses an io_uring");
        return None;
    }
    Some((server, addr))
}

/// Whether the kernel gives out an io_uring. Closing one may interrupt the thread later, in
/// any call that waits with a limit, so this asks on another.
fn has_io_uring() -> bool {
    thread::spawn(|| io_uring::IoUring::new(2).is_ok()).join().unwrap()
}

/// Does the same to a server of each model, stops it, and checks its line. What was done
/// gives how many connections and at least how many bytes the line must tell of.
fn each_model(signal: Signal, what: fn(&str, &str) -> (u64, u64)) {
    for model in MODELS {
        let Some((server, addr)) = start(model) else { continue };
        let (connections, bytes) = what(model, &addr);
        server.signal(signal);
        let ending = server.end();
        ending.assert_done();
        let numbers = numbers_of_summary(&ending);
        assert_eq!(numbers[0], connections, "{model}: {ending:?}");
        assert!(numbers[1] >= bytes, "{model} has not sent {bytes} bytes: {ending:?}");
        assert!(numbers[3] <= numbers[2], "{model}: {ending:?}");
    }
}

/// Connections, bytes, calls, calls in vain, notices.
fn numbers_of_summary(ending: &Ending) -> [u64; 5] {
    assert_eq!(ending.stdout.len(), 1, "{ending:?}");
    let line = &ending.stdout[0];
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [connections, bytes, calls, wasted, notices] = numbers[..] else { panic!("{line}") };
    assert_eq!(
        *line,
        format!(
            "served {connections} connections and {bytes} bytes with {calls} calls, \
             {wasted} of them for nothing, after {notices} notices"
        )
    );
    [connections, bytes, calls, wasted, notices]
}

/// Connects; an answer that does not come is an error, not a hang.
fn connect(addr: &str) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a message and compares the answer.
fn exchange(mut stream: &TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(message)?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer)?;
    assert!(answer == message.to_ascii_uppercase(), "another answer came back");
    Ok(())
}

/// Says that nothing more comes, and sees the server close.
fn finish(mut stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
}

/// All byte values, in an order that shows if a piece is missing or comes twice.
fn text(n: usize, len: usize) -> Vec<u8> {
    (n..n + len).map(|at| (at as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]).collect()
}

#[test]
fn the_list_names_every_model() {
    let ending = run(PROGRAM, &["list"]);
    ending.assert_done();
    let names: Vec<&str> =
        ending.stdout.iter().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, MODELS);
    assert!(ending.stdout.iter().all(|line| line.split_whitespace().count() > 3), "{ending:?}");
}

#[test]
fn every_model_serves_many_clients_and_stops() {
    each_model(Signal::TERM, |_, addr| {
        let client = |n: usize| {
            let addr = addr.to_owned();
            move || {
                let stream = connect(&addr);
                exchange(&stream, format!("client {n}, Grüße\n").as_bytes()).unwrap();
                // A line in parts: an answer may come to each of them.
                (&stream).write_all(b"one li").unwrap();
                exchange(&stream, b"").unwrap();
                (&stream).write_all(b"ne\n").unwrap();
                let mut answer = [0; 9];
                (&stream).read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"ONE LINE\n");
                for len in [1, 4096, 10_000, 60_000] {
                    exchange(&stream, &text(n, len)).unwrap();
                }
                finish(&stream);
            }
        };
        let clients: Vec<_> = (0..20).map(|n| thread::spawn(client(n))).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        (20, 20 * (17 + 9 + 1 + 4096 + 10_000 + 60_000))
    });
}

#[test]
fn a_client_that_vanishes_harms_nobody() {
    each_model(Signal::INT, |_, addr| {
        for n in 0..5 {
            let stream = connect(addr);
            // Without a word; in the middle of a line; without reading the answer, so that
            // the server sees a reset.
            let words = [b"".as_slice(), b"half a li", &[b'x'; 50_000]];
            (&stream).write_all(words[n % 3]).unwrap();
        }
        let stream = connect(addr);
        exchange(&stream, b"still there?\n").unwrap();
        finish(&stream);
        (6, 13)
    });
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_else() {
    each_model(Signal::TERM, |model, addr| {
        let stream = connect(addr);
        exchange(&stream, b"first\n").unwrap();
        let (message, expected) = &*BIG;
        thread::scope(|scope| {
            let writing = scope.spawn(|| (&stream).write_all(message));
            let mut others = 0;
            // Served one after the other, the second would wait for the first.
            if model != "blocking" {
                let other = connect(addr);
                for _ in 0..10 {
                    exchange(&other, b"me too\n").unwrap();
                }
                finish(&other);
                others = 1;
            }
            let mut answer = vec![0; BIG_BYTES];
            (&stream).read_exact(&mut answer).unwrap();
            writing.join().unwrap().unwrap();
            assert!(answer == *expected, "{model}: another answer came back");
            finish(&stream);
            (1 + others, 6 + BIG_BYTES as u64 + 70 * others)
        })
    });
}

#[test]
fn a_pool_serves_a_client_when_another_has_gone() {
    let (server, addr) = start("thread_pool").unwrap();
    let streams: Vec<TcpStream> = (0..9).map(|_| connect(&addr)).collect();
    // All of its threads are taken; the ninth client has said its line already.
    let (last, served) = streams.split_last().unwrap();
    let mut last = last;
    last.write_all(b"at last\n").unwrap();
    served.iter().for_each(|stream| exchange(stream, b"hello\n").unwrap());
    last.set_nonblocking(true).unwrap();
    assert_eq!(last.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    last.set_nonblocking(false).unwrap();

    finish(&served[3]);
    let mut answer = [0; 8];
    last.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"AT LAST\n");
    server.signal(Signal::TERM);
    server.end().assert_done();
}

/// The kernel falls back to SIGIO, which does not say who is meant.
#[test]
fn no_client_is_forgotten_when_no_signal_can_be_queued() {
    let (server, addr) = start("signal_driven").unwrap();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::prlimit(Some(server.pid()), Resource::Sigpending, none).unwrap();
    let streams: Vec<TcpStream> = (0..8).map(|_| connect(&addr)).collect();
    for round in 0..20 {
        streams.iter().for_each(|stream| exchange(stream, &text(round, 5_000)).unwrap());
    }
    streams.iter().for_each(finish);
    server.signal(Signal::TERM);
    let ending = server.end();
    ending.assert_done();
    assert_eq!(numbers_of_summary(&ending)[..2], [8, 8 * 20 * 5_000]);
}

#[test]
fn select_sends_away_whom_it_has_no_bit_for() {
    let (server, addr) = start("select").unwrap();
    let knock = || {
        let stream = connect(&addr);
        let served = exchange(&stream, b"hello\n").is_ok();
        (stream, served)
    };
    // Some of the 1024 are its own.
    let clients: Vec<(TcpStream, bool)> = (0..1030).map(|_| knock()).collect();
    let served = clients.iter().filter(|(_, served)| *served).count();
    assert!((1000..1024).contains(&served), "{served}");
    for (stream, _) in clients.iter().filter(|(_, served)| *served).take(50) {
        exchange(stream, b"again\n").unwrap();
    }
    // When one goes, there is room for one.
    drop(clients);
    while !knock().1 {}
    server.signal(Signal::TERM);
    server.end().assert_done();
}

#[test]
fn the_comparison_has_a_row_a_paragraph_and_bars_for_each_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chart.svg");
    let svg = path.to_str().unwrap();
    let args = ["compare", "--connections", "8", "--seconds", "0.3", "--svg", svg];
    let ending = run(PROGRAM, &args);
    ending.assert_done();
    let fields = |line: &'_ String| -> Vec<String> {
        line.trim_matches('|').split('|').map(|field| field.trim().to_owned()).collect()
    };
    let rows = ending.stdout.iter().map(fields);
    let chart = fs::read_to_string(&path).unwrap();
    let mut measured = 0;
    for (model, row) in MODELS.iter().zip(rows.skip(2)) {
        assert_eq!(row[0], *model, "{ending:?}");
        if row[1].starts_with("cannot run: ") {
            assert_eq!(*model, "async_io", "{ending:?}");
            continue;
        }
        measured += 1;
        assert_eq!(row.len(), 13, "{model}: {ending:?}");
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        for at in [1, 2, 3, 8, 9, 10, 11] {
            assert!(number(at) > 0.0, "column {at} of {model}: {ending:?}");
        }
        // All of them, but where one has to wait for the other.
        assert_eq!(number(4), if *model == "blocking" { 1.0 } else { 8.0 }, "{model}: {ending:?}");
        let threads = match *model {
            "threads" => 9.0,
            "thread_pool" => 8.0,
            _ => 1.0,
        };
        assert_eq!(number(7), threads, "{model}: {ending:?}");
        let paragraph = format!("{model}: It is said that it ");
        assert!(ending.stdout.iter().any(|line| line.starts_with(&paragraph)), "{ending:?}");
        // Once for each of the three parts.
        assert_eq!(chart.matches(&format!(">\n{model}\n</text>")).count(), 3, "{chart}");
    }
    assert!(measured >= MODELS.len() - 1, "{ending:?}");
    check_svg(&chart, 3 * measured);
    let blocking = "blocking: It is said that it serves one client at a time, the others wait. \
        This run agrees: of 8 clients it served 1.";
    assert!(ending.stdout.join(" ").contains(blocking), "{ending:?}");
}

/// Checks that a chart is closed as it was opened, and has so many bars.
fn check_svg(chart: &str, bars: usize) {
    assert!(chart.starts_with("<svg ") && chart.trim_end().ends_with("</svg>"), "{chart}");
    let mut open: Vec<&str> = Vec::new();
    for tag in chart.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{chart}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed: {chart}");
    let colors = ["#4678B4", "#C85A3C", "#6E9646"];
    let is_bar =
        |line: &&str| line.starts_with("<rect ") && colors.iter().any(|color| line.contains(color));
    assert_eq!(chart.lines().filter(is_bar).count(), bars, "{chart}");
}

#[test]
fn only_some_models_are_compared_if_asked() {
    let args = ["compare", "--connections", "1", "--seconds", "0.1", "--models", "poll,threads"];
    let ending = run(PROGRAM, &args);
    ending.assert_done();
    let is_row =
        |line: &&String| MODELS.iter().any(|model| line.starts_with(&format!("| {model} ")));
    let rows: Vec<&String> = ending.stdout.iter().filter(is_row).collect();
    assert_eq!(rows.len(), 2, "{ending:?}");
    assert!(rows[0].starts_with("| poll ") && rows[1].starts_with("| threads "), "{ending:?}");
    assert!(ending.stdout.join(" ").contains("epoll_level was not measured"), "{ending:?}");
}

#[test]
fn the_help_and_bad_arguments() {
    let help = run(PROGRAM, &["--help"]);
    help.assert_done();
    assert!(help.stdout.join("\n").contains("io_models compare [--connections N]"), "{help:?}");

    let check = |args: &[&str], why: &str| run(PROGRAM, args).assert_gave_up(PROGRAM, why);
    check(&[], "what to do is missing");
    check(&["dance"], "unexpected argument 'dance'");
    check(&["serve", "magic"], "there is no model 'magic'");
    check(&["serve", "poll", "nonsense"], "cannot listen on nonsense: ");
    check(&["compare", "--connections", "0"], "--connections needs a number from 1 on, not '0'");
    check(&["compare", "--seconds", "-1"], "--seconds needs a number from 0.1 on, not '-1'");
    check(&["compare", "--seconds", "NaN"], "--seconds needs a number from 0.1 on, not 'NaN'");
    check(&["compare", "--models", "poll,magic"], "there is no model 'magic'");
    check(&["compare", "--svg"], "unexpected argument '--svg'");
    check(&["compare", "--colour", "1"], "unexpected argument '--colour'");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap().to_string();
    check(&["serve", "poll", &addr], &format!("cannot listen on {addr}: Address already in use"));
}
