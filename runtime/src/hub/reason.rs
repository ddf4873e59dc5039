//! What a blocked task waits for, in the words of the dump.

use std::fmt;
use std::os::fd::RawFd;

/// The reason of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Let the others run.
    Yield,
    /// A point in time.
    Sleep,
    /// Data, a connection, or an end on an fd.
    Readable(RawFd),
    /// Room on an fd.
    Writable(RawFd),
    /// The end of another coroutine, by its number.
    Join(u64),
    /// `unpark`.
    Park,
    /// The coroutines of a scope.
    Scope,
    /// A job in the thread pool.
    Blocking,
    /// A name to be looked up.
    Lookup,
    /// A signal of the operating system.
    Signal,
    /// Nothing: it has not run yet.
    Start,
}

impl Reason {
    /// The reason without what tells one wait from another of its kind.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Reason::Yield => "its turn",
            Reason::Sleep => "sleep",
            Reason::Readable(_) => "read",
            Reason::Writable(_) => "write",
            Reason::Join(_) => "join",
            Reason::Park => "unpark",
            Reason::Scope => "end of scope",
            Reason::Blocking => "blocking job",
            Reason::Lookup => "name lookup",
            Reason::Signal => "signal",
            Reason::Start => "first run",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Reason::Readable(fd) | Reason::Writable(fd) => write!(f, " (fd {fd})"),
            Reason::Join(id) => write!(f, " (#{id})"),
            _ => Ok(()),
        }
    }
}
