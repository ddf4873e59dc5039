//! The sockets of corovent: std's, but where std's would stop the thread, these let the
//! other coroutines run.
//!
//! The types mirror those of [`std::net`] and [`std::os::unix::net`] name by name. Users get
//! them from the `corovent` crate, as `corovent::net` and `corovent::os::unix::net`.

mod acceptor;
mod addr;
mod copy;
mod resolve;
pub mod server;
mod socket;
mod sys;
mod tcp;
mod udp;
mod unix;

pub use crate::addr::ToSocketAddrs;
pub use crate::copy::Duplex;
pub use crate::copy::copy;
pub use crate::copy::copy_bidirectional;
pub use crate::tcp::Incoming;
pub use crate::tcp::TcpListener;
pub use crate::tcp::TcpStream;
pub use crate::tcp::TcpStreamExt;
pub use crate::udp::UdpSocket;

/// The mirror of [`std::os`].
pub mod os {
    /// The mirror of [`std::os::linux`].
    pub mod linux {
        /// The mirror of [`std::os::linux::net`].
        pub mod net {
            pub use crate::tcp::TcpStreamExt;
            pub use crate::unix::UnixSocketExt;
            pub use std::os::linux::net::SocketAddrExt;
        }
    }

    /// The mirror of [`std::os::unix`].
    pub mod unix {
        /// The mirror of [`std::os::unix::net`].
        pub mod net {
            pub use crate::unix::AncillaryData;
            pub use crate::unix::AncillaryError;
            pub use crate::unix::Incoming;
            pub use crate::unix::Messages;
            pub use crate::unix::ScmCredentials;
            pub use crate::unix::ScmRights;
            pub use crate::unix::SocketAncillary;
            pub use crate::unix::SocketCred;
            pub use crate::unix::UnixDatagram;
            pub use crate::unix::UnixListener;
            pub use crate::unix::UnixStream;
            pub use std::os::unix::net::SocketAddr;
        }
    }
}

// What std has and needs no waiting, so that one `use` line is enough.
pub use std::net::AddrParseError;
pub use std::net::IpAddr;
pub use std::net::Ipv4Addr;
pub use std::net::Ipv6Addr;
pub use std::net::Shutdown;
pub use std::net::SocketAddr;
pub use std::net::SocketAddrV4;
pub use std::net::SocketAddrV6;
