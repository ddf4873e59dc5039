//! TCP: the mirrors of [`std::net::TcpStream`] and [`std::net::TcpListener`].

mod listener;
mod stream;
mod transfer;

pub use crate::tcp::listener::Incoming;
pub use crate::tcp::listener::TcpListener;
pub use crate::tcp::stream::TcpStream;
pub use crate::tcp::stream::TcpStreamExt;

/// Implements the conversions that std has between a socket and its descriptor, and those
/// between std's type and ours. A descriptor that is given away is registered nowhere.
macro_rules! convert_descriptors {
    ($ours:ty, $std:ty) => {
        impl std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.source.io().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.source.io().as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                <$std>::from(self).into_raw_fd()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(socket: $ours) -> std::os::fd::OwnedFd {
                <$std>::from(socket).into()
            }
        }

        impl From<std::os::fd::OwnedFd> for $ours {
            /// Takes a descriptor over, as a conversion from std's type does.
            fn from(fd: std::os::fd::OwnedFd) -> $ours {
                <$std>::from(fd).into()
            }
        }

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.source.io().fmt(f)
            }
        }
    };
}

pub(crate) use convert_descriptors;
