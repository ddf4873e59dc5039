//! Descriptors that stay registered, each with a value of the user's.
//!
//! A key owns what it watches, or borrows it, so safe code cannot close a descriptor that is
//! registered. If unsafe code does, no next owner of the number is touched: the kernel's
//! registrations are of the file together with the number. The keys are found by the number; an
//! event names the generation of its key as well, and one that is older than the key is nobody's.
//!
//! **Invariants:** a change of the table and of the epoll instance is one, under the lock. No
//! key is dropped, and nothing allocated, while it is held.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::hub::reason::Reason;
use crate::selectors::key::Events;
use crate::selectors::key::Key;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::epoll;
use crate::sys::epoll::Event;
use crate::sys::epoll::Patience;
use crate::sys::lock::Lock;

/// Waits for any of many descriptors, which stay registered.
///
/// For code that serves many descriptors from one coroutine, as programs do that were written
/// around an event loop. With a coroutine for each connection it is not needed. gevent's name
/// is `gevent.selectors`, which is Python's `selectors`.
///
/// `F` is what is watched: [`TcpStream`](std::net::TcpStream), [`OwnedFd`], an `Rc` or `Arc` of
/// one, `&TcpStream`, [`BorrowedFd`], an enum of several that implements [`AsFd`], or
/// `Rc<dyn AsFd>`. A key keeps it, as Python's does: what is given by value is closed when its
/// key is unregistered and the last copy of the key is dropped, and what is borrowed outlives
/// the selector. So a descriptor cannot be closed while it is registered, but by unsafe code,
/// whose keys then fall silent. `D` is a value of the user's for each, often what to do.
///
/// Readiness is *level-triggered*: a descriptor is told again by every [`select`](Self::select)
/// until it is no longer ready. Registering takes nothing from a descriptor and changes nothing
/// of it; it may be used otherwise all the same. What the kernel cannot watch, such as a regular
/// file or `/dev/null`, is always ready.
///
/// Any number of coroutines and threads may use a selector at once, and register while others
/// wait. A selector is a descriptor itself, which is readable when one of its own is ready, so
/// it can be registered with another one, up to the kernel's limit of about four levels.
///
/// # Examples
///
/// ```
/// use corovent_runtime::selectors::{Events, Selector};
/// use corovent_runtime::spawn;
/// use std::io::{self, Read, Write};
///
/// let (first, _one) = io::pipe()?;
/// let (second, mut two) = io::pipe()?;
/// let selector = Selector::new()?;
/// selector.register(&first, Events::READ, "first")?;
/// selector.register(&second, Events::READ, "second")?;
///
/// let writer = spawn(move || two.write_all(b"x"));
/// let ready = selector.select(None)?;
/// let (key, events) = &ready[0];
/// assert_eq!((*key.data(), *events), ("second", Events::READ));
///
/// let mut byte = [0];
/// let mut pipe = *key.source();
/// pipe.read_exact(&mut byte)?;
/// # writer.join().unwrap()?;
/// # Ok::<(), io::Error>(())
/// ```
pub struct Selector<F, D = ()> {
    epoll: Source<OwnedFd>,
    table: Lock<Table<F, D>>,
    generations: AtomicU32,
}

struct Table<F, D> {
    /// Indexed by the number of the descriptor.
    keys: Vec<Option<Key<F, D>>>,
    /// How many there are.
    count: usize,
}

/// How many descriptors one `select` tells of at most; the others come with the next.
const READY_MAX: usize = 1024;

impl<F: AsFd, D> Selector<F, D> {
    /// Makes a selector that watches nothing yet.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// EMFILE if no descriptor is left.
    pub fn new() -> io::Result<Selector<F, D>> {
        Ok(Selector {
            epoll: Source::new(epoll::create()?),
            table: Lock::new(Table { keys: Vec::new(), count: 0 }),
            generations: AtomicU32::new(0),
        })
    }

