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
