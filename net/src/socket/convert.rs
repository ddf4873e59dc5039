//! The conversions that std has between a socket and its descriptor, and those between
//! std's type and ours. A descriptor that is given away is registered nowhere.

// `FromRawFd` is an unsafe trait method.
#![allow(unsafe_code)]

/// Implements the conversions of a socket between std's type and ours.
macro_rules! convert_socket {
    ($ours:ident, $std:ty) => {
        impl From<$std> for $ours {
            /// Takes a socket of std's over, with its timeouts and its non-blocking mode. The
            /// open file is not changed, so duplicates of it go on as before.
            fn from(io: $std) -> $ours {
                $ours { socket: crate::socket::Socket::from_elsewhere(io) }
            }
        }

        impl From<$ours> for $std {
            /// Gives the socket away as std's, with its timeouts and its non-blocking mode.
            fn from(ours: $ours) -> $std {
                ours.socket.into_io()
            }
        }

        crate::socket::convert_descriptors!($ours, $std, socket);
    };
}

/// Implements what goes by the descriptor, for a type that converts from and to std's and
/// has it in that field.
macro_rules! convert_descriptors {
    ($ours:ident, $std:ty, $field:ident) => {
        impl std::os::fd::AsFd for $ours {
            #[inline]
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.$field.io().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            #[inline]
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.$field.io().as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                <$std>::from(self).into_raw_fd()
            }
        }

        #[allow(unsafe_code)]
        impl std::os::fd::FromRawFd for $ours {
            /// # Safety
            ///
            /// The caller owns the descriptor.
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> $ours {
                // SAFETY: the caller vouches that it owns the descriptor.
                unsafe { <$std>::from_raw_fd(fd) }.into()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(ours: $ours) -> std::os::fd::OwnedFd {
                <$std>::from(ours).into()
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
                self.$field.io().fmt(f)
            }
        }
    };
}

pub(crate) use convert_descriptors;
pub(crate) use convert_socket;
