//! Looking inside: who waits for what, and what counts as a deadlock.
//!
//! `dump.rs` is the table of coroutines. It is written for people by `groups.rs`, for programs by
//! `json.rs`, for flame graphs by `folded.rs`; `symbols.rs` names the functions of its backtraces,
//! and `on_signal.rs` has one printed at a signal. `counters.rs` is how many there are, `stats.rs`
//! what was done so far, `watchdog.rs` who keeps the others waiting, `no_wait.rs` code that must
//! not wait.

mod counters;
mod dump;
mod folded;
mod groups;
mod json;
mod no_wait;
mod on_signal;
mod stats;
mod watchdog;

use crate::hub;

pub use crate::debug::counters::Counters;
pub use crate::debug::counters::counters;
pub use crate::debug::counters::unjoined_panics;
pub use crate::debug::dump::Dump;
pub use crate::debug::dump::Frame;
pub use crate::debug::dump::TaskInfo;
pub use crate::debug::dump::dump;
pub use crate::debug::dump::dump_with_backtraces;
pub use crate::debug::dump::print_all;
pub use crate::debug::dump::print_all_with_backtraces;
pub use crate::debug::no_wait::no_wait;
pub use crate::debug::on_signal::dump_on_signal;
pub use crate::debug::stats::Stats;
pub use crate::debug::stats::stats;
pub use crate::debug::watchdog::Stall;
pub use crate::debug::watchdog::on_stall;
pub use crate::debug::watchdog::watchdog;
pub use crate::hub::DeadlockScope as Scope;

/// Sets what counts as a deadlock on this thread, and gives what did.
///
/// # Suspends
///
/// Never.
///
/// # Panics
///
/// If the thread's hub cannot be made.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{Deadlock, debug, thread};
///
/// debug::deadlock(debug::Scope::Hub);
/// // Nobody can unpark this thread: the test's other threads do not count.
/// let payload = std::panic::catch_unwind(thread::park).unwrap_err();
/// assert!(payload.is::<Deadlock>());
/// ```
#[track_caller]
pub fn deadlock(scope: Scope) -> Scope {
    match hub::get() {
        Ok(hub) => hub.set_deadlock_scope(scope),
        Err(error) => panic!("the deadlock report needs the thread's hub: {error}"),
    }
}
