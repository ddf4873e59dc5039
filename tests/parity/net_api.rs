// Written by `.ci/api --write`: what is stable in std, of net.

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + Iterator<Item = Result<net::TcpStream, io::Error>>
            + ?Sized,
    >() {
    }
    fn ask<'a>(_: &net::Incoming<'a>) {
        is::<net::Incoming<'a>>()
    }
};

const _: () = {
    fn is<X: ::std::iter::FusedIterator + ?Sized>() {}
    fn ask<'e0>(_: &net::Incoming<'e0>) {
        is::<net::Incoming<'e0>>()
    }
};

fn net_tcplistener_bind<A: net::ToSocketAddrs>(a0: A) -> io::Result<net::TcpListener> {
    <net::TcpListener>::bind(a0)
}

fn net_tcplistener_local_addr<'e0>(a0: &'e0 net::TcpListener) -> io::Result<net::SocketAddr> {
    <net::TcpListener>::local_addr(a0)
}

fn net_tcplistener_try_clone<'e0>(a0: &'e0 net::TcpListener) -> io::Result<net::TcpListener> {
    <net::TcpListener>::try_clone(a0)
}

fn net_tcplistener_accept<'e0>(
    a0: &'e0 net::TcpListener,
) -> io::Result<(net::TcpStream, net::SocketAddr)> {
    <net::TcpListener>::accept(a0)
}

fn net_tcplistener_incoming<'e0>(a0: &'e0 net::TcpListener) -> net::Incoming<'e0> {
    <net::TcpListener>::incoming(a0)
}

fn net_tcplistener_set_ttl<'e0>(a0: &'e0 net::TcpListener, a1: u32) -> io::Result<()> {
    <net::TcpListener>::set_ttl(a0, a1)
}

fn net_tcplistener_ttl<'e0>(a0: &'e0 net::TcpListener) -> io::Result<u32> {
    <net::TcpListener>::ttl(a0)
}

fn net_tcplistener_set_only_v6<'e0>(a0: &'e0 net::TcpListener, a1: bool) -> io::Result<()> {
    <net::TcpListener>::set_only_v6(a0, a1)
}

fn net_tcplistener_only_v6<'e0>(a0: &'e0 net::TcpListener) -> io::Result<bool> {
    <net::TcpListener>::only_v6(a0)
}

fn net_tcplistener_take_error<'e0>(a0: &'e0 net::TcpListener) -> io::Result<Option<io::Error>> {
    <net::TcpListener>::take_error(a0)
}

fn net_tcplistener_set_nonblocking<'e0>(a0: &'e0 net::TcpListener, a1: bool) -> io::Result<()> {
    <net::TcpListener>::set_nonblocking(a0, a1)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ?Sized,
    >() {
    }
    fn ask(_: &net::TcpListener) {
        is::<net::TcpListener>()
    }
};

const _: () = {
    fn is<X: From<net::TcpListener> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

fn net_tcpstream_connect<A: net::ToSocketAddrs>(a0: A) -> io::Result<net::TcpStream> {
    <net::TcpStream>::connect(a0)
}

fn net_tcpstream_connect_timeout<'e0>(
    a0: &'e0 net::SocketAddr,
    a1: ::std::time::Duration,
) -> io::Result<net::TcpStream> {
    <net::TcpStream>::connect_timeout(a0, a1)
}

fn net_tcpstream_peer_addr<'e0>(a0: &'e0 net::TcpStream) -> io::Result<net::SocketAddr> {
    <net::TcpStream>::peer_addr(a0)
}

fn net_tcpstream_local_addr<'e0>(a0: &'e0 net::TcpStream) -> io::Result<net::SocketAddr> {
    <net::TcpStream>::local_addr(a0)
}

fn net_tcpstream_shutdown<'e0>(a0: &'e0 net::TcpStream, a1: net::Shutdown) -> io::Result<()> {
    <net::TcpStream>::shutdown(a0, a1)
}

