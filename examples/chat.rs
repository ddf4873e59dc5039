//! A chat server: every line that somebody says goes to all others. One thread serves all.
//!
//! ```text
//! cargo run --release --example chat [ADDR]
//! nc 127.0.0.1 7777                    # in other terminals, as often as you like
//! ```
//!
//! Two coroutines serve each client: one reads its lines, the other writes what is queued for
//! it. One more is the room, which alone knows who is here and what they hear, so nothing is
//! locked. A line is kept once, however many it goes to. The queues are bounded: a client that
//! does not read is dropped when its own is full, and holds nobody up until then.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::RecvTimeoutError;
use corovent::sync::mpsc::Sender;
use corovent::sync::mpsc::SyncSender;
use corovent::sync::mpsc::TrySendError;
use corovent::sync::mpsc::channel;
use corovent::sync::mpsc::sync_channel;
use corovent::yield_now;

const ADDR_DEFAULT: &str = "127.0.0.1:7777";
/// A client that has left so many lines unread, besides what the kernel holds, does not read.
const QUEUE_LINES: usize = 256;
/// So many lines wait for the room; who says more is not read before it comes to them.
const EVENTS_MAX: usize = 64;
const LINE_BYTES_MAX: usize = 1000;
const NAME_BYTES_MAX: usize = 20;
/// A line that lists names says of more than so many how many they are.
const NAMES_LISTED_MAX: usize = 20;
/// Who comes and goes within so long is announced together: if each of thousands were
/// announced to each, that would be millions of lines.
const NEWS_PAUSE: Duration = Duration::from_millis(200);
/// How long clients may go on reading what was said before the end.
const GRACE: Duration = Duration::from_secs(3);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

const HELP: &str = "\
A chat server: every line that somebody says goes to all others.

Usage: chat [ADDR]

ADDR is where to listen (default 127.0.0.1:7777); port 0 lets the system choose.
Connect with 'nc 127.0.0.1 7777', say your name, then talk. SIGINT or SIGTERM stops it.";

const COMMANDS: &str = "/who lists who is here, /nick NAME renames you, /quit leaves";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let addr = match args.next().as_deref() {
        Some("--help" | "-h") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(addr) => addr.to_owned(),
        None => ADDR_DEFAULT.to_owned(),
    };
    if let Some(extra) = args.next() {
        eprintln!("chat: unexpected argument '{extra}' (see --help)");
        return ExitCode::FAILURE;
    }
    raise_fd_limit();
    match serve(&addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: cannot listen on {addr}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(addr: &str) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
    // It waits by the time that somebody knows of the server.
    yield_now();
    println!("listening on {}", listener.local_addr()?);

    let (events, told) = sync_channel(EVENTS_MAX);
    let room = spawn(move || Room::default().run(&told));
    // Every connection holds a sender, so that the channel ends with the last of them.
    let (open, closed) = channel();
    let accepting = spawn({
        let events = events.clone();
        move || accept_all(&listener, &events, &open)
    });
    stopped.join().expect("a wait for signals does not panic")?;
    accepting.kill();
    let _ = events.send((NOBODY, Event::Stop));
    let room = room.join().expect("the room does not panic");
    let _ = closed.recv_timeout(GRACE);
    let Room { served, lines, dropped, .. } = room;
    println!("served {served} clients and {lines} lines, dropped {dropped} who did not read");
    Ok(())
}

fn accept_all(listener: &TcpListener, events: &SyncSender<(Id, Event)>, open: &Sender<()>) {
    for id in 1.. {
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                // No descriptor is left, or the client was too quick to go: others go on.
                Err(error) => {
                    eprintln!("chat: cannot accept: {error}");
                    sleep(Duration::from_millis(10));
                }
            }
        };
        let (events, open) = (events.clone(), open.clone());
        spawn(move || {
            serve_one(Id(id), stream, &events);
            drop(open);
        });
    }
}

/// A client's number. It is never given again, as a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u64);

const NOBODY: Id = Id(0);

/// What the room is told of a client.
enum Event {
    Came(Client),
    Line(String),
    LineTooLong,
    Gone,
    /// Of nobody: all have to go.
    Stop,
}

