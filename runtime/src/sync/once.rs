//! One-time initialisation: one runs it, the others wait until it is done.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

use crate::hub::Mode;
use crate::hub::identity;
use crate::hub::identity::ThreadId;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::single_threaded::AtomicU32;
use crate::task::shield;
use crate::wait_queue::WaitQueue;

/// Runs something once, whoever comes first: the mirror of [`std::sync::Once`].
///
/// What runs is shielded: kills and timeouts of the coroutine wait until it has returned. If
/// it panics, the `Once` is poisoned as in std. If the thread of the coroutine that runs it
/// ends meanwhile, it is never completed.
///
/// # Examples
///
/// ```
/// use corovent_runtime::sync::Once;
///
/// static START: Once = Once::new();
///
/// START.call_once(|| ());
/// START.call_once(|| unreachable!());
/// assert!(START.is_completed());
/// ```
pub struct Once {
    /// One of `INCOMPLETE`, `RUNNING`, `POISONED`, `COMPLETE`; changed under the queue's lock.
    state: AtomicU32,
    /// Those who wait, and who runs it: valid if the state is `RUNNING`.
    runner: WaitQueue<Option<ThreadId>>,
}

/// Tells what runs in [`Once::call_once_force`] whether an earlier one has panicked: the
/// mirror of [`std::sync::OnceState`].
pub struct OnceState {
    is_poisoned: bool,
    /// It is not `Sync`, as std's is not.
    _stays: PhantomData<Cell<bool>>,
}

/// How far a `Once` is that nobody else can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Incomplete,
    Poisoned,
    Complete,
}

/// What one has found who came to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It is done.
    Done,
    /// It has panicked, which is not to be ignored.
    Poison,
    /// The caller itself runs it.
    Oneself,
    /// Nobody runs it: the caller does, from now on.
    Turn { is_poisoned: bool },
}

const INCOMPLETE: u32 = 0;
const RUNNING: u32 = 1;
const POISONED: u32 = 2;
const COMPLETE: u32 = 3;

/// std's name for `Once::new()`, from before that could be called in a `static`.
#[deprecated(note = "the `Once::new()` function is now preferred")]
#[expect(clippy::declare_interior_mutable_const, reason = "it is std's, and for statics")]
pub const ONCE_INIT: Once = Once::new();

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

impl Once {
    /// Makes one that has not run.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    #[expect(clippy::new_without_default, reason = "std's has no default")]
    pub const fn new() -> Once {
        Once { state: AtomicU32::new(INCOMPLETE), runner: WaitQueue::new(None) }
    }

    /// Runs `f` if nothing was run here before; else waits until that is done.
    ///
    /// # Suspends
    ///
    /// Only if `f` does, or if another runs: until that is done. A thread without a hub is
    /// stopped.
    ///
    /// # Panics
    ///
    /// If what was run here before has panicked; or if the caller runs it itself, in an
    /// outer frame. The message names the coroutine.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends the wait for another. Of what the caller runs it ends nothing.
    #[inline]
    #[track_caller]
    pub fn call_once<F>(&self, f: F)
    where
        F: FnOnce(),
    {
        if !self.is_completed() {
            self.call(false, |_| f());
        }
    }

    /// Runs `f` if nothing has been completed here before, even if that has panicked.
    ///
    /// # Suspends
    ///
    /// As [`call_once`](Once::call_once).
    ///
    /// # Panics
    ///
    /// If the caller runs it itself, in an outer frame.
    ///
    /// # Cancellation
    ///
    /// As for [`call_once`](Once::call_once).
    #[inline]
    #[track_caller]
    pub fn call_once_force<F>(&self, f: F)
    where
        F: FnOnce(&OnceState),
    {
        if !self.is_completed() {
            self.call(true, f);
        }
    }

