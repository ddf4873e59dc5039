//! Reading and writing of descriptors of any kind, without stopping the thread.
//!
//! What is on a disk cannot be waited for: what the kernel has at hand is taken at once, the
//! rest by the pool, with a buffer of its own. It must be its own: a borrowed one may be part
//! of a thread-local that is gone when the thread ends while the pool still writes to it.
//!
//! What can be waited for, such as a FIFO or a terminal, is opened once more, so that this
//! open file can have O_NONBLOCK: the other one is shared with who knows whom and is not
//! touched. What cannot be opened again, such as a socket, is asked by calls that return at
//! once, and as the last resort waited for and then used by the pool.

mod buffers;

use std::fs::OpenOptions;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::fd::wait_foreign;
use crate::hub;
use crate::hub::Hub;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::file;
use crate::sys::file::At;
use crate::sys::file::IOV_MAX;
use crate::sys::file::Identity;
use crate::sys::pipe;
use crate::task::yield_now;
use crate::transfer::buffers::Buffers;
use crate::transfer::buffers::CHUNK_MAX;
use crate::transfer::buffers::Job;
use crate::transfer::buffers::Share;
use crate::transfer::buffers::share;

pub(crate) use crate::transfer::buffers::gather;
pub(crate) use crate::transfer::buffers::scatter;

/// How a descriptor is read and written.
#[derive(Debug)]
pub(crate) struct Transfer {
    identity: Option<Identity>,
    /// The same file, opened once more so that it does not block, once that has worked: that
    /// end of a FIFO which is written cannot be opened while there is no reader.
    own: OnceLock<Source<OwnedFd>>,
    /// Whether the kernel has calls for this kind of file that return at once: until the
    /// contrary is known.
    reads_at_once: AtomicBool,
    writes_at_once: AtomicBool,
    pub(crate) position: Position,
}

/// How many threads of the pool use the position of an open file. The kernel locks it for a
/// call, also one that returns at once, which would stop the thread until that lock is free.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position(Arc<AtomicUsize>);

/// The use of a position, until it is dropped.
#[derive(Debug)]
pub(crate) struct Used(Position);

impl Position {
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn used(&self) -> Used {
        self.0.fetch_add(1, Ordering::Relaxed);
        Used(self.clone())
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call does when O_NONBLOCK of the open file was set by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It fails with `WouldBlock`, as the user wanted.
    Honoured,
    /// It waits all the same: the descriptor is nobody's, and so is the wish.
    Ignored,
}

impl Transfer {
    /// Finds out what a descriptor is.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Transfer {
        Transfer {
            identity: file::identity(fd).ok(),
            own: OnceLock::new(),
            reads_at_once: AtomicBool::new(true),
            writes_at_once: AtomicBool::new(true),
            position: Position::default(),
        }
    }

