//! The buffers of one call, and how a thread of the pool fills or empties them.
//!
//! A job there has a buffer of its own, which is copied from or to the caller's: those may be
//! gone before the job is.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use crate::fd::Direction;
use crate::sys::file;
use crate::sys::file::At;
use crate::sys::file::IOV_MAX;
use crate::sys::pipe;
use crate::threadpool;
use crate::transfer::Used;
use crate::transfer::uninterrupted;

/// Most that one call moves, so that others need not wait for long, and by the pool, which needs
/// a buffer of that size: std would go on to 2 GiB.
pub(super) const CHUNK_MAX: usize = 1 << 20;

/// How a thread of the pool moves bytes.
pub(super) struct Job {
    /// So many at most.
    pub(super) most: usize,
    pub(super) on_disk: bool,
    pub(super) _used: Option<Used>,
}

/// What is given to the kernel.
pub(super) enum Buffers<'a, 'b> {
    Read(&'a mut [IoSliceMut<'b>]),
    Write(&'a [IoSlice<'b>]),
}

impl Buffers<'_, '_> {
    /// How many bytes they have.
    pub(super) fn len(&self) -> usize {
        match self {
            Buffers::Read(bufs) => bufs.iter().map(|buf| buf.len()).fold(0, usize::saturating_add),
            Buffers::Write(bufs) => bufs.iter().map(|buf| buf.len()).fold(0, usize::saturating_add),
        }
    }

    pub(super) fn direction(&self) -> Direction {
        match self {
            Buffers::Read(_) => Direction::Read,
            Buffers::Write(_) => Direction::Write,
        }
    }

    /// Moves bytes by a call that stops the thread if it has to. Only what is on a disk never
    /// raises SIGPIPE.
    pub(super) fn now_or_block(
        &mut self,
        fd: BorrowedFd<'_>,
        at: At,
        on_disk: bool,
    ) -> io::Result<usize> {
        uninterrupted(|| match self {
            Buffers::Read(bufs) => file::read(fd, bufs, at),
            Buffers::Write(bufs) if at == At::Position && !on_disk => {
                pipe::write_vectored(fd, bufs)
            }
            Buffers::Write(bufs) => file::write(fd, bufs, at),
        })
    }

    /// Moves bytes on a thread of the pool, with a buffer that goes there.
    pub(super) fn by_pool<D>(&mut self, io: &D, at: At, job: Job) -> io::Result<usize>
    where
        D: AsFd + Clone + Send + 'static,
    {
        let io = io.clone();
        match self {
            Buffers::Read(bufs) => {
                let wanted: usize = bufs.iter().take(IOV_MAX).map(|buf| buf.len()).sum();
                let mut there = vec![0; wanted.min(job.most)];
                let there = threadpool::complete(move || {
                    let job = job;
                    let bufs = &mut [IoSliceMut::new(&mut there)];
                    let read = Buffers::Read(bufs).now_or_block(io.as_fd(), at, job.on_disk)?;
                    there.truncate(read);
                    Ok(there)
                })?;
                scatter(&there, bufs);
                Ok(there.len())
            }
            Buffers::Write(bufs) => {
                let there = gather(bufs, job.most);
                threadpool::complete(move || {
                    let job = job;
                    let bufs = &[IoSlice::new(&there)];
                    Buffers::Write(bufs).now_or_block(io.as_fd(), at, job.on_disk)
                })
            }
        }
    }
}

/// What one call moves of several buffers.
pub(super) enum Share {
    /// So many of them.
    Whole(usize),
    /// The beginning of that one.
    Part(usize),
}

/// Takes what the others may have to wait for.
pub(super) fn share<T: Deref<Target = [u8]>>(bufs: &[T]) -> Share {
    let mut sum = 0;
    for (n, buf) in bufs.iter().enumerate() {
        match buf.len() {
            len if len <= CHUNK_MAX - sum => sum += len,
            _ if sum == 0 => return Share::Part(n),
            _ => return Share::Whole(n),
        }
    }
    Share::Whole(bufs.len())
}

/// Copies bytes into several buffers.
pub(crate) fn scatter(mut bytes: &[u8], bufs: &mut [IoSliceMut<'_>]) {
    for buf in bufs {
        let (now, rest) = bytes.split_at(bytes.len().min(buf.len()));
        buf[..now.len()].copy_from_slice(now);
        bytes = rest;
    }
}

/// Copies the bytes of several buffers into one, at most so many.
pub(crate) fn gather(bufs: &[IoSlice<'_>], most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for buf in bufs.iter().take(IOV_MAX) {
        let room = most - bytes.len();
        bytes.extend_from_slice(&buf[..buf.len().min(room)]);
    }
    bytes
}
