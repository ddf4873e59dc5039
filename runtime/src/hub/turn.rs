//! The loop. It runs on the root's stack, while the root waits.
//!
//! A turn is: run what is ready, within a budget (`turn/budget.rs`); poll, without waiting if
//! something is ready still (`look.rs`); wake whom I/O made ready; read the clock; fire what is due
//! and still blocked. So I/O beats a timeout of the same turn, and a loop of yields keeps nothing
//! out.
//!
//! The budget carries over from one wait of the root to the next: a root that waits for
//! one coroutine after the other makes a system call only when the budget is used up.

// The loop is what runs, ends and gives up bodies and stacks.
#![allow(unsafe_code)]

mod budget;
mod trim;

use std::cell::RefMut;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::compiler_fence;
use std::thread;
use std::time::Duration;

use crate::coroutine::Coroutine;
use crate::coroutine::Valgrind;
use crate::hub;
use crate::hub::Alarm;
use crate::hub::DeadlockScope;
use crate::hub::Hub;
use crate::hub::ROOT;
use crate::hub::State;
use crate::hub::inspect::Resumed;
use crate::hub::look::fire_due;
use crate::hub::look::take_due;
use crate::hub::reason::Reason;
use crate::hub::stackless::start_later;
use crate::hub::table;
use crate::hub::task::Task;
use crate::hub::turn::budget::Budget;
use crate::hub::turn::trim::trim_stacks;
use crate::hub::watchdog;
use crate::readiness::Direction;
use crate::readiness::Readiness;
use crate::scheduler::Ahead;
use crate::scheduler::Outcome;
use crate::scheduler::Scheduler;
use crate::scheduler::Ticket;
use crate::stack::StackPool;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::cache::PREFETCHES;
use crate::sys::clock::Deadline;
use crate::sys::epoll::Patience;
use crate::sys::process;
use crate::sys::sigaction::preserving_errno;
use crate::timers::Due;

/// Where the loop stands between two polls.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(super) budget: Budget,
    /// The clock when the hub was made.
    born: u64,
    /// What epoll has told.
    pub(super) events: u64,
    /// Coroutines that were given up.
    lost: u64,
    /// When the stacks were last trimmed.
    trimmed: u64,
    /// When the poller was last found to be ours still.
    pub(super) checked: u64,
    /// Idle sleeps in a row after which nothing had happened.
    pub(super) idle_looks: u32,
    /// When it is said next that the kernel has no stack.
    pub(super) next_report: u64,
    /// Who waits for coroutines to end, whichever they are.
    ends: Option<Ticket>,
    /// The slots of tasks that were given up in a wait queue, with the queue's address.
    lost_waits: BTreeMap<u32, usize>,
    /// The timers that are due and have not fired: none but during a poll.
    pub(super) due: Vec<Due<Alarm>>,
}

/// Of so many tasks the entries and the frames that wait stay in a cache of two megabytes;
const CACHED_TASKS_MAX: usize = 2_000;
/// and of so many with a registered descriptor: a request has the kernel use the cache as well.
const CACHED_FDS_MAX: usize = 200;
/// So much of its frames does a coroutine return through when its wait is over.
const FRAMES_LINES: usize = 12;
/// A hub that only another thread could wake looks again this often whether there is one.
const IDLE_LOOK_S_MAX: u64 = 60;

/// How many helper threads of the runtime have nothing to do, and so will wake nobody, in the
/// lower half; the upper one counts the changes.
static IDLE_HELPERS: AtomicU64 = AtomicU64::new(0);

/// Notes that so many more helper threads have nothing to do, or fewer, or that one that has
/// is told of a job.
pub(crate) fn change_idle_helpers(difference: isize) {
    IDLE_HELPERS.fetch_add((1u64 << 32).wrapping_add_signed(difference as i64), Ordering::AcqRel);
}

/// Notes that there are no helper threads, in the child of a fork.
pub(crate) fn forget_helpers() {
    IDLE_HELPERS.store(0, Ordering::Release);
}

