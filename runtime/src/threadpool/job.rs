//! A job whose submitter does not wait: what it comes to, and who gets that.
//!
//! ```text
//!   in line ──► running ──► done ──► taken by the handle, given to a callback, or dropped
//!      └─ cancel ────────────┘
//! ```
//!
//! The closure stays with the job until it is run or cancelled, whoever does that: a thread of
//! the pool, or a job of that pool that waits for it.
//!
//! **Invariant:** nothing of the user's is run or dropped under the job's lock.

use std::io;
use std::mem;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::sync::Arc;
use std::thread;

use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::hub::reason::What;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::packet::drop_quietly;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::threadpool::desk::Pool;
use crate::threadpool::handle::Cancelled;
use crate::threadpool::holder::Holder;
use crate::threadpool::lane;
use crate::threadpool::lane::Errand;
use crate::threadpool::lane::GENERAL;
use crate::threadpool::lane::Lane;
use crate::wait_queue::WaitQueue;

/// Which pool a job is of.
pub(super) enum Home {
    /// The runtime's own.
    General,
    Pool(Arc<Pool>),
}

impl Home {
    /// Whether the running code is that of one of the pool's jobs.
    fn is_here(&self) -> bool {
        match self {
            Home::General => GENERAL.is_here(),
            Home::Pool(pool) => pool.lane.is_here(),
        }
    }

    /// The desk where its jobs are counted.
    fn pool(&self) -> Option<&Arc<Pool>> {
        match self {
            Home::General => None,
            Home::Pool(pool) => Some(pool),
        }
    }

    /// Notes that a job has left the line without its turn.
    fn note_void(&self) {
        match self {
            Home::General => GENERAL.note_void(),
            Home::Pool(pool) => pool.lane.note_void(),
        }
    }

    fn put_in_line(&self, job: lane::Job) {
        match self {
            Home::General => Lane::submit(&&GENERAL, job),
            Home::Pool(pool) => Lane::submit(pool, job),
        }
    }
}

/// What a job and its handle share.
pub(super) struct Job<T> {
    state: WaitQueue<State<T>>,
    home: Home,
}

struct State<T> {
    stage: Stage<T>,
    heir: Heir<T>,
}

enum Stage<T> {
    InLine(Work<T>),
    Running,
    Done(thread::Result<T>),
    /// Somebody has the result.
    Gone,
}

/// Whom the result is for.
enum Heir<T> {
    Handle,
    Callback(Callback<T>),
    Nobody,
}

pub(super) type Callback<T> = Box<dyn FnOnce(thread::Result<T>) + Send>;

/// What is to be done.
struct Work<T> {
    f: Box<dyn FnOnce() -> T + Send>,
    /// The hub that has submitted it, which the job may wake.
    hub: Option<Holder>,
}

/// A job's place in the line, which may be cleared.
struct InLine<T>(Arc<Job<T>>);

impl<T: Send> Errand for InLine<T> {
    fn run(self: Box<Self>, thread_started: io::Result<()>) {
        match thread_started {
            Ok(()) => _ = self.0.run(),
            Err(error) => self.0.fail(&error),
        }
    }

    fn is_void(&self) -> bool {
        !matches!(self.0.state.lock().state.stage, Stage::InLine(_))
    }
}

impl<T> Drop for InLine<T> {
    fn drop(&mut self) {
        self.0.end_unrun(Err(Box::new(Cancelled)));
    }
}

