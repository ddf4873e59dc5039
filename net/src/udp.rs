//! Datagrams over IP: the mirror of [`std::net::UdpSocket`].
//!
//! A datagram is received or sent whole by one call, so nothing is left behind by a short
//! count, and nothing is concluded from one.

use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use corovent_runtime::fd::Direction;
use socket2::SockAddr;

use crate::addr::ToSocketAddrs;
use crate::addr::each_addr;
use crate::socket::Socket;
use crate::socket::convert_socket;
use crate::socket::socket_options;
use crate::sys;

/// A UDP socket: the mirror of [`std::net::UdpSocket`].
///
/// Any number of coroutines may receive and send by it; those that wait to receive are served
/// in the order in which they came, each with a datagram. What does not fit into the buffer
/// of a datagram is lost, as in std. Dropping it closes the descriptor, and never waits.
///
/// # Examples
///
/// ```
/// use corovent_net::UdpSocket;
/// use corovent_runtime::spawn;
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let addr = server.local_addr()?;
/// let echo = spawn(move || -> std::io::Result<()> {
///     let mut buf = [0; 16];
///     let (count, client) = server.recv_from(&mut buf)?;
///     server.send_to(&buf[..count], client).map(drop)
/// });
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(addr)?;
/// client.send(b"ping")?;
/// let mut buf = [0; 16];
/// let count = client.recv(&mut buf)?;
/// assert_eq!(&buf[..count], b"ping");
/// echo.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    socket: Socket<std::net::UdpSocket>,
}

socket_options!(UdpSocket);
convert_socket!(UdpSocket, std::net::UdpSocket);

impl UdpSocket {
    /// What it is made of.
    pub(crate) fn socket(&self) -> &Socket<std::net::UdpSocket> {
        &self.socket
    }

    /// Binds to the first of the addresses that works. Port 0 lets the system choose one.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// - `AddrInUse`, `AddrNotAvailable`, … as bind(2) gives them, for the last address.
    /// - `InvalidInput` if there is no address.
    ///
    /// # Cancellation
    ///
    /// A lookup is abandoned.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let io = each_addr(addr, |addr| std::net::UdpSocket::bind(addr))?;
        Ok(UdpSocket { socket: Socket::made_here(io) })
    }

    /// Receives a datagram, and gives its length and its sender.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram.
    ///
    /// # Errors
    ///
    /// - What recvfrom(2) gives; `ConnectionRefused` on a connected socket if nobody received
    ///   what was sent.
    /// - `WouldBlock` when the read timeout is over, or after
    ///   [`set_nonblocking`](UdpSocket::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the datagram waits for the next caller.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, addr) = self.socket.call(Direction::Read, |fd| sys::recv_from(fd, buf))?;
        Ok((count, sys::ip_addr(&addr)?))
    }

    /// Receives a datagram without taking it: the next call gives the same.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Cancellation
    ///
    /// Nothing is taken.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, addr) = self.socket.call(Direction::Read, |fd| sys::peek_from(fd, buf))?;
        Ok((count, sys::ip_addr(&addr)?))
    }

    /// Sends a datagram to the first of the addresses, and gives its length.
    ///
    /// # Suspends
    ///
    /// While a name is looked up, and until there is room in the socket.
    ///
    /// # Errors
    ///
    /// - What sendto(2) gives.
    /// - `InvalidInput` if there is no address.
    /// - `WouldBlock` when the write timeout is over, or after
    ///   [`set_nonblocking`](UdpSocket::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let Some(addr) = addr.to_socket_addrs()?.next() else {
            let message = "no addresses to send data to";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        let addr = SockAddr::from(addr);
        self.socket.call(Direction::Write, |fd| sys::send_to(fd, buf, &addr))
    }

    /// Gives the address that the socket is connected to.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is not; else as getpeername(2) gives them.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }

    /// Gives the address that the socket is bound to.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockname(2) gives them.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// Connects to the first of the addresses that works: to it go the datagrams of
    /// [`send`](UdpSocket::send), and only what comes from it is received.
    ///
    /// # Suspends
    ///
    /// Only if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// - What connect(2) gives, for the last address.
    /// - `InvalidInput` if there is no address.
    ///
    /// # Cancellation
    ///
    /// A lookup is abandoned.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        each_addr(addr, |addr| self.socket.io().connect(addr))
    }

    /// Sends a datagram to the connected address, and gives its length.
    ///
    /// # Suspends
    ///
    /// Until there is room in the socket.
    ///
    /// # Errors
    ///
    /// - What send(2) gives; `ConnectionRefused` if nobody received an earlier one.
    /// - `WouldBlock` when the write timeout is over, or after
    ///   [`set_nonblocking`](UdpSocket::set_nonblocking).
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// A call that does not return has sent nothing.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.call(Direction::Write, |fd| sys::send(fd, buf))
    }

    /// Receives a datagram from the connected address, and gives its length.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the datagram waits for the next caller.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.call(Direction::Read, |fd| sys::recv(fd, buf))
    }

    /// Receives a datagram from the connected address without taking it.
    ///
    /// # Suspends
    ///
    /// Until there is a datagram.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](UdpSocket::recv_from).
    ///
    /// # Cancellation
    ///
    /// Nothing is taken.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.call(Direction::Read, |fd| sys::peek(fd, buf))
    }

    /// Sets whether datagrams may be sent to broadcast addresses (SO_BROADCAST).
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.socket.io().set_broadcast(broadcast)
    }

    /// Gives whether datagrams may be sent to broadcast addresses.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.io().broadcast()
    }

    /// Sets whether IPv4 multicasts that are sent here are received here as well.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.socket.io().set_multicast_loop_v4(multicast_loop_v4)
    }

    /// Gives whether IPv4 multicasts that are sent here are received here as well.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket.io().multicast_loop_v4()
    }

    /// Sets the time-to-live of IPv4 multicasts.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.socket.io().set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// Gives the time-to-live of IPv4 multicasts.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket.io().multicast_ttl_v4()
    }

    /// Sets whether IPv6 multicasts that are sent here are received here as well.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.socket.io().set_multicast_loop_v6(multicast_loop_v6)
    }

    /// Gives whether IPv6 multicasts that are sent here are received here as well.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket.io().multicast_loop_v6()
    }

    /// Sets the time-to-live of the packets sent.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.io().set_ttl(ttl)
    }

    /// Gives the time-to-live of the packets sent.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As getsockopt(2) gives them.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.io().ttl()
    }

    /// Joins an IPv4 multicast group on an interface; the unspecified address lets the system
    /// choose one.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.io().join_multicast_v4(multiaddr, interface)
    }

    /// Joins an IPv6 multicast group on an interface by its index; 0 is any.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.io().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves an IPv4 multicast group.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.io().leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves an IPv6 multicast group.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As setsockopt(2) gives them.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.io().leave_multicast_v6(multiaddr, interface)
    }
}
