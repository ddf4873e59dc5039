//! The server: keeps files in a directory, a coroutine for each connection.

use std::cell::Cell;
use std::error::Error;
use std::io;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use corovent::fs;
use corovent::fs::File;
use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::frame::Answer;
use crate::frame::Request;
use crate::frame::copy_payload;
use crate::frame::read_header;
use crate::frame::write_header;
use crate::partial::Partial;

/// A connection on which nothing moves for so long is given up.
const IDLE: Duration = Duration::from_secs(60);
/// How long a client that was told of an error may go on sending.
const LINGER: Duration = Duration::from_secs(1);
/// More is not even read off: a header that says so is taken for a lie.
const FILE_BYTES_MAX: u64 = 1 << 40;
const NAME_BYTES_MAX: usize = 255;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Serves until a signal comes. Uploads that are under way then are given up, and leave nothing.
pub(crate) fn run(directory: &Path, addr: &str) -> Result<(), Box<dyn Error>> {
    if !fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(format!("{} is no directory", directory.display()).into());
    }
    let server = Rc::new(Server { directory: directory.to_owned(), ..Server::default() });
    // At its end it kills the coroutines that are left, so that they clean up.
    corovent::run(|| server.serve(addr))
        .map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    let Server { puts, gets, bytes, .. } = &*server;
    println!("took {} files and gave {}, {} bytes", puts.get(), gets.get(), bytes.get());
    Ok(())
}

#[derive(Default)]
struct Server {
    directory: PathBuf,
    puts: Cell<u64>,
    gets: Cell<u64>,
    bytes: Cell<u64>,
}

/// Why a request was not carried out.
enum Failure {
    /// The client is told, and may ask for something else.
    Refused(String),
    /// The client is told, but nobody knows any more where the next frame begins.
    OutOfStep(io::Error),
    /// The client cannot be told: a payload was to come.
    Lost,
}

impl Server {
    fn serve(self: &Rc<Server>, addr: &str) -> io::Result<()> {
        let listener = TcpListener::bind(addr)?;
        let stopped = spawn(|| signal::wait(&[SIGINT, SIGTERM]));
        // It waits by the time that somebody knows of the server.
        yield_now();
        println!("listening on {}", listener.local_addr()?);
        let server = Rc::clone(self);
        spawn(move || server.accept_all(&listener));
        stopped.join().expect("a wait for signals does not panic")?;
        Ok(())
    }

    fn accept_all(self: &Rc<Server>, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let server = Rc::clone(self);
                    // A connection that breaks is the client's business.
                    spawn(move || server.serve_one(&stream));
                }
                // No descriptor is left, or the client was too quick to go: others go on.
                Err(error) => {
                    eprintln!("length_framed: cannot accept: {error}");
                    sleep(Duration::from_millis(10));
                }
            }
        }
    }

    fn serve_one(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        let mut reader = BufReader::new(stream);
        loop {
            let done = match read_header(&mut reader) {
                Ok(None) => return Ok(()),
                Ok(Some(request)) => self.handle(request, &mut reader, &mut stream),
                Err(error) => Err(Failure::OutOfStep(error)),
            };
            match done {
                Ok(()) => {}
                Err(Failure::Refused(message)) => {
                    write_header(&mut stream, &Answer::Error { message })?;
                }
                Err(Failure::OutOfStep(error)) => {
                    let message = match error.kind() {
                        ErrorKind::WouldBlock => format!("nothing has come for {IDLE:?}"),
                        _ => error.to_string(),
                    };
                    write_header(&mut stream, &Answer::Error { message })?;
                    return linger(stream);
                }
                Err(Failure::Lost) => return Ok(()),
            }
        }
    }

    fn handle(
        &self,
        request: Request,
        reader: &mut impl Read,
        writer: &mut impl Write,
    ) -> Result<(), Failure> {
        match request {
            Request::Put { name, size } => {
                self.put(&name, size, reader)?;
                self.puts.set(self.puts.get() + 1);
                self.bytes.set(self.bytes.get() + size);
                answer(writer, 0, &mut io::empty())
            }
            Request::Get { name } => {
                let (mut file, size) = self.open(&name).map_err(Failure::Refused)?;
                answer(writer, size, &mut file)?;
                self.gets.set(self.gets.get() + 1);
                self.bytes.set(self.bytes.get() + size);
                Ok(())
            }
            Request::Ls => {
                let list = self.list().map_err(|error| Failure::Refused(error.to_string()))?;
                answer(writer, list.len() as u64, &mut list.as_bytes())
            }
        }
    }

    fn put(&self, name: &str, size: u64, reader: &mut impl Read) -> Result<(), Failure> {
        if size > FILE_BYTES_MAX {
            let message = format!("a payload of {size} bytes, more than {FILE_BYTES_MAX}");
            return Err(Failure::OutOfStep(io::Error::new(ErrorKind::InvalidData, message)));
        }
        if let Err(why) = check_name(name) {
            // The payload comes all the same, and the next frame after it.
            copy_payload(reader, &mut io::sink(), size).map_err(Failure::OutOfStep)?;
            return Err(Failure::Refused(why));
        }
        let kept = Partial::create(&self.directory).and_then(|mut file| {
            copy_payload(reader, &mut file.writer, size)?;
            file.keep(&self.directory.join(name))
        });
        kept.map_err(Failure::OutOfStep)
    }

    fn open(&self, name: &str) -> Result<(File, u64), String> {
        check_name(name)?;
        let open = || {
            let path = self.directory.join(name);
            // To open a pipe would wait for its other end.
            if !fs::metadata(&path)?.is_file() {
                return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
            }
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        open().map_err(|error| format!("cannot open '{name}': {error}"))
    }

    /// A line for each file, in order: its size and its name.
    fn list(&self) -> io::Result<String> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // One may have gone, or have another name, by now.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if let Ok(name) = entry.file_name().into_string()
                && metadata.is_file()
                && check_name(&name).is_ok()
            {
                files.push((name, metadata.len()));
            }
        }
        files.sort();
        Ok(files.iter().map(|(name, size)| format!("{size:>12} {name}\n")).collect())
    }
}

fn answer(writer: &mut impl Write, size: u64, payload: &mut impl Read) -> Result<(), Failure> {
    let mut send = || {
        write_header(writer, &Answer::Ok { size })?;
        copy_payload(payload, writer, size)
    };
    send().map_err(|_| Failure::Lost)
}

/// A name must not lead out of the directory, nor into the files that are being written.
fn check_name(name: &str) -> Result<(), String> {
    let is_bad = |c: char| c == '/' || c.is_control();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') {
        Err(format!("'{name}' is no name: 1 to {NAME_BYTES_MAX} bytes, not beginning with a dot"))
    } else if name.contains(is_bad) {
        Err(format!("{name:?} is no name: it has a slash or a control character"))
    } else {
        Ok(())
    }
}

/// To close with something unread would reset the connection, and the client might lose what
/// it was told. So the rest is read off, for a moment.
fn linger(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let _ = timeout(LINGER, || io::copy(&mut stream, &mut io::sink()));
    Ok(())
}