fn net_tcpstream_try_clone<'e0>(a0: &'e0 net::TcpStream) -> io::Result<net::TcpStream> {
    <net::TcpStream>::try_clone(a0)
}

fn net_tcpstream_set_read_timeout<'e0>(
    a0: &'e0 net::TcpStream,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <net::TcpStream>::set_read_timeout(a0, a1)
}

fn net_tcpstream_set_write_timeout<'e0>(
    a0: &'e0 net::TcpStream,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <net::TcpStream>::set_write_timeout(a0, a1)
}

fn net_tcpstream_read_timeout<'e0>(
    a0: &'e0 net::TcpStream,
) -> io::Result<Option<::std::time::Duration>> {
    <net::TcpStream>::read_timeout(a0)
}

fn net_tcpstream_write_timeout<'e0>(
    a0: &'e0 net::TcpStream,
) -> io::Result<Option<::std::time::Duration>> {
    <net::TcpStream>::write_timeout(a0)
}

fn net_tcpstream_peek<'e0, 'e1>(a0: &'e0 net::TcpStream, a1: &'e1 mut [u8]) -> io::Result<usize> {
    <net::TcpStream>::peek(a0, a1)
}

fn net_tcpstream_set_nodelay<'e0>(a0: &'e0 net::TcpStream, a1: bool) -> io::Result<()> {
    <net::TcpStream>::set_nodelay(a0, a1)
}

fn net_tcpstream_nodelay<'e0>(a0: &'e0 net::TcpStream) -> io::Result<bool> {
    <net::TcpStream>::nodelay(a0)
}

fn net_tcpstream_set_ttl<'e0>(a0: &'e0 net::TcpStream, a1: u32) -> io::Result<()> {
    <net::TcpStream>::set_ttl(a0, a1)
}

fn net_tcpstream_ttl<'e0>(a0: &'e0 net::TcpStream) -> io::Result<u32> {
    <net::TcpStream>::ttl(a0)
}

fn net_tcpstream_take_error<'e0>(a0: &'e0 net::TcpStream) -> io::Result<Option<io::Error>> {
    <net::TcpStream>::take_error(a0)
}

fn net_tcpstream_set_nonblocking<'e0>(a0: &'e0 net::TcpStream, a1: bool) -> io::Result<()> {
    <net::TcpStream>::set_nonblocking(a0, a1)
}

const _: () = {
    fn is<
        X: io::Read
            + io::Write
            + Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + os::linux::net::TcpStreamExt
            + ?Sized,
    >() {
    }
    fn ask(_: &net::TcpStream) {
        is::<net::TcpStream>()
    }
};

const _: () = {
    fn is<X: io::Read + io::Write + ?Sized>() {}
    fn ask<'e0>(_: &&'e0 net::TcpStream) {
        is::<&'e0 net::TcpStream>()
    }
};

const _: () = {
    fn is<X: From<net::TcpStream> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

fn net_tosocketaddrs_to_socket_addrs<'e0, Own: net::ToSocketAddrs + ?Sized>(
    a0: &'e0 Own,
) -> io::Result<Own::Iter> {
    <Own as net::ToSocketAddrs>::to_socket_addrs(a0)
}

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::option::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &net::SocketAddr) {
        is::<net::SocketAddr>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::option::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &net::SocketAddrV4) {
        is::<net::SocketAddrV4>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::option::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &net::SocketAddrV6) {
        is::<net::SocketAddrV6>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::option::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &(net::IpAddr, u16)) {
        is::<(net::IpAddr, u16)>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::option::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &(net::Ipv4Addr, u16)) {
        is::<(net::Ipv4Addr, u16)>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::option::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &(net::Ipv6Addr, u16)) {
        is::<(net::Ipv6Addr, u16)>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::vec::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask<'e0>(_: &(&'e0 str, u16)) {
        is::<(&'e0 str, u16)>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::vec::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &(String, u16)) {
        is::<(String, u16)>()
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::vec::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &str) {
        is::<str>()
    }
};

