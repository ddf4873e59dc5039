//! Closures that are called when a coroutine has ended, and how it has.

// Making a coroutine needs a promise about what its closure borrows.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use crate::error::Abandoned;
use crate::hub;
use crate::hub::Hub;
use crate::hub::shared::SharedRecord;
use crate::join::JoinHandle;
use crate::packet::Head;
use crate::packet::Outcome;
use crate::packet::links::Chain;
use crate::packet::links::Link;
use crate::packet::links::Links;
use crate::sys::lock::Lock;
use crate::sys::process::report;
use crate::task::spawn_at;
use crate::task::spawn_elsewhere;

/// A closure that waits for a coroutine's end: what [`JoinHandle::on_exit`] gives.
///
/// Dropping it changes nothing; [`cancel`](ExitHook::cancel) takes the closure back.
pub struct ExitHook {
    closure: Arc<Closure>,
    /// Where its link is; `None` if the coroutine had ended already.
    links: Option<Arc<Links>>,
    // The closure need not be `Send`, and is dropped by `cancel`.
    _not_send: PhantomData<*const ()>,
}

/// The closure, until it is called or taken back.
type Closure = Lock<Option<Box<dyn FnOnce(Outcome)>>>;

impl<T> JoinHandle<T> {
    /// How the coroutine has ended; `None` while it has not.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::{Outcome, spawn, yield_now};
    ///
    /// let task = spawn(|| panic!("as expected"));
    /// assert_eq!(task.outcome(), None);
    /// yield_now();
    /// assert_eq!(task.outcome(), Some(Outcome::Panicked));
    /// ```
    pub fn outcome(&self) -> Option<Outcome> {
        self.side.head().outcome()
    }

    /// Has a closure called when the coroutine has ended, with how it has. The result stays
    /// for the joiner.
    ///
    /// The closure runs in a coroutine of its own, which is spawned at the end, or now if the
    /// coroutine has ended already. Several start in the order in which they came, before who
    /// waits in `join` on this thread goes on. A panic of one is that of any coroutine nobody
    /// joins. It is also called after a kill, and for a coroutine that was killed before it
    /// ran; a killed coroutine has ended when it has unwound.
    ///
    /// It is called once, with two exceptions. When the thread ends it runs nothing any more:
    /// the closure is left as it is, like the coroutine. And a [`run`](crate::run::run) that
    /// is over kills what it finds, so also a closure that has not begun: it is only dropped.
    ///
    /// gevent's name is `Greenlet.link`.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// On another thread than the coroutine's; see [`on_exit_send`](JoinHandle::on_exit_send).
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::{Outcome, spawn, yield_now};
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// let seen = Rc::new(Cell::new(None));
    /// let task = spawn(|| 1);
    /// task.on_exit({
    ///     let seen = Rc::clone(&seen);
    ///     move |outcome| seen.set(Some(outcome))
    /// });
    /// assert_eq!(task.join().unwrap(), 1);
    /// assert_eq!(seen.get(), Some(Outcome::Returned));
    /// ```
    #[track_caller]
    pub fn on_exit<F>(&self, f: F) -> ExitHook
    where
        F: FnOnce(Outcome) + 'static,
    {
        let head = self.side.head();
        let is_home = hub::current().is_some_and(|hub| head.is_of(hub));
        assert!(is_home, "on_exit is called on the thread of the coroutine");
        let mut hook = ExitHook::new(Box::new(f));
        if !hook.link(head) {
            hook.start_late(head);
        }
        hook
    }

    /// The same for a closure that may cross threads: it is called on the coroutine's thread,
    /// and may be given from any.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] if the coroutine's thread has ended; the closure is dropped then. One that
    /// is waiting when that happens is left as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::{Outcome, spawn};
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let task = spawn(|| ());
    /// let task = std::thread::spawn(move || {
    ///     task.on_exit_send(move |outcome| sender.send(outcome).unwrap()).unwrap();
    ///     task
    /// });
    /// task.join().unwrap().join().unwrap();
    /// assert_eq!(receiver.recv(), Ok(Outcome::Returned));
    /// ```
    ///
    /// ```compile_fail
    /// let own = std::rc::Rc::new(1);
    /// corovent_runtime::spawn(|| ()).on_exit_send(move |_| drop(own)).unwrap();
    /// ```
    #[track_caller]
    pub fn on_exit_send<F>(&self, f: F) -> Result<ExitHook, Abandoned>
    where
        F: FnOnce(Outcome) + Send + 'static,
    {
        let head = self.side.head();
        let mut hook = ExitHook::new(Box::new(f));
        if hook.link(head) || hook.start_late(head) { Ok(hook) } else { Err(Abandoned) }
    }
}