impl<T> Job<T> {
    /// Puts a job in line.
    pub(super) fn start<F>(home: Home, f: F) -> Arc<Job<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let hub = hub::current().map(Holder::new);
        let work = Work { f: Box::new(f), hub };
        let state = State { stage: Stage::InLine(work), heir: Heir::Handle };
        let job = Arc::new(Job { state: WaitQueue::new(state), home });
        let place = InLine(Arc::clone(&job));
        job.home.put_in_line(Box::new(place));
        job
    }

    /// Waits for the result. A job of the same pool runs this one in place if it has not begun.
    pub(super) fn wait(&self) -> thread::Result<T> {
        if self.home.is_here() && self.run() {
            self.home.note_void();
        }
        self.wait_until(Deadline::NEVER).expect("a wait without a deadline ends with a result")
    }

    /// Waits for the result; `None` if the deadline has passed.
    pub(super) fn wait_until(&self, deadline: Deadline) -> Option<thread::Result<T>> {
        let state = &self.state;
        if let Some(result) = state.lock().state.take() {
            return Some(result);
        }
        // The job may have been submitted by another hub's coroutine, or by no hub's.
        let _hub = hub::current().map(Holder::new);
        match state.wait(deadline, What::Blocking, Mode::Plain, State::take) {
            Ok(result) => Some(result),
            Err(outcome) => {
                let taken = state.lock().state.take();
                if taken.is_some() {
                    got_it_after_all();
                } else if outcome == Outcome::Interrupted {
                    interrupted();
                }
                taken
            }
        }
    }

    /// Waits for the result, and lets those of this hub go on first that wait for jobs which
    /// ended earlier: they were told, but the hub has perhaps not read it.
    pub(super) fn wait_in_order(&self) -> thread::Result<T> {
        let ticket = hub::current().map(Hub::ticket);
        let result = self.wait();
        if let Some(hub) = hub::current()
            && ticket == Some(hub.ticket())
        {
            // It has not waited. What is posted now is read after what they were told.
            let reason = Reason::Queue(What::Blocking, ptr::from_ref(&self.state).addr());
            hub.shared().post_wake(hub.ticket());
            if hub.block(Deadline::NEVER, reason, Mode::Plain) == Outcome::Interrupted {
                interrupted();
            }
        }
        result
    }

    /// Gives the result if it is there.
    pub(super) fn try_take(&self) -> Option<thread::Result<T>> {
        self.state.lock().state.take()
    }

    /// Whether the result is there.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state.lock().state.stage, Stage::Done(_))
    }

    /// Leaves the result to a callback, which a thread of the pool calls.
    pub(super) fn bequeath(&self, callback: Callback<T>)
    where
        T: Send + 'static,
    {
        let mut inner = self.state.lock();
        match inner.state.take() {
            None => inner.state.heir = Heir::Callback(callback),
            Some(result) => {
                drop(inner);
                let hub = hub::current().map(Holder::new);
                let pool = self.home.pool().cloned();
                if let Some(pool) = &pool {
                    pool.enter_line_late();
                }
                let call = LateCall { call: Some((callback, result)), _hub: hub, pool };
                self.home.put_in_line(Box::new(move |_| drop(call)));
            }
        }
    }

    /// Leaves the result to nobody, unless a callback has it; gives it if it is there.
    pub(super) fn disown(&self) -> Option<thread::Result<T>> {
        let mut inner = self.state.lock();
        if matches!(inner.state.heir, Heir::Handle) {
            inner.state.heir = Heir::Nobody;
        }
        inner.state.take()
    }

    /// Runs the job; false if somebody else has begun or cancelled it.
    fn run(&self) -> bool {
        let Some(Work { f, hub: holder }) = self.leave_line(Stage::Running) else { return false };
        self.end(catch(f));
        drop(holder);
        if let Some(pool) = self.home.pool() {
            pool.end_job();
        }
        true
    }

    /// Ends a job for which there is no thread.
    #[cold]
    fn fail(&self, error: &io::Error) {
        let payload = format!("the thread pool has no thread: {error}");
        self.end_unrun(Err(Box::new(payload)));
    }

    /// Ends the job if it has not begun, and clears its place in the line; false if it has.
    pub(super) fn cancel(&self) -> bool {
        let cancels = self.end_unrun(Err(Box::new(Cancelled)));
        if cancels {
            self.home.note_void();
        }
        cancels
    }

    /// Ends a job that has not begun; false if it has.
    fn end_unrun(&self, result: thread::Result<T>) -> bool {
        let Some(work) = self.leave_line(Stage::Running) else { return false };
        self.end(result);
        drop_quietly(work);
        if let Some(pool) = self.home.pool() {
            pool.end_job();
        }
        true
    }

    /// Takes out what is to be done, if the job has not begun.
    fn leave_line(&self, next: Stage<T>) -> Option<Work<T>> {
        let mut inner = self.state.lock();
        let Stage::InLine(_) = inner.state.stage else { return None };
        let before = mem::replace(&mut inner.state.stage, next);
        drop(inner);
        if let Some(pool) = self.home.pool() {
            pool.begin_job();
        }
        match before {
            Stage::InLine(work) => Some(work),
            _ => None,
        }
    }

    /// Hands the result to whom it is for.
    fn end(&self, result: thread::Result<T>) {
        let mut inner = self.state.lock();
        let heir = mem::replace(&mut inner.state.heir, Heir::Nobody);
        match heir {
            Heir::Handle => {
                inner.state.heir = Heir::Handle;
                inner.state.stage = Stage::Done(result);
                drop(inner);
                self.state.wake_one();
            }
            Heir::Callback(callback) => {
                inner.state.stage = Stage::Gone;
                drop(inner);
                call_back(callback, result);
            }
            Heir::Nobody => {
                inner.state.stage = Stage::Gone;
                drop(inner);
                drop_quietly(result);
            }
        }
    }
}

/// A callback that came after the end of its job: a job of its own. It is called even if the
/// line is cleared.
struct LateCall<T> {
    call: Option<(Callback<T>, thread::Result<T>)>,
    /// The hub that has left it, which it may wake.
    _hub: Option<Holder>,
    /// Where it is counted.
    pool: Option<Arc<Pool>>,
}

impl<T> Drop for LateCall<T> {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.begin_job();
        }
        if let Some((callback, result)) = self.call.take() {
            call_back(callback, result);
        }
        if let Some(pool) = &self.pool {
            pool.end_job();
        }
    }
}

/// Calls a callback, whose panic is printed when it happens.
fn call_back<T>(callback: Callback<T>, result: thread::Result<T>) {
    if let Err(payload) = catch(|| callback(result)) {
        drop_quietly(payload);
    }
}

/// Calls a closure of the user's, and catches what unwinds out of it.
fn catch<T>(f: impl FnOnce() -> T) -> thread::Result<T> {
    match hub::current() {
        Some(hub) => hub.catch(f),
        None => panic::catch_unwind(AssertUnwindSafe(f)),
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<thread::Result<T>> {
        match mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Done(result) => Some(result),
            other => {
                self.stage = other;
                None
            }
        }
    }
}
