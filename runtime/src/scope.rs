//! Coroutines that may borrow, since they end before the scope does.
//!
//! **Invariant:** `scope` does not return, and does not unwind, before every coroutine
//! spawned in it has ended and dropped what it may have borrowed. If one cannot be ended
//! that has to be, the process is aborted.

// Children with a lifetime are given to a hub that knows none.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::panic::RefUnwindSafe;
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use crate::error::Deadlock;
use crate::error::is_interrupt;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::identity::Thread;
use crate::hub::reason::What;
use crate::hub::shared::SharedRecord;
use crate::join::JoinHandle;
use crate::packet::Observer;
use crate::scheduler::Outcome;
use crate::select::Selectable;
use crate::select::waits_as;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::process::abort_with;
use crate::sys::single_threaded::AtomicUsize;
use crate::task::Builder;
use crate::wait_queue::WaitQueue;

/// A scope in which coroutines are spawned: the mirror of [`std::thread::Scope`].
pub struct Scope<'scope, 'env: 'scope> {
    family: Family,
    // As in std: invariant in both, so that neither can be shortened to fool the borrows.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Owns the right to the result of a coroutine of a scope: the mirror of
/// [`std::thread::ScopedJoinHandle`].
pub struct ScopedJoinHandle<'scope, T> {
    pub(crate) handle: JoinHandle<T>,
    _scope: PhantomData<&'scope ()>,
}

/// What a scope knows of its coroutines.
struct Family {
    hub: SharedRecord,
    hub_number: u64,
    /// How many have not ended.
    running: AtomicUsize,
    /// The scope kills what it has, so it kills what comes as well.
    killing: AtomicBool,
    /// One panicked, and nobody joined it.
    panic_unseen: AtomicBool,
    /// One swallowed its kill as often as it was thrown.
    kill_ignored: AtomicBool,
    /// Where the scope waits.
    ended: WaitQueue<()>,
}

/// Calls `f` with a scope, and waits for all coroutines spawned in it.
///
/// They may borrow what lives longer than the scope. If one of them panics and nobody joins
/// it, this panics as well. A panic of `f` waits for them; a kill or a timeout, of `f` or of
/// the wait for them, kills them first. If one then swallows the kill every time, the
/// process is aborted: it may not outlive what it borrows.
///
/// # Suspends
///
/// Until the last coroutine of the scope has ended.
///
/// # Panics
///
/// If a coroutine of the scope has panicked and was not joined, or if the thread's hub
/// cannot be made.
///
/// # Cancellation
///
/// The coroutines of the scope are killed, and the unwinding goes on when all have ended.
///
/// # Examples
///
/// ```
/// let words = vec!["green", "threads"];
/// let mut lengths = [0; 2];
/// corovent_runtime::scope(|scope| {
///     for (length, word) in lengths.iter_mut().zip(&words) {
///         scope.spawn(move || *length = word.len());
///     }
/// });
/// assert_eq!(lengths, [5, 7]);
/// ```
///
/// What is borrowed must live longer than the scope, not only longer than its body:
///
/// ```compile_fail
/// corovent_runtime::scope(|scope| {
///     let local = 1;
///     scope.spawn(|| &local + 1);
/// });
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let hub = match hub::get() {
        Ok(hub) => hub,
        Err(error) => panic!("a scope needs the thread's hub: {error}"),
    };
    // Later, at the wait for the coroutines, it would be too late to panic.
    hub.check_stack();
    let family = Family {
        hub: hub.shared(),
        hub_number: hub.shared().first_ticket(),
        running: AtomicUsize::new(0),
        killing: AtomicBool::new(false),
        panic_unseen: AtomicBool::new(false),
        kill_ignored: AtomicBool::new(false),
        ended: WaitQueue::new(()),
    };
    let scope = Scope { family, scope: PhantomData, env: PhantomData };
    let result = hub.catch(|| f(&scope));
    let kill_first = result.as_ref().is_err_and(|payload| ends_children(&**payload));
    let unfinished = Unfinished;
    let interrupted = scope.family.wait(hub, kill_first);
    mem::forget(unfinished);
    match result {
        Err(payload) => {
            // The root's wait has ended, and what it ended with is thrown instead.
            hub.take_deadlock();
            hub.rethrow(payload)
        }
        Ok(_) if interrupted => hub.throw(),
        Ok(_) if scope.family.panic_unseen.load(Ordering::Acquire) => {
            panic!("a scoped thread panicked")
        }
        Ok(value) => value,
    }
}

/// Is dropped if the wait for the coroutines panics: they may not outlive the scope.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        abort_with("a scope cannot wait for its coroutines, which may not outlive it");
    }
}

/// Whether what unwinds the body is to end its coroutines: not so a panic, as in std.
fn ends_children(payload: &(dyn Any + Send)) -> bool {
    is_interrupt(payload) || payload.is::<Deadlock>()
}

// A panic leaves nothing half-way in there: it is counters, and a list under a lock.
impl RefUnwindSafe for Scope<'_, '_> {}

