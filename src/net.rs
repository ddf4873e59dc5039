//! The mirror of [`std::net`]: sockets that let other coroutines run where std's would stop
//! the thread.
//!
//! TCP and UDP; Unix sockets are in [`os::unix::net`](crate::os::unix::net), as in std. The
//! addresses and errors are std's own types.

pub use corovent_net::AddrParseError;
pub use corovent_net::Incoming;
pub use corovent_net::IpAddr;
pub use corovent_net::Ipv4Addr;
pub use corovent_net::Ipv6Addr;
pub use corovent_net::Shutdown;
pub use corovent_net::SocketAddr;
pub use corovent_net::SocketAddrV4;
pub use corovent_net::SocketAddrV6;
pub use corovent_net::TcpListener;
pub use corovent_net::TcpStream;
pub use corovent_net::ToSocketAddrs;
pub use corovent_net::UdpSocket;
