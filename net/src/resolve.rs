//! Looking names up, in the pool's lane for it: getaddrinfo(3) cannot be made to yield.

use std::io;
use std::net::SocketAddr;
use std::net::ToSocketAddrs as StdToSocketAddrs;
use std::vec;

use corovent_runtime::threadpool;

/// Gives the addresses of a host, by the system's own rules.
pub(crate) fn host(name: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    let name = name.to_owned();
    let addrs =
        threadpool::lookup(move || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter))?;
    Ok(addrs.into_iter())
}
