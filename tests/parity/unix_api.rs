// Written by `.ci/api --write`: what is stable in std, of unix.

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + Iterator<Item = Result<os::unix::net::UnixStream, io::Error>>
            + ?Sized,
    >() {
    }
    fn ask<'a>(_: &os::unix::net::Incoming<'a>) {
        is::<os::unix::net::Incoming<'a>>()
    }
};

fn os_unix_net_unixdatagram_bind<P: AsRef<::std::path::Path>>(
    a0: P,
) -> io::Result<os::unix::net::UnixDatagram> {
    <os::unix::net::UnixDatagram>::bind(a0)
}

fn os_unix_net_unixdatagram_bind_addr<'e0>(
    a0: &'e0 os::unix::net::SocketAddr,
) -> io::Result<os::unix::net::UnixDatagram> {
    <os::unix::net::UnixDatagram>::bind_addr(a0)
}

fn os_unix_net_unixdatagram_unbound() -> io::Result<os::unix::net::UnixDatagram> {
    <os::unix::net::UnixDatagram>::unbound()
}

fn os_unix_net_unixdatagram_pair()
-> io::Result<(os::unix::net::UnixDatagram, os::unix::net::UnixDatagram)> {
    <os::unix::net::UnixDatagram>::pair()
}

fn os_unix_net_unixdatagram_connect<'e0, P: AsRef<::std::path::Path>>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: P,
) -> io::Result<()> {
    <os::unix::net::UnixDatagram>::connect(a0, a1)
}

fn os_unix_net_unixdatagram_connect_addr<'e0, 'e1>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: &'e1 os::unix::net::SocketAddr,
) -> io::Result<()> {
    <os::unix::net::UnixDatagram>::connect_addr(a0, a1)
}

fn os_unix_net_unixdatagram_try_clone<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
) -> io::Result<os::unix::net::UnixDatagram> {
    <os::unix::net::UnixDatagram>::try_clone(a0)
}

fn os_unix_net_unixdatagram_local_addr<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
) -> io::Result<os::unix::net::SocketAddr> {
    <os::unix::net::UnixDatagram>::local_addr(a0)
}

fn os_unix_net_unixdatagram_peer_addr<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
) -> io::Result<os::unix::net::SocketAddr> {
    <os::unix::net::UnixDatagram>::peer_addr(a0)
}

fn os_unix_net_unixdatagram_recv_from<'e0, 'e1>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: &'e1 mut [u8],
) -> io::Result<(usize, os::unix::net::SocketAddr)> {
    <os::unix::net::UnixDatagram>::recv_from(a0, a1)
}

fn os_unix_net_unixdatagram_recv<'e0, 'e1>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: &'e1 mut [u8],
) -> io::Result<usize> {
    <os::unix::net::UnixDatagram>::recv(a0, a1)
}

fn os_unix_net_unixdatagram_send_to<'e0, 'e1, P: AsRef<::std::path::Path>>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: &'e1 [u8],
    a2: P,
) -> io::Result<usize> {
    <os::unix::net::UnixDatagram>::send_to(a0, a1, a2)
}

fn os_unix_net_unixdatagram_send_to_addr<'e0, 'e1, 'e2>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: &'e1 [u8],
    a2: &'e2 os::unix::net::SocketAddr,
) -> io::Result<usize> {
    <os::unix::net::UnixDatagram>::send_to_addr(a0, a1, a2)
}

fn os_unix_net_unixdatagram_send<'e0, 'e1>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: &'e1 [u8],
) -> io::Result<usize> {
    <os::unix::net::UnixDatagram>::send(a0, a1)
}

fn os_unix_net_unixdatagram_set_read_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <os::unix::net::UnixDatagram>::set_read_timeout(a0, a1)
}

fn os_unix_net_unixdatagram_set_write_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <os::unix::net::UnixDatagram>::set_write_timeout(a0, a1)
}

fn os_unix_net_unixdatagram_read_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
) -> io::Result<Option<::std::time::Duration>> {
    <os::unix::net::UnixDatagram>::read_timeout(a0)
}

fn os_unix_net_unixdatagram_write_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
) -> io::Result<Option<::std::time::Duration>> {
    <os::unix::net::UnixDatagram>::write_timeout(a0)
}

fn os_unix_net_unixdatagram_set_nonblocking<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: bool,
) -> io::Result<()> {
    <os::unix::net::UnixDatagram>::set_nonblocking(a0, a1)
}

