//! What the user has asked of a socket: timeouts, and not to block.
//!
//! The clones of a socket share it, as they share the kernel's options in std. It is
//! mirrored into the kernel, so that a conversion to std's type keeps it; most sockets have
//! none and allocate nothing.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Limit;
use once_cell::race::OnceBox;
use socket2::SockRef;

/// The options of one socket and its clones.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Made when something is first set, or the socket is cloned.
    shared: OnceBox<Arc<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Nanoseconds for reading and for writing; zero is no timeout.
    timeouts: [AtomicU64; 2],
    nonblocking: AtomicBool,
}

impl Options {
    /// The options that the kernel has noted of a socket.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Options {
        let options = Options::default();
        let socket = SockRef::from(&fd);
        // What cannot be asked is not a socket, and the first call will say so.
        if let Ok(Some(timeout)) = socket.read_timeout() {
            options.set_timeout(Direction::Read, Some(timeout));
        }
        if let Ok(Some(timeout)) = socket.write_timeout() {
            options.set_timeout(Direction::Write, Some(timeout));
        }
        if let Ok(true) = socket.nonblocking() {
            options.set_nonblocking(true);
        }
        options
    }

    /// How long an operation may wait.
    #[inline]
    pub(crate) fn limit(&self, direction: Direction) -> Limit {
        let Some(shared) = self.shared.get() else { return Limit::None };
        if shared.nonblocking.load(Ordering::Relaxed) {
            return Limit::NonBlocking;
        }
        match shared.timeouts[direction as usize].load(Ordering::Relaxed) {
            0 => Limit::None,
            ns => Limit::Timeout(Duration::from_nanos(ns)),
        }
    }

    /// Sets the timeout of a direction.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) {
        let ns = timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        self.shared().timeouts[direction as usize].store(ns, Ordering::Relaxed);
    }

    /// Sets whether the user wants the socket not to block.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.shared().nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// The options for a clone of the socket.
    pub(crate) fn share(&self) -> Options {
        Options { shared: OnceBox::with_value(Box::new(Arc::clone(self.shared()))) }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared.get_or_init(Box::default)
    }
}

/// Implements the methods that set and give the options, and what else std's sockets have in
/// common.
macro_rules! socket_options {
    ($ours:ident) => {
        impl $ours {
            /// Makes another handle of the same socket, with a descriptor of its own.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// As fcntl(2) gives them, when no descriptor is left.
            pub fn try_clone(&self) -> std::io::Result<$ours> {
                Ok($ours { socket: self.socket.try_clone()? })
            }

            /// Sets how long a read may wait; `None` is for ever. Clones share it.
            ///
            /// A read whose time is up fails with `WouldBlock`, as in std on Unix.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the timeout is zero.
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.set_timeout(corovent_runtime::fd::Direction::Read, timeout)
            }

            /// Sets how long a write may wait; `None` is for ever. Clones share it.
            ///
            /// A write whose time is up fails with `WouldBlock`, as in std on Unix.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the timeout is zero.
            pub fn set_write_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.set_timeout(corovent_runtime::fd::Direction::Write, timeout)
            }

            /// Gives how long a read may wait, in the kernel's microseconds.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// As getsockopt(2) gives them.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.socket.timeout(corovent_runtime::fd::Direction::Read)
            }

            /// Gives how long a write may wait, in the kernel's microseconds.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// As getsockopt(2) gives them.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                self.socket.timeout(corovent_runtime::fd::Direction::Write)
            }

            /// Takes the pending error of the socket.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// As getsockopt(2) gives them.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.socket.take_error()
            }

            /// Sets whether the calls that would have to wait fail with `WouldBlock`
            /// instead. Clones share it.
            ///
            /// Like all calls that need not wait, those let the others run now and then, so that
            /// a loop that asks again and again holds nobody up.
            ///
            /// # Suspends
            ///
            /// Never.
            ///
            /// # Errors
            ///
            /// As fcntl(2) gives them.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.socket.set_nonblocking(nonblocking)
            }
        }
    };
}

pub(crate) use socket_options;
