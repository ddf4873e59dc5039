//! The sockets of corovent: std's, but where std's would stop the thread, these let the
//! other coroutines run.
//!
//! The types mirror [`std::net`] name by name. Users get them from the `corovent` crate, as
//! `corovent::net`.

mod addr;
mod options;
mod resolve;
mod sys;
mod tcp;

pub use crate::addr::ToSocketAddrs;
pub use crate::tcp::Incoming;
pub use crate::tcp::TcpListener;
pub use crate::tcp::TcpStream;
pub use crate::tcp::TcpStreamExt;

/// The mirror of [`std::os`].
pub mod os {
    /// The mirror of [`std::os::linux`].
    pub mod linux {
        /// The mirror of [`std::os::linux::net`].
        pub mod net {
            pub use crate::tcp::TcpStreamExt;
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
