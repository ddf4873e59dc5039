//! The desk of a user's pool: its jobs counted, for those who wait for room or for the end of all.
//!
//! A job is counted from its submission to the moment when its result has been handed over. It
//! counts itself, whoever runs or cancels it.

use std::sync::Arc;

use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::threadpool::forks::Place;
use crate::threadpool::holder::Holder;
use crate::threadpool::lane::Lane;
use crate::threadpool::lane::Reach;
use crate::wait_queue::WaitQueue;

/// What a pool, its threads and its jobs share.
pub(super) struct Pool {
    pub(super) lane: Lane,
    line_max: usize,
    /// Those wait here who want to submit.
    desk: WaitQueue<Desk>,
    /// Those wait here who want all jobs to be done. Its lock is taken before the desk's.
    ends: WaitQueue<()>,
    /// Where the child of a fork finds the pool.
    place: Place,
}

/// The jobs of a pool, counted.
struct Desk {
    /// Submitted and not begun.
    in_line: usize,
    /// Begun, and the result not handed over.
    running: usize,
    is_shut: bool,
}

impl Reach for Arc<Pool> {
    fn lane(&self) -> &Lane {
        &self.lane
    }
}

impl Pool {
    pub(super) fn new(lane: Lane, line_max: usize) -> Arc<Pool> {
        let desk = WaitQueue::new(Desk { in_line: 0, running: 0, is_shut: false });
        let ends = WaitQueue::new(());
        let pool = Arc::new(Pool { lane, line_max, desk, ends, place: Place::new() });
        pool.place.put(&pool);
        pool
    }

    /// Forgets all threads and jobs in the child of a fork, but for one that the running code
    /// is part of. Who waited for them goes on.
    pub(super) fn begin_anew(&self, own: Option<&Hub>) {
        self.lane.begin_anew();
        let (mut inner, _) = self.desk.begin_anew(own);
        inner.state.in_line = 0;
        inner.state.running = usize::from(self.lane.is_here());
        drop(inner);
        drop(self.ends.begin_anew(own));
        self.desk.wake_all();
        self.ends.wake_all();
    }

    /// Counts a job that is about to be put in line. False if the pool was shut down.
    #[track_caller]
    pub(super) fn enter_line(&self) -> bool {
        let line_max = self.line_max_here();
        if let Some(entered) = self.try_enter_line() {
            return entered;
        }
        // Jobs that others have submitted make room.
        let _hub = hub::current().map(Holder::new);
        match self
            .desk
            .wait(Deadline::NEVER, What::Room, Mode::Plain, |desk| desk.enter_line(line_max))
        {
            Ok(entered) => entered,
            Err(_) => interrupted(),
        }
    }

    /// The same if there is room; `None` if there is none.
    pub(super) fn try_enter_line(&self) -> Option<bool> {
        let line_max = self.line_max_here();
        self.desk.lock().state.enter_line(line_max)
    }

    /// Counts a callback that comes after its job: there is room for it, and it is too late to
    /// refuse it.
    pub(super) fn enter_line_late(&self) {
        self.desk.lock().state.in_line += 1;
    }

    /// The limit of the line for the running code: a job that waited for others of its pool to
    /// begin could wait for ever.
    fn line_max_here(&self) -> usize {
        if self.lane.is_here() { usize::MAX } else { self.line_max }
    }

    /// Counts a job that leaves the line.
    pub(super) fn begin_job(&self) {
        let mut inner = self.desk.lock();
        // In the child of a fork those that were counted before count no more.
        inner.state.in_line = inner.state.in_line.saturating_sub(1);
        inner.state.running += 1;
        drop(inner);
        if self.line_max != usize::MAX {
            self.desk.wake_one();
        }
    }

    /// Counts a job whose result has been handed over.
    pub(super) fn end_job(&self) {
        let mut inner = self.desk.lock();
        inner.state.running = inner.state.running.saturating_sub(1);
        let was_last = inner.state.is_idle();
        drop(inner);
        if was_last {
            self.ends.wake_all();
        }
    }

    /// Waits until all jobs are done; false if the deadline has passed first.
    #[track_caller]
    pub(super) fn wait_for_jobs(&self, deadline: Deadline) -> bool {
        assert!(!self.lane.is_here(), "a job cannot wait for its own pool");
        let is_idle = |(): &mut ()| self.desk.lock().state.is_idle().then_some(());
        if is_idle(&mut ()).is_some() {
            return true;
        }
        let _hub = hub::current().map(Holder::new);
        match self.ends.wait(deadline, What::Jobs, Mode::Plain, is_idle) {
            Ok(()) => true,
            Err(Outcome::Interrupted) => interrupted(),
            Err(_) => false,
        }
    }

    /// Gives how many jobs are in line and running.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.desk.lock().state.counts()
    }

    /// Takes no more jobs, and lets the threads end when all are done.
    pub(super) fn close(&self) {
        self.desk.lock().state.is_shut = true;
        self.desk.wake_all();
        self.lane.close();
    }
}

impl Desk {
    /// Counts one more in line: `None` if there is no room, false if the pool was shut down.
    fn enter_line(&mut self, line_max: usize) -> Option<bool> {
        if self.is_shut {
            return Some(false);
        }
        let enters = self.in_line < line_max;
        self.in_line += usize::from(enters);
        enters.then_some(true)
    }

    /// Gives how many jobs are in line and running.
    fn counts(&self) -> (usize, usize) {
        (self.in_line, self.running)
    }

    fn is_idle(&self) -> bool {
        self.counts() == (0, 0)
    }
}