const _: () = {
    fn ask<'a>(
        a0: &'a [net::SocketAddr],
    ) -> impl net::ToSocketAddrs<Iter = ::std::iter::Cloned<::std::slice::Iter<'a, net::SocketAddr>>>
    {
        a0
    }
};

const _: () = {
    fn ask<'e0, T: net::ToSocketAddrs + ?Sized>(
        a0: &'e0 T,
    ) -> impl net::ToSocketAddrs<Iter = <T as net::ToSocketAddrs>::Iter> {
        a0
    }
};

const _: () = {
    fn is<X: net::ToSocketAddrs<Iter = ::std::vec::IntoIter<net::SocketAddr>> + ?Sized>() {}
    fn ask(_: &String) {
        is::<String>()
    }
};

fn net_udpsocket_bind<A: net::ToSocketAddrs>(a0: A) -> io::Result<net::UdpSocket> {
    <net::UdpSocket>::bind(a0)
}

fn net_udpsocket_recv_from<'e0, 'e1>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 mut [u8],
) -> io::Result<(usize, net::SocketAddr)> {
    <net::UdpSocket>::recv_from(a0, a1)
}

fn net_udpsocket_peek_from<'e0, 'e1>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 mut [u8],
) -> io::Result<(usize, net::SocketAddr)> {
    <net::UdpSocket>::peek_from(a0, a1)
}

fn net_udpsocket_send_to<'e0, 'e1, A: net::ToSocketAddrs>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 [u8],
    a2: A,
) -> io::Result<usize> {
    <net::UdpSocket>::send_to(a0, a1, a2)
}

fn net_udpsocket_peer_addr<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<net::SocketAddr> {
    <net::UdpSocket>::peer_addr(a0)
}

fn net_udpsocket_local_addr<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<net::SocketAddr> {
    <net::UdpSocket>::local_addr(a0)
}

fn net_udpsocket_try_clone<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<net::UdpSocket> {
    <net::UdpSocket>::try_clone(a0)
}

fn net_udpsocket_set_read_timeout<'e0>(
    a0: &'e0 net::UdpSocket,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <net::UdpSocket>::set_read_timeout(a0, a1)
}

fn net_udpsocket_set_write_timeout<'e0>(
    a0: &'e0 net::UdpSocket,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <net::UdpSocket>::set_write_timeout(a0, a1)
}

fn net_udpsocket_read_timeout<'e0>(
    a0: &'e0 net::UdpSocket,
) -> io::Result<Option<::std::time::Duration>> {
    <net::UdpSocket>::read_timeout(a0)
}

fn net_udpsocket_write_timeout<'e0>(
    a0: &'e0 net::UdpSocket,
) -> io::Result<Option<::std::time::Duration>> {
    <net::UdpSocket>::write_timeout(a0)
}

fn net_udpsocket_set_broadcast<'e0>(a0: &'e0 net::UdpSocket, a1: bool) -> io::Result<()> {
    <net::UdpSocket>::set_broadcast(a0, a1)
}

fn net_udpsocket_broadcast<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<bool> {
    <net::UdpSocket>::broadcast(a0)
}

fn net_udpsocket_set_multicast_loop_v4<'e0>(a0: &'e0 net::UdpSocket, a1: bool) -> io::Result<()> {
    <net::UdpSocket>::set_multicast_loop_v4(a0, a1)
}

fn net_udpsocket_multicast_loop_v4<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<bool> {
    <net::UdpSocket>::multicast_loop_v4(a0)
}

fn net_udpsocket_set_multicast_ttl_v4<'e0>(a0: &'e0 net::UdpSocket, a1: u32) -> io::Result<()> {
    <net::UdpSocket>::set_multicast_ttl_v4(a0, a1)
}

fn net_udpsocket_multicast_ttl_v4<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<u32> {
    <net::UdpSocket>::multicast_ttl_v4(a0)
}

fn net_udpsocket_set_multicast_loop_v6<'e0>(a0: &'e0 net::UdpSocket, a1: bool) -> io::Result<()> {
    <net::UdpSocket>::set_multicast_loop_v6(a0, a1)
}

