//! Connections of both families as one type: where they are accepted, and how they are cut.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use corovent::net::TcpListener;
use corovent::net::TcpStream;
use corovent::os::unix::net::UnixListener;
use corovent::os::unix::net::UnixStream;
use rustix::net::sockopt;

/// Where connections come in.
pub(crate) enum Door {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl Door {
    pub(crate) fn tcp(listener: TcpListener) -> io::Result<Door> {
        let addr = listener.local_addr()?;
        Ok(Door::Tcp(listener, addr))
    }

    pub(crate) fn unix(listener: UnixListener, path: PathBuf) -> Door {
        Door::Unix(listener, path)
    }

    pub(crate) fn accept(&self) -> io::Result<Wire> {
        match self {
            Door::Tcp(listener, _) => listener.accept().map(|(stream, _)| Wire::Tcp(stream)),
            Door::Unix(listener, _) => listener.accept().map(|(stream, _)| Wire::Unix(stream)),
        }
    }

    /// Connects; over TCP with a limit if there is one.
    pub(crate) fn connect(&self, limit: Option<Duration>) -> io::Result<Wire> {
        match (self, limit) {
            (Door::Tcp(_, addr), None) => TcpStream::connect(addr).map(Wire::Tcp),
            (Door::Tcp(_, addr), Some(limit)) => {
                TcpStream::connect_timeout(addr, limit).map(Wire::Tcp)
            }
            (Door::Unix(_, path), _) => UnixStream::connect(path).map(Wire::Unix),
        }
    }
}

/// One end of a connection.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Wire::Tcp(stream) => stream.shutdown(how),
            Wire::Unix(stream) => stream.shutdown(how),
        }
    }

    pub(crate) fn set_timeouts(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Wire::Tcp(stream) => {
                stream.set_read_timeout(limit)?;
                stream.set_write_timeout(limit)
            }
            Wire::Unix(stream) => {
                stream.set_read_timeout(limit)?;
                stream.set_write_timeout(limit)
            }
        }
    }

    /// When it is dropped, TCP sends a reset in place of what is still to be sent.
    pub(crate) fn reset_on_drop(&self) {
        if let Wire::Tcp(stream) = self {
            // It fails only for what is no socket.
            let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }

    /// Gives up on a peer that does not read for so long. The kernel holds little for it: less
    /// than it would by itself.
    pub(crate) fn demand_a_reader(&self, limit: Duration) -> io::Result<()> {
        if let Wire::Tcp(stream) = self {
            // Not the receiver's: one so small is opened again by a timer, which may take a minute.
            sockopt::set_socket_send_buffer_size(stream, LITTLE_BYTES)?;
            stream.set_write_timeout(Some(limit))?;
        }
        Ok(())
    }
}

const LITTLE_BYTES: usize = 4096;

impl Read for &Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => { stream }.read(buf),
            Wire::Unix(stream) => { stream }.read(buf),
        }
    }
}

impl Write for &Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Tcp(stream) => { stream }.write(buf),
            Wire::Unix(stream) => { stream }.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
