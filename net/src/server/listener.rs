//! What a server needs of a listener, and the file that a Unix listener leaves behind.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use corovent_runtime::fd::Limit;
use socket2::SockRef;

use crate::server::worker::Part;
use crate::server::worker::Passed;
use crate::server::worker::inherited;
use crate::sys::listener;
use crate::tcp::TcpListener;
use crate::tcp::TcpStream;
use crate::unix::UnixListener;
use crate::unix::UnixStream;

/// A listener that a [`StreamServer`](crate::server::StreamServer) can serve on:
/// [`TcpListener`] and [`UnixListener`]. Nobody else implements it.
pub trait Listener: Accepts<Self::Stream, Self::Addr> + Send + 'static {
    /// A connection.
    type Stream: 'static;
    /// The address of a listener or of a client.
    type Addr: Clone + fmt::Debug + Send + Sync + 'static;
}

/// The part of the trait that is not for users.
pub trait Accepts<S, A>: AsFd + Sized {
    /// Accepts one connection, and waits as the limit says.
    fn accept_within(&self, limit: Limit) -> io::Result<(S, A)>;

    /// Waits until there may be a connection, and takes none.
    fn ready(&self, limit: Limit) -> io::Result<()>;

    /// The address that it is bound to.
    fn address(&self) -> io::Result<A>;

    /// Binds one more, to the address of another that is gone or shares it.
    fn bind_again(address: &A, backlog: i32, reuse_port: bool) -> io::Result<Self>;

    /// Takes over one that the parent has made by [`bind_again`](Accepts::bind_again).
    fn inherit(fd: OwnedFd) -> Self;

    /// The path that an address names.
    fn path(address: &A) -> Option<&Path>;

    /// Makes one for another thread, which accepts at the same address.
    fn for_another_thread(&self, backlog: i32) -> io::Result<Self>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;
}

impl Accepts<TcpStream, SocketAddr> for TcpListener {
    fn accept_within(&self, limit: Limit) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept_within(self, limit)
    }

    fn ready(&self, limit: Limit) -> io::Result<()> {
        TcpListener::ready(self, limit)
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn bind_again(address: &SocketAddr, backlog: i32, reuse_port: bool) -> io::Result<TcpListener> {
        listener::listen_with(address, backlog, reuse_port).map(TcpListener::made_here)
    }

    fn inherit(fd: OwnedFd) -> TcpListener {
        TcpListener::made_here(fd.into())
    }

    fn path(_: &SocketAddr) -> Option<&Path> {
        None
    }

    /// One of its own, among which the kernel spreads the connections; where that is not
    /// possible, since it came from elsewhere, the same one.
    fn for_another_thread(&self, backlog: i32) -> io::Result<TcpListener> {
        if SockRef::from(self).reuse_port()? {
            TcpListener::bind_again(&self.local_addr()?, backlog, true)
        } else {
            self.try_clone()
        }
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Addr = std::os::unix::net::SocketAddr;
}

impl Accepts<UnixStream, std::os::unix::net::SocketAddr> for UnixListener {
    fn accept_within(
        &self,
        limit: Limit,
    ) -> io::Result<(UnixStream, std::os::unix::net::SocketAddr)> {
        UnixListener::accept_within(self, limit)
    }

    fn ready(&self, limit: Limit) -> io::Result<()> {
        UnixListener::ready(self, limit)
    }

    fn address(&self) -> io::Result<std::os::unix::net::SocketAddr> {
        self.local_addr()
    }

    fn bind_again(
        address: &std::os::unix::net::SocketAddr,
        backlog: i32,
        _: bool,
    ) -> io::Result<UnixListener> {
        let listener = UnixListener::bind_addr(address)?;
        // Called again, listen(2) changes the backlog alone.
        SockRef::from(&listener).listen(backlog)?;
        Ok(listener)
    }

    fn inherit(fd: OwnedFd) -> UnixListener {
        UnixListener::from(fd)
    }

    fn path(address: &std::os::unix::net::SocketAddr) -> Option<&Path> {
        address.as_pathname()
    }

    /// The kernel spreads nothing here: all accept from one.
    fn for_another_thread(&self, _: i32) -> io::Result<UnixListener> {
        self.try_clone()
    }
}

/// A listener, and what else is there since it was bound.
pub(super) struct Bound<L> {
    /// Before the listener, without which the file's number might be another's.
    pub(super) file: Option<Arc<SocketFile>>,
    pub(super) listener: L,
    pub(super) is_ours: bool,
    /// `None`: a server without worker processes.
    pub(super) part: Option<Part>,
}

/// The file of a Unix socket that was bound to a path. It is removed with the server, if it is
/// still the same file.
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The file of a socket that was just bound; `None` if it has gone already.
    pub(super) fn of(path: &Path) -> Option<SocketFile> {
        let path = std::path::absolute(path).ok()?;
        let metadata = fs::symlink_metadata(&path).ok()?;
        Some(SocketFile { device: metadata.dev(), inode: metadata.ino(), path })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode));
        if is_same {
            // Somebody may have removed it just now.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl<L> Bound<L> {
    /// One that was bound here.
    pub(super) fn here(listener: L, file: Option<SocketFile>) -> Bound<L> {
        Bound { listener, file: file.map(Arc::new), is_ours: true, part: None }
    }

    /// One that worker processes inherit, or that this worker process has inherited; else it
    /// is bound here.
    pub(super) fn shared(
        key: String,
        bind: impl FnOnce() -> io::Result<Bound<L>>,
    ) -> io::Result<Bound<L>>
    where
        L: Listener,
    {
        if let Some(inherited) = inherited(&key) {
            let (fd, part) = inherited?;
            return Ok(Bound { part: Some(part), ..Bound::given(L::inherit(fd)) });
        }
        let bound = bind()?;
        let passed = Passed::new(key, bound.listener.as_fd())?;
        Ok(Bound { part: Some(Part::Parent(passed)), ..bound })
    }

    /// One that the user had.
    pub(super) fn given(listener: L) -> Bound<L> {
        Bound { listener, file: None, is_ours: false, part: None }
    }
}
