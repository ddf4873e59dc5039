//! What is sent along with bytes: descriptors and credentials.
//!
//! The names and the shape are those of std's `SocketAncillary`, which is not stable. What
//! differs is who owns the descriptors, which std leaves to the user: here a buffer owns
//! those that were received into it, and gives each away once.
//!
//! **Invariant:** `received` is true only while the buffer holds what recvmsg(2) wrote there,
//! but for descriptors that were given away, which are overwritten.

// Descriptors that the kernel has written into the buffer become owned.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::io::IoSliceMut;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

use crate::sys::message;
use crate::sys::message::Received;

/// A buffer for what is sent along with bytes, or received with them.
///
/// The names are those of std, where they are not stable. It differs in who owns the
/// descriptors: those that are added are borrowed, so that they are open when they are sent.
/// Those that were received belong to the buffer until
/// [`messages`](SocketAncillary::messages) has given them away as [`OwnedFd`]s, each once;
/// what is left is closed when the buffer is cleared, dropped, or used again. They are closed
/// on exec.
///
/// A message of `n` descriptors takes 16 bytes and 4 for each of them, rounded up to 8.
///
/// # Examples
///
/// ```
/// use corovent_net::os::unix::net::{AncillaryData, SocketAncillary, UnixStream};
/// use std::fs::File;
/// use std::io::{IoSlice, IoSliceMut, Read};
/// use std::os::fd::AsFd;
///
/// let (sender, receiver) = UnixStream::pair()?;
/// let file = File::open("/proc/self/comm")?;
/// let mut buffer = [0; 64];
/// let mut ancillary = SocketAncillary::new(&mut buffer);
/// assert!(ancillary.add_fds(&[file.as_fd()]));
/// sender.send_vectored_with_ancillary(&[IoSlice::new(b"a file")], &mut ancillary)?;
///
/// let mut buffer = [0; 64];
/// let mut ancillary = SocketAncillary::new(&mut buffer);
/// let mut text = [0; 6];
/// receiver.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut text)], &mut ancillary)?;
/// for message in ancillary.messages() {
///     if let Ok(AncillaryData::ScmRights(fds)) = message {
///         for fd in fds {
///             assert!(File::from(fd).read(&mut [0; 16])? > 0);
///         }
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A descriptor cannot be closed before it was sent:
///
/// ```compile_fail,E0505
/// use corovent_net::os::unix::net::{SocketAncillary, UnixStream};
/// use std::os::fd::AsFd;
///
/// let (sender, receiver) = UnixStream::pair()?;
/// let mut buffer = [0; 64];
/// let mut ancillary = SocketAncillary::new(&mut buffer);
/// ancillary.add_fds(&[receiver.as_fd()]);
/// drop(receiver);
/// sender.send_vectored_with_ancillary(&[], &mut ancillary)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SocketAncillary<'a> {
    buffer: &'a mut [u8],
    /// How many bytes of the buffer are messages.
    length: usize,
    truncated: bool,
    /// Whether the messages were received. Else they were added.
    received: bool,
    /// Descriptors that were added are open for as long as the buffer is there.
    added: PhantomData<BorrowedFd<'a>>,
}

/// One message of a [`SocketAncillary`].
#[derive(Debug)]
pub enum AncillaryData<'a> {
    /// Descriptors.
    ScmRights(ScmRights<'a>),
    /// Credentials.
    ScmCredentials(ScmCredentials<'a>),
}

/// A message of a kind that is not known here.
#[derive(Debug)]
#[non_exhaustive]
pub enum AncillaryError {
    /// Neither descriptors nor credentials.
    Unknown {
        /// The protocol that the message is of.
        cmsg_level: i32,
        /// Its kind there.
        cmsg_type: i32,
    },
}

/// An iterator over the messages of a [`SocketAncillary`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Messages<'a> {
    rest: &'a mut [u8],
    received: bool,
}

/// An iterator over received descriptors, which gives them away. Those it is not asked for
/// stay with the [`SocketAncillary`]. Of descriptors that were added it gives none.
#[derive(Debug)]
pub struct ScmRights<'a> {
    rest: &'a mut [u8],
    received: bool,
}

