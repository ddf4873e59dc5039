//! Threads that take jobs from one line: first come, first served.
//!
//! A lane is a static of the runtime or part of a user's pool; who starts its threads says how
//! they reach it. A job is told if there is no thread for it, and no job is lost otherwise.
//!
//! **Invariant:** a thread counts as idle from before it looks for a job until it is given one
//! under the lock, so whoever submits knows whether one is about to come.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::thread;
use std::time::Duration;

use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::hub::turn::change_idle_helpers;
use crate::packet::drop_quietly;
use crate::sys::clock::Deadline;
use crate::threadpool::flights;
use crate::threadpool::forks;
use crate::wait_queue::WaitQueue;

/// What stands in line.
pub(super) type Job = Box<dyn Errand>;

/// Is run once: with the error if no thread could be started for it. Dropped unrun only if the
/// line is cleared, or if it is void.
pub(super) trait Errand: Send {
    fn run(self: Box<Self>, thread_started: io::Result<()>);

    /// Whether nothing is left to do. Is asked under the line's lock.
    fn is_void(&self) -> bool {
        false
    }
}

impl<F: FnOnce(io::Result<()>) + Send> Errand for F {
    fn run(self: Box<Self>, thread_started: io::Result<()>) {
        self(thread_started);
    }
}

/// How the threads of a lane reach it.
pub(super) trait Reach: Clone + Send + 'static {
    /// The lane.
    fn lane(&self) -> &Lane;
}

impl Reach for &'static Lane {
    fn lane(&self) -> &Lane {
        self
    }
}

/// Threads that take jobs from one queue.
pub(super) struct Lane {
    name: Cow<'static, str>,
    /// A thread ends that has found nothing to do for so long.
    idle_exit: Duration,
    pub(super) queue: WaitQueue<Queue>,
}

pub(super) static GENERAL: Lane = Lane::new("corovent-pool", 64, IDLE_EXIT);
pub(super) static LOOKUPS: Lane = Lane::new("corovent-names", 16, IDLE_EXIT);
/// As many as may wait to open a FIFO at once.
pub(super) static MEETINGS: Lane = Lane::new("corovent-opens", 1024, IDLE_EXIT);
/// gevent's GEVENT_THREADPOOL_IDLE_TASK_TIMEOUT.
pub(super) const IDLE_EXIT: Duration = Duration::from_secs(5);

thread_local! {
    /// The address of the lane that this thread works for, or 0.
    static WORKS_FOR: Cell<usize> = const { Cell::new(0) };
}

/// How many jobs of the built-in pool wait for a thread, and how many run.
pub(crate) fn jobs() -> (usize, usize) {
    let lanes = [&GENERAL, &LOOKUPS, &MEETINGS].map(|lane| {
        let inner = lane.queue.lock();
        let queue = &inner.state;
        (queue.waiting, queue.threads - queue.idle)
    });
    lanes.iter().fold((0, 0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1))
}

/// Jobs in line, first in, first out; nothing is allocated under the lock.
pub(super) struct Queue {
    /// The oldest on top.
    front: Option<Box<Entry>>,
    /// The newest on top: turned over when the front is used up.
    back: Option<Box<Entry>>,
    /// Jobs in the two lists.
    pub(super) waiting: usize,
    /// At least so many of them as are void.
    void: usize,
    pub(super) threads: usize,
    threads_max: usize,
    /// Threads that take a job as soon as they come to the queue.
    pub(super) idle: usize,
    /// A thread ends as soon as it finds nothing to do.
    is_closed: bool,
}

pub(super) struct Entry {
    pub(super) job: Job,
    below: Option<Box<Entry>>,
}

/// What a thread does that came to the queue.
enum Next {
    Job(Box<Entry>),
    /// It is counted out already.
    Leave,
}

impl Lane {
    pub(super) const fn new(name: &'static str, threads_max: usize, idle_exit: Duration) -> Lane {
        Lane::named(Cow::Borrowed(name), threads_max, idle_exit)
    }

    pub(super) const fn named(
        name: Cow<'static, str>,
        threads_max: usize,
        idle_exit: Duration,
    ) -> Lane {
        let (front, back) = (None, None);
        let queue = Queue {
            front,
            back,
            waiting: 0,
            void: 0,
            threads: 0,
            threads_max,
            idle: 0,
            is_closed: false,
        };
        Lane { name, idle_exit, queue: WaitQueue::new(queue) }
    }