/// Whether the process has no thread but the caller and idle helpers.
fn is_alone() -> bool {
    let before = IDLE_HELPERS.load(Ordering::Acquire);
    let idle = before as u32 as usize + usize::from(watchdog::is_running());
    // A helper may have been told of a job meanwhile by a thread that has ended since.
    process::thread_count().is_some_and(|threads| threads <= 1 + idle)
        && IDLE_HELPERS.load(Ordering::Acquire) == before
}

impl Turn {
    pub(crate) fn new(now: u64) -> Turn {
        Turn {
            budget: Budget::new(now),
            born: now,
            events: 0,
            lost: 0,
            trimmed: now,
            checked: now,
            idle_looks: 0,
            next_report: 0,
            ends: None,
            lost_waits: BTreeMap::new(),
            due: Vec::new(),
        }
    }

    /// Sets who is woken when a coroutine ends, or is found to swallow its kill.
    pub(crate) fn tell_of_ends(&mut self, whom: Option<Ticket>) {
        self.ends = whom;
    }

    /// Whether a `run` is over, and ends all coroutines there are.
    pub(crate) fn is_ending(&self) -> bool {
        self.ends.is_some()
    }

    /// Notes a coroutine that was given up, and the wait queue that it was in.
    pub(super) fn note_lost(&mut self, slot: u32, queue: Option<usize>) {
        self.lost += 1;
        self.lost_waits.extend(queue.map(|queue| (slot, queue)));
    }

    /// The wait queue of a task that was given up in one, by a name of its slot, which is
    /// never used again. A wake by that name has reached nobody.
    pub(super) fn lost_wait(&self, ticket: Ticket) -> Option<usize> {
        self.lost_waits.get(&ticket.slot).copied()
    }

    /// The clock of the waits in the table: milliseconds, which last for 49 days and then
    /// begin anew.
    pub(crate) fn ms_at(&self, now: u64) -> u32 {
        ((now - self.born) / 1_000_000) as u32
    }

    /// What epoll has told, and how many coroutines were given up.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.events, self.lost)
    }
}

/// Whether a task other than the one that is resumed unwinds, given that somebody does and whether
/// that one does, as far as is known; so many are parked in the middle of an unwinding.
#[cold]
fn others_unwind(unwinding: bool, parked_unwinding: usize) -> bool {
    !unwinding || parked_unwinding > 1
}

