//! What the parts of a server share with whoever stops it, on any thread.

use std::fmt;
use std::io;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use corovent_runtime::shield;
use corovent_runtime::sync::Event;

use crate::server::options::Config;
use crate::server::report::Report;

/// How long handlers that were killed may take to end.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(1);

/// Those who wait for other threads look this often: it only has to end.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// A handle of a server, by which any coroutine or thread stops it.
///
/// It keeps nothing alive: a server that was dropped is about to end, whoever has its handle.
#[derive(Clone)]
pub struct Handle {
    control: Arc<Control>,
}

/// What a server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted, or datagrams received, that were given to a handler.
    pub accepted: u64,
    /// Handlers that are at work.
    pub active: u64,
    /// Handlers that returned an error.
    pub failed: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Errors of accepting or receiving, and of making coroutines.
    pub errors: u64,
}

/// The state of a server.
pub(super) struct Control {
    /// Under std's lock, which is never held across a wait. A lock of ours, held by another thread
    /// for a moment, would be one: a hub that looks at itself alone takes it for a deadlock.
    state: Mutex<State>,
    /// Whether `state.stop` is set, for those who only want to know that.
    is_stopping: AtomicBool,
    /// Worker threads that have not ended. Changed under the lock.
    threads: AtomicUsize,
    pub(super) accepted: AtomicU64,
    pub(super) active: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) errors: AtomicU64,
}

#[derive(Default)]
struct State {
    /// How many sites have not ended.
    sites: usize,
    /// The thread that it was started on, by [`here`]; 0 before.
    home: usize,
    /// Whether it was ever started. A stop that comes first is kept for the first start, or it
    /// would be lost if it is a moment too early.
    has_begun: bool,
    stop: Option<Stop>,
    report: Report,
    /// What has made the server stop by itself.
    error: Option<io::Error>,
    /// Those who wait for a change.
    waiting: Vec<Arc<Event>>,
}

/// That handlers have to end, and by when; `None`: whenever they do.
#[derive(Clone, Copy)]
struct Stop {
    deadline: Option<Instant>,
}

/// Implements what all kinds of servers tell of themselves.
macro_rules! server_accessors {
    ($server:ident<$kind:ident: $bound:ident>) => {
        impl<$kind: $bound> $server<$kind> {
            /// Gives the address that the server is bound to, with the port that the system has
            /// chosen.
            ///
            /// # Suspends
            ///
            /// Never.
            #[must_use]
            pub fn local_addr(&self) -> $kind::Addr {
                self.address.clone()
            }

            /// Gives a handle by which others stop the server.
            ///
            /// # Suspends
            ///
            /// Never.
            #[must_use]
            pub fn handle(&self) -> $crate::server::Handle {
                $crate::server::Handle::new(&self.control)
            }

            /// Gives what the server has done so far.
            ///
            /// # Suspends
            ///
            /// Never.
            #[must_use]
            pub fn stats(&self) -> $crate::server::Stats {
                self.handle().stats()
            }
        }
    };
}

pub(super) use server_accessors;

impl Handle {
    pub(super) fn new(control: &Arc<Control>) -> Handle {
        Handle { control: Arc::clone(control) }
    }

    /// Stops the server: from now on connections are refused, handlers have `timeout` to come
    /// to their ends, and those that do not are killed. Says what became of them.
    ///
    /// Called again, also from elsewhere and meanwhile, it can only shorten the time. Of a
    /// server that has ended it gives the last report. If the server was not started yet, its
    /// first start will serve what is in the queue and end. A handler that calls it waits for
    /// itself, and is killed; it may call [`request_stop`](Handle::request_stop). gevent's and
    /// socketserver's names are `stop` and `shutdown`.
    ///
    /// # Suspends
    ///
    /// Until the server has ended, which is at most a little over `timeout`.
    ///
    /// # Cancellation
    ///
    /// The server goes on to stop.
    pub fn stop(&self, timeout: Duration) -> Report {
        self.request_stop(timeout);
        self.control.wait_until_stopped(timeout)
    }

