//! What the user has asked of a socket: timeouts, and not to block.
//!
//! The clones of a socket share it, as they share the kernel's options in std. It is
//! mirrored into the kernel, so that a conversion to std's type keeps it; most sockets have
//! none and allocate nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent_runtime::fd::Direction;
use corovent_runtime::fd::Limit;
use once_cell::race::OnceBox;

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