/// An iterator over credentials.
#[derive(Debug)]
pub struct ScmCredentials<'a> {
    rest: &'a [u8],
}

/// The credentials of a process.
#[derive(Clone, Debug)]
pub struct SocketCred {
    pid: i32,
    uid: u32,
    gid: u32,
}

impl<'a> SocketAncillary<'a> {
    /// Makes one without messages, which has room for as much as fits into `buffer`.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn new(buffer: &'a mut [u8]) -> SocketAncillary<'a> {
        let added = PhantomData;
        SocketAncillary { buffer, length: 0, truncated: false, received: false, added }
    }

    /// Gives the size of the buffer.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Whether there is no message.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Gives how many bytes the messages take.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Gives an iterator over the messages, by which received descriptors are taken out.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn messages(&mut self) -> Messages<'_> {
        Messages { rest: &mut self.buffer[..self.length], received: self.received }
    }

    /// Whether more was received than there was room for. The kernel has closed the
    /// descriptors that did not fit.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Adds a message of descriptors to be sent; false, and nothing is added, if it does not
    /// fit. What was received before is dropped.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn add_fds(&mut self, fds: &[BorrowedFd<'a>]) -> bool {
        self.add(libc::SCM_RIGHTS, fds.iter().map(|fd| fd.as_raw_fd().to_ne_bytes()))
    }

    /// Adds a message of credentials to be sent; false, and nothing is added, if it does not
    /// fit. What was received before is dropped.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn add_creds(&mut self, creds: &[SocketCred]) -> bool {
        self.add(libc::SCM_CREDENTIALS, creds.iter().map(SocketCred::to_bytes))
    }

    /// Removes all messages. Received descriptors that were not taken out are closed.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn clear(&mut self) {
        let mut rest = &mut self.buffer[..self.length];
        while self.received
            && let Some((message, behind)) = Message::split(rest)
        {
            if message.has_fds() {
                ScmRights { rest: message.data, received: true }.for_each(drop);
            }
            rest = behind;
        }
        self.length = 0;
        self.truncated = false;
        self.received = false;
    }

    /// Receives bytes and messages by one system call.
    pub(super) fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> io::Result<Received> {
        self.clear();
        let received = message::recv(fd, bufs, self.buffer)?;
        self.length = received.control_len;
        self.truncated = received.control_truncated;
        self.received = true;
        Ok(received)
    }

    /// The messages, for sendmsg(2).
    pub(super) fn outgoing(&mut self) -> &[u8] {
        self.truncated = false;
        &self.buffer[..self.length]
    }

    fn add<const SIZE: usize>(
        &mut self,
        kind: libc::c_int,
        items: impl ExactSizeIterator<Item = [u8; SIZE]>,
    ) -> bool {
        if self.received {
            self.clear();
        }
        self.truncated = false;
        let Some(len) = items.len().checked_mul(SIZE) else { return false };
        let room = self.buffer[self.length..].len();
        let Some(space) = len.checked_add(HEADER).and_then(aligned).filter(|len| *len <= room)
        else {
            return false;
        };
        let (header, data) = self.buffer[self.length..][..space].split_at_mut(HEADER);
        header[..SIZE_LEN].copy_from_slice(&(HEADER + len).to_ne_bytes());
        header[SIZE_LEN..][..4].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
        header[SIZE_LEN + 4..].copy_from_slice(&kind.to_ne_bytes());
        data.fill(0);
        for (place, item) in data.chunks_exact_mut(SIZE).zip(items) {
            place.copy_from_slice(&item);
        }
        self.length += space;
        true
    }
}

impl Drop for SocketAncillary<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for SocketAncillary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketAncillary")
            .field("buffer", &self.buffer)
            .field("length", &self.length)
            .field("truncated", &self.truncated)
            .finish()
    }
}

/// One message in a buffer, in the kernel's form: its length with the header as a `usize`, its
/// level and its type as `i32`, and the data; the next begins at a multiple of a `usize`.
struct Message<'a> {
    level: i32,
    kind: i32,
    data: &'a mut [u8],
}