    /// Whether it was run to its end.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until it was run to its end, by somebody else.
    ///
    /// # Suspends
    ///
    /// Until then. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If it panics, or has; or if the caller runs it itself, in an outer frame.
    #[inline]
    #[track_caller]
    pub fn wait(&self) {
        if !self.is_completed() {
            self.wait_for_end(false);
        }
    }

    /// Waits until it was run to its end, by somebody else, however often it panics before.
    ///
    /// # Suspends
    ///
    /// Until then. A thread without a hub is stopped.
    ///
    /// # Panics
    ///
    /// If the caller runs it itself, in an outer frame.
    #[inline]
    #[track_caller]
    pub fn wait_force(&self) {
        if !self.is_completed() {
            self.wait_for_end(true);
        }
    }

    /// How far it is.
    pub(super) fn progress(&mut self) -> Progress {
        match self.state.load(Ordering::Relaxed) {
            COMPLETE => Progress::Complete,
            POISONED => Progress::Poisoned,
            // It runs for ever if its thread has ended, and its coroutine cannot borrow it then.
            _ => Progress::Incomplete,
        }
    }

    /// Sets how far it is.
    pub(super) fn set_progress(&mut self, progress: Progress) {
        let state = match progress {
            Progress::Incomplete => INCOMPLETE,
            Progress::Poisoned => POISONED,
            Progress::Complete => COMPLETE,
        };
        self.state.store(state, Ordering::Relaxed);
    }

    #[cold]
    #[track_caller]
    fn call(&self, ignores_poison: bool, f: impl FnOnce(&OnceState)) {
        let own = identity::current().id();
        let found = self.until(|runner| match self.state.load(Ordering::Relaxed) {
            COMPLETE => Some(Found::Done),
            POISONED if !ignores_poison => Some(Found::Poison),
            RUNNING => (*runner == Some(own)).then_some(Found::Oneself),
            state => {
                *runner = Some(own);
                self.state.store(RUNNING, Ordering::Relaxed);
                Some(Found::Turn { is_poisoned: state == POISONED })
            }
        });
        if let Found::Turn { is_poisoned } = self.check(found) {
            let mut run = Run { once: self, end: POISONED };
            shield(|| f(&OnceState { is_poisoned, _stays: PhantomData }));
            run.end = COMPLETE;
        }
    }

    #[cold]
    #[track_caller]
    fn wait_for_end(&self, ignores_poison: bool) {
        let own = identity::current().id();
        let found = self.until(|runner| match self.state.load(Ordering::Relaxed) {
            COMPLETE => Some(Found::Done),
            POISONED if !ignores_poison => Some(Found::Poison),
            RUNNING if *runner == Some(own) => Some(Found::Oneself),
            _ => None,
        });
        self.check(found);
    }

    /// Waits until `look` has found something.
    fn until(&self, look: impl FnMut(&mut Option<ThreadId>) -> Option<Found>) -> Found {
        let found = self.runner.wait(Deadline::NEVER, What::Once, Mode::Plain, look);
        found.unwrap_or_else(|_| interrupted())
    }

    #[track_caller]
    fn check(&self, found: Found) -> Found {
        match found {
            Found::Poison => panic!("Once instance has previously been poisoned"),
            Found::Oneself => refuse_recursion(),
            found => found,
        }
    }
}

/// What runs: when it is over, also by a panic, those who wait are woken.
struct Run<'a> {
    once: &'a Once,
    end: u32,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let mut runner = self.once.runner.lock();
        runner.state = None;
        self.once.state.store(self.end, Ordering::Release);
        drop(runner);
        self.once.runner.wake_all();
    }
}

#[cold]
#[track_caller]
fn refuse_recursion() -> ! {
    let own = identity::current();
    let name = own.name().unwrap_or("<unnamed>");
    panic!("'{name}' ({:?}) initialises what it is initialising already", own.id());
}

impl OnceState {
    /// Whether an earlier run has panicked.
    ///
    /// # Suspends
    ///
    /// Never.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}