impl Hub {
    /// Runs other tasks until the root is ready: the root's side of every wait.
    #[inline(never)]
    pub(super) fn run_until_root(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.run_ready() {
                return outcome;
            }
            // The loop's own calls are nobody's business.
            preserving_errno(|| self.poll());
        }
    }

    /// Runs ready tasks until the root's turn has come, or there is none, or the budget is
    /// used up.
    #[inline]
    fn run_ready(&self) -> Option<Outcome> {
        let mut state = self.state();
        let outcome = loop {
            if state.turn.budget.is_over(self.vitals.count_look()) {
                break None;
            }
            let State { scheduler, stacks, parked_unwinding, .. } = &mut *state;
            let Some((slot, outcome, task)) = scheduler.take_next(prefetch) else {
                break None;
            };
            // Nobody's code runs: whoever std means is parked.
            let unwinding = task.interrupts.unwinding();
            let others_unwind = thread::panicking() && others_unwind(unwinding, *parked_unwinding);
            self.others_unwind.set(others_unwind);
            if slot == ROOT {
                break Some(outcome);
            }
            let coroutine = match task.coroutine {
                Some(coroutine) => coroutine,
                None => match start(stacks, task, slot) {
                    Ok(coroutine) => coroutine,
                    Err(error) => {
                        start_later(&mut state, slot, &error);
                        continue;
                    }
                },
            };
            drop(state);
            self.resumed.set(Resumed::Over(outcome));
            state = self.run(slot, coroutine);
        };
        self.vitals.note_tasks(state.scheduler.len());
        self.current.set(ROOT);
        self.running.store(ptr::null_mut(), Ordering::Relaxed);
        outcome
    }

    /// Runs one task until it waits or ends.
    #[inline]
    fn run(&self, slot: u32, coroutine: Coroutine) -> RefMut<'_, State> {
        self.current.set(slot);
        // The handler of a signal may read what it points to.
        self.running.store(coroutine.occupant().cast_mut(), Ordering::Release);
        self.allowance.set(hub::ALLOWANCE);
        // SAFETY: the task was ready, so its coroutine is suspended, and it still has its
        // record in the table, so it has not ended. The loop resumes one at a time.
        let ended = unsafe { coroutine.resume() };
        let mut state = self.state();
        if ended {
            self.running.store(ptr::null_mut(), Ordering::Relaxed);
            // Before the next one on the stack takes the description over, for a handler on this
            // thread.
            compiler_fence(Ordering::SeqCst);
            state.scheduler.remove(slot);
            // SAFETY: it has ended just now.
            let stack = unsafe { coroutine.stack() };
            // SAFETY: the frames of its job are gone, and it has no other until the stack is bound.
            unsafe { state.stacks.give_back(stack) };
            tell_of_end(&mut state);
        }
        state
    }

    /// Looks at messages, fds and timers, waiting for them if no task is ready.
    fn poll(&self) {
        self.settle_fork();
        let looks = self.vitals.count_turn();
        self.read_messages();
        let mut state = self.state();
        let patience = self.patience(&mut state);
        if patience != Patience::None || state.readiness.registered() > 0 {
            let at_most = state.turn.budget.events_at_most(looks, state.scheduler.ready());
            self.poll_fds(&mut state, at_most, patience);
        }
        if patience != Patience::None && self.is_forked.get() {
            // By a signal handler, which has ended the sleep.
            self.begin_late(&mut state);
            drop(state);
            return self.poll();
        }
        // Like I/O, a wake that came in time beats a timeout.
        drop(state);
        self.read_messages();
        let mut state = self.state();
        let now = Deadline::now().as_ns();
        if patience == Patience::None {
            state.turn.budget.note_clock(now);
        }
        take_due(&mut state, now);
        self.look_again(&mut state, patience, now);
        self.clock_ms.set(state.turn.ms_at(now));
        let are_many = state.scheduler.len() > CACHED_TASKS_MAX
            || state.readiness.registered() > CACHED_FDS_MAX;
        state.scheduler.expect_many(PREFETCHES && are_many);
        self.look_after_poller(&mut state, now);
        fire_due(&mut state);
        let has_seen_all = state.readiness.registered() == 0 || state.poller.has_seen_all();
        let ready = state.scheduler.ready();
        state.turn.budget.begin(now, looks, ready, has_seen_all);
    }

    /// How long the poll may wait.
    fn patience(&self, state: &mut State) -> Patience {
        if state.scheduler.has_ready() {
            return Patience::None;
        }
        let mut now = Deadline::now().as_ns();
        state.turn.budget.note_clock(now);
        if trim_stacks(state, now) {
            now = Deadline::now().as_ns();
        }
        self.look_after_poller(state, now);
        if let Some(next) = state.timers.next() {
            let limit = Deadline::from_ns(next).since(Deadline::from_ns(now));
            return if limit.is_zero() { Patience::None } else { Patience::Limited(limit) };
        }
        if state.readiness.waiting() > 0 || self.shared.holders() > 0 {
            return Patience::Unlimited;
        }
        self.patience_of_the_forlorn(state)
    }

    /// Nothing that this hub knows of can wake it.
    #[cold]
    fn patience_of_the_forlorn(&self, state: &mut State) -> Patience {
        let scope = self.deadlock_scope.get();
        match scope {
            DeadlockScope::Off => Patience::Unlimited,
            DeadlockScope::Hub => self.deadlock(state),
            DeadlockScope::Process if is_alone() => self.deadlock(state),
            DeadlockScope::Process => {
                let doublings = state.turn.idle_looks.min(6);
                state.turn.idle_looks += 1;
                Patience::Limited(Duration::from_secs((1 << doublings).min(IDLE_LOOK_S_MAX)))
            }
        }
    }

    /// Ends the root's wait, since nothing else will.
    fn deadlock(&self, state: &mut State) -> Patience {
        if self.shared.has_messages() {
            return Patience::None;
        }
        let report = table::deadlock_report(state, Deadline::now());
        process::report(&report);
        let root = state.scheduler.get_mut(ROOT).expect("the root has a record");
        root.interrupts.want_deadlock();
        if state.parked_unwinding > 1 {
            // Another task unwinds as well, so what is known of the root may be wrong. If it
            // is right, std aborts the process instead.
            root.interrupts.set_unwinding(false);
        }
        // At the end of `run` it is taken back, and unwinds nothing.
        let unwinds = root.reason != Reason::Ends;
        let deliverable = root.mode != hub::Mode::Masked && root.interrupts.is_deliverable();
        if unwinds && !(hub::UNWINDS && deliverable) {
            process::abort_with("the root's wait cannot be ended by unwinding");
        }
        state.deadlock_report = report;
        let ticket = state.scheduler.ticket(ROOT);
        state.scheduler.wake(ticket, Outcome::Interrupted);
        Patience::None
    }

    /// Does what other threads have asked for.
    #[inline]
    pub(crate) fn read_messages(&self) {
        if self.shared.has_messages() {
            self.state().turn.idle_looks = 0;
            self.do_messages();
        }
    }
}

