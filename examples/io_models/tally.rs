//! What a server counts: connections, bytes, and its system calls, the ones for nothing apart.
//!
//! One process is one server, so the counts are statics.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);
static WASTED: AtomicU64 = AtomicU64::new(0);
static NOTICES: AtomicU64 = AtomicU64::new(0);

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    pub(crate) bytes: u64,
    pub(crate) calls: u64,
    /// Calls that found nothing to do: EAGAIN.
    pub(crate) wasted: u64,
    /// Of what the kernel has told the server: ready descriptors, signals, completions.
    pub(crate) notices: u64,
}

/// Makes one system call, and counts it.
pub(crate) fn call<T>(attempt: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let result = attempt();
    CALLS.fetch_add(1, Relaxed);
    if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
        WASTED.fetch_add(1, Relaxed);
    }
    result
}

/// Makes a system call that waits, as often as signals that are nobody's business end it.
pub(crate) fn wait<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call(&mut attempt) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) fn accepted() {
    CONNECTIONS.fetch_add(1, Relaxed);
}

pub(crate) fn served_bytes(count: usize) {
    BYTES.fetch_add(count as u64, Relaxed);
}

pub(crate) fn noticed(count: usize) {
    NOTICES.fetch_add(count as u64, Relaxed);
}

impl Tally {
    pub(crate) fn now() -> Tally {
        Tally {
            connections: CONNECTIONS.load(Relaxed),
            bytes: BYTES.load(Relaxed),
            calls: CALLS.load(Relaxed),
            wasted: WASTED.load(Relaxed),
            notices: NOTICES.load(Relaxed),
        }
    }

    /// Reads the line that `Display` has written.
    pub(crate) fn parse(line: &str) -> Option<Tally> {
        let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
        let mut next = || numbers.next();
        let tally = Tally {
            connections: next()?,
            bytes: next()?,
            calls: next()?,
            wasted: next()?,
            notices: next()?,
        };
        (tally.to_string() == line).then_some(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { connections, bytes, calls, wasted, notices } = self;
        write!(f, "served {connections} connections and {bytes} bytes with {calls} calls, ")?;
        write!(f, "{wasted} of them for nothing, after {notices} notices")
    }
}
