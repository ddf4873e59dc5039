//! The mirror: what std's types implement, and what std's errors say.

use std::fmt::Debug;
use std::io;
use std::io::BufRead;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::time::Duration;

use crate::support::run;

/// Whether a type implements a trait: the inherent constant goes before that of the trait.
macro_rules! implements {
    ($type:ty, $trait:path) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const ANSWER: bool = false;
        }

        struct Question<T: ?Sized>(#[allow(dead_code)] std::marker::PhantomData<T>);

        impl<T: ?Sized> Otherwise for Question<T> {}

        #[allow(dead_code)]
        impl<T: ?Sized + $trait> Question<T> {
            const ANSWER: bool = true;
        }

        Question::<$type>::ANSWER
    }};
}

/// Gives the traits in which two types differ.
macro_rules! differences {
    ($ours:ty, $std:ty) => {
        differences!(
            $ours, $std: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug, Clone, Read, Write,
            AsFd, AsRawFd, IntoRawFd, FromRawFd, From<OwnedFd>, Into<OwnedFd>, Iterator,
            FusedIterator, Seek, FileExt, BufRead
        )
    };
    ($ours:ty, $std:ty: $($trait:path),*) => {{
        let answers = [
            $((stringify!($trait), implements!($ours, $trait), implements!($std, $trait))),*
        ];
        answers.into_iter().filter(|(_, ours, std)| ours != std).collect::<Vec<_>>()
    }};
}

#[test]
fn the_traits_are_stds() {
    use corovent::net;

    assert_eq!(differences!(net::TcpStream, std::net::TcpStream), []);
    assert_eq!(differences!(&'static net::TcpStream, &'static std::net::TcpStream), []);
    assert_eq!(differences!(net::TcpListener, std::net::TcpListener), []);
    assert_eq!(differences!(net::Incoming<'static>, std::net::Incoming<'static>), []);
    assert_eq!(differences!(net::UdpSocket, std::net::UdpSocket), []);

    use corovent::io;
    use corovent::process;
    use std::process::Stdio;

    macro_rules! pipes_alike {
        ($ours:ty, $std:ty) => {
            assert_eq!(differences!($ours, $std), []);
            assert_eq!(differences!(&'static $ours, &'static $std), []);
            assert_eq!(differences!($ours, $std: Into<Stdio>), []);
        };
    }
    pipes_alike!(io::PipeReader, std::io::PipeReader);
    pipes_alike!(io::PipeWriter, std::io::PipeWriter);
    pipes_alike!(process::ChildStdin, std::process::ChildStdin);
    pipes_alike!(process::ChildStdout, std::process::ChildStdout);
    pipes_alike!(process::ChildStderr, std::process::ChildStderr);
    assert_eq!(differences!(process::Child, std::process::Child), []);
    assert_eq!(differences!(process::Command, std::process::Command), []);
    {
        use corovent::fs;

        assert_eq!(differences!(fs::File, std::fs::File), []);
        assert_eq!(differences!(fs::File, std::fs::File: Into<Stdio>), []);
        assert_eq!(differences!(&'static fs::File, &'static std::fs::File), []);
        assert_eq!(differences!(fs::OpenOptions, std::fs::OpenOptions), []);
        assert_eq!(differences!(fs::DirBuilder, std::fs::DirBuilder), []);
        assert_eq!(differences!(fs::ReadDir, std::fs::ReadDir), []);
        assert_eq!(differences!(fs::DirEntry, std::fs::DirEntry), []);
    }
    {
        use corovent::io;

        assert_eq!(differences!(io::Stdin, std::io::Stdin), []);
        assert_eq!(differences!(&'static io::Stdin, &'static std::io::Stdin), []);
        assert_eq!(differences!(io::StdinLock<'static>, std::io::StdinLock<'static>), []);
        assert_eq!(differences!(io::Stdout, std::io::Stdout), []);
        assert_eq!(differences!(&'static io::Stdout, &'static std::io::Stdout), []);
        assert_eq!(differences!(io::StdoutLock<'static>, std::io::StdoutLock<'static>), []);
        assert_eq!(differences!(io::Stderr, std::io::Stderr), []);
        assert_eq!(differences!(io::Stdout, std::io::Stdout: Into<Stdio>), []);
        assert_eq!(differences!(io::Stderr, std::io::Stderr: Into<Stdio>), []);
        assert_eq!(differences!(&'static io::Stderr, &'static std::io::Stderr), []);
        assert_eq!(differences!(io::StderrLock<'static>, std::io::StderrLock<'static>), []);
    }
    // The question is one that can be answered with no.
    assert_eq!(differences!(std::rc::Rc<u8>, std::sync::Arc<u8>).len(), 2);
}

