//! Spawning coroutines, and what running code can ask of itself.

// Making a packet needs a promise about what its closure borrows.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::io;
use std::panic;
use std::panic::Location;
use std::panic::UnwindSafe;
use std::ptr::NonNull;
use std::thread;

use crate::error::is_interrupt;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::identity;
use crate::hub::identity::Thread;
use crate::hub::shared::Message;
use crate::hub::shared::SharedRecord;
use crate::hub::task::NewTask;
use crate::join::JoinHandle;
use crate::join::interrupted;
use crate::packet;
use crate::packet::Birth;
use crate::packet::Observer;
use crate::scheduler::Outcome;
use crate::stack::SizeClass;
use crate::sys::clock::Deadline;

/// Starts a coroutine on this thread, and gives the handle of its result.
///
/// It runs when the spawner waits or yields, after those that were spawned before it; the
/// spawner keeps running. Unlike [`std::thread::spawn`] nothing has to be `Send`: a
/// coroutine never leaves its thread. Dropping the handle detaches it. When the thread ends
/// (or `main` returns), coroutines that have not ended are left as they are: neither run
/// nor unwound.
///
/// # Known holes
///
/// Thread-locals take it for granted that the thread runs one stack. In three cases safe code
/// can reach memory that is gone, and nothing here can see it; the locals of
/// [`coroutine_local!`](crate::coroutine_local) have the first two not:
///
/// - The initialiser of a `thread_local!` waits. Another coroutine then initialises it as
///   well, and the later of the two replaces the value that the other already refers to.
///   Use `const { … }` initialisers, or such as do not wait.
/// - A crate keeps a reference in a thread-local for the length of a call, as `scoped-tls`
///   does, and the call waits. Another coroutine finds the reference, or puts it back after
///   its call when what it refers to is gone.
/// - [`std::process::exit`] runs, and a thread-local's destructor waits that was first used
///   after the first coroutine was spawned: others run, whose thread-locals may be gone.
///   (At the ordinary end of a thread, and of `main`, a destructor that waits stops the
///   thread and runs nobody; but not in a program that is linked statically, where every
///   end of a thread is such a case.)
///
/// # Suspends
///
/// Never.
///
/// # Panics
///
/// If there is no room for the stack; [`Builder::spawn`] gives that as an error.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// let shared = Rc::new(20);
/// let task = corovent_runtime::spawn({
///     let shared = Rc::clone(&shared);
///     move || *shared + 1
/// });
/// assert_eq!(task.join().unwrap() + *shared, 41);
/// ```
///
/// It cannot borrow from the spawner's frame, which may be gone first; [`scope`] can:
///
/// ```compile_fail
/// let local = 1;
/// corovent_runtime::spawn(|| &local + 1);
/// ```
///
/// [`scope`]: crate::scope::scope
#[track_caller]
#[inline]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    // SAFETY: the closure and its result borrow nothing.
    match unsafe { spawn_unchecked(None, None, None, f) } {
        Ok(handle) => handle,
        Err(error) => no_coroutine(&error),
    }
}

#[cold]
#[track_caller]
pub(crate) fn no_coroutine(error: &io::Error) -> ! {
    panic!("failed to spawn a coroutine: {error}")
}

/// Configures a coroutine before it is spawned: the mirror of [`std::thread::Builder`].
///
/// # Examples
///
/// ```
/// use corovent_runtime::Builder;
///
/// let builder = Builder::new().name("parser".to_owned()).stack_size(1 << 20);
/// let task = builder.spawn(|| corovent_runtime::current().name().map(str::to_owned))?;
/// assert_eq!(task.join().unwrap().as_deref(), Some("parser"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
#[must_use = "must eventually spawn the coroutine"]
pub struct Builder {
    pub(crate) name: Option<String>,
    stack_bytes: Option<usize>,
}

impl Builder {
    /// Makes a configuration with nothing set.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets the name, which panics, dumps and reports show.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// Sets how many bytes the stack has at least; it is rounded up to a power of two of
    /// 64 KiB or more, and at most 1 GiB.
    ///
    /// Only what is touched takes memory. The default is 256 KiB, or the number of bytes in
    /// the environment variable `COROVENT_STACK_SIZE`.
    pub fn stack_size(mut self, size: usize) -> Builder {
        self.stack_bytes = Some(size);
        self
    }

