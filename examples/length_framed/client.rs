//! The client: one connection, and a frame for each file.

use std::error::Error;
use std::io;
use std::io::BufReader;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::path::Path;

use corovent::fs::File;
use corovent::net::TcpStream;

use crate::frame::Answer;
use crate::frame::Request;
use crate::frame::copy_payload;
use crate::frame::read_header;
use crate::frame::write_header;
use crate::partial::Partial;

pub(crate) fn put(addr: &str, files: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut server = Server::connect(addr)?;
    for path in files {
        let size = server.put(Path::new(path)).map_err(|error| format!("{path}: {error}"))?;
        println!("put {path}: {size} bytes");
    }
    Ok(())
}

pub(crate) fn get(addr: &str, name: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut server = Server::connect(addr)?;
    let size = server.ask(&Request::Get { name: name.to_owned() })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut file = Partial::create(directory)?;
    copy_payload(&mut server.reader, &mut file.writer, size)?;
    file.keep(path)?;
    println!("got {name}: {size} bytes");
    Ok(())
}

pub(crate) fn ls(addr: &str) -> Result<(), Box<dyn Error>> {
    let mut server = Server::connect(addr)?;
    let size = server.ask(&Request::Ls)?;
    copy_payload(&mut server.reader, &mut corovent::io::stdout(), size)?;
    Ok(())
}

/// A connection to the server.
struct Server {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Server {
    fn connect(addr: &str) -> Result<Server, String> {
        let connect = || {
            let writer = TcpStream::connect(addr)?;
            writer.set_nodelay(true)?;
            let reader = BufReader::new(writer.try_clone()?);
            Ok(Server { writer, reader })
        };
        connect().map_err(|error: io::Error| format!("cannot connect to {addr}: {error}"))
    }

    fn put(&mut self, path: &Path) -> Result<u64, Box<dyn Error>> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("it has no name")?;
        let sent = write_header(&mut self.writer, &Request::Put { name: name.to_owned(), size })
            .and_then(|()| copy_payload(&mut file, &mut self.writer, size));
        if sent.is_err() {
            // The server may wait for more, or may have said why it wants no more.
            let _ = self.writer.shutdown(Shutdown::Write);
        }
        match (sent, self.answer()) {
            (_, Ok(Err(message))) => Err(message.into()),
            (Err(error), _) | (_, Err(error)) => Err(error.into()),
            (Ok(()), Ok(Ok(_))) => Ok(size),
        }
    }

    /// Sends a request without a payload, and gives the size of the answer's.
    fn ask(&mut self, request: &Request) -> Result<u64, Box<dyn Error>> {
        write_header(&mut self.writer, request)?;
        Ok(self.answer()??)
    }

    /// The size of the answer's payload, or what the server has to say against the request.
    fn answer(&mut self) -> io::Result<Result<u64, String>> {
        match read_header(&mut self.reader)? {
            Some(Answer::Ok { size }) => Ok(Ok(size)),
            Some(Answer::Error { message }) => Ok(Err(message)),
            None => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server gave no answer")),
        }
    }
}