fn os_unix_net_unixdatagram_take_error<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
) -> io::Result<Option<io::Error>> {
    <os::unix::net::UnixDatagram>::take_error(a0)
}

fn os_unix_net_unixdatagram_shutdown<'e0>(
    a0: &'e0 os::unix::net::UnixDatagram,
    a1: net::Shutdown,
) -> io::Result<()> {
    <os::unix::net::UnixDatagram>::shutdown(a0, a1)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ?Sized,
    >() {
    }
    fn ask(_: &os::unix::net::UnixDatagram) {
        is::<os::unix::net::UnixDatagram>()
    }
};

const _: () = {
    fn is<X: From<os::unix::net::UnixDatagram> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

fn os_unix_net_unixlistener_bind<P: AsRef<::std::path::Path>>(
    a0: P,
) -> io::Result<os::unix::net::UnixListener> {
    <os::unix::net::UnixListener>::bind(a0)
}

fn os_unix_net_unixlistener_bind_addr<'e0>(
    a0: &'e0 os::unix::net::SocketAddr,
) -> io::Result<os::unix::net::UnixListener> {
    <os::unix::net::UnixListener>::bind_addr(a0)
}

fn os_unix_net_unixlistener_accept<'e0>(
    a0: &'e0 os::unix::net::UnixListener,
) -> io::Result<(os::unix::net::UnixStream, os::unix::net::SocketAddr)> {
    <os::unix::net::UnixListener>::accept(a0)
}

fn os_unix_net_unixlistener_try_clone<'e0>(
    a0: &'e0 os::unix::net::UnixListener,
) -> io::Result<os::unix::net::UnixListener> {
    <os::unix::net::UnixListener>::try_clone(a0)
}

fn os_unix_net_unixlistener_local_addr<'e0>(
    a0: &'e0 os::unix::net::UnixListener,
) -> io::Result<os::unix::net::SocketAddr> {
    <os::unix::net::UnixListener>::local_addr(a0)
}

fn os_unix_net_unixlistener_set_nonblocking<'e0>(
    a0: &'e0 os::unix::net::UnixListener,
    a1: bool,
) -> io::Result<()> {
    <os::unix::net::UnixListener>::set_nonblocking(a0, a1)
}

fn os_unix_net_unixlistener_take_error<'e0>(
    a0: &'e0 os::unix::net::UnixListener,
) -> io::Result<Option<io::Error>> {
    <os::unix::net::UnixListener>::take_error(a0)
}

fn os_unix_net_unixlistener_incoming<'e0>(
    a0: &'e0 os::unix::net::UnixListener,
) -> os::unix::net::Incoming<'e0> {
    <os::unix::net::UnixListener>::incoming(a0)
}

const _: () = {
    fn is<
        X: Send
            + Sync
            + Unpin
            + ::std::panic::UnwindSafe
            + ::std::panic::RefUnwindSafe
            + ::std::fmt::Debug
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ?Sized,
    >() {
    }
    fn ask(_: &os::unix::net::UnixListener) {
        is::<os::unix::net::UnixListener>()
    }
};

const _: () = {
    fn is<X: From<os::unix::net::UnixListener> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

const _: () = {
    fn ask<'a>(
        a0: &'a os::unix::net::UnixListener,
    ) -> impl IntoIterator<
        Item = Result<os::unix::net::UnixStream, io::Error>,
        IntoIter = os::unix::net::Incoming<'a>,
    > {
        a0
    }
};

fn os_unix_net_unixstream_connect<P: AsRef<::std::path::Path>>(
    a0: P,
) -> io::Result<os::unix::net::UnixStream> {
    <os::unix::net::UnixStream>::connect(a0)
}

fn os_unix_net_unixstream_connect_addr<'e0>(
    a0: &'e0 os::unix::net::SocketAddr,
) -> io::Result<os::unix::net::UnixStream> {
    <os::unix::net::UnixStream>::connect_addr(a0)
}

fn os_unix_net_unixstream_pair()
-> io::Result<(os::unix::net::UnixStream, os::unix::net::UnixStream)> {
    <os::unix::net::UnixStream>::pair()
}

fn os_unix_net_unixstream_try_clone<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
) -> io::Result<os::unix::net::UnixStream> {
    <os::unix::net::UnixStream>::try_clone(a0)
}

fn os_unix_net_unixstream_local_addr<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
) -> io::Result<os::unix::net::SocketAddr> {
    <os::unix::net::UnixStream>::local_addr(a0)
}

fn os_unix_net_unixstream_peer_addr<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
) -> io::Result<os::unix::net::SocketAddr> {
    <os::unix::net::UnixStream>::peer_addr(a0)
}

