//! What can be turned into socket addresses: the mirror of [`std::net::ToSocketAddrs`].
//!
//! Addresses as such are converted on the spot; names go through `resolve.rs`.

use std::io;
use std::iter;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::SocketAddrV4;
use std::net::SocketAddrV6;
use std::option;
use std::slice;
use std::vec;

use crate::resolve;

/// Converts to one or more [`SocketAddr`]s, looking names up without stopping the thread.
///
/// Implemented for the types for which std's trait is.
///
/// # Examples
///
/// ```
/// use corovent_net::ToSocketAddrs;
///
/// let addrs: Vec<_> = "127.0.0.1:80".to_socket_addrs()?.collect();
/// assert_eq!(addrs, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait ToSocketAddrs {
    /// The addresses.
    type Iter: Iterator<Item = SocketAddr>;

    /// Gives the addresses.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up: until that is done, on a thread of the pool.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: a text has no port, or a port that is no number.
    /// - What the lookup gives.
    ///
    /// # Cancellation
    ///
    /// A lookup is abandoned at once; its answer is dropped.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

/// Calls `f` with each address until one works, and gives the last error if none does.
pub(crate) fn each_addr<A: ToSocketAddrs, T>(
    addr: A,
    mut f: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addr.to_socket_addrs()? {
        match f(&addr) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses")
    }))
}

impl ToSocketAddrs for SocketAddr {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<option::IntoIter<SocketAddr>> {
        Ok(Some(*self).into_iter())
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<option::IntoIter<SocketAddr>> {
        SocketAddr::V4(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<option::IntoIter<SocketAddr>> {
        SocketAddr::V6(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<option::IntoIter<SocketAddr>> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<option::IntoIter<SocketAddr>> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<option::IntoIter<SocketAddr>> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)].into_iter()),
            Err(_) => resolve::host(host, port),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        (&*self.0, self.1).to_socket_addrs()
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        if let Ok(addr) = self.parse() {
            return Ok(vec![addr].into_iter());
        }
        let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
        let (host, port) =
            self.rsplit_once(':').ok_or_else(|| invalid("invalid socket address"))?;
        let port = port.parse().map_err(|_| invalid("invalid port value"))?;
        (host, port).to_socket_addrs()
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<vec::IntoIter<SocketAddr>> {
        (**self).to_socket_addrs()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<T::Iter> {
        (**self).to_socket_addrs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::ToSocketAddrs as StdToSocketAddrs;

    /// Both traits must give the same for texts that need no name service.
    #[test]
    fn texts_convert_as_in_std() {
        let texts =
            ["127.0.0.1:80", "[::1]:443", "127.0.0.1", "1.2.3.4:x", "1.2.3.4:70000", ":", ""];
        for text in texts {
            let ours = ToSocketAddrs::to_socket_addrs(text).map(Vec::from_iter);
            let std = StdToSocketAddrs::to_socket_addrs(text).map(Vec::from_iter);
            match (&ours, &std) {
                (Ok(ours), Ok(std)) => assert_eq!(ours, std),
                (Err(ours), Err(std)) => {
                    assert_eq!((ours.kind(), ours.to_string()), (std.kind(), std.to_string()));
                }
                _ => panic!("{text}: {ours:?} but std gives {std:?}"),
            }
        }
    }

    #[test]
    fn the_last_error_is_given() {
        let addrs = [SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2))];
        let result: io::Result<()> =
            each_addr(&addrs[..], |addr| Err(io::Error::other(addr.to_string())));
        assert_eq!(result.unwrap_err().to_string(), "127.0.0.1:2");
        let none: &[SocketAddr] = &[];
        let error = each_addr(none, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