    /// Starts the coroutine, as [`spawn`] does.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the stack is larger than the limit, or `COROVENT_STACK_SIZE` is not
    ///   a number.
    /// - `OutOfMemory`: there is no room for the stack; the message names the limit.
    /// - What the kernel says when it has no fd left for the hub.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte, as in std.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        // SAFETY: the closure and its result borrow nothing.
        unsafe { self.spawn_unchecked(f) }
    }

    /// Starts a coroutine that may borrow, and leaves it to the caller that nothing borrowed
    /// goes first. [`scope`](crate::scope::scope) needs no such care.
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
    /// If the name contains a zero byte, as in std.
    ///
    /// # Safety
    ///
    /// What the closure and its result borrow must live until the coroutine has ended, or for
    /// ever if it never does. A kill, a timeout or a deadlock can end a `join` before that.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::Builder;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let count = AtomicU32::new(1);
    /// let add = || count.fetch_add(1, Ordering::Relaxed);
    /// // SAFETY: nothing interrupts the join, so `count` lives until the coroutine has ended.
    /// let task = unsafe { Builder::new().spawn_unchecked(add) }?;
    /// task.join().unwrap();
    /// assert_eq!(count.into_inner(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub unsafe fn spawn_unchecked<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T,
    {
        // SAFETY: as the caller vouches.
        unsafe { self.spawn_observed(None, f) }
    }

    /// Starts a coroutine that may borrow.
    ///
    /// # Safety
    ///
    /// What the closure and its result borrow, and the observer, must live until the
    /// coroutine has ended, or for ever if it never does.
    #[track_caller]
    pub(crate) unsafe fn spawn_observed<F, T>(
        self,
        observer: Option<NonNull<dyn Observer>>,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T,
    {
        let class = self.class()?;
        // SAFETY: as the caller vouches.
        unsafe { spawn_unchecked(self.name.map(String::into_boxed_str), class, observer, f) }
    }

    /// The class of the stack; `None` is the hub's default.
    pub(crate) fn class(&self) -> io::Result<Option<SizeClass>> {
        if let Some(name) = &self.name {
            assert!(!name.contains('\0'), "thread name may not contain interior null bytes");
        }
        self.stack_bytes.map(SizeClass::for_bytes).transpose()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("stack_size", &self.stack_bytes)
            .finish_non_exhaustive()
    }
}