    /// What the descriptor was when it was looked at.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Whether it is something that nobody can wait for.
    pub(crate) fn is_on_disk(&self) -> bool {
        let kind = self.identity.map_or(libc::S_IFREG, |identity| identity.kind);
        matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK)
    }

    /// Reads; see [`Transfer::go`].
    pub(crate) fn read<D>(
        &self,
        io: &D,
        bufs: &mut [IoSliceMut<'_>],
        at: At,
        wish: Wish,
    ) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        self.go(io, Buffers::Read(bufs), at, wish)
    }

    /// Writes; see [`Transfer::go`].
    pub(crate) fn write<D>(
        &self,
        io: &D,
        bufs: &[IoSlice<'_>],
        at: At,
        wish: Wish,
    ) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        self.go(io, Buffers::Write(bufs), at, wish)
    }

    /// Moves bytes, for the task of a hub.
    fn go<D>(&self, io: &D, mut buffers: Buffers<'_, '_>, at: At, wish: Wish) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        let Some(hub) = hub::current() else {
            return buffers.now_or_block(io.as_fd(), at, self.is_on_disk());
        };
        if buffers.len() == 0 {
            // For nothing the kernel makes nobody wait.
            return buffers.now_or_block(io.as_fd(), at, self.is_on_disk());
        }
        if self.is_on_disk() {
            return self.on_disk(hub, io, &mut buffers, at);
        }
        if at == At::Position && wish == Wish::Ignored {
            return self.without_owner(hub, io, &mut buffers);
        }
        if at == At::Position
            && let Some(own) = self.own(io.as_fd())
            && !file::is_nonblocking(io.as_fd())?
        {
            return through(own, &mut buffers);
        }
        self.step_by_step(hub, io, &mut buffers, at, wish)
    }

    /// Moves bytes of a descriptor that nobody owns. Nothing may be left open after the call:
    /// who closes such a descriptor wants the other side to see it.
    fn without_owner<D>(
        &self,
        hub: &Hub,
        io: &D,
        buffers: &mut Buffers<'_, '_>,
    ) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        hub.spend();
        if let Some(result) = self.at_once(io.as_fd(), buffers, At::Position) {
            return result;
        }
        if !self.has_calls_at_once(buffers.direction())
            && let Some(own) = self.open_own(io.as_fd())
        {
            return through(&own, buffers);
        }
        self.step_by_step(hub, io, buffers, At::Position, Wish::Ignored)
    }

    /// What the kernel has at hand at once; the rest by the pool.
    fn on_disk<D>(
        &self,
        hub: &Hub,
        io: &D,
        buffers: &mut Buffers<'_, '_>,
        at: At,
    ) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        take_turn(hub, buffers);
        let by_position = at == At::Position;
        if !(by_position && self.position.is_in_use())
            && let Some(result) = self.at_once(io.as_fd(), buffers, at)
        {
            return result;
        }
        let used = by_position.then(|| self.position.used());
        buffers.by_pool(io, at, Job { most: CHUNK_MAX, on_disk: true, _used: used })
    }

    /// Makes calls that return at once and waits in between; a write may give a part.
    fn step_by_step<D>(
        &self,
        hub: &Hub,
        io: &D,
        buffers: &mut Buffers<'_, '_>,
        at: At,
        wish: Wish,
    ) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        let direction = buffers.direction();
        loop {
            take_turn(hub, buffers);
            if let Some(result) = self.at_once(io.as_fd(), buffers, at) {
                return result;
            }
            if wish == Wish::Honoured && file::is_nonblocking(io.as_fd())? {
                return buffers.now_or_block(io.as_fd(), at, false);
            }
            wait_foreign(io.as_fd(), direction, Deadline::NEVER)?;
            if !self.has_calls_at_once(direction) {
                let is_fifo = self.identity.is_some_and(|there| there.kind == libc::S_IFIFO);
                // For more than this a writer might have to wait, where nothing interrupts it.
                let is_short = is_fifo && direction == Direction::Write;
                let most = if is_short { pipe::PIPE_BUF } else { CHUNK_MAX };
                return buffers.by_pool(io, at, Job { most, on_disk: false, _used: None });
            }
        }
    }

    /// Whether it may have more at hand than others should wait for.
    fn is_endless(&self) -> bool {
        let is_device = self.identity.is_some_and(|there| there.kind == libc::S_IFCHR);
        is_device || self.is_on_disk()
    }

    /// Makes a call that returns at once; `None` if that moves nothing.
    fn at_once(
        &self,
        fd: BorrowedFd<'_>,
        buffers: &mut Buffers<'_, '_>,
        at: At,
    ) -> Option<io::Result<usize>> {
        let direction = buffers.direction();
        if !self.has_calls_at_once(direction) {
            return None;
        }
        loop {
            let result = match buffers {
                Buffers::Read(bufs) if self.is_endless() => match share(bufs) {
                    Share::Whole(count) => file::read_now(fd, &mut bufs[..count], at),
                    Share::Part(n) => {
                        let part = IoSliceMut::new(&mut bufs[n][..CHUNK_MAX]);
                        file::read_now(fd, &mut [part], at)
                    }
                },
                Buffers::Read(bufs) => file::read_now(fd, bufs, at),
                Buffers::Write(bufs) if at == At::Position && !self.is_on_disk() => {
                    pipe::write_now(fd, bufs)
                }
                Buffers::Write(bufs) => match share(bufs) {
                    Share::Whole(count) => file::write_now(fd, &bufs[..count], at),
                    Share::Part(n) => {
                        file::write_now(fd, &[IoSlice::new(&bufs[n][..CHUNK_MAX])], at)
                    }
                },
            };
            match result.as_ref().err().and_then(io::Error::raw_os_error) {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => return None,
                Some(libc::EOPNOTSUPP | libc::ENOSYS) => {
                    self.calls_at_once(direction).store(false, Ordering::Relaxed);
                    return None;
                }
                _ => return Some(result),
            }
        }
    }

    fn has_calls_at_once(&self, direction: Direction) -> bool {
        self.calls_at_once(direction).load(Ordering::Relaxed)
    }

    fn calls_at_once(&self, direction: Direction) -> &AtomicBool {
        match direction {
            Direction::Read => &self.reads_at_once,
            Direction::Write => &self.writes_at_once,
        }
    }

    /// The same file, opened once more so that it does not block, until this goes away.
    fn own(&self, fd: BorrowedFd<'_>) -> Option<&Source<OwnedFd>> {
        if self.own.get().is_none() {
            let own = self.open_own(fd)?;
            return Some(self.own.get_or_init(|| own));
        }
        self.own.get()
    }

    fn open_own(&self, fd: BorrowedFd<'_>) -> Option<Source<OwnedFd>> {
        open_unblocking(fd, self.identity?).map(Source::new)
    }
}