    /// Begins to stop the server as [`stop`](Handle::stop) does, and does not wait.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn request_stop(&self, timeout: Duration) {
        self.control.request_stop(Instant::now().checked_add(timeout));
    }

    /// Whether the server was started and has not ended.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.control.is_running()
    }

    /// Gives what the server has done so far; not what its worker processes have.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let control = &self.control;
        Stats {
            accepted: control.accepted.load(Ordering::Relaxed),
            active: control.active.load(Ordering::Relaxed),
            failed: control.failed.load(Ordering::Relaxed),
            panicked: control.panicked.load(Ordering::Relaxed),
            errors: control.errors.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new() -> Arc<Control> {
        Arc::new(Control {
            state: Mutex::new(State::default()),
            is_stopping: AtomicBool::new(false),
            threads: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            active: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        })
    }

    /// Notes that the server is started, with so many sites. False if it runs already.
    pub(super) fn begin(&self, sites: usize) -> bool {
        let mut state = self.lock();
        if state.sites > 0 {
            return false;
        }
        if state.has_begun {
            state.stop = None;
            self.is_stopping.store(false, Ordering::Relaxed);
        }
        state.has_begun = true;
        state.sites = sites;
        state.home = here();
        state.report = Report::default();
        state.error = None;
        true
    }

    pub(super) fn is_running(&self) -> bool {
        self.lock().sites > 0
    }

    /// Whether it is to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn request_stop(&self, deadline: Option<Instant>) {
        let mut state = self.lock();
        if state.has_begun && state.sites == 0 {
            return;
        }
        let earlier = match state.stop {
            None => deadline,
            Some(stop) => deadline.into_iter().chain(stop.deadline).min(),
        };
        state.stop = Some(Stop { deadline: earlier });
        self.is_stopping.store(true, Ordering::Relaxed);
        State::tell(state);
    }

    /// Stops the server for an error that it cannot go on after.
    pub(super) fn fail(&self, error: io::Error, grace: Duration) {
        self.lock().error.get_or_insert(error);
        self.request_stop(Instant::now().checked_add(grace));
    }

    /// Notes that a site has ended.
    pub(super) fn end_site(&self, part: Report) {
        let mut state = self.lock();
        state.report.add(part);
        state.sites -= 1;
        State::tell(state);
    }

    /// Waits until the worker threads have ended, whose sites have; false if one does not.
    pub(super) fn wait_for_threads(&self) -> bool {
        let have_ended = || self.threads.load(Ordering::Relaxed) == 0;
        self.wait_at_most(KILL_WAIT, have_ended);
        have_ended()
    }

    /// Makes those who wait look again. Whoever waits for what is not in the state calls it on
    /// their own thread.
    pub(super) fn look_again(&self) {
        State::tell(self.lock());
    }

    /// Waits until the server is to stop, or `until` says so.
    pub(super) fn wait_for_stop(&self, until: impl Fn() -> bool) {
        let mut state = self.lock();
        while state.stop.is_none() && !until() {
            state = self.wait(state);
        }
    }

    /// Waits until `done`, or until the time of those who were stopped is up; tells which.
    pub(super) fn wait_for_crew(&self, done: impl Fn() -> bool) -> bool {
        let mut state = self.lock();
        loop {
            if done() {
                return true;
            }
            let deadline = state.stop.and_then(|stop| stop.deadline);
            state = match deadline {
                None => self.wait(state),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => return false,
                    Some(left) => self.wait_timeout(state, left),
                },
            };
        }
    }

    /// Waits until `done`, for so long at most.
    pub(super) fn wait_at_most(&self, timeout: Duration, done: impl Fn() -> bool) {
        let end = Instant::now() + timeout;
        let mut state = self.lock();
        while !done() {
            match end.checked_duration_since(Instant::now()) {
                None | Some(Duration::ZERO) => return,
                Some(left) => state = self.wait_timeout(state, left),
            }
        }
    }

    /// Whether handlers have some time left.
    pub(super) fn has_time(&self) -> bool {
        let stop = self.lock().stop;
        stop.and_then(|stop| stop.deadline).is_none_or(|deadline| deadline > Instant::now())
    }

    /// Waits until the server has ended, and takes the error that it ended for. If the wait is
    /// interrupted the server stops.
    pub(super) fn wait_for_end(&self) -> io::Result<()> {
        let stop = StopWhenUnwound(self);
        let mut state = self.lock();
        while state.sites > 0 {
            state = self.wait(state);
        }
        mem::forget(stop);
        state.error.take().map_or(Ok(()), Err)
    }

    /// Lets a server end that its owner drops.
    pub(super) fn abandon(&self) {
        if self.is_running() {
            // A drop is no place to be killed in.
            shield(|| self.request_stop(None));
        }
    }

    fn wait_until_stopped(&self, timeout: Duration) -> Report {
        // Who does not answer within this is stopped in a call of the kernel, or computes.
        let end = Instant::now().checked_add(timeout.saturating_add(3 * KILL_WAIT));
        let mut state = self.lock();
        while state.has_begun && state.sites > 0 {
            state = match end.map(|end| end.checked_duration_since(Instant::now())) {
                None => self.wait(state),
                Some(Some(left)) if !left.is_zero() => self.wait_timeout(state, left),
                Some(_) => return Report { is_partial: true, ..state.report.clone() },
            };
        }
        state.report.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, which may be none: all who call it look again.
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.home == here() && self.threads.load(Ordering::Relaxed) == 0 {
            return self.wait_for_change(state, |change| change.wait());
        }
        // Another thread makes the change, of which a hub that looks at itself alone knows
        // nothing: without an end it would take the wait for a deadlock.
        self.wait_timeout(state, LOOK_EVERY)
    }

    fn wait_timeout<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        self.wait_for_change(state, |change| {
            change.wait_timeout(timeout);
        })
    }

    fn wait_for_change<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        wait: impl FnOnce(&Event),
    ) -> MutexGuard<'a, State> {
        let change = Arc::new(Event::new());
        state.waiting.push(Arc::clone(&change));
        drop(state);
        let waiting = Waiting { control: self, change: &change };
        wait(&change);
        drop(waiting);
        self.lock()
    }
}

