//! The watchdog, as users set it; `hub/watchdog/` is what it does.

use std::sync::Arc;
use std::time::Duration;

use crate::hub::watchdog;

pub use crate::hub::watchdog::Stall;

/// Has a thread report each hub of the process that does not come round for so long; zero ends
/// that. Gives what held before.
///
/// A report goes to stderr, or to [`on_stall`]: it names the coroutine that keeps the others
/// waiting, because it computes or blocks the thread, with its backtrace. There is one for each
/// time that it happens, and at most five a minute; the next one says how many were left out.
/// `COROVENT_WATCHDOG_MS=100` in the environment does the same from the first hub on.
///
/// A hub that sleeps for want of work is well, and so is a thread whose hub has no coroutines.
/// Time does not count in which the process was stopped, or the thread had no processor.
///
/// The hubs execute no instruction for it. The backtrace is taken by a real-time signal that
/// nobody else uses, on the thread itself; calls that would fail with EINTR for it, such as
/// poll(2), are not interrupted, and the report names the call instead.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::debug;
/// use std::time::Duration;
///
/// let before = debug::watchdog(Duration::from_millis(100));
/// // …
/// debug::watchdog(before);
/// ```
pub fn watchdog(limit: Duration) -> Duration {
    watchdog::set_limit(limit)
}

/// Has a closure called with each report of the watchdog, instead of writing it to stderr.
///
/// It runs on the watchdog's thread, for all hubs, until another takes its place. It must not
/// wait for a hub, which may be the one that does not come round. What it panics with is dropped.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::debug;
///
/// debug::on_stall(|stall| {
///     let name = stall.name().unwrap_or("somebody");
///     eprintln!("{name} computes for {:?}: {}", stall.duration(), stall.backtrace());
/// });
/// ```
pub fn on_stall(f: impl Fn(&Stall) + Send + Sync + 'static) {
    // What was there before is dropped here, outside of any lock.
    drop(watchdog::set_callback(Some(Arc::new(f))));
}