#[test]
fn the_traits_of_unix_sockets_are_stds() {
    use corovent::os::unix::net;
    use std::os::unix::net as std_net;

    assert_eq!(differences!(net::UnixStream, std_net::UnixStream), []);
    assert_eq!(differences!(&'static net::UnixStream, &'static std_net::UnixStream), []);
    assert_eq!(differences!(net::UnixListener, std_net::UnixListener), []);
    assert_eq!(differences!(net::UnixDatagram, std_net::UnixDatagram), []);
    assert_eq!(differences!(net::Incoming<'static>, std_net::Incoming<'static>), []);
    assert!(implements!(&'static net::UnixListener, IntoIterator));
}

pub(crate) use differences;
pub(crate) use implements;

#[test]
fn children_and_pipes_look_like_stds() {
    let text = |text: String| text.replace(|c: char| c.is_ascii_digit(), "");
    let (reader, writer) = corovent::io::pipe().unwrap();
    let (std_reader, std_writer) = std::io::pipe().unwrap();
    assert_eq!(text(format!("{reader:?}")), text(format!("{std_reader:?}")));
    assert_eq!(text(format!("{writer:?}")), text(format!("{std_writer:?}")));
    let piped = std::process::Stdio::piped;
    let mut ours = corovent::process::Command::new("cat");
    let mut ours = ours.stdin(piped()).stdout(piped()).spawn().unwrap();
    let mut theirs = std::process::Command::new("cat");
    let mut theirs = theirs.stdin(piped()).stdout(piped()).spawn().unwrap();
    assert_eq!(text(format!("{ours:#?}")), text(format!("{theirs:#?}")));
    run(|| assert_eq!(ours.wait().unwrap(), theirs.wait().unwrap()));
}

/// Kind and text of the error that an expression gives with our types and with std's.
macro_rules! errors {
    ($($imports:ident)::+; $($body:tt)*) => {{
        #[allow(unused_imports)]
        use $($imports)::+::*;

        let program = || -> io::Result<()> { $($body)* };
        program().map_err(|error| (error.kind(), error.raw_os_error(), error.to_string()))
    }};
}

/// Asserts that an expression fails in the same way in both worlds.
macro_rules! fails_alike {
    ($($body:tt)*) => {{
        let ours = errors!(corovent::net; $($body)*.map(drop));
        let theirs = errors!(std::net; $($body)*.map(drop));
        assert_eq!(ours, theirs, "{}", stringify!($($body)*));
        assert!(theirs.is_err(), "{}", stringify!($($body)*));
    }};
}

/// The same for Unix sockets.
macro_rules! unix_fails_alike {
    ($($body:tt)*) => {{
        let ours = errors!(corovent::os::unix::net; $($body)*.map(drop));
        let theirs = errors!(std::os::unix::net; $($body)*.map(drop));
        assert_eq!(ours, theirs, "{}", stringify!($($body)*));
        assert!(theirs.is_err(), "{}", stringify!($($body)*));
    }};
}

#[test]
fn the_errors_of_udp_are_stds() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let none: &[SocketAddr] = &[];
    run(|| {
        fails_alike!(UdpSocket::bind(none));
        fails_alike!(UdpSocket::bind(addr));
        fails_alike!(UdpSocket::bind("1.1.1.1:9"));
        fails_alike!(UdpSocket::bind("127.0.0.1"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.connect(none));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.connect("[::1]:x"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.connect("255.255.255.255:1"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.peer_addr());
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.send(b"to nobody"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", none));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", "[::1]:1"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", "255.255.255.255:1"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", "127.0.0.1:0"));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.send_to(&vec![0; 1 << 17], addr));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.set_read_timeout(Some(Duration::ZERO)));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.set_write_timeout(Some(Duration::ZERO)));
        fails_alike!(UdpSocket::bind("127.0.0.1:0")?.set_ttl(1000));
        fails_alike!({
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(Some(Duration::from_nanos(1)))?;
            socket.recv_from(&mut [0])
        });
        fails_alike!({
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_nonblocking(true)?;
            socket.peek(&mut [0])
        });
        fails_alike!({
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect("127.0.0.1:1")?;
            socket.send(b"x")?;
            socket.recv(&mut [0])
        });
        fails_alike!({
            let file = std::fs::File::open("/dev/null")?;
            UdpSocket::from(OwnedFd::from(file)).recv(&mut [0])
        });
        // It receives, but an address of that family has no place in the result.
        fails_alike!({
            let (one, other) = std::os::unix::net::UnixDatagram::pair()?;
            other.send(b"x")?;
            UdpSocket::from(OwnedFd::from(one)).recv_from(&mut [0])
        });
    });
}