    /// Puts a job in line.
    pub(super) fn submit(reach: &impl Reach, job: Job) {
        let this = reach.lane();
        let entry = Entry::new(job);
        let mut inner = this.queue.lock();
        let queue = &mut inner.state;
        queue.push(entry);
        let start = queue.waiting > queue.idle && queue.threads < queue.threads_max;
        queue.threads += usize::from(start);
        drop(inner);
        this.queue.wake_one();
        if start {
            Lane::start_thread(reach);
        }
    }

    /// Forgets all threads and jobs in the child of a fork, but for the thread that is left.
    pub(super) fn begin_anew(&self) {
        let (mut inner, _) = self.queue.begin_anew(None);
        let queue = &mut inner.state;
        // The jobs are the parent's: here they are neither run nor dropped.
        mem::forget((queue.front.take(), queue.back.take()));
        queue.waiting = 0;
        queue.void = 0;
        queue.idle = 0;
        queue.threads = usize::from(self.is_here());
    }

    /// Whether the running code is that of a job of this lane, or one of its coroutines.
    pub(super) fn is_here(&self) -> bool {
        WORKS_FOR.get() == ptr::from_ref(self).addr()
    }

    /// How many threads there may be.
    pub(super) fn threads_max(&self) -> usize {
        self.queue.lock().state.threads_max
    }

    /// Changes how many threads there may be. Those that are too many end when they have done
    /// what they are at.
    pub(super) fn set_threads_max(reach: &impl Reach, threads_max: usize) {
        let this = reach.lane();
        let mut inner = this.queue.lock();
        let queue = &mut inner.state;
        queue.threads_max = threads_max;
        let wanted = queue.waiting.saturating_sub(queue.idle);
        let start = wanted.min(threads_max.saturating_sub(queue.threads));
        queue.threads += start;
        drop(inner);
        this.queue.wake_all();
        (0..start).for_each(|_| Lane::start_thread(reach));
    }

    /// Lets the threads end as soon as no job is in line.
    pub(super) fn close(&self) {
        self.queue.lock().state.is_closed = true;
        self.queue.wake_all();
    }

    /// Drops all jobs in line uncalled.
    pub(super) fn clear(&self) {
        let cleared = self.queue.lock().state.take_all();
        self.drop_all(cleared);
    }

    /// Notes that a job has become void that was in line. When perhaps half of the line is,
    /// they are taken out: looking through it costs no more than becoming void did, and the line
    /// is never longer than twice what is to be done.
    pub(super) fn note_void(&self) {
        let mut inner = self.queue.lock();
        let queue = &mut inner.state;
        queue.void += 1;
        if queue.void * 2 < queue.waiting {
            return;
        }
        let void = queue.take_void();
        drop(inner);
        self.drop_all(void);
    }

    /// Drops jobs uncalled that were taken out of the line.
    fn drop_all(&self, mut entries: Option<Box<Entry>>) {
        if entries.is_none() {
            return;
        }
        while let Some(mut entry) = entries {
            entries = entry.below.take();
            drop_quietly(entry.job);
        }
        // Those who were to take them may have nothing more to wait for.
        self.queue.wake_all();
    }

    /// Starts a thread that is counted already.
    fn start_thread(reach: &impl Reach) {
        forks::watch_pools();
        let this = reach.lane();
        let builder = thread::Builder::new().name(this.name.clone().into_owned());
        let there = reach.clone();
        if let Err(error) = builder.spawn(move || Lane::work(&there)) {
            this.do_without_thread(&error);
        }
    }

    /// A thread was counted and could not be started: if there is no other, all jobs in
    /// line fail, which may count on that thread.
    #[cold]
    pub(super) fn do_without_thread(&self, error: &io::Error) {
        let mut inner = self.queue.lock();
        let queue = &mut inner.state;
        queue.threads -= 1;
        let mut failed = if queue.threads == 0 { queue.take_all() } else { None };
        drop(inner);
        while let Some(mut entry) = failed {
            failed = entry.below.take();
            entry.job.run(Err(flights::copy_of(error)));
        }
    }

