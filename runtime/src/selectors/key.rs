//! A descriptor as a selector has it: what is watched, for what, and the user's value.
//!
//! The registration is shared by all copies of a key, and is dropped with the last.

use std::fmt;
use std::ops::BitOr;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::sync::Arc;

use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::epoll;

/// A descriptor that is, or was, registered with a [`Selector`](crate::selectors::Selector).
///
/// A copy is another handle of the same registration, and equal to it; another registration of
/// the same descriptor is not.
pub struct Key<F, D = ()> {
    registration: Arc<Registration<F, D>>,
}

/// What a descriptor is watched for, or has become ready for: one of them or both.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Events(u32);

struct Registration<F, D> {
    /// The number of `source` when it was registered.
    fd: RawFd,
    generation: u32,
    /// Changed under the lock of the table.
    events: AtomicU32,
    /// What is watched in its place if epoll cannot watch it: this one is always ready.
    stand_in: Option<OwnedFd>,
    source: F,
    data: D,
}

impl<F, D> Key<F, D> {
    /// Makes the key of what is about to be watched.
    pub(super) fn new(source: F, events: Events, data: D, generation: u32) -> Key<F, D>
    where
        F: AsFd,
    {
        let fd = source.as_fd().as_raw_fd();
        let events = AtomicU32::new(events.0);
        let registration = Registration { fd, generation, events, stand_in: None, source, data };
        Key { registration: Arc::new(registration) }
    }

    /// Gives what is watched.
    pub fn source(&self) -> &F {
        &self.registration.source
    }

    /// Gives the value that was registered with it.
    pub fn data(&self) -> &D {
        &self.registration.data
    }

    /// Tells what it is watched for.
    pub fn events(&self) -> Events {
        Events(self.registration.events.load(Ordering::Relaxed))
    }

    /// Gives source and data back, if this is the only copy of the key and it was unregistered.
    ///
    /// # Examples
    ///
    /// A connection leaves the loop for a coroutine of its own:
    ///
    /// ```
    /// use corovent_runtime::selectors::{Events, Selector};
    ///
    /// let (reader, writer) = std::io::pipe()?;
    /// let selector = Selector::new()?;
    /// let key = selector.register(reader, Events::READ, ())?;
    /// selector.unregister(&key)?;
    /// let (reader, ()) = key.into_inner().expect("the only copy");
    /// # drop((reader, writer));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> Option<(F, D)> {
        let registration = Arc::into_inner(self.registration)?;
        Some((registration.source, registration.data))
    }

    /// The number of the descriptor.
    pub(super) fn fd(&self) -> RawFd {
        self.registration.fd
    }

    /// Notes that it is watched for something else.
    pub(super) fn set_events(&self, events: Events) {
        self.registration.events.store(events.0, Ordering::Relaxed);
    }

    /// What is watched in its place.
    pub(super) fn stand_in(&self) -> Option<RawFd> {
        self.registration.stand_in.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Sets what is watched in its place.
    pub(super) fn set_stand_in(&mut self, stand_in: OwnedFd) {
        let registration = Arc::get_mut(&mut self.registration);
        registration.expect("nobody else has the key yet").stand_in = Some(stand_in);
    }

    /// The number that epoll is given.
    pub(super) fn watched(&self) -> RawFd {
        self.stand_in().unwrap_or(self.fd())
    }

    /// The data word of its events.
    pub(super) fn word(&self) -> u64 {
        u64::from(self.registration.generation) << 32 | self.registration.fd as u64
    }
}

impl<F, D> Clone for Key<F, D> {
    fn clone(&self) -> Key<F, D> {
        Key { registration: Arc::clone(&self.registration) }
    }
}

impl<F, D> PartialEq for Key<F, D> {
    fn eq(&self, other: &Key<F, D>) -> bool {
        Arc::ptr_eq(&self.registration, &other.registration)
    }
}

impl<F, D> Eq for Key<F, D> {}

impl<F, D: fmt::Debug> fmt::Debug for Key<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("fd", &self.registration.fd)
            .field("events", &self.events())
            .field("data", self.data())
            .finish()
    }
}

impl Events {
    /// There is data, an end of the stream, or a connection to accept.
    pub const READ: Events = Events(1);
    /// There is room to write, or a connection was made.
    pub const WRITE: Events = Events(2);

    /// Tells whether a read has a chance; an error counts.
    pub const fn is_readable(self) -> bool {
        self.0 & Events::READ.0 != 0
    }

    /// Tells whether a write has a chance; an error counts.
    pub const fn is_writable(self) -> bool {
        self.0 & Events::WRITE.0 != 0
    }

    /// What epoll is asked for.
    pub(super) fn bits(self) -> u32 {
        let read = if self.is_readable() { epoll::IN } else { 0 };
        let write = if self.is_writable() { epoll::OUT } else { 0 };
        read | write
    }

    /// Those of them that epoll has told of: an error or a hang-up is both, since either call
    /// finds it.
    pub(super) fn told(self, bits: u32) -> Option<Events> {
        let read = if bits & !epoll::OUT != 0 { Events::READ.0 } else { 0 };
        let write = if bits & !epoll::IN != 0 { Events::WRITE.0 } else { 0 };
        let told = self.0 & (read | write);
        (told != 0).then_some(Events(told))
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_readable(), self.is_writable()) {
            (true, true) => "READ | WRITE",
            (true, false) => "READ",
            _ => "WRITE",
        })
    }
}