#[test]
fn the_errors_of_unix_sockets_are_stds() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let _listener = std::os::unix::net::UnixListener::bind(path("stream")).unwrap();
    let _receiver = std::os::unix::net::UnixDatagram::bind(path("datagram")).unwrap();
    let _gone = std::os::unix::net::UnixListener::bind(path("gone"));
    drop(_gone);
    let long = "x".repeat(108);
    run(|| {
        for at in ["", "a\0b", &long, "/no/such/directory/sock"] {
            unix_fails_alike!(UnixStream::connect(at));
            unix_fails_alike!(UnixDatagram::unbound()?.connect(at));
            unix_fails_alike!(UnixDatagram::unbound()?.send_to(b"x", at));
            unix_fails_alike!(UnixStream::connect_addr(&SocketAddr::from_pathname(at)?));
        }
        for at in ["a\0b", &long, "/no/such/directory/sock"] {
            unix_fails_alike!(UnixListener::bind(at));
            unix_fails_alike!(UnixDatagram::bind(at));
        }
        for name in ["none", "datagram", "gone", "."] {
            unix_fails_alike!(UnixStream::connect(path(name)));
        }
        for name in ["none", "stream", "gone", "."] {
            unix_fails_alike!(UnixDatagram::unbound()?.connect(path(name)));
            unix_fails_alike!(UnixDatagram::unbound()?.send_to(b"x", path(name)));
        }
        unix_fails_alike!(UnixListener::bind(path("stream")));
        unix_fails_alike!(UnixDatagram::bind(path("datagram")));
        unix_fails_alike!(UnixDatagram::unbound()?.send(b"to nobody"));
        unix_fails_alike!(UnixDatagram::unbound()?.peer_addr());
        unix_fails_alike!(UnixDatagram::unbound()?.set_read_timeout(Some(Duration::ZERO)));
        unix_fails_alike!(UnixStream::pair()?.0.set_write_timeout(Some(Duration::ZERO)));
        unix_fails_alike!(UnixDatagram::pair()?.0.send(&vec![0; 1 << 24]));
        unix_fails_alike!({
            let (stream, _other) = UnixStream::pair()?;
            stream.set_read_timeout(Some(Duration::from_nanos(1)))?;
            (&stream).read(&mut [0])
        });
        unix_fails_alike!({
            let (socket, other) = UnixDatagram::pair()?;
            drop(other);
            socket.send(b"x")
        });
        unix_fails_alike!({
            let stream = UnixStream::pair()?.0;
            (&stream).write(b"x")
        });
        unix_fails_alike!({
            let listener = std::os::unix::net::UnixListener::bind(path("ours"))?;
            std::fs::remove_file(path("ours"))?;
            let listener = UnixListener::from(OwnedFd::from(listener));
            listener.set_nonblocking(true)?;
            listener.accept()
        });
        // It accepts, but an address of that family has no place in the result.
        unix_fails_alike!({
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
            UnixListener::from(OwnedFd::from(listener)).accept()
        });
        unix_fails_alike!({
            let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
            socket.send_to(b"x", socket.local_addr()?)?;
            UnixDatagram::from(OwnedFd::from(socket)).recv_from(&mut [0])
        });
    });
}