impl<'scope> Scope<'scope, '_> {
    /// Starts a coroutine in the scope.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If there is no room for the stack, or on another thread than the scope's.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        match Builder::new().spawn_scoped(self, f) {
            Ok(handle) => handle,
            Err(error) => panic!("failed to spawn a coroutine: {error}"),
        }
    }
}

impl Builder {
    /// Starts a coroutine in a scope, with this configuration.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Builder::spawn).
    ///
    /// # Panics
    ///
    /// On another thread than the scope's, and if the name contains a zero byte.
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let family = &scope.family;
        assert!(family.is_home(), "coroutines are spawned on the thread of their scope");
        let observer: NonNull<dyn Observer + '_> = NonNull::from(family);
        // SAFETY: only the lifetime is erased; the scope does not return before the
        // coroutine has ended, and no handle of it is used after the scope.
        let observer: NonNull<dyn Observer> = unsafe { mem::transmute(observer) };
        // SAFETY: what is borrowed outlives 'scope, and so the coroutine, as above.
        let handle = unsafe { self.spawn_observed(Some(observer), f) }?;
        // It has not run yet, so it is counted before it can end.
        family.running.fetch_add(1, Ordering::Relaxed);
        if family.killing.load(Ordering::Relaxed) {
            handle.kill();
        }
        Ok(ScopedJoinHandle { handle, _scope: PhantomData })
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the coroutine to end; see [`JoinHandle::join`].
    ///
    /// # Suspends
    ///
    /// Until the coroutine has ended.
    ///
    /// # Panics
    ///
    /// If a coroutine joins itself.
    pub fn join(self) -> thread::Result<T> {
        self.handle.join()
    }

    /// Waits for the coroutine to end, but not longer than `timeout`; see
    /// [`JoinHandle::join_timeout`].
    ///
    /// # Suspends
    ///
    /// Until the coroutine has ended, or the time is up.
    ///
    /// # Panics
    ///
    /// If a coroutine joins itself.
    pub fn join_timeout(self, timeout: Duration) -> Result<thread::Result<T>, Self> {
        self.handle.join_timeout(timeout).map_err(|handle| Self { handle, _scope: PhantomData })
    }

    /// Whether the coroutine has ended.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Asks the coroutine to end; see [`JoinHandle::kill`].
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn kill(&self) -> bool {
        self.handle.kill()
    }

    /// Asks the coroutine to end, and waits for it; see [`JoinHandle::kill_timeout`].
    ///
    /// # Suspends
    ///
    /// Until the coroutine has ended or ignored the kill, or the time is up.
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.handle.kill_timeout(timeout)
    }

    /// Gives the handle that names and unparks the coroutine.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }
}

impl<T> Selectable for ScopedJoinHandle<'_, T> {}

waits_as!([T] ScopedJoinHandle<'_, T>, this => this.handle);

impl Family {
    /// Whether the running code is on the thread of the scope's hub.
    fn is_home(&self) -> bool {
        hub::current().is_some_and(|hub| {
            std::ptr::eq(hub.shared(), self.hub) && self.hub.first_ticket() == self.hub_number
        })
    }

    /// Waits until all have ended. True if a kill, a timeout or a deadlock came meanwhile,
    /// which is still to be thrown.
    fn wait(&self, hub: &Hub, kill_first: bool) -> bool {
        let mut interrupted = false;
        let mut killing = kill_first;
        loop {
            if killing {
                self.kill_children(hub);
            }
            let mode = if killing { Mode::Masked } else { Mode::Plain };
            let waited = self.ended.wait(Deadline::NEVER, What::Scope, mode, |()| {
                let over = self.running.load(Ordering::Acquire) == 0;
                let ignored = killing && self.kill_ignored.load(Ordering::Acquire);
                (over || ignored).then_some(over)
            });
            match waited {
                Ok(true) => return interrupted,
                Ok(false) => abort_with(
                    "a coroutine of a scope swallowed its kill, and may not outlive the scope",
                ),
                Err(Outcome::Interrupted) => {
                    interrupted = true;
                    killing = true;
                }
                Err(_) => unreachable!("the wait has no deadline"),
            }
        }
    }

    fn kill_children(&self, hub: &Hub) {
        self.killing.store(true, Ordering::Relaxed);
        self.kill_ignored.store(false, Ordering::Release);
        let own: *const () = std::ptr::from_ref(self).cast();
        for (slot, id) in hub.coroutines_of(own) {
            if !hub.kill(slot, id) && !hub::UNWINDS {
                abort_with("without unwinding, a coroutine cannot be ended for its scope");
            }
        }
    }
}

impl Observer for Family {
    fn ended(&self) {
        if self.running.fetch_sub(1, Ordering::Release) == 1 {
            self.ended.wake_all();
        }
    }

    fn panic_unseen(&self) {
        self.panic_unseen.store(true, Ordering::Release);
    }

    fn kill_ignored(&self) {
        self.kill_ignored.store(true, Ordering::Release);
        self.ended.wake_all();
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("num_running_threads", &self.family.running.load(Ordering::Relaxed))
            .field("a_thread_panicked", &self.family.panic_unseen.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

// As for `JoinHandle`: no value of the type is in it.
impl<T> Unpin for ScopedJoinHandle<'_, T> {}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}