    /// What a thread of the lane does.
    fn work(reach: &impl Reach) {
        let this = reach.lane();
        WORKS_FOR.set(ptr::from_ref(this).addr());
        loop {
            this.queue.lock().state.change(|queue| queue.idle += 1);
            let entry = loop {
                let deadline = Deadline::after(this.idle_exit);
                match this.queue.wait(deadline, What::Work, Mode::Masked, Queue::next) {
                    Ok(Next::Job(entry)) => break entry,
                    Ok(Next::Leave) => {
                        // It may have been woken for a job that another is to take.
                        this.queue.wake_one();
                        return;
                    }
                    Err(_) if this.leave() => return,
                    Err(_) => {}
                }
            };
            entry.job.run(Ok(()));
            if hub::current().is_some() {
                return Lane::make_room(reach);
            }
        }
    }

    /// Counts an idle thread out; false if a job has come after all.
    pub(super) fn leave(&self) -> bool {
        let mut inner = self.queue.lock();
        let leaves = inner.state.waiting == 0;
        if leaves {
            inner.state.count_out();
        }
        leaves
    }

    /// Ends a thread after a job that made a hub there: with it end the coroutines that the
    /// job has left behind. Another takes its place if there is work.
    #[cold]
    fn make_room(reach: &impl Reach) {
        let mut inner = reach.lane().queue.lock();
        let queue = &mut inner.state;
        let start = queue.waiting > queue.idle && queue.threads <= queue.threads_max;
        queue.threads -= usize::from(!start);
        drop(inner);
        if start {
            Lane::start_thread(reach);
        }
    }
}

impl Queue {
    pub(super) fn push(&mut self, mut entry: Box<Entry>) {
        entry.below = self.back.take();
        self.back = Some(entry);
        self.change(|queue| queue.waiting += 1);
    }

    /// Changes the counts, and with them how many threads have nothing to do: they will wake
    /// nobody. One that is idle but about to take a job may.
    fn change(&mut self, f: impl FnOnce(&mut Queue)) {
        let before = self.idle.saturating_sub(self.waiting);
        f(self);
        let after = self.idle.saturating_sub(self.waiting);
        change_idle_helpers(after.wrapping_sub(before) as isize);
    }

    /// Tells an idle thread what to do, if there is anything.
    fn next(&mut self) -> Option<Next> {
        if self.threads > self.threads_max || (self.is_closed && self.waiting == 0) {
            self.count_out();
            return Some(Next::Leave);
        }
        self.take().map(Next::Job)
    }

    fn count_out(&mut self) {
        self.change(|queue| {
            queue.idle -= 1;
            queue.threads -= 1;
        });
    }

    /// Takes the oldest job, for a thread that was idle.
    pub(super) fn take(&mut self) -> Option<Box<Entry>> {
        if self.front.is_none() {
            self.turn_over();
        }
        let mut first = self.front.take()?;
        self.front = first.below.take();
        self.change(|queue| {
            queue.waiting -= 1;
            queue.idle -= 1;
        });
        Some(first)
    }

    /// Takes all jobs, in no order.
    fn take_all(&mut self) -> Option<Box<Entry>> {
        self.change(|queue| queue.waiting = 0);
        self.void = 0;
        self.turn_over();
        self.front.take()
    }

    /// Takes the jobs that are void, in no order.
    fn take_void(&mut self) -> Option<Box<Entry>> {
        let (mut void, mut count) = (None, 0);
        for mut at in [&mut self.front, &mut self.back] {
            while let Some(mut entry) = at.take() {
                if entry.job.is_void() {
                    *at = mem::replace(&mut entry.below, void);
                    void = Some(entry);
                    count += 1;
                } else {
                    at = &mut at.insert(entry).below;
                }
            }
        }
        self.void = 0;
        self.change(|queue| queue.waiting -= count);
        void
    }

    /// Puts the newest in front of the others, the oldest of them on top.
    fn turn_over(&mut self) {
        while let Some(mut entry) = self.back.take() {
            self.back = mem::replace(&mut entry.below, self.front.take());
            self.front = Some(entry);
        }
    }
}

impl Entry {
    pub(super) fn new(job: Job) -> Box<Entry> {
        Box::new(Entry { job, below: None })
    }
}

/// Runs a job's closure, or drops it if there is no thread for it.
pub(super) fn run_job<F, T>(thread_started: io::Result<()>, f: F) -> io::Result<thread::Result<T>>
where
    F: FnOnce() -> T,
{
    match thread_started {
        Ok(()) => Ok(panic::catch_unwind(AssertUnwindSafe(f))),
        Err(error) => {
            drop_quietly(f);
            Err(error)
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}
