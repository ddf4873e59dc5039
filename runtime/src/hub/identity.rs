//! Who a coroutine or a thread is: its number, its name and its park token.

use std::cell::Cell;
use std::cell::OnceCell;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::thread;

use crate::hub;
use crate::hub::Begun;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::hub::wake::Place;
use crate::hub::wake::WakeRef;
use crate::scheduler::Outcome;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::lock::Lock;
use crate::sys::single_threaded::AtomicU32;

/// A handle of a coroutine, or of an OS thread: the mirror of [`std::thread::Thread`].
///
/// It names and wakes, and keeps nothing alive.
#[derive(Clone)]
pub struct Thread {
    inner: Arc<Inner>,
}

struct Inner {
    id: ThreadId,
    name: Option<Box<str>>,
    /// One of `EMPTY`, `PARKED`, `NOTIFIED`.
    token: AtomicU32,
    /// The wait of whoever is parked, or one that is over.
    parked: Lock<Option<WakeRef>>,
}

/// The number of a coroutine or of an OS thread, unique in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(NonZeroU64);

// A panic leaves nothing half-way in there: the lock is not held across anything that panics.
impl RefUnwindSafe for Thread {}
impl UnwindSafe for Thread {}

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

impl Thread {
    /// Makes the handle of the coroutine with the number `id`.
    pub(crate) fn new(id: u64, name: Option<Box<str>>) -> Thread {
        let id = ThreadId(NonZeroU64::new(id).expect("ids begin at one"));
        let (token, parked) = (AtomicU32::new(EMPTY), Lock::new(None));
        Thread { inner: Arc::new(Inner { id, name, token, parked }) }
    }