/// Wakes the task whose turn it is to use what an fd has.
#[inline]
pub(crate) fn wake_waiter(
    readiness: &mut Readiness,
    scheduler: &mut Scheduler<Task>,
    fd: RawFd,
    direction: Direction,
) {
    while let Some(ticket) = readiness.pass_on(fd, direction, scheduler.order()) {
        if scheduler.wake(ticket, Outcome::Woken) {
            break;
        }
    }
}

/// Takes the entry of an fd out of the table and wakes everybody who waited.
pub(crate) fn wake_all(state: &mut State, fd: RawFd) {
    for ticket in state.readiness.remove(fd) {
        state.scheduler.wake(ticket, Outcome::Woken);
    }
}

/// Wakes whoever waits for ends.
#[inline]
pub(super) fn tell_of_end(state: &mut State) {
    if let Some(ticket) = state.turn.ends {
        state.scheduler.wake(ticket, Outcome::Woken);
    }
}

/// Has the processor fetch what a switch to a task reads; in a long queue of many also the frames
/// that it returns through, whose address it finds out before.
#[inline]
fn prefetch(task: &Task, ahead: Ahead) {
    let Some(coroutine) = task.coroutine else { return };
    match ahead {
        Ahead::Next => coroutine.prefetch(),
        Ahead::NextOfMany => coroutine.prefetch_frames(task.depth_bytes, FRAMES_LINES),
        Ahead::Later => coroutine.prefetch_frames(task.depth_bytes, 1),
    }
}

/// Gives a task its stack. The error: the kernel has no memory for a page table, or its limits were
/// lowered since the stack was reserved.
#[inline]
fn start(stacks: &mut StackPool<Valgrind>, task: &mut Task, slot: u32) -> io::Result<Coroutine> {
    let coroutine = match stacks.bind_warm(task.class) {
        // SAFETY: what came back was given by `Coroutine::stack`, and a warm one's upper end is as
        // it was then.
        Some(stack) => unsafe { Coroutine::on(stack) },
        None => Coroutine::new(stacks.bind_cold(task.class)?),
    };
    let body = task.body.expect("a task that has not run has a body");
    let job = body.job(slot, task.interrupts.serve_kill());
    // SAFETY: this is the coroutine of the task whose body it is, and starts once.
    unsafe { coroutine.start(task.id, task.spawned_at, job) };
    task.coroutine = Some(coroutine);
    Ok(coroutine)
}