/// The text that `{:?}` gives, as std's types give it.
#[test]
fn the_debug_outputs_are_stds() {
    #[track_caller]
    fn alike<Ours: Debug + Into<Std>, Std: Debug>(ours: Ours) {
        let text = format!("{ours:?}");
        assert_eq!(text, format!("{:?}", ours.into()));
    }

    use corovent::net;
    use corovent::os::unix::net as unix;

    run(|| {
        let dir = tempfile::tempdir().unwrap();
        alike::<_, std::net::UdpSocket>(net::UdpSocket::bind("127.0.0.1:0").unwrap());
        alike::<_, std::net::TcpListener>(net::TcpListener::bind("127.0.0.1:0").unwrap());
        alike::<_, std::os::unix::net::UnixStream>(unix::UnixStream::pair().unwrap().0);
        let listener = unix::UnixListener::bind(dir.path().join("a")).unwrap();
        let text = format!("{:?}", listener.incoming());
        let listener = std::os::unix::net::UnixListener::from(listener);
        assert_eq!(text, format!("{:?}", listener.incoming()));
        alike::<_, std::os::unix::net::UnixListener>(unix::UnixListener::from(listener));
        let datagram = unix::UnixDatagram::bind(dir.path().join("b")).unwrap();
        alike::<_, std::os::unix::net::UnixDatagram>(datagram);
    });
}

#[test]
fn the_errors_of_connecting_and_binding_are_stds() {
    run(|| {
        // Nobody listens there.
        let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let none: &[SocketAddr] = &[];
        fails_alike!(TcpStream::connect(none));
        fails_alike!(TcpStream::connect(closed));
        fails_alike!(TcpStream::connect("127.0.0.1"));
        fails_alike!(TcpStream::connect("127.0.0.1:"));
        fails_alike!(TcpStream::connect("127.0.0.1:x"));
        fails_alike!(TcpStream::connect("127.0.0.1:99999"));
        fails_alike!(TcpStream::connect(""));
        fails_alike!(TcpStream::connect("[::1"));
        fails_alike!(TcpStream::connect("a\0b:80"));
        fails_alike!(TcpStream::connect(("no.such.host.invalid", 80)));
        fails_alike!(TcpStream::connect(("[::1]", 80)));
        fails_alike!(TcpStream::connect("224.0.0.1:1"));
        fails_alike!(TcpStream::connect("255.255.255.255:1"));
        fails_alike!(TcpStream::connect_timeout(&closed, Duration::from_secs(60)));
        fails_alike!(TcpStream::connect_timeout(&closed, Duration::MAX));
        fails_alike!(TcpListener::bind(none));
        fails_alike!(TcpListener::bind("1.1.1.1:9"));
        fails_alike!(TcpListener::bind("[::1]:x"));
    });
}

#[test]
fn the_errors_of_sockets_are_stds() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    run(|| {
        fails_alike!(TcpListener::bind(addr));
        fails_alike!(TcpStream::connect(addr)?.set_read_timeout(Some(Duration::ZERO)));
        fails_alike!(TcpStream::connect(addr)?.set_write_timeout(Some(Duration::ZERO)));
        fails_alike!(TcpStream::connect(addr)?.set_ttl(1000));
        fails_alike!({
            let mut stream = TcpStream::connect(addr)?;
            stream.set_nonblocking(true)?;
            stream.read(&mut [0])
        });
        fails_alike!({
            let mut stream = TcpStream::connect(addr)?;
            stream.set_read_timeout(Some(Duration::from_millis(1)))?;
            stream.read(&mut [0])
        });
        fails_alike!({
            let mut stream = TcpStream::connect(addr)?;
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.write(&[1])
        });
        fails_alike!({
            let listener = TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            listener.accept()
        });
    });
}

/// Descriptors that are something else than the type says.
#[test]
fn the_errors_of_other_descriptors_are_stds() {
    let path = std::env::temp_dir().join(format!("corovent-mirror-{}", std::process::id()));
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    run(|| {
        fails_alike!({
            let file = std::fs::File::open("/dev/null")?;
            TcpStream::from(OwnedFd::from(file)).read(&mut [0])
        });
        fails_alike!({
            let file = std::fs::File::open("/dev/null")?;
            TcpListener::from(OwnedFd::from(file)).accept()
        });
        fails_alike!({
            let stream = TcpStream::connect(addr)?;
            TcpListener::from(OwnedFd::from(stream)).accept()
        });
        fails_alike!({
            let listener = TcpListener::bind("127.0.0.1:0")?;
            TcpStream::from(OwnedFd::from(listener)).read(&mut [0])
        });
        // It accepts, but an address of that family has no place in the result.
        fails_alike!({
            let _client = std::os::unix::net::UnixStream::connect(&path)?;
            TcpListener::from(OwnedFd::from(unix.try_clone()?)).accept()
        });
    });
    std::fs::remove_file(&path).unwrap();
}