/// Starts a coroutine that may borrow.
///
/// # Safety
///
/// As for [`Builder::spawn_observed`].
#[track_caller]
#[inline]
unsafe fn spawn_unchecked<F, T>(
    name: Option<Box<str>>,
    class: Option<SizeClass>,
    observer: Option<NonNull<dyn Observer>>,
    f: F,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T,
{
    let plan = Plan { name, class, observer, spawned_at: Location::caller() };
    // SAFETY: as the caller vouches.
    unsafe { spawn_planned(plan, f, Hub::spawn) }
}

/// Starts a coroutine in the name of who has called another function.
pub(crate) fn spawn_at<F, T>(
    spawned_at: &'static Location<'static>,
    f: F,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let plan = Plan { name: None, class: None, observer: None, spawned_at };
    // SAFETY: the closure and its result borrow nothing.
    unsafe { spawn_planned(plan, f, Hub::spawn) }
}

/// What is known of a coroutine that is about to be made, besides its closure.
pub(crate) struct Plan {
    pub(crate) name: Option<Box<str>>,
    /// `None` is the hub's default.
    pub(crate) class: Option<SizeClass>,
    pub(crate) observer: Option<NonNull<dyn Observer>>,
    pub(crate) spawned_at: &'static Location<'static>,
}

/// Makes a coroutine, and leaves it to `enter` to give it to the hub.
///
/// # Safety
///
/// As for [`Builder::spawn_observed`].
#[inline]
pub(crate) unsafe fn spawn_planned<F, T>(
    plan: Plan,
    f: F,
    enter: impl FnOnce(&Hub, NewTask) -> io::Result<u32>,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T,
{
    let Plan { name, class, observer, spawned_at } = plan;
    let hub = hub::get()?;
    let id = hub.new_id();
    let shared = hub.shared();
    let birth = Birth { id, name, hub: shared, hub_number: shared.first_ticket(), observer };
    // SAFETY: as the caller vouches.
    let (body, side) = unsafe { packet::new_packet(birth, f) };
    // SAFETY: the body was just made; its hub is that of this thread.
    let new = unsafe { NewTask::new(shared.first_ticket(), id, body, class, spawned_at) };
    match enter(hub, new) {
        Ok(slot) => {
            side.head().set_slot(slot);
            Ok(JoinHandle { side })
        }
        Err(error) => {
            // SAFETY: the hub has refused the body, whose closure is an `F`.
            unsafe { packet::discard::<F, T>(body, side) };
            Err(error)
        }
    }
}

/// Makes a coroutine of another thread's hub. `None` if that has ended; the closure is dropped
/// then.
///
/// # Safety
///
/// The closure and its result must borrow nothing, and be such as may cross threads.
pub(crate) unsafe fn spawn_elsewhere<F, T>(
    hub: SharedRecord,
    hub_number: u64,
    spawned_at: &'static Location<'static>,
    f: F,
) -> Option<JoinHandle<T>>
where
    F: FnOnce() -> T,
{
    let id = identity::unhubbed_id();
    let birth = Birth { id, name: None, hub, hub_number, observer: None };
    // SAFETY: as the caller vouches.
    let (body, side) = unsafe { packet::new_packet(birth, f) };
    // SAFETY: the body was just made, and the caller vouches that it may cross threads.
    let new = unsafe { NewTask::new(hub_number, id, body, None, spawned_at) };
    if hub.post(hub_number, Message::Spawn(new)) {
        return Some(JoinHandle { side });
    }
    // SAFETY: the hub has refused the message, and the closure is an `F`.
    unsafe { packet::discard::<F, T>(body, side) };
    None
}

/// Lets every other ready coroutine run before this one goes on.
///
/// On a thread without a hub it lets other threads run.
///
/// # Suspends
///
/// Until the others that are ready now have had their turn.
///
/// # Cancellation
///
/// A kill or a timeout that wants the coroutine is thrown here.
#[inline(always)]
pub fn yield_now() {
    if let Some(suspension) = begin_yield()
        && suspension.suspend(Deadline::NEVER) == Outcome::Interrupted
    {
        interrupted();
    }
}

/// Begins a yield; `None`: it is over already.
#[inline(never)]
fn begin_yield() -> Option<Suspension> {
    let Some(hub) = hub::current() else {
        thread::yield_now();
        return None;
    };
    match hub.begin_yield(Mode::Plain) {
        Ok(suspension) => Some(suspension),
        Err(Outcome::Interrupted) => hub.throw(),
        Err(_) => None,
    }
}

/// Gives the handle of the running coroutine, or of the thread.
///
/// # Suspends
///
/// Never.
#[must_use]
pub fn current() -> Thread {
    identity::current()
}

/// Whether the running code is that of a coroutine, and not a thread's own.
#[inline]
pub fn is_coroutine() -> bool {
    hub::current().is_some_and(|hub| !hub.is_root())
}

/// Calls a closure and catches its panics, but lets kills and timeouts pass.
///
/// [`std::panic::catch_unwind`] catches those too, and a coroutine that does not pass them
/// on goes on to live.
///
/// Whether a coroutine unwinds is known from std's count of the thread's panics and from the
/// panic hook. A program that throws by [`std::panic::resume_unwind`], or that replaces the
/// hook after its first coroutine, hides the begin of an unwinding while another coroutine
/// of the thread waits in the middle of its own: then a kill may be thrown into a
/// destructor, for which Rust aborts the process. And a coroutine that catches a panic by
/// std's function, while another waits in the middle of its unwinding, counts as unwinding
/// until that one has gone on: its socket calls may fail with `Other`. This function has no
/// such effect.
///
/// # Examples
///
/// ```
/// use corovent_runtime::catch_unwind;
///
/// assert!(catch_unwind(|| panic!("caught")).is_err());
/// let task = corovent_runtime::spawn(|| catch_unwind(|| loop { corovent_runtime::yield_now() }));
/// corovent_runtime::yield_now();
/// task.kill();
/// assert!(task.join().is_err(), "the kill was not caught");
/// ```
pub fn catch_unwind<F, T>(f: F) -> Result<T, Box<dyn Any + Send>>
where
    F: FnOnce() -> T + UnwindSafe,
{
    let result = match hub::current() {
        Some(hub) => hub.catch(f),
        None => panic::catch_unwind(f),
    };
    match result {
        Err(payload) if is_interrupt(&*payload) => rethrow(payload),
        result => result,
    }
}

/// Calls a closure during which kills and timeouts wait: they are thrown at the first wait
/// after it has returned.
///
/// It is for code that must not be left half-way, such as a roll-back, and for callbacks
/// from C, through whose frames nothing may unwind. A [`timeout`](crate::time::timeout)
/// inside of the closure works as always.
///
/// # Suspends
///
/// Only if the closure does.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{shield, spawn, yield_now};
///
/// let task = spawn(|| {
///     shield(yield_now);
///     // Still here; the next wait is the last.
///     yield_now();
///     unreachable!();
/// });
/// yield_now();
/// task.kill();
/// assert!(task.join().is_err());
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    let Some(hub) = hub::current() else { return f() };
    hub.enter_shield();
    let result = hub.catch(f);
    hub.leave_shield();
    result.unwrap_or_else(|payload| hub.rethrow(payload))
}

/// Goes on with an unwinding that was caught on its way.
pub(crate) fn rethrow(payload: Box<dyn Any + Send>) -> ! {
    match hub::current() {
        Some(hub) => hub.rethrow(payload),
        None => panic::resume_unwind(payload),
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use crate::error::Abandoned;

    /// One that was posted as its hub ended is found by the next one with the same record.
    #[test]
    fn a_body_for_another_hub_is_given_up() {
        let shared = hub::get().unwrap().shared();
        let number = shared.first_ticket();
        let (other, id) = (number + 1, identity::unhubbed_id());
        let birth = Birth { id, name: None, hub: shared, hub_number: other, observer: None };
        // SAFETY: the closure borrows nothing, and stays on this thread.
        let (body, side) = unsafe { packet::new_packet(birth, || 5) };
        // SAFETY: the body was just made.
        let new = unsafe { NewTask::new(other, id, body, None, Location::caller()) };
        assert!(shared.post(number, Message::Spawn(new)));
        assert!(JoinHandle { side }.join().unwrap_err().is::<Abandoned>());
    }
}
