//! Signals of the operating system as ordinary wakeups.
//!
//! The handler in the kernel's sense only counts a signal and writes to the eventfd of every
//! listener, on the alternate stack that each thread with a hub has. All else happens in
//! coroutines: a wait, or the closure of `on`, which therefore may do what it likes.

mod bell;
mod caught;
mod handler;
mod listener;
mod numbers;
pub(crate) mod watch;

use std::io;

use crate::signal::bell::Ringing;
use crate::signal::listener::Heard;

pub use crate::signal::caught::reset;
pub use crate::signal::handler::Guard;
pub use crate::signal::handler::on;
pub use crate::signal::listener::Iter;
pub use crate::signal::listener::Signals;
pub use crate::signal::numbers::SIGABRT;
pub use crate::signal::numbers::SIGALRM;
pub use crate::signal::numbers::SIGCHLD;
pub use crate::signal::numbers::SIGCONT;
pub use crate::signal::numbers::SIGHUP;
pub use crate::signal::numbers::SIGINT;
pub use crate::signal::numbers::SIGIO;
pub use crate::signal::numbers::SIGPIPE;
pub use crate::signal::numbers::SIGPROF;
pub use crate::signal::numbers::SIGPWR;
pub use crate::signal::numbers::SIGQUIT;
pub use crate::signal::numbers::SIGSYS;
pub use crate::signal::numbers::SIGTERM;
pub use crate::signal::numbers::SIGTRAP;
pub use crate::signal::numbers::SIGTSTP;
pub use crate::signal::numbers::SIGTTIN;
pub use crate::signal::numbers::SIGTTOU;
pub use crate::signal::numbers::SIGURG;
pub use crate::signal::numbers::SIGUSR1;
pub use crate::signal::numbers::SIGUSR2;
pub use crate::signal::numbers::SIGVTALRM;
pub use crate::signal::numbers::SIGWINCH;
pub use crate::signal::numbers::SIGXCPU;
pub use crate::signal::numbers::SIGXFSZ;
pub use crate::signal::numbers::real_time;

/// Waits for one of several signals, and gives its number.
///
/// The first call for a signal replaces what the signal did before, for the whole process,
/// until [`reset`]. A signal wakes every coroutine that waits for it; one that comes while
/// nobody waits is kept for the next wait, once however often it came. A wait that several
/// signals end gives the first of the list; the others are kept for the next wait, unless
/// another coroutine was given them. Who waits again and again and must miss none has
/// [`Signals`]. A coroutine that waits here is no deadlock.
///
/// # Suspends
///
/// Until a signal has come.
///
/// # Errors
///
/// - `InvalidInput` for a signal that does not exist, cannot be caught (SIGKILL, SIGSTOP)
///   or is about a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL).
/// - `Other` if it would have to wait while the coroutine unwinds.
/// - EMFILE if no descriptor is left.
///
/// # Cancellation
///
/// A signal that came is kept for the next wait.
///
/// # Examples
///
/// ```no_run
/// use corovent_runtime::signal::{self, SIGINT, SIGTERM};
///
/// let stop = corovent_runtime::spawn(|| signal::wait(&[SIGINT, SIGTERM]));
/// println!("stopped by signal {}", stop.join().unwrap()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait(signals: &[i32]) -> io::Result<i32> {
    Signals::with(signals, Ringing::of_this_hub)?.wait_for(Heard::take_all)
}
