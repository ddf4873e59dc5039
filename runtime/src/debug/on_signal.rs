//! The dump that a signal asks for: by a call, or by the environment.

// What is to happen at the first hub is said before `main`.
#![allow(unsafe_code)]

use std::env;
use std::io;
use std::mem;

use crate::debug::dump::print_all_with_backtraces;
use crate::hub;
use crate::signal;
use crate::signal::watch;
use crate::sys::atomic::AtomicBool;
use crate::sys::fork;
use crate::sys::fork::Repair;
use crate::sys::lock::Lock;
use crate::sys::process::report;

/// Makes every hub of the process print its table with backtraces to stderr whenever a signal
/// comes, for as long as the process lives.
///
/// The environment can ask for the same: with `COROVENT_DUMP_SIGNAL=QUIT` the process does it
/// from its first hub on. SIGQUIT (Ctrl-\\ in a terminal) and SIGUSR1 are usual. What the signal
/// did before is replaced, until [`signal::reset`](crate::signal::reset).
///
/// A hub prints when its loop comes round next, also if it sleeps; one that computes without a
/// wait does not. It is stopped for some 10 µs for each coroutine; the functions are looked up
/// on another thread.
///
/// # Suspends
///
/// Never.
///
/// # Errors
///
/// - `InvalidInput` for a signal that does not exist, cannot be caught (SIGKILL, SIGSTOP)
///   or is about a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL).
/// - EMFILE if no descriptor is left, EAGAIN if no thread can be started.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{debug, signal};
///
/// debug::dump_on_signal(signal::SIGUSR1)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on_signal(signal: i32) -> io::Result<()> {
    let bit = u32::try_from(signal).ok().and_then(|signal| 1_u128.checked_shl(signal));
    let bit = bit.unwrap_or_default();
    fork::watch(&Signals, &IS_WATCHED);
    let is_watched = {
        let mut watched = WATCHED.lock();
        let before = *watched;
        *watched |= bit;
        before & bit != 0
    };
    if is_watched {
        // It may have been given back meanwhile.
        return watch::again(signal);
    }
    let result = watch::watch(signal, print_all_with_backtraces);
    if result.is_err() {
        *WATCHED.lock() &= !bit;
    }
    result
}

/// The signals that are watched already, a bit each. A fork takes the lock, so that no child
/// inherits it held.
static WATCHED: Lock<u128> = Lock::new(0);

/// They in processes that are forked off, where the threads that watch are not.
struct Signals;

static IS_WATCHED: AtomicBool = AtomicBool::new(false);

impl Repair for Signals {
    fn prepare(&self) {
        mem::forget(WATCHED.lock());
    }

    fn parent(&self) {
        WATCHED.free_forgotten();
    }

    fn child(&self) {
        WATCHED.free_forgotten();
        *WATCHED.lock() = 0;
    }
}

/// The names of signals that may be asked for.
const NAMES: [(&str, i32); 12] = [
    ("QUIT", signal::SIGQUIT),
    ("USR1", signal::SIGUSR1),
    ("USR2", signal::SIGUSR2),
    ("HUP", signal::SIGHUP),
    ("INT", signal::SIGINT),
    ("TERM", signal::SIGTERM),
    ("ALRM", signal::SIGALRM),
    ("IO", signal::SIGIO),
    ("PROF", signal::SIGPROF),
    ("URG", signal::SIGURG),
    ("WINCH", signal::SIGWINCH),
    ("PWR", signal::SIGPWR),
];

/// Does what the environment asks for; a wrong wish is said and ignored.
fn obey_environment() {
    let Some(wish) = env::var_os("COROVENT_DUMP_SIGNAL") else { return };
    let wish = wish.to_string_lossy();
    if let Err(why) = dump_on(&wish) {
        report(&format!("corovent: COROVENT_DUMP_SIGNAL={wish} is ignored: {why}"));
    }
}

fn dump_on(wish: &str) -> Result<(), String> {
    let upper = wish.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let Some((_, signal)) = NAMES.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        return Err(format!("it is none of {}", names.join(", ")));
    };
    dump_on_signal(*signal).map_err(|error| error.to_string())
}

/// Tells the hub's module, which knows nothing of this one.
#[cfg(not(miri))]
#[used]
// SAFETY: the section holds functions of this form, which the loader calls once each.
#[unsafe(link_section = ".init_array")]
static TELL_HUB: extern "C" fn() = {
    extern "C" fn tell_hub() {
        hub::at_first_hub(obey_environment);
    }
    tell_hub
};
