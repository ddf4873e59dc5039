//! An echo server on a Unix socket, which leaves no socket file behind and takes over a stale one.
//!
//! ```text
//! cargo run --release --example unix_echo PATH
//! ```
//!
//! A server that was killed leaves its file, and nobody can bind to the path until it is removed.
//! This one asks first whether somebody still listens there. SIGINT or SIGTERM ends it: it removes
//! its file, lets connections finish for a moment, and says what it did.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::cell::Cell;
use std::env;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use corovent::os::unix::net::UnixListener;
use corovent::os::unix::net::UnixStream;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc;
use corovent::sync::mpsc::Sender;
use corovent::timeout;
use corovent::yield_now;

/// How long connections may go on after the signal.
const GRACE: Duration = Duration::from_secs(1);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

const HELP: &str = "\
An echo server on a Unix socket.

Usage: unix_echo PATH

PATH is the socket's file. One that a server has left behind is replaced. SIGINT or SIGTERM
stops it, and removes the file.";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["--help" | "-h", ..] => {
            println!("{HELP}");
            Ok(())
        }
        [path] => serve(path).map_err(|error| format!("cannot listen on {path}: {error}")),
        [] => Err("PATH is missing (see --help)".to_owned()),
        [_, extra, ..] => Err(format!("unexpected argument '{extra}' (see --help)")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("unix_echo: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the server has sent back.
#[derive(Default)]
struct Counts {
    connections: Cell<u64>,
    bytes: Cell<u64>,
}

fn serve(path: &str) -> io::Result<()> {
    let (listener, file) = listen(Path::new(path))?;
    let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
    // It waits by the time that somebody knows of the server.
    yield_now();
    println!("listening on {path}");

    let counts = Rc::new(Counts::default());
    // Every connection holds a sender, so that the channel ends with the last of them.
    let (open, closed) = mpsc::channel();
    let accepting = spawn({
        let counts = Rc::clone(&counts);
        move || accept_all(&listener, &counts, &open)
    });
    stopped.join().expect("a wait for signals does not panic")?;
    drop(file);
    accepting.kill();

    // Those that are in the middle of something get a moment to finish it.
    let _ = timeout(GRACE, || closed.recv());
    println!("served {} connections and {} bytes", counts.connections.get(), counts.bytes.get());
    Ok(())
}

/// The socket's file, which is removed when the server ends, however it ends.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it is gone, somebody else has removed it.
        let _ = fs::remove_file(&self.0);
    }
}

fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path)? => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    Ok((bound?, SocketFile(path.to_owned())))
}

/// Whether a path is a socket's on which nobody listens any more.
fn is_stale(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    Ok(UnixStream::connect(path).is_err_and(refused))
}

fn accept_all(listener: &UnixListener, counts: &Rc<Counts>, open: &Sender<()>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let (counts, open) = (Rc::clone(counts), open.clone());
                spawn(move || {
                    counts.connections.set(counts.connections.get() + 1);
                    // A connection that breaks is the client's business.
                    let _ = echo(&stream, &counts);
                    drop(open);
                });
            }
            // No descriptor is left: it may be better soon.
            Err(error) => {
                eprintln!("unix_echo: cannot accept: {error}");
                sleep(Duration::from_millis(10));
            }
        }
    }
}

fn echo(mut stream: &UnixStream, counts: &Counts) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            count => {
                stream.write_all(&buf[..count])?;
                counts.bytes.set(counts.bytes.get() + count as u64);
            }
        }
    }
}
