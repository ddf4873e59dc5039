//! One of the descriptors 0 to 2, without buffer and lock.

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;

use crate::hub;
use crate::hub::Hub;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::epoll;
use crate::sys::file;
use crate::sys::file::At;
use crate::sys::pipe;
use crate::transfer::Transfer;
use crate::transfer::Wish;
use crate::transfer::uninterrupted;

/// The process is exiting: nothing may wait for other coroutines any more.
pub(super) static EXITING: AtomicBool = AtomicBool::new(false);

/// One of the three.
#[derive(Debug)]
pub(super) struct Raw {
    number: Number,
    /// How to use what was there at the last call.
    transfer: Option<Transfer>,
}

/// A descriptor that nobody owns.
#[derive(Clone, Copy, Debug)]
struct Number(RawFd);

impl AsFd for Number {
    fn as_fd(&self) -> BorrowedFd<'_> {
        file::standard(self.0)
    }
}

impl Raw {
    pub(super) const fn new(number: RawFd) -> Raw {
        Raw { number: Number(number), transfer: None }
    }

    /// Reads; a descriptor that is closed is at its end, as in std.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bufs = &mut [IoSliceMut::new(buf)];
        let read = match hub::current() {
            None => uninterrupted(|| file::read(self.number.as_fd(), bufs, At::Position)),
            Some(_) => self
                .now()
                .and_then(|(number, there)| there.read(number, bufs, At::Position, Wish::Ignored)),
        };
        or_if_closed(read, 0)
    }

    /// How to use what is there now.
    fn now(&mut self) -> io::Result<(&Number, &Transfer)> {
        let identity = file::identity(self.number.as_fd())?;
        let known = self.transfer.take().filter(|known| known.identity() == Some(identity));
        let transfer = known.unwrap_or_else(|| Transfer::of(self.number.as_fd()));
        Ok((&self.number, self.transfer.insert(transfer)))
    }
}

/// What a destructor prints is not lost, and must not fail: it would abort the process. So a
/// coroutine that unwinds stops the thread until there is room.
impl Write for Raw {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let bufs = &[IoSlice::new(buf)];
        let exits = EXITING.load(Ordering::Relaxed);
        let hub = hub::current().filter(|_| !exits);
        let fd = self.number.as_fd();
        let written = match hub.map(Hub::is_unwinding) {
            None => uninterrupted(|| pipe::write_vectored(fd, bufs)),
            Some(true) => uninterrupted(|| match pipe::write_vectored(fd, bufs) {
                // Somebody has made the open file non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    epoll::poll_one(fd.as_raw_fd(), epoll::OUT, None)?;
                    Err(io::ErrorKind::Interrupted.into())
                }
                result => result,
            }),
            Some(false) => self
                .now()
                .and_then(|(number, there)| there.write(number, bufs, At::Position, Wish::Ignored)),
        };
        or_if_closed(written, buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_if_closed(result: io::Result<usize>, otherwise: usize) -> io::Result<usize> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(otherwise),
        result => result,
    }
}
