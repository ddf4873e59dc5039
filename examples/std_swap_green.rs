//! A program of blocking calls, which knows nothing of coroutines: a service that counts words.
//!
//! `std_swap_std` and `std_swap_green` differ in their imports only. With those of std every
//! "thread" is one of the operating system; with corovent's it is a coroutine, and the same
//! program runs on one thread. Both print the same.
//!
//! ```sh
//! cargo run --example std_swap_std
//! cargo run --example std_swap_green
//! ```

// A program that cannot go on says so by a panic; its output is what it is for.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

// What follows is all that is not the same in the two files.
use corovent::fs;
use corovent::fs::File;
use corovent::io;
use corovent::io::BufRead;
use corovent::io::BufReader;
use corovent::io::Read;
use corovent::io::Write;
use corovent::net::Shutdown;
use corovent::net::SocketAddr;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::net::UdpSocket;
use corovent::os::unix::net::UnixListener;
use corovent::os::unix::net::UnixStream;
use corovent::print;
use corovent::println;
use corovent::process;
use corovent::process::Command;
use corovent::process::Stdio;
use corovent::sync::Arc;
use corovent::sync::Barrier;
use corovent::sync::Condvar;
use corovent::sync::Mutex;
use corovent::sync::OnceLock;
use corovent::sync::RwLock;
use corovent::sync::mpsc;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::SyncSender;
use corovent::thread;

const CLIENTS: usize = 8;
const WORKERS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A line to be counted, and where the answer goes.
struct Job {
    line: String,
    answer: mpsc::Sender<usize>,
}

/// What has been counted so far.
#[derive(Default)]
struct Totals {
    words: Mutex<BTreeMap<String, usize>>,
    changed: Condvar,
    /// How many lines have been counted by each worker is nobody's business but the log's.
    log: RwLock<Vec<String>>,
}

fn main() -> Outcome<()> {
    let directory = Directory::new()?;
    let totals = Arc::new(Totals::default());
    let (jobs, queue) = mpsc::sync_channel(2);
    let workers = start_workers(queue, &totals);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::Builder::new()
        .name("server".to_owned())
        .spawn(move || serve(&listener, jobs).map_err(|error| error.to_string()))?;

    let start = &Barrier::new(CLIENTS);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    start.wait();
                    client(address, number).expect("the server answers")
                })
            })
            .collect();
        for (number, client) in clients.into_iter().enumerate() {
            println!("client {number} has sent {} words", client.join().expect("it ends"));
        }
    });
    totals.wait_for(CLIENTS * 10);

    let served = server.join().expect("the server ends")?;
    let counted: usize = workers.into_iter().map(|worker| worker.join().expect("it ends")).sum();
    println!("{served} connections, {counted} lines");
    report(&totals, &directory.0)?;
    control(&totals, &directory.0.join("control"))?;
    heartbeat()?;
    Ok(())
}

/// The workers share one end of a channel: whoever has the lock takes the next job.
fn start_workers(queue: Receiver<Job>, totals: &Arc<Totals>) -> Vec<thread::JoinHandle<usize>> {
    let queue = Arc::new(Mutex::new(queue));
    let start = |number| {
        let (queue, totals) = (Arc::clone(&queue), Arc::clone(totals));
        thread::spawn(move || {
            let mut counted = 0;
            loop {
                let job = queue.lock().expect("no worker panics").recv();
                let Ok(Job { line, answer }) = job else { break };
                answer.send(totals.count(&line)).expect("the connection waits");
                counted += 1;
            }
            totals.log.write().expect("nobody panics").push(format!("worker {number} ends"));
            counted
        })
    };
    (0..WORKERS).map(start).collect()
}

impl Totals {
    fn count(&self, line: &str) -> usize {
        let mut words = self.words.lock().expect("nobody panics");
        for word in line.split_whitespace() {
            *words.entry(word.to_owned()).or_default() += 1;
        }
        self.changed.notify_all();
        line.split_whitespace().count()
    }

    fn wait_for(&self, count: usize) {
        let words = self.words.lock().expect("nobody panics");
        let is_missing = |words: &mut BTreeMap<_, usize>| words.values().sum::<usize>() < count;
        let waited = self.changed.wait_timeout_while(words, Duration::from_secs(60), is_missing);
        assert!(!waited.expect("nobody panics").1.timed_out());
    }
}

