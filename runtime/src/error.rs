//! The small types by which the runtime says why something did not happen.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;

/// The payload of a coroutine that was killed: what `join` returns as `Err` then.
///
/// gevent's name for it is `GreenletExit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// The time of a [`timeout`](crate::time::timeout) block was up before the block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// The payload of a coroutine whose thread ended before it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abandoned;

/// The payload of a root wait that nothing could have ended.
///
/// It displays as the table of coroutines: what each waits for, since when, and where it
/// was spawned. gevent's name for it is `LoopExit`.
#[derive(Clone, Debug)]
pub struct Deadlock {
    report: String,
}

impl Deadlock {
    pub(crate) fn new(report: String) -> Deadlock {
        Deadlock { report }
    }
}

/// The payload that ends a [`timeout`](crate::time::timeout) block. Blocks are told apart
/// by their number, so that an inner one never swallows an outer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeoutThrow {
    pub(crate) scope: u64,
}

/// Whether a panic payload is a kill or a timeout on its way, and not a panic.
///
/// Code that catches panics should let these pass, by
/// [`resume_unwind`](std::panic::resume_unwind) or by using
/// [`catch_unwind`](crate::task::catch_unwind) of this crate.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{is_interrupt, spawn, yield_now};
///
/// let task = spawn(|| loop { yield_now() });
/// yield_now();
/// task.kill();
/// assert!(is_interrupt(&*task.join().unwrap_err()));
/// assert!(!is_interrupt(&"a panic's message"));
/// ```
pub fn is_interrupt(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Killed>() || payload.is::<TimeoutThrow>()
}

/// The error of a call that would have to wait while its coroutine unwinds.
#[cold]
pub(crate) fn unwinding() -> io::Error {
    io::Error::other("the coroutine is unwinding")
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the coroutine was killed")
    }
}

impl Error for Killed {}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the timeout has elapsed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread of the coroutine has ended")
    }
}

impl Error for Abandoned {}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl Error for Deadlock {}