/// Makes a call again as long as a signal interrupts it.
pub(crate) fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Opens a pipe or a terminal once more, so that it does not block and whoever shares the
/// descriptor's open file does not notice. `None` if that cannot be.
pub(crate) fn open_unblocking(fd: BorrowedFd<'_>, identity: Identity) -> Option<OwnedFd> {
    let has_other_end = identity.kind == libc::S_IFIFO;
    // To open a pseudo-terminal's master makes another one.
    let is_terminal = identity.kind == libc::S_IFCHR
        && identity.stands_for != libc::makedev(5, 2)
        && file::is_terminal(fd);
    if !(has_other_end || is_terminal) {
        return None;
    }
    open_again(fd, identity).ok()
}

fn open_again(fd: BorrowedFd<'_>, identity: Identity) -> io::Result<OwnedFd> {
    let mode = file::access_mode(fd)?;
    let mut options = OpenOptions::new();
    options.read(mode != libc::O_WRONLY).write(mode != libc::O_RDONLY);
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let again = options.open(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    if file::identity(again.as_fd())? != identity {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(again.into())
}

/// Moves bytes through a descriptor that does not block.
fn through(own: &Source<OwnedFd>, buffers: &mut Buffers<'_, '_>) -> io::Result<usize> {
    match buffers {
        Buffers::Read(bufs) => own.call(
            Direction::Read,
            || Limit::None,
            |fd| file::read(fd, bufs, At::Position).map(Done::more),
        ),
        Buffers::Write(bufs) => {
            let wanted = bufs.iter().take(IOV_MAX).map(|buf| buf.len()).sum();
            let mut sent = 0;
            own.call(
                Direction::Write,
                || Limit::None,
                |fd| {
                    let count = write_rest(fd, bufs, sent)?;
                    sent += count;
                    let finished = sent >= wanted || count == 0;
                    Ok(Done { value: sent, drained: false, finished })
                },
            )
        }
    }
}

/// Writes what is left of several buffers after so many bytes: all of it, or what is left of
/// one of them.
fn write_rest(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], sent: usize) -> io::Result<usize> {
    let mut before = 0;
    for (n, buf) in bufs.iter().enumerate() {
        if before == sent {
            return pipe::write_vectored(fd, &bufs[n..]);
        }
        if sent < before + buf.len() {
            return pipe::write_vectored(fd, &[IoSlice::new(&buf[sent - before..])]);
        }
        before += buf.len();
    }
    pipe::write_vectored(fd, &[])
}

/// Lets others run before a call that may take long, or after many.
fn take_turn(hub: &Hub, buffers: &Buffers<'_, '_>) {
    /// For what is shorter a turn would cost more than the call.
    const LONG: usize = 256 * 1024;

    if buffers.len() < LONG { hub.spend() } else { yield_now() }
}
