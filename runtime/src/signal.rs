//! Signals of the operating system as ordinary wakeups.
//!
//! A handler counts the signal and writes to the eventfd of every wait that is under way;
//! nothing else is done in it. The eventfds are kept open and used again, since the handler
//! may be about to write to one on another thread.

// A signal handler is installed.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::IntoRawFd;
use std::os::fd::RawFd;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::hub;
use crate::hub::Hub;
use crate::hub::reason::Reason;
use crate::hub::shared::SharedRecord;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicI32;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::epoll;
use crate::sys::lock::Lock;
use crate::sys::sigaction;
use crate::sys::sigaction::Action;

/// Waits for one of several signals, and gives its number.
///
/// The first call for a signal replaces what the signal did before, for the whole process
/// and for good. A signal wakes every coroutine that waits for it; one that comes while
/// nobody waits is kept for the next wait, once however often it came. A wait that several
/// signals end gives the first of the list; the others are kept for the next wait, unless
/// another coroutine was given them. A coroutine that waits here is no deadlock. gevent's
/// name is `signal_handler`.
///
/// # Suspends
///
/// Until a signal has come.
///
/// # Errors
///
/// - `InvalidInput` for a signal that does not exist, cannot be caught (SIGKILL, SIGSTOP)
///   or is about a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL).
/// - `Other` if it would have to wait while the coroutine unwinds, or if more than 256
///   waits are under way.
/// - EMFILE if no descriptor is left.
///
/// # Cancellation
///
/// A signal that came is kept for the next wait.
///
/// # Examples
///
/// ```no_run
/// let stop = corovent_runtime::spawn(|| corovent_runtime::signal::wait(&[2, 15]));
/// println!("stopped by signal {}", stop.join().unwrap()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait(signals: &[i32]) -> io::Result<i32> {
    for signal in signals {
        catch(*signal)?;
    }
    let bell = Bell::take()?;
    let heard: Vec<u32> = signals.iter().map(|signal| count_of(*signal)).collect();
    let source = Source::new(bell.as_fd());
    source.call_for::<_, false>(
        Reason::Signal,
        Direction::Read,
        || Limit::None,
        |fd| {
            // Cleared first: a signal that comes after the look rings again.
            epoll::eventfd_clear(fd);
            let came = signals.iter().zip(&heard).find(|(signal, heard)| take(**signal, **heard));
            match came {
                Some((signal, _)) => Ok(Done::more(*signal)),
                None => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            }
        },
    )
}

/// Signals are numbered from 1 to 64.
const SIGNALS: usize = 65;
const BELLS: usize = 256;

/// How often each signal has come.
static CAME: [AtomicU32; SIGNALS] = [const { AtomicU32::new(0) }; SIGNALS];
/// Up to which of them somebody has been told.
static TOLD: [AtomicU32; SIGNALS] = [const { AtomicU32::new(0) }; SIGNALS];
static BELL_TABLE: [Bell; BELLS] = [const { Bell::new() }; BELLS];

/// An eventfd that the handler rings while a wait has it.
struct Bell {
    taken: AtomicBool,
    /// The hub of the wait, and its first ticket: a wait of a hub that has ended is over.
    /// `None` on a thread without a hub, where each wait comes to its end.
    hub: Lock<Option<(SharedRecord, u64)>>,
    /// -1 until it is first taken; then never closed.
    fd: AtomicI32,
}

/// A bell for the time of one wait.
struct Ringing(&'static Bell);

impl Bell {
    const fn new() -> Bell {
        Bell { taken: AtomicBool::new(false), hub: Lock::new(None), fd: AtomicI32::new(-1) }
    }

    fn take() -> io::Result<Ringing> {
        let mut bells = BELL_TABLE.iter();
        let free = bells.find(|bell| !bell.taken.swap(true, Ordering::Acquire));
        let free = free.or_else(|| BELL_TABLE.iter().find(|bell| bell.take_from_ended_hub()));
        let free = free.ok_or_else(|| io::Error::other("too many waits for signals"))?;
        let ringing = Ringing(free);
        let hub = hub::current().map(Hub::shared);
        *free.hub.lock() = hub.map(|hub| (hub, hub.first_ticket()));
        if free.fd.load(Ordering::Acquire) == -1 {
            free.fd.store(epoll::eventfd()?.into_raw_fd(), Ordering::Release);
        }
        Ok(ringing)
    }

    /// Takes over a bell that is taken, if nobody will ever give it back.
    fn take_from_ended_hub(&self) -> bool {
        let mut hub = self.hub.lock();
        let ended = hub.is_some_and(|(hub, number)| hub.first_ticket() != number);
        if ended {
            *hub = None;
        }
        ended
    }
}

impl Ringing {
    fn as_fd(&self) -> BorrowedFd<'static> {
        let fd: RawFd = self.0.fd.load(Ordering::Acquire);
        // SAFETY: the eventfd of a bell is never closed.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        *self.0.hub.lock() = None;
        self.0.taken.store(false, Ordering::Release);
    }
}

/// Makes the signal be counted from now on.
fn catch(signal: i32) -> io::Result<()> {
    static CAUGHT: Lock<u128> = Lock::new(0);

    let faults = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    if !(1..SIGNALS as i32).contains(&signal) || faults.contains(&signal) {
        let message = format!("signal {signal} cannot be waited for");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut caught = CAUGHT.lock();
    if *caught & (1 << signal) == 0 {
        let action = Action::handle(on_signal, libc::SA_RESTART | libc::SA_ONSTACK);
        // SAFETY: the handler changes atomics and calls write(2) only, and keeps errno.
        unsafe { action.install(signal) }?;
        *caught |= 1 << signal;
    }
    Ok(())
}

extern "C" fn on_signal(signal: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    CAME[signal as usize].fetch_add(1, Ordering::SeqCst);
    sigaction::preserving_errno(|| {
        for bell in &BELL_TABLE {
            if bell.taken.load(Ordering::SeqCst) {
                epoll::eventfd_raise(bell.fd.load(Ordering::SeqCst));
            }
        }
    });
}

fn count_of(signal: i32) -> u32 {
    CAME[signal as usize].load(Ordering::SeqCst)
}

/// Takes a signal that has come since `heard`, or before and nobody was told.
fn take(signal: i32, heard: u32) -> bool {
    let came = count_of(signal);
    let told = TOLD[signal as usize].load(Ordering::SeqCst);
    if came == heard && came == told {
        return false;
    }
    TOLD[signal as usize].fetch_max(came, Ordering::SeqCst);
    true
}