/// Takes as many connections as there are clients.
fn serve(listener: &TcpListener, jobs: SyncSender<Job>) -> io::Result<usize> {
    let mut connections = Vec::new();
    for stream in listener.incoming().take(CLIENTS) {
        let (stream, jobs) = (stream?, jobs.clone());
        connections.push(thread::spawn(move || answer(&stream, &jobs)));
    }
    let count = connections.len();
    for connection in connections {
        connection.join().expect("it ends")?;
    }
    Ok(count)
}

/// Answers each line with the number of its words.
fn answer(stream: &TcpStream, jobs: &SyncSender<Job>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    for line in BufReader::new(stream).lines() {
        let (answer, result) = mpsc::channel();
        jobs.send(Job { line: line?, answer }).expect("the workers wait");
        writeln!(&mut &*stream, "{}", result.recv().expect("the workers answer"))?;
    }
    stream.shutdown(Shutdown::Both)
}

/// Sends four lines, and sums up what the server says of them.
fn client(address: SocketAddr, number: usize) -> io::Result<usize> {
    static PAUSE: OnceLock<Duration> = OnceLock::new();

    let stream = TcpStream::connect(address)?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    let mut sum = 0;
    for words in 1..=4 {
        let line: Vec<String> = (0..words).map(|word| format!("word{}", word + number)).collect();
        writeln!(&mut &stream, "{}", line.join(" "))?;
        let answer = answers.next().expect("an answer to each line")?;
        sum += answer.parse::<usize>().map_err(io::Error::other)?;
        thread::sleep(*PAUSE.get_or_init(|| Duration::from_millis(1)));
    }
    stream.shutdown(Shutdown::Write)?;
    assert!(answers.next().is_none());
    Ok(sum)
}

/// Writes the counts into a file, and has another program sort them.
fn report(totals: &Totals, directory: &Path) -> Outcome<()> {
    let path = directory.join("report");
    let mut file = File::create(&path)?;
    for (word, count) in &*totals.words.lock().expect("nobody panics") {
        writeln!(file, "{count:3} {word}")?;
    }
    file.sync_all()?;
    println!("{} bytes in {:?}", fs::metadata(&path)?.len(), path.file_name().expect("a name"));

    let mut sort = Command::new("sort")
        .arg("-r")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = sort.stdin.take().expect("it is piped");
    let text = fs::read_to_string(&path)?;
    let writer = thread::spawn(move || input.write_all(text.as_bytes()));
    let mut sorted = String::new();
    sort.stdout.take().expect("it is piped").read_to_string(&mut sorted)?;
    writer.join().expect("it ends")?;
    println!("sort ends with {}", sort.wait()?);
    print!("{sorted}");

    let nothing = Command::new("sh").args(["-c", "echo gone >&2; exit 3"]).output()?;
    let said = String::from_utf8_lossy(&nothing.stderr).trim().to_owned();
    println!("sh says {said:?} and ends with {:?}", nothing.status.code());
    Ok(())
}

/// Answers a question that comes by a Unix socket.
fn control(totals: &Arc<Totals>, path: &Path) -> Outcome<()> {
    let listener = UnixListener::bind(path)?;
    let totals = Arc::clone(totals);
    let server = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut question = String::new();
        stream.read_to_string(&mut question)?;
        let mut log = totals.log.read().expect("nobody panics").clone();
        log.sort();
        write!(stream, "{question}: {}", log.join(", "))
    });
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"log")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    server.join().expect("it ends")?;
    println!("{answer}");
    Ok(())
}

/// Datagrams there and back, and one that never comes.
fn heartbeat() -> Outcome<()> {
    let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    let target = there.local_addr()?;
    let echo = thread::spawn(move || -> io::Result<usize> {
        let mut buffer = [0; 16];
        let (count, sender) = there.recv_from(&mut buffer)?;
        there.send_to(&buffer[..count], sender)
    });
    here.send_to(b"beat", target)?;
    let mut buffer = [0; 16];
    let count = here.recv(&mut buffer)?;
    println!("a {} comes back, {} bytes", String::from_utf8_lossy(&buffer[..count]), count);
    assert_eq!(echo.join().expect("it ends")?, count);
    here.set_read_timeout(Some(Duration::from_millis(5)))?;
    println!("then {:?}", here.recv(&mut buffer).map_err(|error| error.kind()));
    Ok(())
}

/// A directory of this process, which is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Directory> {
        let name = env::current_exe()?.file_name().expect("a name").to_owned();
        let name = format!("{}-{}", name.to_string_lossy(), process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            println!("{}: {error}", self.0.display());
        }
    }
}