impl ExitHook {
    #[expect(clippy::arc_with_non_send_sync, reason = "it crosses threads if the closure may")]
    fn new(f: Box<dyn FnOnce(Outcome)>) -> ExitHook {
        let closure = Arc::new(Lock::new(Some(f)));
        ExitHook { closure, links: None, _not_send: PhantomData }
    }

    /// Has the closure called at the end. False if the coroutine has ended.
    #[track_caller]
    fn link(&mut self, head: &Head) -> bool {
        self.links = head.add_link(Box::new(Exit::new(head, self))).ok().map(Arc::clone);
        self.links.is_some()
    }

    /// Has the closure called by the hub of a coroutine that has ended. False if that has as
    /// well. Off the hub's thread the closure must be `Send`.
    #[track_caller]
    fn start_late(&self, head: &Head) -> bool {
        let outcome = head.outcome().expect("a link is refused after the end");
        let exit = Exit::new(head, self);
        match exit.home() {
            Some(hub) => {
                // Those that other threads have sent came before this one.
                hub.read_messages();
                exit.start(outcome);
                true
            }
            None => exit.send(outcome),
        }
    }

    /// Takes the closure back and drops it. False if it was called already, or is about to be
    /// dropped.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// let task = corovent_runtime::spawn(|| ());
    /// let hook = task.on_exit(|_| unreachable!());
    /// assert!(hook.cancel());
    /// task.join().unwrap();
    /// ```
    pub fn cancel(self) -> bool {
        let closure = self.closure.lock().take();
        // What is to be called at the end of one that runs for long is not to pile up there.
        if let (Some(links), Some(_)) = (&self.links, &closure) {
            drop(links.remove(Arc::as_ptr(&self.closure).addr()));
        }
        closure.is_some()
    }
}

impl fmt::Debug for ExitHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitHook").finish_non_exhaustive()
    }
}

/// A closure in the list of a coroutine's links.
struct Exit {
    next: Chain,
    closure: Arc<Closure>,
    hub: SharedRecord,
    hub_number: u64,
    spawned_at: &'static Location<'static>,
}

impl Exit {
    #[track_caller]
    fn new(head: &Head, hook: &ExitHook) -> Exit {
        let (hub, hub_number) = head.hub();
        let closure = Arc::clone(&hook.closure);
        Exit { next: None, closure, hub, hub_number, spawned_at: Location::caller() }
    }

    /// The coroutine's hub, if the running code is on its thread.
    fn home(&self) -> Option<&'static Hub> {
        hub::current().filter(|hub| {
            ptr::eq(hub.shared(), self.hub) && hub.shared().first_ticket() == self.hub_number
        })
    }

    /// Spawns the call on this thread.
    fn start(self, outcome: Outcome) {
        if self.closure.lock().is_none() {
            return;
        }
        let closure = Arc::clone(&self.closure);
        match spawn_at(self.spawned_at, move || call(closure, outcome)) {
            // What is started now is killed in any case, but it might start more before.
            Ok(task) if hub::current().is_some_and(|hub| hub.state().turn.is_ending()) => {
                task.kill();
            }
            Ok(_) => {}
            Err(error) => {
                report(&format!("corovent: no room for a coroutine of on_exit: {error}"));
                // The coroutine that ends runs no code of the user's any more.
                mem::forget(self.closure);
            }
        }
    }

    /// Spawns the call on the thread of the coroutine's hub, which is another. False if that
    /// has ended. The closure must be `Send`.
    fn send(self, outcome: Outcome) -> bool {
        let closure = self.closure;
        let f = move || call(closure, outcome);
        // SAFETY: what a closure in a hook has captured is `'static`; whether it may cross
        // threads the caller knows.
        unsafe { spawn_elsewhere(self.hub, self.hub_number, self.spawned_at, f) }.is_some()
    }
}

/// Calls a closure, unless it was taken back.
fn call(closure: Arc<Closure>, outcome: Outcome) {
    let f = closure.lock().take();
    drop(closure);
    if let Some(f) = f {
        f(outcome);
    }
}

impl Link for Exit {
    fn next(&mut self) -> &mut Chain {
        &mut self.next
    }

    fn peek_next(&self) -> &Chain {
        &self.next
    }

    fn ended(self: Box<Self>, outcome: Outcome) {
        if self.home().is_some() {
            self.start(outcome);
        } else {
            // The hub has ended, and nothing of the user's is run or dropped.
            mem::forget(self);
        }
    }

    fn owner(&self) -> usize {
        Arc::as_ptr(&self.closure).addr()
    }
}