fn os_unix_net_unixstream_set_read_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <os::unix::net::UnixStream>::set_read_timeout(a0, a1)
}

fn os_unix_net_unixstream_set_write_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
    a1: Option<::std::time::Duration>,
) -> io::Result<()> {
    <os::unix::net::UnixStream>::set_write_timeout(a0, a1)
}

fn os_unix_net_unixstream_read_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
) -> io::Result<Option<::std::time::Duration>> {
    <os::unix::net::UnixStream>::read_timeout(a0)
}

fn os_unix_net_unixstream_write_timeout<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
) -> io::Result<Option<::std::time::Duration>> {
    <os::unix::net::UnixStream>::write_timeout(a0)
}

fn os_unix_net_unixstream_set_nonblocking<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
    a1: bool,
) -> io::Result<()> {
    <os::unix::net::UnixStream>::set_nonblocking(a0, a1)
}

fn os_unix_net_unixstream_take_error<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
) -> io::Result<Option<io::Error>> {
    <os::unix::net::UnixStream>::take_error(a0)
}

fn os_unix_net_unixstream_shutdown<'e0>(
    a0: &'e0 os::unix::net::UnixStream,
    a1: net::Shutdown,
) -> io::Result<()> {
    <os::unix::net::UnixStream>::shutdown(a0, a1)
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
            + ::std::os::fd::AsRawFd
            + ::std::os::fd::FromRawFd
            + ::std::os::fd::IntoRawFd
            + ::std::os::fd::AsFd
            + From<::std::os::fd::OwnedFd>
            + ?Sized,
    >() {
    }
    fn ask(_: &os::unix::net::UnixStream) {
        is::<os::unix::net::UnixStream>()
    }
};

const _: () = {
    fn is<X: io::Read + io::Write + ?Sized>() {}
    fn ask<'a>(_: &&'a os::unix::net::UnixStream) {
        is::<&'a os::unix::net::UnixStream>()
    }
};

const _: () = {
    fn is<X: From<os::unix::net::UnixStream> + ?Sized>() {}
    fn ask(_: &::std::os::fd::OwnedFd) {
        is::<::std::os::fd::OwnedFd>()
    }
};

fn os_unix_prelude_commandext_uid<'e0, Own: os::unix::prelude::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
    a1: u32,
) -> &'e0 mut process::Command {
    <Own as os::unix::prelude::CommandExt>::uid(a0, a1)
}

fn os_unix_prelude_commandext_gid<'e0, Own: os::unix::prelude::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
    a1: u32,
) -> &'e0 mut process::Command {
    <Own as os::unix::prelude::CommandExt>::gid(a0, a1)
}

unsafe fn os_unix_prelude_commandext_pre_exec<'e0, Own: os::unix::prelude::CommandExt + ?Sized, F>(
    a0: &'e0 mut Own,
    a1: F,
) -> &'e0 mut process::Command
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: as this function's caller vouches.
    unsafe { <Own as os::unix::prelude::CommandExt>::pre_exec(a0, a1) }
}

unsafe fn os_unix_prelude_commandext_before_exec<
    'e0,
    Own: os::unix::prelude::CommandExt + ?Sized,
    F,
>(
    a0: &'e0 mut Own,
    a1: F,
) -> &'e0 mut process::Command
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: as this function's caller vouches.
    unsafe { <Own as os::unix::prelude::CommandExt>::before_exec(a0, a1) }
}

fn os_unix_prelude_commandext_exec<'e0, Own: os::unix::prelude::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
) -> io::Error {
    <Own as os::unix::prelude::CommandExt>::exec(a0)
}

fn os_unix_prelude_commandext_arg0<'e0, Own: os::unix::prelude::CommandExt + ?Sized, S>(
    a0: &'e0 mut Own,
    a1: S,
) -> &'e0 mut process::Command
where
    S: AsRef<::std::ffi::OsStr>,
{
    <Own as os::unix::prelude::CommandExt>::arg0(a0, a1)
}

fn os_unix_prelude_commandext_process_group<'e0, Own: os::unix::prelude::CommandExt + ?Sized>(
    a0: &'e0 mut Own,
    a1: i32,
) -> &'e0 mut process::Command {
    <Own as os::unix::prelude::CommandExt>::process_group(a0, a1)
}

const _: () = {
    fn is<X: os::unix::process::CommandExt + ?Sized>() {}
    fn ask(_: &process::Command) {
        is::<process::Command>()
    }
};