fn net_udpsocket_multicast_loop_v6<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<bool> {
    <net::UdpSocket>::multicast_loop_v6(a0)
}

fn net_udpsocket_set_ttl<'e0>(a0: &'e0 net::UdpSocket, a1: u32) -> io::Result<()> {
    <net::UdpSocket>::set_ttl(a0, a1)
}

fn net_udpsocket_ttl<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<u32> {
    <net::UdpSocket>::ttl(a0)
}

fn net_udpsocket_join_multicast_v4<'e0, 'e1, 'e2>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 net::Ipv4Addr,
    a2: &'e2 net::Ipv4Addr,
) -> io::Result<()> {
    <net::UdpSocket>::join_multicast_v4(a0, a1, a2)
}

fn net_udpsocket_join_multicast_v6<'e0, 'e1>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 net::Ipv6Addr,
    a2: u32,
) -> io::Result<()> {
    <net::UdpSocket>::join_multicast_v6(a0, a1, a2)
}

fn net_udpsocket_leave_multicast_v4<'e0, 'e1, 'e2>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 net::Ipv4Addr,
    a2: &'e2 net::Ipv4Addr,
) -> io::Result<()> {
    <net::UdpSocket>::leave_multicast_v4(a0, a1, a2)
}

fn net_udpsocket_leave_multicast_v6<'e0, 'e1>(
    a0: &'e0 net::UdpSocket,
    a1: &'e1 net::Ipv6Addr,
    a2: u32,
) -> io::Result<()> {
    <net::UdpSocket>::leave_multicast_v6(a0, a1, a2)
}

fn net_udpsocket_take_error<'e0>(a0: &'e0 net::UdpSocket) -> io::Result<Option<io::Error>> {
    <net::UdpSocket>::take_error(a0)
}

fn net_udpsocket_connect<'e0, A: net::ToSocketAddrs>(
    a0: &'e0 net::UdpSocket,
    a1: A,
) -> io::Result<()> {
    <net::UdpSocket>::connect(a0, a1)
}

fn net_udpsocket_send<'e0, 'e1>(a0: &'e0 net::UdpSocket, a1: &'e1 [u8]) -> io::Result<usize> {
    <net::UdpSocket>::send(a0, a1)
}

fn net_udpsocket_recv<'e0, 'e1>(a0: &'e0 net::UdpSocket, a1: &'e1 mut [u8]) -> io::Result<usize> {
    <net::UdpSocket>::recv(a0, a1)
}

fn net_udpsocket_peek<'e0, 'e1>(a0: &'e0 net::UdpSocket, a1: &'e1 mut [u8]) -> io::Result<usize> {
    <net::UdpSocket>::peek(a0, a1)
}

fn net_udpsocket_set_nonblocking<'e0>(a0: &'e0 net::UdpSocket, a1: bool) -> io::Result<()> {
    <net::UdpSocket>::set_nonblocking(a0, a1)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ?Sized,
    >() {
    }
    fn ask(_: &net::UdpSocket) {
        is::<net::UdpSocket>()
    }
};

const _: () = {
    fn is<X: From<net::UdpSocket> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

fn os_linux_net_tcpstreamext_set_quickack<'e0, Own: os::linux::net::TcpStreamExt + ?Sized>(
    a0: &'e0 Own,
    a1: bool,
) -> io::Result<()> {
    <Own as os::linux::net::TcpStreamExt>::set_quickack(a0, a1)
}

fn os_linux_net_tcpstreamext_quickack<'e0, Own: os::linux::net::TcpStreamExt + ?Sized>(
    a0: &'e0 Own,
) -> io::Result<bool> {
    <Own as os::linux::net::TcpStreamExt>::quickack(a0)
}

const _: () = {
    fn is<X: os::linux::net::TcpStreamExt + ?Sized>() {}
    fn ask(_: &net::TcpStream) {
        is::<net::TcpStream>()
    }
};
