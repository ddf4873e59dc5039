//! A listener: hears the signals that come from its creation on, each once.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::hub::reason::Reason;
use crate::signal::bell::Ringing;
use crate::signal::caught::catch;
use crate::signal::caught::count_of;
use crate::signal::caught::is_untold;
use crate::signal::caught::tell;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::epoll;

/// Listens for several signals from its creation on.
///
/// Nothing is missed between two waits: a signal that comes is kept until it is taken, whatever
/// other listeners, waits and handlers do with theirs. As often as it was delivered, so often it
/// is given; the kernel itself merges several of one kind that are not delivered yet, but for
/// real-time signals. If several coroutines or threads wait, each signal is given to one of
/// them. It has a descriptor of its own.
///
/// # Examples
///
/// ```
/// use corovent_runtime::signal::{SIGHUP, SIGTERM, Signals};
///
/// let signals = Signals::new(&[SIGHUP, SIGTERM])?;
/// let pid = std::process::id().to_string();
/// std::process::Command::new("kill").args(["-HUP", &pid]).status()?;
/// for signal in &signals {
///     match signal? {
///         // Read the configuration again.
///         SIGHUP => break,
///         _ => return Ok(()),
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// The first SIGTERM lets what runs come to its end, the second ends the process at once:
///
/// ```no_run
/// use corovent_runtime::signal::{SIGTERM, Signals};
///
/// let accepting = corovent_runtime::spawn(|| loop { corovent_runtime::yield_now() });
/// let signals = Signals::new(&[SIGTERM])?;
/// signals.wait()?;
/// accepting.kill();
/// corovent_runtime::spawn(move || signals.wait().map(|_| std::process::exit(1)));
/// // Wait for those who are served still.
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Signals {
    kinds: Box<[Heard]>,
    // Before the bell: its descriptor is registered nowhere when another gets it.
    source: Source<BorrowedFd<'static>>,
    _bell: Ringing,
}

/// A signal that is listened for, and up to which of its counts the listener has been told.
pub(super) struct Heard {
    signal: i32,
    count: AtomicU32,
}

impl Signals {
    /// Begins to listen. The first listener for a signal replaces what the signal did before,
    /// for the whole process, until [`reset`](crate::signal::reset); if this fails nothing is
    /// replaced. A signal that is named twice is given as if it were named once.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `InvalidInput` for a signal that does not exist, cannot be caught (SIGKILL, SIGSTOP)
    ///   or is about a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL).
    /// - EMFILE if no descriptor is left.
    pub fn new(signals: &[i32]) -> io::Result<Signals> {
        Signals::with(signals, Ringing::of_nobody)
    }

    pub(super) fn with(
        signals: &[i32],
        take_bell: impl FnOnce() -> io::Result<Ringing>,
    ) -> io::Result<Signals> {
        // First: what cannot be heard is not caught.
        let bell = take_bell()?;
        catch(signals)?;
        let mut kinds: Vec<Heard> = Vec::with_capacity(signals.len());
        for signal in signals {
            // One that is named twice is heard once.
            if kinds.iter().all(|heard| heard.signal != *signal) {
                // Looked at when the bell can be heard: who comes after this rings.
                let count = AtomicU32::new(count_of(*signal));
                kinds.push(Heard { signal: *signal, count });
            }
        }
        let kinds = kinds.into();
        Ok(Signals { kinds, source: Source::new(bell.as_fd()), _bell: bell })
    }

    /// Waits for the next signal, and gives its number; of several the first of the list.
    ///
    /// # Suspends
    ///
    /// Until one has come; now and then although one has.
    ///
    /// # Errors
    ///
    /// `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    pub fn wait(&self) -> io::Result<i32> {
        self.wait_for(Heard::take)
    }

    /// Gives the next signal if one has come.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn try_wait(&self) -> Option<i32> {
        self.kinds.iter().find(|heard| heard.take()).map(|heard| heard.signal)
    }

    /// Gives an iterator that waits for each next signal, and never ends.
    pub fn iter(&self) -> Iter<'_> {
        Iter { signals: self }
    }

    /// Waits until `take` finds something.
    pub(super) fn wait_for(&self, take: impl Fn(&Heard) -> bool) -> io::Result<i32> {
        self.source.call_for::<_, false>(
            Reason::Signal,
            Direction::Read,
            || Limit::None,
            |fd| {
                // Cleared first: a signal that comes after the look rings again.
                epoll::eventfd_clear(fd.as_raw_fd());
                match self.kinds.iter().find(|heard| take(heard)) {
                    Some(heard) => {
                        // Those of other hubs who wait here were told of what was just cleared.
                        if self.kinds.iter().any(Heard::has_more) {
                            epoll::eventfd_raise(fd.as_raw_fd());
                        }
                        Ok(Done::more(heard.signal))
                    }
                    None => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
                }
            },
        )
    }
}

impl Heard {
    /// Whether the signal has come since it was last taken here.
    fn has_more(&self) -> bool {
        self.count.load(Ordering::SeqCst) != count_of(self.signal)
    }

    /// Takes the signal if it has come since it was last taken here.
    fn take(&self) -> bool {
        let next = |heard: u32| (heard != count_of(self.signal)).then(|| heard.wrapping_add(1));
        let before = self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        before.is_ok_and(|before| {
            tell(self.signal, before.wrapping_add(1));
            true
        })
    }

    /// Takes all that has come since the listener was made, and what came before and nobody was
    /// told.
    pub(super) fn take_all(&self) -> bool {
        let came = count_of(self.signal);
        let is_new = came != self.count.swap(came, Ordering::SeqCst) || is_untold(self.signal);
        if is_new {
            tell(self.signal, came);
        }
        is_new
    }
}

/// The signals of a [`Signals`], as they come.
#[derive(Debug)]
pub struct Iter<'a> {
    signals: &'a Signals,
}

impl Iterator for Iter<'_> {
    type Item = io::Result<i32>;

    /// Waits for the next signal.
    ///
    /// # Suspends
    ///
    /// As [`Signals::wait`].
    fn next(&mut self) -> Option<io::Result<i32>> {
        Some(self.signals.wait())
    }
}

impl<'a> IntoIterator for &'a Signals {
    type Item = io::Result<i32>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals: Vec<i32> = self.kinds.iter().map(|heard| heard.signal).collect();
        f.debug_tuple("Signals").field(&signals).finish()
    }
}
