//! Reading, writing and converting open files.

// `FromRawFd` is an unsafe trait method.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::sync::Arc;

use crate::fs::file::File;
use crate::sys::file::At;
use crate::threadpool;
use crate::transfer::Transfer;
use crate::transfer::Wish;

/// # Suspends
///
/// Until there is something to read, or the end.
///
/// # Errors
///
/// - What read(2) gives.
/// - `Other` if it would have to wait while the coroutine unwinds; not on a disk.
///
/// # Cancellation
///
/// Nothing is lost: see [`File`].
impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buf)])
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.transfer.read(&self.file, bufs, At::Position, Wish::Honoured)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        if !self.is_read_by_pool() {
            return Plain(self).read_to_end(buf);
        }
        let (mut rest, result) = self.read_rest()?;
        if buf.is_empty() && buf.capacity() < rest.len() {
            *buf = rest;
        } else {
            buf.append(&mut rest);
        }
        result
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let mut rest = Vec::new();
        let result = self.read_to_end(&mut rest);
        // It is std's to say what is wrong with a text.
        let text = rest.as_slice().read_to_string(buf);
        result.and(text)
    }
}

/// # Suspends
///
/// Until it is written.
///
/// # Errors
///
/// - What write(2) gives.
/// - `Other` if it would have to wait while the coroutine unwinds; not on a disk.
///
/// # Cancellation
///
/// On a disk it is not interrupted. Elsewhere a kill or a timeout comes after the part that
/// was written.
impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transfer.write(&self.file, bufs, At::Position, Wish::Honoured)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// # Suspends
///
/// Never, but while a thread of the pool reads or writes at the position: until it has done so.
impl Seek for &File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        if self.transfer.position.is_in_use() {
            return self.on_pool(move |mut file| file.seek(pos));
        }
        (&*self.file).seek(pos)
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for File {
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

impl Seek for File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        (&*self).seek(pos)
    }
}

/// # Suspends
///
/// Until it is done; see [`File`].
impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (bufs, at) = (&mut [IoSliceMut::new(buf)], At::Offset(offset));
        self.transfer.read(&self.file, bufs, at, Wish::Honoured)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let (bufs, at) = (&[IoSlice::new(buf)], At::Offset(offset));
        self.transfer.write(&self.file, bufs, at, Wish::Honoured)
    }
}

impl File {
    /// Copies the rest of a file on a disk to another, by the kernel where it can; `None` if
    /// one of them is none.
    ///
    /// # Suspends
    ///
    /// Until the end of the file.
    ///
    /// # Errors
    ///
    /// As for [`std::io::copy`].
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout comes between two parts of 16 MiB; the positions of both files are
    /// behind what was copied.
    pub fn copy_to(&self, other: &File) -> Option<io::Result<u64>> {
        const PART: u64 = 16 << 20;

        if !self.transfer.is_on_disk() || !other.transfer.is_on_disk() {
            return None;
        }
        let mut total = 0;
        loop {
            let (from, to) = (Arc::clone(&self.file), Arc::clone(&other.file));
            let copy = move || io::copy(&mut (&*from).take(PART), &mut &*to);
            match threadpool::complete(copy) {
                Ok(PART) => total += PART,
                Ok(rest) => return Some(Ok(total + rest)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        std::fs::File::from(self).into_raw_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: the caller vouches that it owns the descriptor.
        unsafe { std::fs::File::from_raw_fd(fd) }.into()
    }
}

impl From<std::fs::File> for File {
    /// Takes a file of std's over. The open file is not changed.
    fn from(file: std::fs::File) -> File {
        let transfer = Transfer::of(file.as_fd());
        File { file: Arc::new(file), transfer }
    }
}

impl From<File> for std::fs::File {
    /// Gives the file away as std's.
    ///
    /// # Panics
    ///
    /// If a coroutine was left for ever in a call on the file, and no descriptor is left.
    fn from(file: File) -> std::fs::File {
        // A job of the pool drops its share before its caller goes on.
        Arc::try_unwrap(file.file).unwrap_or_else(|shared| {
            shared.try_clone().expect("a descriptor in place of one that is in use for ever")
        })
    }
}

impl From<File> for Stdio {
    /// Gives a child the file as one of its standard streams.
    fn from(file: File) -> Stdio {
        std::fs::File::from(file).into()
    }
}

impl From<OwnedFd> for File {
    /// Takes a descriptor over, as a conversion from std's type does.
    fn from(fd: OwnedFd) -> File {
        std::fs::File::from(fd).into()
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> OwnedFd {
        std::fs::File::from(file).into()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

/// A file whose reading to the end is std's default, part by part.
struct Plain<'a>(&'a File);

impl Read for Plain<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
