//! What a blocked task waits for, in the words of the dump.

use std::fmt;
use std::os::fd::RawFd;

/// The reason of a wait. A debugger knows it by its number, the place in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// Let the others run.
    Yield,
    /// A point in time.
    Sleep,
    /// Data, a connection, or an end on an fd.
    Readable(RawFd),
    /// Room on an fd.
    Writable(RawFd),
    /// Any of the descriptors of the epoll instance with that number.
    Descriptors(RawFd),
    /// The end of another coroutine, by its number.
    Join(u64),
    /// `unpark`.
    Park,
    /// The end of any coroutine.
    Ends,
    /// A turn in the wait queue at that address, which is only compared.
    Queue(What, usize),
    /// The end of a process, by its number.
    Process(u32),
    /// A signal of the operating system.
    Signal,
    /// The time to start at, by a coroutine that has not run yet.
    Delay,
    /// Nothing: it has not run yet.
    Start,
}

/// What somebody in a wait queue waits for; numbered as [`Reason`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum What {
    /// The others at a barrier.
    Barrier,
    /// A job in the thread pool.
    Blocking,
    /// The first of several coroutines to end.
    Completion,
    /// A notification.
    Condvar,
    /// Somebody who takes what is there already, before more is made.
    Demand,
    /// A flag to be set.
    Event,
    /// A call on a file.
    File,
    /// The end of all work on the items of a queue.
    Finish,
    /// A future to be polled again.
    Future,
    /// An item of a queue.
    Get,
    /// The members of a group.
    Group,
    /// The end of all jobs of a thread pool.
    Jobs,
    /// The end of a coroutine that was killed.
    Kill,
    /// A lock that one may hold.
    Lock,
    /// A name to be looked up.
    Lookup,
    /// The initialisation that somebody else has begun, or will.
    Once,
    /// The other side of what is being opened.
    Open,
    /// Permits of a semaphore.
    Permit,
    /// A free place in a pool.
    Place,
    /// Room for an item in a queue, or somebody who takes it.
    Put,
    /// A lock, together with others that read.
    ReadLock,
    /// A value from a channel.
    Receive,
    /// A value, or an error, that is set once.
    Result,
    /// Room in the line of a thread pool.
    Room,
    /// The coroutines of a scope.
    Scope,
    /// One of several things.
    Select,
    /// Room for a value in a channel, or somebody who takes it.
    Send,
    /// The standard input, output or error, which another has locked.
    Stdio,
    /// Work: a thread of the pool.
    Work,
    /// A lock, alone.
    WriteLock,
}

/// In the place of an address: several queues. It is no address, since nothing begins at the last
/// byte of memory.
pub(crate) const SEVERAL: usize = usize::MAX;

/// Whether a retry of a queue, or of any, is for who waits in the one at `waits_in`.
pub(crate) fn concerns(queue: Option<usize>, waits_in: usize) -> bool {
    queue.is_none_or(|queue| [queue, waits_in].contains(&SEVERAL) || queue == waits_in)
}

impl Reason {
    /// Whether who waits has nothing to do.
    #[inline]
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Reason::Queue(What::Work, _))
    }

    /// The address of the wait queue, or [`SEVERAL`].
    #[inline]
    pub(crate) fn queue(self) -> Option<usize> {
        match self {
            Reason::Queue(_, address) => Some(address),
            _ => None,
        }
    }

    /// The reason without what tells one wait from another of its kind.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Reason::Yield => "its turn",
            Reason::Sleep => "sleep",
            Reason::Readable(_) => "read",
            Reason::Writable(_) => "write",
            Reason::Descriptors(_) => "descriptors",
            Reason::Join(_) => "join",
            Reason::Park => "unpark",
            Reason::Ends => "end of all",
            Reason::Queue(What::Barrier, _) => "barrier",
            Reason::Queue(What::Blocking, _) => "blocking job",
            Reason::Queue(What::Completion, _) => "first of several",
            Reason::Queue(What::Condvar, _) => "notification",
            Reason::Queue(What::Demand, _) => "demand",
            Reason::Queue(What::Event, _) => "event",
            Reason::Queue(What::File, _) => "file",
            Reason::Queue(What::Finish, _) => "end of work",
            Reason::Queue(What::Future, _) => "future",
            Reason::Queue(What::Get, _) => "queue get",
            Reason::Queue(What::Group, _) => "end of group",
            Reason::Queue(What::Jobs, _) => "end of jobs",
            Reason::Queue(What::Kill, _) => "end of the killed",
            Reason::Queue(What::Lock, _) => "lock",
            Reason::Queue(What::Lookup, _) => "name lookup",
            Reason::Queue(What::Once, _) => "initialisation",
            Reason::Queue(What::Open, _) => "open",
            Reason::Queue(What::Permit, _) => "permit",
            Reason::Queue(What::Place, _) => "place in pool",
            Reason::Queue(What::Put, _) => "queue put",
            Reason::Queue(What::ReadLock, _) => "read lock",
            Reason::Queue(What::Receive, _) => "channel receive",
            Reason::Queue(What::Result, _) => "result",
            Reason::Queue(What::Room, _) => "room for a job",
            Reason::Queue(What::Scope, _) => "end of scope",
            Reason::Queue(What::Select, _) => "one of several",
            Reason::Queue(What::Send, _) => "channel send",
            Reason::Queue(What::Stdio, _) => "standard stream",
            Reason::Queue(What::Work, _) => "work",
            Reason::Queue(What::WriteLock, _) => "write lock",
            Reason::Process(_) => "end of process",
            Reason::Signal => "signal",
            Reason::Delay => "time to start",
            Reason::Start => "first run",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Reason::Readable(fd) | Reason::Writable(fd) | Reason::Descriptors(fd) => {
                write!(f, " (fd {fd})")
            }
            Reason::Join(id) => write!(f, " (#{id})"),
            Reason::Process(pid) => write!(f, " (pid {pid})"),
            _ => Ok(()),
        }
    }
}
