//! What is caught, and how often it came: the only part that runs inside of a signal handler.

// A signal handler is installed.
#![allow(unsafe_code)]

use std::io;
use std::mem;

use crate::signal::bell;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::lock::Lock;
use crate::sys::sigaction;
use crate::sys::sigaction::Action;

/// Gives a signal back what it did before the first wait for it: as a rule its default, which
/// for most is to end the process.
///
/// Those who wait for it go on to wait, and are not woken by it; the next wait or handler for
/// it catches it again. A signal that was never caught is left as it is.
///
/// # Errors
///
/// What sigaction(2) gives.
///
/// # Examples
///
/// The second SIGINT, as from Ctrl-C, ends the process by force:
///
/// ```no_run
/// use corovent_runtime::signal::{self, SIGINT};
///
/// signal::wait(&[SIGINT])?;
/// signal::reset(SIGINT)?;
/// // Whatever is to be done before the program ends.
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn reset(signal: i32) -> io::Result<()> {
    let mut before = BEFORE.lock();
    let Some(slot) = usize::try_from(signal).ok().and_then(|signal| before.get_mut(signal)) else {
        return Ok(());
    };
    if let Some(action) = *slot {
        // SAFETY: the action was in force before, so its handler is fit to be one.
        unsafe { action.install(signal) }?;
        *slot = None;
    }
    Ok(())
}

/// Refuses signals that cannot be waited for.
pub(super) fn check(signals: &[i32]) -> io::Result<()> {
    let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    let uncaught = [libc::SIGKILL, libc::SIGSTOP];
    // The C library keeps the first ones above the ordinary for itself.
    let is_fit = |signal: &i32| {
        ((1..32).contains(signal) || (libc::SIGRTMIN()..SIGNALS as i32).contains(signal))
            && !faults.contains(signal)
            && !uncaught.contains(signal)
    };
    if let Some(signal) = signals.iter().find(|signal| !is_fit(signal)) {
        let message = format!("signal {signal} cannot be waited for");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Makes the signals be counted from now on: all of them, or none if that fails.
pub(super) fn catch(signals: &[i32]) -> io::Result<()> {
    check(signals)?;
    let mut before = BEFORE.lock();
    let caught_by_others = *before;
    let caught = signals.iter().try_for_each(|signal| {
        let slot = &mut before[*signal as usize];
        if slot.is_none() {
            let was = Action::current(*signal)?;
            let action = Action::handle(on_signal, libc::SA_RESTART | libc::SA_ONSTACK);
            // SAFETY: the handler changes atomics and calls write(2) only, and keeps errno.
            unsafe { action.install(*signal) }?;
            *slot = Some(was);
        }
        Ok(())
    });
    if caught.is_err() {
        for (signal, slot) in before.iter_mut().enumerate() {
            if caught_by_others[signal].is_none()
                && let Some(action) = slot.take()
            {
                // SAFETY: the action was in force before, so its handler is fit to be one. The
                // call has just succeeded for this signal.
                let _ = unsafe { action.install(signal as i32) };
            }
        }
    }
    caught
}

/// Keeps others from changing what is caught: while the process forks.
pub(super) fn lock() {
    mem::forget(BEFORE.lock());
}

/// Takes [`lock`] back.
pub(super) fn unlock() {
    BEFORE.free_forgotten();
}

/// How often a signal has come; the number goes round.
pub(super) fn count_of(signal: i32) -> u32 {
    CAME[signal as usize].load(Ordering::SeqCst)
}

/// Whether a signal has come since somebody was last told of it.
pub(super) fn is_untold(signal: i32) -> bool {
    count_of(signal) != TOLD[signal as usize].load(Ordering::SeqCst)
}

/// Notes that somebody was told of a signal's first so many.
pub(super) fn tell(signal: i32, count: u32) {
    let told = &TOLD[signal as usize];
    let mut before = told.load(Ordering::SeqCst);
    // Another may have been told of later ones.
    while count.wrapping_sub(before) as i32 > 0 {
        match told.compare_exchange(before, count, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => break,
            Err(now) => before = now,
        }
    }
}

/// Signals are numbered from 1 to 64.
const SIGNALS: usize = 65;

/// What each signal did before it was caught; `None` if it is not.
static BEFORE: Lock<[Option<Action>; SIGNALS]> = Lock::new([None; SIGNALS]);
/// How often each signal has come.
static CAME: [AtomicU32; SIGNALS] = [const { AtomicU32::new(0) }; SIGNALS];
/// Up to which of them somebody has been told.
static TOLD: [AtomicU32; SIGNALS] = [const { AtomicU32::new(0) }; SIGNALS];

extern "C" fn on_signal(signal: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    CAME[signal as usize].fetch_add(1, Ordering::SeqCst);
    sigaction::preserving_errno(bell::ring_all);
}