const SIZE_LEN: usize = size_of::<usize>();
const HEADER: usize = SIZE_LEN + 8;
/// A pidfd of the sender, which came with Linux 6.5 and is not in libc.
const SCM_PIDFD: i32 = 4;

impl Message<'_> {
    /// Splits the first message off a buffer; `None` if there is no whole one.
    fn split(buffer: &mut [u8]) -> Option<(Message<'_>, &mut [u8])> {
        let len = usize::from_ne_bytes(*buffer.first_chunk()?);
        let level = i32::from_ne_bytes(*buffer.get(SIZE_LEN..)?.first_chunk()?);
        let kind = i32::from_ne_bytes(*buffer.get(SIZE_LEN + 4..)?.first_chunk()?);
        if !(HEADER..=buffer.len()).contains(&len) {
            return None;
        }
        let end = aligned(len)?.min(buffer.len());
        let (message, behind) = buffer.split_at_mut(end);
        Some((Message { level, kind, data: &mut message[HEADER..len] }, behind))
    }

    /// Whether the data of a received message are descriptors.
    fn has_fds(&self) -> bool {
        self.level == libc::SOL_SOCKET && [libc::SCM_RIGHTS, SCM_PIDFD].contains(&self.kind)
    }
}

/// Rounds up to where a message may begin.
fn aligned(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(SIZE_LEN)
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<AncillaryData<'a>, AncillaryError>;

    fn next(&mut self) -> Option<Result<AncillaryData<'a>, AncillaryError>> {
        let (message, behind) = Message::split(mem::take(&mut self.rest))?;
        self.rest = behind;
        let Message { level, kind, data } = message;
        Some(match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                Ok(AncillaryData::ScmRights(ScmRights { rest: data, received: self.received }))
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                Ok(AncillaryData::ScmCredentials(ScmCredentials { rest: data }))
            }
            _ => Err(AncillaryError::Unknown { cmsg_level: level, cmsg_type: kind }),
        })
    }
}

impl Iterator for ScmRights<'_> {
    type Item = OwnedFd;

    fn next(&mut self) -> Option<OwnedFd> {
        /// What is written over a descriptor that was given away.
        const GONE: RawFd = -1;

        while self.received
            && let Some((place, behind)) = mem::take(&mut self.rest).split_first_chunk_mut()
        {
            self.rest = behind;
            let fd = RawFd::from_ne_bytes(mem::replace(place, GONE.to_ne_bytes()));
            if fd >= 0 {
                // SAFETY: recvmsg(2) made the descriptor for the buffer, which nobody else can
                // change, and this is the one time that it is given away.
                return Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        None
    }
}

impl Iterator for ScmCredentials<'_> {
    type Item = SocketCred;

    fn next(&mut self) -> Option<SocketCred> {
        let (cred, behind) = self.rest.split_first_chunk()?;
        self.rest = behind;
        Some(SocketCred::from_bytes(cred))
    }
}

impl SocketCred {
    /// Makes credentials that are all zero.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "std has none")]
    pub fn new() -> SocketCred {
        SocketCred { pid: 0, uid: 0, gid: 0 }
    }

    /// Sets the number of the process.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn set_pid(&mut self, pid: i32) {
        self.pid = pid;
    }

    /// Gives the number of the process.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn get_pid(&self) -> i32 {
        self.pid
    }

    /// Sets the user.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn set_uid(&mut self, uid: u32) {
        self.uid = uid;
    }

    /// Gives the user.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn get_uid(&self) -> u32 {
        self.uid
    }

    /// Sets the group.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn set_gid(&mut self, gid: u32) {
        self.gid = gid;
    }

    /// Gives the group.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn get_gid(&self) -> u32 {
        self.gid
    }

    /// The kernel's `ucred`.
    fn to_bytes(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.pid.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.uid.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.gid.to_ne_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 12]) -> SocketCred {
        let word = |n: usize| [bytes[n], bytes[n + 1], bytes[n + 2], bytes[n + 3]];
        SocketCred {
            pid: i32::from_ne_bytes(word(0)),
            uid: u32::from_ne_bytes(word(4)),
            gid: u32::from_ne_bytes(word(8)),
        }
    }
}