impl State {
    /// Makes those who wait look again.
    fn tell(mut state: MutexGuard<'_, State>) {
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.iter().for_each(|change| change.set());
    }
}

/// One who waits for a change, and may be interrupted.
struct Waiting<'a> {
    control: &'a Control,
    change: &'a Arc<Event>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.control.lock().waiting.retain(|change| !Arc::ptr_eq(change, self.change));
    }
}

/// Tells threads apart, also in the destructors of their thread-locals.
fn here() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }

    PLACE.with(|place| ptr::from_ref(place).addr())
}

/// Stops a server whose waiter unwinds.
struct StopWhenUnwound<'a>(&'a Control);

impl Drop for StopWhenUnwound<'_> {
    fn drop(&mut self) {
        self.0.request_stop(None);
    }
}

/// A worker thread, until this is dropped on it.
pub(super) struct Worker(Arc<Control>);

impl Worker {
    pub(super) fn of(control: &Arc<Control>) -> Worker {
        let state = control.lock();
        control.threads.fetch_add(1, Ordering::Relaxed);
        drop(state);
        Worker(Arc::clone(control))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let state = self.0.lock();
        self.0.threads.fetch_sub(1, Ordering::Relaxed);
        State::tell(state);
    }
}

/// Says that a site has ended, also if it could not serve, or was killed together with all of
/// its thread: then the others stop as well.
pub(super) struct EndOfSite {
    control: Arc<Control>,
    grace: Duration,
    report: Option<Report>,
}

impl EndOfSite {
    pub(super) fn new(control: &Arc<Control>, config: &Config) -> EndOfSite {
        EndOfSite { control: Arc::clone(control), grace: config.grace, report: None }
    }

    /// The site has ended, and that became of its handlers.
    pub(super) fn with(mut self, report: Report) {
        self.report = Some(report);
    }
}

impl Drop for EndOfSite {
    fn drop(&mut self) {
        let report = self.report.take().unwrap_or_else(|| {
            let error = io::Error::other("a thread of the server could not serve, or has ended");
            self.control.fail(error, self.grace);
            Report::default()
        });
        self.control.end_site(report);
    }
}
