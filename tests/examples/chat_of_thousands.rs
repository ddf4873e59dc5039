//! `chat` with five thousand clients: everybody hears everything, in the same order.

use std::cell::RefCell;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::JoinHandle;
use corovent::net::TcpStream;
use corovent::spawn;
use corovent::sync::mpsc::Sender;
use corovent::sync::mpsc::channel;
use rustix::process::Resource;
use rustix::process::Signal;
use rustix::process::getrlimit;
use rustix::process::setrlimit;

use crate::process::Process;

const CLIENTS: usize = 5000;
const SPEAKERS: usize = 5;
/// What each speaker says.
const LINES_EACH: usize = 4;
const LINES: usize = SPEAKERS * LINES_EACH;
/// What a process has open besides the clients' sockets, other tests' included.
const FDS_BESIDE: u64 = 500;
/// So many join at once: more would only wait in the queue of the server's socket.
const JOINING: usize = 250;

/// What a client tells of itself.
enum News {
    /// It hears now what others say; with what it can speak.
    HasJoined(usize, Rc<TcpStream>),
    HasHeardAll,
}

/// When the first and the last client heard each line, by its place in the order.
type Times = Rc<RefCell<Vec<(Instant, Instant)>>>;

#[test]
fn nobody_of_five_thousand_is_starved() {
    if !has_enough_fds() {
        // What a passing test prints is not shown, but this is.
        let why = "skipped: the hard limit on descriptors is too low (ulimit -Hn)";
        return writeln!(io::stdout(), "nobody_of_five_thousand_is_starved: {why}").unwrap();
    }
    let (server, addr) = Process::start_server("chat", &["127.0.0.1:0"]);
    let times = Times::default();
    let (news, told) = channel();
    let mut clients: Vec<JoinHandle<Vec<String>>> = Vec::new();
    let mut speakers = Vec::new();
    while clients.len() < CLIENTS {
        for n in clients.len()..clients.len() + JOINING {
            let (addr, news, times) = (addr.clone(), news.clone(), Rc::clone(&times));
            clients.push(spawn(move || client(n, &addr, &news, &times)));
        }
        for _ in 0..JOINING {
            let Ok(News::HasJoined(n, stream)) = told.recv() else {
                panic!("one has heard something before anybody spoke");
            };
            if n < SPEAKERS {
                speakers.push((n, stream));
            }
        }
    }

    let sloth = spawn(move || ask_without_reading(&addr));
    for (n, stream) in speakers {
        spawn(move || {
            let lines: String = (0..LINES_EACH).map(|k| format!("line {k} of {n}\n")).collect();
            (&*stream).write_all(lines.as_bytes()).unwrap();
        });
    }
    for _ in 0..CLIENTS {
        assert!(matches!(told.recv(), Ok(News::HasHeardAll)));
    }
    sloth.join().unwrap();

    server.signal(Signal::TERM);
    let heard: Vec<Vec<String>> =
        clients.into_iter().map(|client| client.join().unwrap()).collect();
    check_order(&heard);
    let ending = server.end();
    ending.assert_done();
    let (served, lines) = (CLIENTS + 1, LINES);
    let expected = format!("served {served} clients and {lines} lines, dropped 1 who did not read");
    assert_eq!(ending.stdout, [expected]);
    let spread: Vec<Duration> = times.borrow().iter().map(|(first, last)| *last - *first).collect();
    println!("from the first to the last who heard a line: {spread:?}");
}

/// Joins, and gives what it heard others say until the server stopped.
fn client(n: usize, addr: &str, news: &Sender<News>, times: &Times) -> Vec<String> {
    let stream = Rc::new(TcpStream::connect(addr).unwrap());
    let mut reader = BufReader::with_capacity(512, &*stream);
    (&*stream).write_all(format!("client-{n}\n").as_bytes()).unwrap();
    let is_speaker = n < SPEAKERS;
    let expected = if is_speaker { LINES - LINES_EACH } else { LINES };
    let mut heard = Vec::with_capacity(expected);
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "client {n} was cut off");
        match line.as_str() {
            "* the server stops\n" => break,
            line if line.starts_with("* welcome") => {
                news.send(News::HasJoined(n, Rc::clone(&stream))).unwrap();
            }
            // Those who join and leave are announced while others speak.
            line if line.starts_with('*') => {}
            line => {
                if !is_speaker {
                    note(times, heard.len());
                }
                heard.push(line.to_owned());
                if heard.len() == expected {
                    news.send(News::HasHeardAll).unwrap();
                }
            }
        }
    }
    heard
}

fn note(times: &Times, index: usize) {
    let now = Instant::now();
    let mut times = times.borrow_mut();
    match times.get_mut(index) {
        Some((_, last)) => *last = now,
        None => times.push((now, now)),
    }
}

/// Makes the server answer until it gives up, since nobody reads the answers.
fn ask_without_reading(addr: &str) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"sloth\n").unwrap();
    let question = format!("/{}\n", "x".repeat(900)).repeat(10);
    while stream.write_all(question.as_bytes()).is_ok() {}
}

/// Everybody heard each line once, and all in one order; the speakers all but their own.
#[track_caller]
fn check_order(heard: &[Vec<String>]) {
    let (speakers, listeners) = heard.split_at(SPEAKERS);
    let all = &listeners[0];
    assert_eq!(all.len(), LINES);
    for (n, speaker) in speakers.iter().enumerate() {
        let prefix = format!("client-{n}: ");
        let own: Vec<&String> = all.iter().filter(|line| line.starts_with(&prefix)).collect();
        let said: Vec<String> =
            (0..LINES_EACH).map(|k| format!("{prefix}line {k} of {n}\n")).collect();
        assert_eq!(own, said.iter().collect::<Vec<_>>());
        let others: Vec<&String> = all.iter().filter(|line| !line.starts_with(&prefix)).collect();
        assert_eq!(speaker.iter().collect::<Vec<_>>(), others, "speaker {n}");
    }
    for (n, listener) in listeners.iter().enumerate() {
        assert_eq!(listener, all, "listener {n}");
    }
}

/// Raises the soft limit on descriptors. False if the hard one is too low.
fn has_enough_fds() -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.maximum.is_none_or(|hard| hard >= CLIENTS as u64 + FDS_BESIDE)
}
