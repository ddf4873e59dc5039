//! Unix sockets: the mirror of [`std::os::unix::net`].
//!
//! Of two things epoll does not tell: that a listener's queue has room again for one who
//! connects, and that a receiver's has for one who sends without being connected. Whoever
//! waits for the first tries again after pauses; for the second see `datagram.rs`.

mod ancillary;
mod datagram;
mod listener;
mod stream;

use std::io;
use std::time::Duration;

use socket2::SockRef;

pub use crate::unix::ancillary::AncillaryData;
pub use crate::unix::ancillary::AncillaryError;
pub use crate::unix::ancillary::Messages;
pub use crate::unix::ancillary::ScmCredentials;
pub use crate::unix::ancillary::ScmRights;
pub use crate::unix::ancillary::SocketAncillary;
pub use crate::unix::ancillary::SocketCred;
pub use crate::unix::datagram::UnixDatagram;
pub use crate::unix::listener::Incoming;
pub use crate::unix::listener::UnixListener;
pub use crate::unix::stream::UnixStream;

/// What Linux has besides: the mirror of std's `os::linux::net::UnixSocketExt`, which is not
/// stable there.
pub trait UnixSocketExt: Sealed {
    /// Gives whether the credentials of the senders are received (SO_PASSCRED).
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    fn passcred(&self) -> io::Result<bool>;

    /// Sets whether the credentials of the senders are received, as
    /// [`AncillaryData::ScmCredentials`].
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    fn set_passcred(&self, passcred: bool) -> io::Result<()>;
}

/// Is implemented here only, as in std.
pub trait Sealed {}

impl Sealed for UnixDatagram {}

impl UnixSocketExt for UnixDatagram {
    fn passcred(&self) -> io::Result<bool> {
        SockRef::from(self).passcred()
    }

    fn set_passcred(&self, passcred: bool) -> io::Result<()> {
        SockRef::from(self).set_passcred(passcred)
    }
}

impl Sealed for UnixStream {}

impl UnixSocketExt for UnixStream {
    fn passcred(&self) -> io::Result<bool> {
        SockRef::from(self).passcred()
    }

    fn set_passcred(&self, passcred: bool) -> io::Result<()> {
        SockRef::from(self).set_passcred(passcred)
    }
}

/// The pauses between attempts where no event tells when one has a chance: each is twice as
/// long as the one before, up to a limit. Whoever waits for long is late by that at most.
struct Pauses {
    next: Duration,
}

impl Pauses {
    /// A queue that is drained at all gives way within this time.
    const FIRST: Duration = Duration::from_millis(1);
    /// Twenty attempts a second cost next to nothing.
    const LONGEST: Duration = Duration::from_millis(50);

    fn new() -> Pauses {
        Pauses { next: Pauses::FIRST }
    }

    fn next(&mut self) -> Duration {
        let longer = (2 * self.next).min(Pauses::LONGEST);
        std::mem::replace(&mut self.next, longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut pauses = Pauses::new();
        let ms: Vec<_> = (0..8).map(|_| pauses.next().as_millis()).collect();
        assert_eq!(ms, [1, 2, 4, 8, 16, 32, 50, 50]);
    }
}