    /// Starts to watch a descriptor.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// What epoll_ctl(2) gives; the source and the data are dropped then. In particular
    ///
    /// - `AlreadyExists` if the descriptor is registered. A duplicate of it is another one.
    /// - ENOSPC if the user watches more than `/proc/sys/fs/epoll/max_user_watches`.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::selectors::{Events, Selector};
    ///
    /// let (reader, writer) = std::io::pipe()?;
    /// let selector = Selector::new()?;
    /// selector.register(&reader, Events::READ, ())?;
    /// let error = selector.register(&reader, Events::READ, ()).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    /// # drop(writer);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// What is borrowed has to outlive the selector:
    ///
    /// ```compile_fail,E0505
    /// use corovent_runtime::selectors::{Events, Selector};
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// let selector = Selector::new()?;
    /// selector.register(&reader, Events::READ, ())?;
    /// drop(reader);
    /// selector.select(None)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register(&self, source: F, events: Events, data: D) -> io::Result<Key<F, D>> {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let mut key = Key::new(source, events, data, generation);
        match self.enter(&key) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                let eventfd = epoll::eventfd()?;
                epoll::eventfd_raise(eventfd.as_raw_fd());
                key.set_stand_in(eventfd);
                self.enter(&key)?;
            }
            result => result?,
        }
        Ok(key)
    }

    /// Watches a descriptor for other events from now on.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `NotFound` if it is not registered, or not with this selector.
    /// - EBADF or ENOENT if unsafe code has closed it.
    pub fn modify(&self, key: &Key<F, D>, events: Events) -> io::Result<()> {
        let mut table = self.table.lock();
        table.place_of(key)?;
        epoll::modify(self.raw_fd(), key.watched(), events.bits(), key.word())?;
        key.set_events(events);
        Ok(())
    }

    /// Ceases to watch a descriptor.
    ///
    /// Its source and data are dropped with the last copy of the key, if
    /// [`Key::into_inner`] does not give them back.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not registered, or not with this selector.
    pub fn unregister(&self, key: &Key<F, D>) -> io::Result<()> {
        let mut table = self.table.lock();
        let taken = table.place_of(key)?.take();
        table.count -= 1;
        // It fails if unsafe code has closed the descriptor; then the kernel has done so.
        let _ = epoll::delete(self.raw_fd(), key.watched());
        drop(table);
        drop(taken);
        Ok(())
    }

    /// Waits until at least one descriptor is ready, and gives those that are; none if the time
    /// is up.
    ///
    /// Without a limit it waits for as long as it takes, also if nothing is registered: others
    /// may do that. A zero limit only looks. Each `select` tells of at most 1,024, in turn.
    ///
    /// If several wait at once, each is told of what is ready. One whose descriptor was dealt
    /// with by another goes on waiting.
    ///
    /// # Suspends
    ///
    /// Until a descriptor is ready, or the time is up; and now and then if one is ready at once.
    /// On a thread that is ending, the thread is stopped.
    ///
    /// # Errors
    ///
    /// - `Other` if it would have to wait while the coroutine unwinds; or if unsafe code has
    ///   closed a descriptor before it was unregistered, of which a duplicate is still open: the
    ///   kernel goes on to tell of that, and cannot be made to stop.
    /// - `TimedOut` in a build that cannot unwind, if a surrounding
    ///   [`timeout`](crate::time::timeout) is over.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: what is ready is told again.
    pub fn select(&self, timeout: Option<Duration>) -> io::Result<Vec<(Key<F, D>, Events)>> {
        let limit = || match timeout {
            Some(Duration::ZERO) => Limit::NonBlocking,
            _ => Limit::from_timeout(timeout),
        };
        let mut events = Vec::with_capacity(self.len().clamp(1, READY_MAX));
        let ready = self.epoll.call_for::<_, false>(
            Reason::Descriptors(self.raw_fd()),
            Direction::Read,
            limit,
            |epoll| self.look(epoll, &mut events).map(Done::more),
        );
        match ready {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            result => result,
        }
    }

    /// Gives the key of a descriptor; `None` if it is not registered.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn get(&self, fd: impl AsFd) -> Option<Key<F, D>> {
        let fd = fd.as_fd().as_raw_fd();
        self.table.lock().keys.get(fd as usize)?.clone()
    }

    /// Gives the keys of all descriptors, by their numbers.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn keys(&self) -> Vec<Key<F, D>> {
        let mut keys = Vec::new();
        loop {
            let table = self.table.lock();
            let count = table.count;
            if count <= keys.capacity() {
                keys.extend(table.keys.iter().flatten().cloned());
                return keys;
            }
            drop(table);
            keys.reserve(count);
        }
    }

    /// Gives the number of descriptors.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn len(&self) -> usize {
        self.table.lock().count
    }

    /// Tells whether there is none.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a key into the table and has it watched. EPERM: epoll knows no such files.
    fn enter(&self, key: &Key<F, D>) -> io::Result<()> {
        let index = key.fd() as usize;
        let mut room = Vec::new();
        let mut table = self.table.lock();
        while table.keys.len() <= index {
            if room.capacity() > index {
                table.move_into(&mut room);
            } else {
                drop(table);
                room = Vec::with_capacity((index + 1).next_power_of_two());
                table = self.table.lock();
            }
        }
        let stand_in = table.keys[index].as_ref().and_then(Key::stand_in);
        if stand_in.is_some() && key.stand_in().is_some() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        // The kernel knows whether the number still has the owner that is in the table.
        epoll::add(self.raw_fd(), key.watched(), key.events().bits(), key.word())?;
        if let Some(stand_in) = stand_in {
            let _ = epoll::delete(self.raw_fd(), stand_in);
        }
        let replaced = table.keys[index].replace(key.clone());
        table.count += usize::from(replaced.is_none());
        drop(table);
        drop(replaced);
        Ok(())
    }

    /// Asks the kernel what is ready.
    fn look(
        &self,
        epoll: BorrowedFd<'_>,
        events: &mut Vec<Event>,
    ) -> io::Result<Vec<(Key<F, D>, Events)>> {
        let mut unknown_before = None;
        loop {
            epoll::wait(epoll.as_raw_fd(), events, events.capacity(), Patience::None)?;
            if events.is_empty() {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            let mut ready = Vec::with_capacity(events.len());
            let table = self.table.lock();
            ready.extend(events.iter().filter_map(|event| table.ready(*event)));
            let unknown = events.iter().find(|event| table.key_of(**event).is_none());
            drop(table);
            if !ready.is_empty() {
                return Ok(ready);
            }
            // Another thread may have changed it meanwhile; but only once.
            let unknown = unknown.map(|event| event.u64);
            if unknown.is_some() && unknown == unknown_before {
                let why = "a descriptor was closed while registered, and a duplicate is open";
                return Err(io::Error::other(why));
            }
            unknown_before = unknown;
        }
    }

    fn raw_fd(&self) -> RawFd {
        self.epoll.as_fd().as_raw_fd()
    }
}

