//! Handlers: a closure that runs in a new coroutine whenever a signal has come.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::hub;
use crate::join::JoinHandle;
use crate::signal::bell::Ringing;
use crate::signal::caught::check;
use crate::signal::listener::Signals;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::process::report;
use crate::task::Builder;

/// Runs a closure in a new coroutine of this thread's hub whenever one of several signals has
/// come, with the signal's number, until the guard is dropped.
///
/// It listens when the call returns. The closure may do what any coroutine may; it runs when
/// the hub comes round to it, so a coroutine that computes keeps it waiting. If another signal
/// comes while it waits, it runs once more at the same time. A panic of it is that of its
/// coroutine. If several hubs have handlers for a signal, each runs its own. As long as the
/// guard lives, the hub is never in a deadlock, since the closure could wake anybody; in gevent,
/// whose name is `signal_handler`, it can be.
///
/// What the signal did before is replaced for the whole process, until
/// [`reset`](crate::signal::reset): SIGINT and SIGTERM no longer end it. Child processes that
/// are spawned have the default again. SIGCHLD may be handled: it takes no child from those who
/// wait for one.
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
/// - As for [`Builder::spawn`](crate::Builder::spawn).
///
/// If it fails, no signal is caught that was not before.
///
/// # Examples
///
/// The first SIGTERM lets what runs come to its end, the second ends the process at once:
///
/// ```no_run
/// use corovent_runtime::signal::{self, SIGTERM};
/// use std::cell::Cell;
///
/// let accepting = corovent_runtime::spawn(|| loop { corovent_runtime::yield_now() });
/// let count = Cell::new(0);
/// let _guard = signal::on(&[SIGTERM], move |_| {
///     count.set(count.get() + 1);
///     if count.get() > 1 {
///         std::process::exit(1);
///     }
///     accepting.kill();
/// })?;
/// // Wait for those who are served still.
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn on<F>(signals: &[i32], f: F) -> io::Result<Guard>
where
    F: Fn(i32) + 'static,
{
    // So that the listener is known to end with it.
    hub::get()?;
    check(signals)?;
    let bell = Ringing::of_this_hub()?;
    let is_off = Arc::new(AtomicBool::new(false));
    let f = Rc::new(f);
    let (heard, seen) = (Rc::new(OnceCell::new()), Arc::clone(&is_off));
    let there = Rc::clone(&heard);
    let listener = Builder::new().name("signals".to_owned());
    // Before the signals are caught, which would stay so if this failed.
    let listener = listener.spawn(move || {
        if let Some(signals) = there.get() {
            listen(signals, &seen, &f);
        }
    })?;
    let guard = Guard { listener: Some(listener), is_off };
    let signals = Signals::with(signals, || Ok(bell))?;
    // It has not run yet.
    _ = heard.set(signals);
    Ok(guard)
}

/// Starts a coroutine for each signal.
fn listen<F: Fn(i32) + 'static>(signals: &Signals, is_off: &AtomicBool, f: &Rc<F>) {
    for signal in signals {
        let signal = match signal {
            Ok(signal) => signal,
            Err(error) => return report(&format!("corovent: no more signals are heard: {error}")),
        };
        if is_off.load(Ordering::Acquire) {
            return;
        }
        let f = Rc::clone(f);
        let handler = Builder::new().name(format!("handler of signal {signal}"));
        if let Err(error) = handler.spawn(move || f(signal)) {
            report(&format!("corovent: signal {signal} is not handled: {error}"));
        }
    }
}

/// Keeps a handler in force: see [`on`]. Runs that have begun are not ended with it.
#[must_use = "the handler is removed when the guard is dropped"]
pub struct Guard {
    listener: Option<JoinHandle<()>>,
    is_off: Arc<AtomicBool>,
}

impl Guard {
    /// Leaves the handler in force for as long as the hub lives.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn forget(mut self) {
        drop(self.listener.take());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            // It may have been woken already.
            self.is_off.store(true, Ordering::Release);
            listener.kill();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}
