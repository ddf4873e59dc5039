//! Reading and writing connections.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;

use corovent_runtime::fd::Direction;

use crate::sys;
use crate::tcp::stream::TcpStream;

/// # Suspends
///
/// Until there is something to read, or the end.
///
/// # Cancellation
///
/// Nothing is lost: a read that was interrupted took no bytes.
impl Read for &TcpStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Read);
        self.source.call(Direction::Read, limit, |io| {
            sys::recv(io.as_fd(), buf).map(|count| self.moved(count, buf.len()))
        })
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Read);
        let wanted = sys::vectored_len(bufs.iter().map(|buf| buf.len()));
        self.source.call(Direction::Read, limit, |io| {
            sys::recv_vectored(io.as_fd(), bufs).map(|count| self.moved(count, wanted))
        })
    }
}

/// # Suspends
///
/// Until there is room for at least one byte.
///
/// # Cancellation
///
/// A write that was interrupted wrote nothing; `write_all` may have written a part.
impl Write for &TcpStream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Write);
        self.source.call(Direction::Write, limit, |io| {
            sys::send(io.as_fd(), buf).map(|count| self.moved(count, buf.len()))
        })
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let limit = || self.options.limit(Direction::Write);
        let wanted = sys::vectored_len(bufs.iter().map(|buf| buf.len()));
        self.source.call(Direction::Write, limit, |io| {
            sys::send_vectored(io.as_fd(), bufs).map(|count| self.moved(count, wanted))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
