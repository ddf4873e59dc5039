//! What can go wrong in a server that goes on, and what an error of accept(2) means to it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::io::Write;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a handler has failed: any error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Something that went wrong, and that the server goes on after: what the hook of
/// [`Builder::on_error`](crate::server::Builder::on_error) is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble<'a> {
    /// A connection could not be accepted, or a datagram not be received.
    #[non_exhaustive]
    Accept {
        /// What the kernel said.
        error: &'a io::Error,
        /// How long the server waits before it tries again; zero if only that connection is
        /// lost.
        pause: Duration,
    },
    /// There was no room for a handler's coroutine; the connection was closed.
    #[non_exhaustive]
    Spawn {
        /// What [`Builder::spawn`](corovent_runtime::Builder::spawn) said.
        error: &'a io::Error,
        /// How long the server waits before it accepts the next.
        pause: Duration,
    },
    /// A handler has returned an error.
    #[non_exhaustive]
    Handler {
        /// The other end.
        peer: &'a dyn fmt::Debug,
        /// What the handler returned.
        error: &'a (dyn Error + Send + Sync + 'static),
    },
    /// A handler has panicked. The panic hook has said so already.
    #[non_exhaustive]
    Panic {
        /// The other end.
        peer: &'a dyn fmt::Debug,
        /// What it panicked with.
        payload: &'a (dyn Any + Send),
    },
    /// A worker process could not be started, or has ended though nobody stopped it.
    #[non_exhaustive]
    Worker {
        /// The worker's number, from 0 on.
        number: usize,
        /// How it ended, or why it could not be started.
        status: io::Result<ExitStatus>,
        /// How long the server waits before it starts the next.
        pause: Duration,
    },
}

/// A hook for trouble.
pub(super) type Hook = dyn Fn(&Trouble<'_>) + Send + Sync;

/// The hook of a server that was given none: a line on stderr for whatever nobody else has
/// said. A connection that was gone before it was accepted is not worth one.
pub(super) fn tell(trouble: &Trouble<'_>) {
    let is_known = match trouble {
        Trouble::Accept { pause, .. } => pause.is_zero(),
        Trouble::Panic { .. } => true,
        _ => false,
    };
    if !is_known {
        // A program without stderr does not want to know.
        let _ = writeln!(io::stderr(), "corovent server: {trouble}");
    }
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Accept { error, pause } if pause.is_zero() => write!(f, "accept: {error}"),
            Trouble::Accept { error, pause } => {
                write!(f, "accept: {error}; the next attempt is in {pause:?}")
            }
            Trouble::Spawn { error, pause } => {
                write!(f, "no coroutine for a handler: {error}; the next is in {pause:?}")
            }
            Trouble::Handler { peer, error } => write!(f, "the handler of {peer:?}: {error}"),
            Trouble::Panic { peer, .. } => write!(f, "the handler of {peer:?} panicked"),
            Trouble::Worker { number, status: Ok(status), pause } => {
                write!(f, "worker {number} ended: {status}; the next is started in {pause:?}")
            }
            Trouble::Worker { number, status: Err(error), pause } => {
                write!(f, "worker {number}: {error}; the next attempt is in {pause:?}")
            }
        }
    }
}

/// What an error of accept(2) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is there, or only a look was taken.
    Empty,
    /// One connection was lost: the next may be there.
    Connection,
    /// Something has run out: it will come back.
    Overload,
    /// The listener is none, or none any more.
    Fatal,
}

/// Tells what an error of accept(2) or recvfrom(2) means.
pub(super) fn kind_of(error: &io::Error) -> Kind {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Kind::Empty;
    }
    match error.raw_os_error() {
        // Linux gives errors of the new connection as those of the call.
        Some(
            libc::ECONNABORTED
            | libc::ECONNREFUSED
            | libc::ECONNRESET
            | libc::EPROTO
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
            | libc::ENONET,
        ) => Kind::Connection,
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK) | None => Kind::Fatal,
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, and what is not known. EOPNOTSUPP may be that
        // of a connection, or come each time since the socket takes none.
        Some(_) => Kind::Overload,
    }
}

/// Pauses that double up to a limit, and begin anew after a success.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Between attempts to accept. gevent's limits.
    pub(super) const fn of_accept() -> Backoff {
        Backoff::between(Duration::from_millis(10), Duration::from_secs(1))
    }

    pub(super) const fn between(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, next: first }
    }

    pub(super) fn take(&mut self) -> Duration {
        let longer = (2 * self.next).min(self.longest);
        std::mem::replace(&mut self.next, longer)
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_begin_anew() {
        let mut backoff = Backoff::of_accept();
        let ms: Vec<_> = (0..9).map(|_| backoff.take().as_millis()).collect();
        assert_eq!(ms, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.take().as_millis(), 10);
    }

    #[test]
    fn errors_of_accept_are_told_apart() {
        #[track_caller]
        fn check(codes: &[i32], expected: Kind) {
            for code in codes {
                assert_eq!(kind_of(&io::Error::from_raw_os_error(*code)), expected, "{code}");
            }
        }

        check(&[libc::EAGAIN], Kind::Empty);
        let lost = [libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EHOSTUNREACH];
        check(&lost, Kind::Connection);
        let over = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EPERM];
        check(&[libc::EOPNOTSUPP], Kind::Overload);
        check(&over, Kind::Overload);
        check(&[libc::EBADF, libc::EINVAL, libc::ENOTSOCK], Kind::Fatal);
        assert_eq!(kind_of(&io::Error::other("the coroutine is unwinding")), Kind::Fatal);
    }
}
