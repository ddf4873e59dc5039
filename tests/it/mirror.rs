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
use std::process::Stdio;
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

pub(crate) use differences;
pub(crate) use implements;

/// Kind and text of the error that an expression gives with our types and with std's.
macro_rules! errors {
    ($($imports:ident)::+; $($body:tt)*) => {{
        #[allow(unused_imports)]
        use $($imports)::+::{TcpListener, TcpStream, ToSocketAddrs};

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