    /// Gives the number, which differs for each coroutine and each thread.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        self.inner.id
    }

    /// Gives the name, if it has one; that of the main thread is `main`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Lets one [`park`](crate::thread::park) of it return: the current one, or the next.
    ///
    /// It may be called from any thread.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn unpark(&self) {
        if self.inner.token.swap(NOTIFIED, Ordering::AcqRel) == PARKED {
            let parked = *self.inner.parked.lock();
            if let Some(parked) = parked {
                parked.wake();
            }
        }
    }

    /// Waits for the token. Only for the handle of the running code.
    pub(crate) fn park(&self, deadline: Deadline) -> Outcome {
        match self.begin_park(deadline) {
            Ok(suspension) => self.end_park(suspension.suspend(deadline)),
            Err(outcome) => outcome,
        }
    }

    /// Begins that.
    #[inline]
    fn begin_park(&self, deadline: Deadline) -> Begun {
        let token = &self.inner.token;
        if token.load(Ordering::Relaxed) == NOTIFIED {
            // Nobody else takes it. An exchange, since another that comes now is used up too,
            // with what was done before it.
            token.swap(EMPTY, Ordering::Acquire);
            return Err(Outcome::Woken);
        }
        let place = Place::current();
        place.name_wait(Cell::from_mut(&mut self.inner.parked.lock()));
        let exchange = token.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire);
        // `PARKED` was left by a park that panicked since it may not wait here.
        if exchange.is_err_and(|found| found != PARKED) {
            // An unparker of an earlier wait may read the name still.
            place.forgo();
            return Err(self.end_park(Outcome::Woken));
        }
        let begun = place.begin(deadline, Reason::Park, Mode::Plain);
        begun.map_err(|outcome| self.end_park(outcome))
    }

    /// Ends it, after a wait with that outcome.
    #[inline]
    fn end_park(&self, outcome: Outcome) -> Outcome {
        let token = &self.inner.token;
        match outcome {
            // A token that came meanwhile is not lost: the next park finds it.
            Outcome::Interrupted => {
                let _ = token.compare_exchange(PARKED, EMPTY, Ordering::AcqRel, Ordering::Relaxed);
            }
            // It acquires what the unparker did before, even one that came just now.
            _ => {
                token.swap(EMPTY, Ordering::Acquire);
            }
        }
        outcome
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// Waits for the token of the coroutine that runs, or of the thread.
#[inline(always)]
pub(crate) fn park(deadline: Deadline) -> Outcome {
    match begin_park(deadline) {
        Ok(suspension) => end_park(suspension.suspend(deadline)),
        Err(outcome) => outcome,
    }
}

/// Begins that.
#[inline(never)]
fn begin_park(deadline: Deadline) -> Begun {
    match hub::current() {
        Some(hub) if !hub.is_root() => hub.with_current_thread(|own| own.begin_park(deadline)),
        _ => Err(current().park(deadline)),
    }
}

/// Ends the park of a coroutine.
#[inline(never)]
fn end_park(outcome: Outcome) -> Outcome {
    let hub = hub::running_hub().expect("a coroutine has a hub");
    hub.with_current_thread(|own| own.end_park(outcome))
}

/// The handle of the coroutine that runs, or of the thread.
pub(crate) fn current() -> Thread {
    if let Some(hub) = hub::current()
        && !hub.is_root()
    {
        return hub.with_current_thread(Thread::clone);
    }
    thread_local! {
        static OWN: OnceCell<Thread> = const { OnceCell::new() };
    }
    let kept = OWN.try_with(|own| own.get_or_init(os_thread).clone());
    // The thread ends, and the handle with it.
    kept.unwrap_or_else(|_| os_thread())
}

/// The number of the coroutine that runs, or of the thread: that of [`current`], and cheaper.
#[inline]
pub(crate) fn current_number() -> u64 {
    match hub::current() {
        Some(hub) if !hub.is_root() => hub.with_current(|task| task.id),
        _ => os_thread_number(),
    }
}

/// A handle of the thread. There may be several while the thread ends, with one number.
fn os_thread() -> Thread {
    let name = thread::current().name().map(Box::from);
    Thread::new(os_thread_number(), name)
}

/// The number of the thread, with or without a hub, to its very end.
pub(crate) fn os_thread_number() -> u64 {
    thread_local! {
        static ID: Cell<u64> = const { Cell::new(0) };
    }
    if ID.get() == 0 {
        ID.set(unhubbed_id());
    }
    ID.get()
}

/// Numbers from here on are of those that no hub numbers.
pub(crate) const FIRST_OTHER_ID: u64 = 1 << 63;

/// Numbers for those that no hub numbers: above all of a hub's.
pub(crate) fn unhubbed_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(FIRST_OTHER_ID);

    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A token meets the deadline of a park: whoever uses it up has to see what was written
    /// before the unpark, or would park for ever. Miri shows what the processor here hides.
    #[test]
    fn a_token_that_meets_a_deadline_carries_what_came_before() {
        let rounds = if cfg!(miri) { 50 } else { 5_000 };
        let (begun, written) = (AtomicU32::new(0), AtomicU32::new(0));
        let own = current();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=rounds {
                    while begun.load(Ordering::Acquire) != round {
                        thread::yield_now();
                    }
                    // Relaxed: only the token carries it over.
                    written.store(round, Ordering::Relaxed);
                    own.unpark();
                }
            });
            for round in 1..=rounds {
                begun.store(round, Ordering::Release);
                own.park(Deadline::after(Duration::from_nanos(1)));
                while written.load(Ordering::Relaxed) != round {
                    own.park(Deadline::NEVER);
                }
                // What is left is used up, so that the next round has none to begin with.
                own.park(Deadline::after(Duration::ZERO));
            }
        });
    }

    #[test]
    fn a_token_is_kept_until_it_is_used_once() {
        let own = current();
        own.unpark();
        own.unpark();
        assert_eq!(own.park(Deadline::NEVER), Outcome::Woken);
        let soon = Deadline::after(Duration::from_millis(1));
        assert_eq!(own.park(soon), Outcome::TimedOut);
        assert!(Deadline::now() >= soon);
    }
}