impl<F, D> AsFd for Selector<F, D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl<F, D> AsRawFd for Selector<F, D> {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_fd().as_raw_fd()
    }
}

impl<F, D> fmt::Debug for Selector<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.table.lock().count;
        f.debug_struct("Selector").field("len", &count).finish_non_exhaustive()
    }
}

impl<F, D> Table<F, D> {
    /// The place that a key has.
    fn place_of(&mut self, key: &Key<F, D>) -> io::Result<&mut Option<Key<F, D>>> {
        let place = self.keys.get_mut(key.fd() as usize);
        place.filter(|place| place.as_ref() == Some(key)).ok_or(io::ErrorKind::NotFound.into())
    }

    /// The key that an event is of.
    fn key_of(&self, event: Event) -> Option<&Key<F, D>> {
        let key = self.keys.get(event.u64 as u32 as usize)?.as_ref()?;
        (key.word() == event.u64).then_some(key)
    }

    /// What an event says; nothing if its key is not watched for that any more.
    fn ready(&self, event: Event) -> Option<(Key<F, D>, Events)> {
        let key = self.key_of(event)?;
        Some((key.clone(), key.events().told(event.events)?))
    }

    /// Goes on in a larger vector, which gets the smaller one's memory.
    fn move_into(&mut self, room: &mut Vec<Option<Key<F, D>>>) {
        room.append(&mut self.keys);
        room.resize_with(room.capacity(), || None);
        std::mem::swap(room, &mut self.keys);
    }
}
