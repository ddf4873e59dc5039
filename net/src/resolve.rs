//! Looking names up, in the pool's lane for it: getaddrinfo(3) cannot be made to yield.

use std::io;
use std::net::SocketAddr;
use std::net::ToSocketAddrs as StdToSocketAddrs;
use std::vec;

use corovent_runtime::threadpool::Flights;

/// Gives the addresses of a host, by the system's own rules.
pub(crate) fn host(name: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    // The port has no part in it, so that those who want different ones share a lookup.
    static HOSTS: Flights<Vec<SocketAddr>> = Flights::new();

    let mut addrs = HOSTS.look_up(name, |name| (name, 0).to_socket_addrs().map(Vec::from_iter))?;
    addrs.iter_mut().for_each(|addr| addr.set_port(port));
    Ok(addrs.into_iter())
}