/// Reads a client's lines until it goes, or is made to.
fn serve_one(id: Id, stream: TcpStream, events: &SyncSender<(Id, Event)>) {
    let stream = Rc::new(stream);
    let (queue, lines) = sync_channel(QUEUE_LINES);
    let writer = spawn({
        let stream = Rc::clone(&stream);
        move || write_lines(&stream, &lines)
    });
    // The room takes no more events when it stops, and nobody hears them then.
    let tell = |event| events.send((id, event)).is_ok();
    tell(Event::Came(Client { name: None, queue, stream: Rc::clone(&stream) }));
    // A connection that breaks has ended.
    let _ = read_lines(&stream, tell);
    tell(Event::Gone);
    let _ = writer.join();
}

fn read_lines(stream: &TcpStream, tell: impl Fn(Event) -> bool) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(LINE_BYTES_MAX, stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One more for the line's end.
        reader.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
        let event = match line.last() {
            None => return Ok(()),
            Some(b'\n') => Event::Line(printable(&line)),
            Some(_) if line.len() > LINE_BYTES_MAX => {
                reader.skip_until(b'\n')?;
                Event::LineTooLong
            }
            // The last words of one who has gone.
            Some(_) => Event::Line(printable(&line)),
        };
        if !tell(event) {
            return Ok(());
        }
    }
}

/// A line without its end, and without what would confuse others' terminals.
fn printable(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let replace = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    line.trim_end().chars().map(replace).collect()
}

/// Writes what is queued for a client until the room forgets it, which ends its reader too.
fn write_lines(mut stream: &TcpStream, lines: &Receiver<Rc<str>>) {
    let _ = lines.iter().try_for_each(|line| stream.write_all(line.as_bytes()));
    let _ = stream.shutdown(Shutdown::Both);
}

/// What the room knows of a client.
struct Client {
    /// None until it has said its name; until then it hears nothing.
    name: Option<Rc<str>>,
    queue: SyncSender<Rc<str>>,
    stream: Rc<TcpStream>,
}

/// Who is here, and what they hear.
#[derive(Default)]
struct Room {
    clients: BTreeMap<Id, Client>,
    /// In lower case: `Ada` and `ada` would be taken for each other.
    names: BTreeSet<String>,
    /// Who has come and gone and was not announced yet.
    joined: BTreeSet<Rc<str>>,
    left: BTreeSet<Rc<str>>,
    /// None unless there is somebody to announce.
    news_due: Option<Instant>,
    served: u64,
    lines: u64,
    dropped: u64,
}

