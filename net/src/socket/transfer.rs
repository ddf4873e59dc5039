//! Reading and writing streams.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Done;
use corovent_runtime::fd::Limit;

use crate::socket::Socket;
use crate::sys;

impl<T: AsFd> Socket<T> {
    /// Reads what there is, once there is something.
    #[inline]
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Read);
        self.source.call(Direction::Read, limit, |fd| {
            sys::recv(fd, buf).map(|count| self.read_of(count, buf.len()))
        })
    }

    /// Reads into several buffers.
    pub(crate) fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Read);
        let wanted = sys::vectored_len(bufs.iter().map(|buf| buf.len()));
        self.source.call(Direction::Read, limit, |fd| {
            sys::recv_vectored(fd, bufs).map(|count| self.read_of(count, wanted))
        })
    }

    /// Writes all, unless a timeout, an error or an interrupt ends it after a part. Of a Unix
    /// stream epoll does not tell that writing was shut down, or reading at the other end; there
    /// the kernel is asked again now and then.
    #[inline]
    pub(crate) fn write<const IS_UNIX: bool>(&self, buf: &[u8]) -> io::Result<usize> {
        let limit = || self.write_limit(buf.len());
        let mut rest = buf;
        self.call_to_write::<IS_UNIX>(limit, |fd| {
            let count = sys::send(fd, rest)?;
            if count == rest.len() {
                return Ok(Done::more(buf.len()));
            }
            rest = &rest[count..];
            Ok(self.part(buf.len() - rest.len(), count))
        })
    }

    /// Writes all, in as many calls as it takes, which is one unless something comes between.
    #[inline]
    pub(crate) fn write_all<const IS_UNIX: bool>(&self, mut buf: &[u8]) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        loop {
            let count = self.write::<IS_UNIX>(buf)?;
            if count == buf.len() {
                return Ok(());
            }
            buf = rest_of(buf, count)?;
        }
    }

    /// Writes several buffers.
    pub(crate) fn write_vectored<const IS_UNIX: bool>(
        &self,
        bufs: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(sys::IOV_MAX)];
        self.write_vectored_by::<IS_UNIX>(bufs, sys::send_vectored)
    }

    /// Writes several buffers, of which `first` sends the first part: it is called until it
    /// has sent something.
    pub(crate) fn write_vectored_by<const IS_UNIX: bool>(
        &self,
        bufs: &[IoSlice<'_>],
        mut first: impl FnMut(BorrowedFd<'_>, &[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let wanted = sys::vectored_len(bufs.iter().map(|buf| buf.len()));
        let limit = || self.write_limit(wanted);
        let mut sent = 0;
        self.call_to_write::<IS_UNIX>(limit, |fd| {
            let (count, tried) = match sent {
                0 => (first(fd, bufs)?, wanted),
                _ => send_rest(fd, bufs, sent, wanted)?,
            };
            sent += count;
            if sent == wanted {
                return Ok(Done::more(sent));
            }
            let part = self.part(sent, count);
            Ok(Done { drained: part.drained && count < tried, ..part })
        })
    }

    #[inline]
    fn call_to_write<const IS_UNIX: bool>(
        &self,
        limit: impl Fn() -> Limit,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<Done<usize>>,
    ) -> io::Result<usize> {
        match IS_UNIX {
            true => self.source.call_retrying(Direction::Write, limit, attempt),
            false => self.source.call(Direction::Write, limit, attempt),
        }
    }

    /// How long a write of so many bytes may wait.
    #[inline]
    fn write_limit(&self, wanted: usize) -> Limit {
        // Of nothing the kernel makes nobody wait.
        if wanted == 0 { Limit::NonBlocking } else { self.options.limit(Direction::Write) }
    }

    /// What a read of `count` bytes into room for `wanted` has left behind.
    #[inline]
    fn read_of(&self, count: usize, wanted: usize) -> Done<usize> {
        let drained = self.short_is_all && 0 < count && count < wanted;
        Done { value: count, drained, finished: true }
    }

    /// What a write gives of which `sent` bytes are done, the last `count` just now; there was
    /// room for no more.
    #[cold]
    fn part(&self, sent: usize, count: usize) -> Done<usize> {
        // Of what moves nothing, and gives no error, more of the same is not to be expected.
        Done { value: sent, drained: self.short_is_all && count > 0, finished: count == 0 }
    }
}

/// What is left to be written after so many bytes, which are not all.
#[cold]
fn rest_of(buf: &[u8], count: usize) -> io::Result<&[u8]> {
    match count {
        0 => Err(io::Error::new(io::ErrorKind::WriteZero, "failed to write whole buffer")),
        _ => Ok(&buf[count..]),
    }
}

/// Sends what is left of several buffers after so many bytes. Gives how many it sent, and how
/// many it tried to: in the middle of a buffer only those up to its end.
fn send_rest(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    sent: usize,
    wanted: usize,
) -> io::Result<(usize, usize)> {
    let mut before = 0;
    for (n, buf) in bufs.iter().enumerate() {
        if before == sent {
            return Ok((sys::send_vectored(fd, &bufs[n..])?, wanted - sent));
        }
        if sent - before < buf.len() {
            let rest = &buf[sent - before..];
            return Ok((sys::send(fd, rest)?, rest.len()));
        }
        before += buf.len();
    }
    Ok((sys::send_vectored(fd, &[])?, 0))
}

/// Implements `Read` and `Write` for a stream, and the waits that need no buffer. The second
/// argument says whether it is a Unix stream.
macro_rules! stream_traits {
    ($ours:ident, $is_unix:literal) => {
        impl $ours {
            /// Waits until there is something to read, without a buffer to read it into.
            ///
            /// A server with many idle connections takes a buffer only after this has
            /// returned. It may return for nothing; the read that follows then waits.
            ///
            /// # Suspends
            ///
            /// Until the connection is readable, has ended or failed.
            ///
            /// # Errors
            ///
            /// - `WouldBlock` when the read timeout is over, or after `set_nonblocking`.
            /// - `Other` if it would have to wait while the coroutine unwinds.
            ///
            /// # Cancellation
            ///
            /// Nothing is taken.
            pub fn wait_readable(&self) -> std::io::Result<()> {
                self.socket.wait_readable()
            }

            /// Waits until there is room to write.
            ///
            /// # Suspends
            ///
            /// Until the connection is writable, or has failed.
            ///
            /// # Errors
            ///
            /// - `WouldBlock` when the write timeout is over, or after `set_nonblocking`.
            /// - `Other` if it would have to wait while the coroutine unwinds.
            ///
            /// # Cancellation
            ///
            /// Nothing is written.
            pub fn wait_writable(&self) -> std::io::Result<()> {
                self.socket.wait_writable()
            }
        }

        /// # Suspends
        ///
        /// Until there is something to read, or the end.
        ///
        /// # Errors
        ///
        /// - What recv(2) gives.
        /// - `WouldBlock` when the read timeout is over, or after `set_nonblocking`.
        /// - `Other` if it would have to wait while the coroutine unwinds.
        ///
        /// # Cancellation
        ///
        /// Nothing is lost: a read that was interrupted took no bytes.
        impl std::io::Read for &$ours {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.socket.read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.socket.read_vectored(bufs)
            }
        }

        /// As the kernel does for a socket that blocks, a write goes on until all is written:
        /// it gives less only if a timeout, an error or an interrupt ends it after a part.
        ///
        /// # Suspends
        ///
        /// Until all is written. Never for an empty buffer.
        ///
        /// # Errors
        ///
        /// None if a part was written, which is what it gives then. The next call finds what
        /// stands in the way; of a reset that came in the middle of the last part,
        /// `BrokenPipe`.
        ///
        /// - What send(2) gives.
        /// - `WouldBlock` when the write timeout is over, or after `set_nonblocking`.
        /// - `Other` if it would have to wait while the coroutine unwinds.
        ///
        /// # Cancellation
        ///
        /// If a part was written it gives the count, and the kill or the timeout comes at the
        /// next wait; a write that does not return wrote nothing. Of `write_all` nobody knows
        /// how much it wrote.
        impl std::io::Write for &$ours {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                self.socket.write::<$is_unix>(buf)
            }

            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                self.socket.write_all::<$is_unix>(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.socket.write_vectored::<$is_unix>(bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Read for $ours {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.socket.read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.socket.read_vectored(bufs)
            }
        }

        impl std::io::Write for $ours {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                self.socket.write::<$is_unix>(buf)
            }

            #[inline]
            fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                self.socket.write_all::<$is_unix>(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.socket.write_vectored::<$is_unix>(bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(crate) use stream_traits;