impl Room {
    fn run(mut self, told: &Receiver<(Id, Event)>) -> Room {
        loop {
            let told = match self.news_due {
                None => told.recv().map_err(RecvTimeoutError::from),
                Some(due) => told.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match told {
                Ok((_, Event::Stop)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok((id, event)) => self.handle(id, event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.news_due.is_some_and(|due| due <= Instant::now()) {
                self.tell_news();
            }
            // The writers get rid of that line before the next comes, so that only the
            // queues of those fill up who do not read.
            yield_now();
        }
        self.tell_all("* the server stops");
        // Without queues the writers end, when they have written all.
        self.clients.clear();
        self
    }

    fn handle(&mut self, id: Id, event: Event) {
        if let Event::Came(client) = event {
            self.served += 1;
            self.clients.insert(id, client);
            return self.tell(id, "* what is your name?");
        }
        // One that was dropped may have said something before.
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        match (event, client.name.clone()) {
            (Event::Line(text), None) => self.welcome(id, text.trim()),
            (Event::Line(text), Some(name)) => self.hear(id, &name, &text),
            (Event::LineTooLong, _) => {
                let text = format!("* more than {LINE_BYTES_MAX} bytes in a line: nobody got it");
                self.tell(id, &text);
            }
            (Event::Gone, _) => self.forget(id),
            (Event::Came(_) | Event::Stop, _) => unreachable!("it was handled before"),
        }
    }

    fn welcome(&mut self, id: Id, name: &str) {
        match self.take_name(id, name) {
            Ok(name) => {
                self.tell(id, &format!("* welcome, {name}: {COMMANDS}"));
                self.joined.insert(name);
                self.news_due.get_or_insert(Instant::now() + NEWS_PAUSE);
            }
            Err(why) => self.tell(id, &format!("* {why}; what is your name?")),
        }
    }

    fn hear(&mut self, id: Id, name: &str, text: &str) {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("", _) => {}
            ("/who", _) => {
                let here = self.clients.values().filter_map(|client| client.name.as_deref());
                let text = format!("* {} here: {}", self.names.len(), Names::new(here));
                self.tell(id, &text);
            }
            ("/nick", new) => {
                // Who joined is announced by the name that was joined with.
                self.tell_news();
                match self.take_name(id, new.trim()) {
                    Ok(new) => self.tell_all(&format!("* {name} is now {new}")),
                    Err(why) => self.tell(id, &format!("* {why}")),
                }
            }
            ("/quit", _) => {
                self.tell(id, "* bye");
                self.forget(id);
            }
            (command, _) if command.starts_with('/') => {
                self.tell(id, &format!("* there is no {command}: {COMMANDS}"));
            }
            _ => {
                self.lines += 1;
                self.tell_news();
                self.tell_others(Some(id), &format!("{name}: {text}"));
            }
        }
    }

    /// Gives a client a name, instead of the one it had. Says what is wrong with a bad one.
    fn take_name(&mut self, id: Id, name: &str) -> Result<Rc<str>, String> {
        let is_meant = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_meant) {
            return Err(format!(
                "a name has 1 to {NAME_BYTES_MAX} characters, of A-Z, a-z, 0-9, '-' and '_'"
            ));
        }
        let Some(client) = self.clients.get_mut(&id) else {
            return Err("you were dropped, since you do not read".to_owned());
        };
        let key = name.to_ascii_lowercase();
        let old = client.name.as_ref().map(|name| name.to_ascii_lowercase());
        if old.as_ref() != Some(&key) && self.names.contains(&key) {
            return Err(format!("somebody is called {name} already"));
        }
        old.map(|old| self.names.remove(&old));
        self.names.insert(key);
        let name: Rc<str> = name.into();
        client.name = Some(Rc::clone(&name));
        Ok(name)
    }

    fn forget(&mut self, id: Id) {
        let Some(Client { name: Some(name), .. }) = self.clients.remove(&id) else {
            return;
        };
        self.names.remove(&name.to_ascii_lowercase());
        // Nobody has heard of one who leaves so soon.
        if !self.joined.remove(&name) {
            self.left.insert(name);
            self.news_due.get_or_insert(Instant::now() + NEWS_PAUSE);
        }
    }

    fn tell_news(&mut self) {
        self.news_due = None;
        let (left, joined) = (std::mem::take(&mut self.left), std::mem::take(&mut self.joined));
        // In this order: one may have joined with the name of one who left.
        for (names, what) in [(left, "left"), (joined, "joined")] {
            if !names.is_empty() {
                let names = Names::new(names.iter().map(|name| &**name));
                self.tell_others(None, &format!("* {names} {what}"));
            }
        }
    }

    fn tell_all(&mut self, text: &str) {
        self.tell_news();
        self.tell_others(None, text);
    }

    fn tell_others(&mut self, speaker: Option<Id>, text: &str) {
        let line: Rc<str> = format!("{text}\n").into();
        let hears = |(id, client): &(&Id, &Client)| client.name.is_some() && Some(**id) != speaker;
        let slow: Vec<Id> = self
            .clients
            .iter()
            .filter(hears)
            .filter(|(_, client)| !client.queue(&line))
            .map(|(id, _)| *id)
            .collect();
        slow.into_iter().for_each(|id| self.drop_slow(id));
    }

    fn tell(&mut self, id: Id, text: &str) {
        let line: Rc<str> = format!("{text}\n").into();
        if self.clients.get(&id).is_some_and(|client| !client.queue(&line)) {
            self.drop_slow(id);
        }
    }

    fn drop_slow(&mut self, id: Id) {
        self.dropped += 1;
        if let Some(client) = self.clients.get(&id) {
            // What its writer waits for will not come.
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        self.forget(id);
    }
}

impl Client {
    /// Queues a line for it. False if its queue is full.
    fn queue(&self, line: &Rc<str>) -> bool {
        match self.queue.try_send(Rc::clone(line)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            // It is about to tell that it has gone.
            Err(TrySendError::Disconnected(_)) => true,
        }
    }
}

/// Names as they stand in a line: `ada, bob and 40 more`.
struct Names<'a> {
    first: Vec<&'a str>,
    more: usize,
}

impl<'a> Names<'a> {
    fn new(mut names: impl Iterator<Item = &'a str>) -> Names<'a> {
        let first = names.by_ref().take(NAMES_LISTED_MAX).collect();
        Names { first, more: names.count() }
    }
}

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

/// Each client takes a descriptor; the soft limit is often 1024.
fn raise_fd_limit() {
    use rustix::process::Resource;
    use rustix::process::getrlimit;
    use rustix::process::setrlimit;

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // It serves fewer clients then.
    let _ = setrlimit(Resource::Nofile, limit);
}
