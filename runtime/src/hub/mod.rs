//! The hub of a thread: it owns the tasks, the timers, the stacks and the poller, and
//! offers the two verbs that everything waits with: `block` and `wake`.
//!
//! The thread's own stack is the *root*, task 0. It waits like any coroutine; while it
//! does, the loop runs on it (`turn.rs`). Coroutines switch to the root and back, never to
//! each other.
//!
//! **Invariants:** no borrow of the hub's state is alive across a switch or a call of user
//! code. Waking only enqueues. A hub is used on its own thread only; other threads have
//! [`Shared`](shared::Shared).

// The hub is found through a thread-local pointer, and suspends the coroutine that runs.
#![allow(unsafe_code)]

pub(crate) mod end;
pub(crate) mod identity;
pub(crate) mod panic_hook;
pub(crate) mod reason;
pub(crate) mod shared;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod turn;
pub(crate) mod wake;

use std::any::Any;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::ptr;
use std::ptr::NonNull;
use std::thread;

use crate::coroutine::Coroutine;
use crate::coroutine::Valgrind;
use crate::error::Deadlock;
use crate::error::Killed;
use crate::error::TimeoutThrow;
use crate::hub::identity::Thread;
use crate::hub::reason::Reason;
use crate::hub::shared::KernelSide;
use crate::hub::shared::SharedRecord;
use crate::hub::task::NewTask;
use crate::hub::task::Task;
use crate::interrupt::Interrupt;
use crate::interrupt::Interrupts;
use crate::interrupt::ScopeMark;
use crate::interrupt::THROWS_MAX;
use crate::order::Order;
use crate::overflow::Occupant;
use crate::overflow::Reporter;
use crate::poller::Poller;
use crate::readiness::Readiness;
use crate::scheduler::Outcome;
use crate::scheduler::Scheduler;
use crate::scheduler::State as TaskState;
use crate::scheduler::Ticket;
use crate::stack::SizeClass;
use crate::stack::StackPool;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::origin::Origin;
use crate::sys::process::abort_with;
use crate::timers::TimerKey;
use crate::timers::Timers;

/// Everything one thread needs to run coroutines.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Whose code runs.
    current: Cell<u32>,
    /// The coroutine whose code runs, as the report of an overflow knows it; null on the
    /// root.
    running: Cell<*const Occupant>,
    /// How the wait of the task that is being resumed has ended.
    outcome: Cell<Outcome>,
    /// Operations that the running task may still do without waiting.
    allowance: Cell<u32>,
    /// Milliseconds from the hub's first moment to the last poll, for the dump.
    clock_ms: Cell<u32>,
    /// Whether a panic's message is being written.
    in_panic_hook: Cell<bool>,
    /// What counts as a deadlock.
    deadlock_scope: Cell<DeadlockScope>,
    state: RefCell<State>,
    shared: SharedRecord,
    origin: Origin,
    reporter: Reporter,
}

/// The part of a hub that is borrowed.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) scheduler: Scheduler<Task>,
    pub(crate) timers: Timers<Alarm>,
    pub(crate) readiness: Readiness,
    pub(crate) poller: Poller,
    pub(crate) stacks: StackPool<Valgrind>,
    /// Suspended tasks that were unwinding when they last ran. While there are any,
    /// `std::thread::panicking` says nothing about the task that runs.
    pub(crate) parked_unwinding: usize,
    /// The class of tasks that ask for none.
    default_class: SizeClass,
    /// The ids that this hub may still give out.
    ids: std::ops::Range<u64>,
    /// The table that a deadlock is reported with.
    deadlock_report: String,
    /// Where the loop stands in its turn.
    pub(crate) turn: turn::Turn,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alarm {
    /// The deadline of a wait.
    Wait(Ticket),
    /// The end of a `timeout` block.
    Scope { slot: u32, scope: u64 },
}

/// What may end a wait besides a wake and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Kills and timeouts, by unwinding.
    Plain,
    /// Kills and timeouts; where nothing can unwind, timeouts by an error of the call.
    Io,
    /// Nothing.
    Masked,
}

/// What else could wake a root that waits, and so rules a deadlock out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlockScope {
    /// Any other OS thread of the process might.
    #[default]
    Process,
    /// Only what this hub itself knows of: for tests, and for programs whose other threads
    /// never wake coroutines.
    Hub,
    /// Something always might: the root waits for ever.
    Off,
}

/// The slot of the root.
pub(crate) const ROOT: u32 = 0;
/// Whether a coroutine can be ended by unwinding in this build.
pub(crate) const UNWINDS: bool = cfg!(panic = "unwind");
/// Operations that a task may do without waiting before it lets the others run.
const ALLOWANCE: u32 = 128;
/// Ids are handed to hubs in blocks, so that a spawn shares no counter with other threads.
const ID_BLOCK: u64 = 1 << 16;

thread_local! {
    /// The hub of this thread, or null. Without a destructor: what ends the hub is in
    /// `end.rs`.
    static HUB: Cell<*const Hub> = const { Cell::new(ptr::null()) };
}

/// The hub of this thread, if it has one.
///
/// The reference is good until the thread's thread-locals are destroyed; nobody keeps it
/// beyond the call that asked for it, or the wait.
#[inline]
pub(crate) fn current() -> Option<&'static Hub> {
    let hub = HUB.get();
    if hub.is_null() {
        return None;
    }
    // SAFETY: the pointer is set to a live hub, and to null before that hub is freed.
    let hub = unsafe { &*hub };
    if hub.is_root() && hub.origin.has_returned() {
        // A thread-local's destructor: no coroutine may run any more.
        end::end_hub();
        return None;
    }
    Some(hub)
}

/// The hub of this thread, even if the thread is about to end.
fn running_hub() -> Option<&'static Hub> {
    // SAFETY: the pointer is null or that of a live hub.
    unsafe { HUB.get().as_ref() }
}

/// The hub of this thread, made if it has none.
#[inline]
pub(crate) fn get() -> io::Result<&'static Hub> {
    match current() {
        Some(hub) => Ok(hub),
        None => make(),
    }
}

#[cold]
fn make() -> io::Result<&'static Hub> {
    end::arm_guard()?;
    let pointer = Box::into_raw(Box::new(Hub::new()?));
    // SAFETY: the hub was just boxed and is freed by `end_hub` only.
    let hub: &'static Hub = unsafe { &*pointer };
    // SAFETY: the cell lives as long as the reporter, both in the hub, and holds the record
    // of the coroutine that runs, or null.
    unsafe { hub.reporter.attach(&raw const hub.running) };
    HUB.set(pointer);
    panic_hook::install();
    Ok(hub)
}

impl Hub {
    fn new() -> io::Result<Hub> {
        let poller = Poller::new()?;
        let reporter = Reporter::new()?;
        let now = Deadline::now().as_ns();
        let default_class = SizeClass::default_class()?;
        let mut ids = id_block();
        let root_id = ids.next().expect("a fresh block");
        let shared = shared::open(KernelSide { epoll: poller.raw_fd(), alarm: poller.alarm() });
        let mut scheduler = Scheduler::new(Order::from_env(), shared.first_ticket());
        let root = scheduler.insert_running(Task::root(root_id, default_class));
        assert_eq!(root, ROOT);
        Ok(Hub {
            current: Cell::new(ROOT),
            running: Cell::new(ptr::null()),
            outcome: Cell::new(Outcome::Woken),
            allowance: Cell::new(ALLOWANCE),
            clock_ms: Cell::new(0),
            in_panic_hook: Cell::new(false),
            deadlock_scope: Cell::new(DeadlockScope::default()),
            state: RefCell::new(State {
                scheduler,
                timers: Timers::new(now),
                readiness: Readiness::default(),
                poller,
                stacks: StackPool::new(),
                parked_unwinding: 0,
                default_class,
                ids,
                deadlock_report: String::new(),
                turn: turn::Turn::new(now),
            }),
            shared,
            origin: Origin::find(),
            reporter,
        })
    }

    /// What other threads know of the hub.
    #[inline]
    pub(crate) fn shared(&self) -> SharedRecord {
        self.shared
    }

    /// Whether a ticket was given out by this hub, and not by one before it.
    #[inline]
    pub(crate) fn owns(&self, ticket: Ticket) -> bool {
        ticket.number >= self.shared.first_ticket()
    }

    /// The state, for the layers above. Never across a switch or user code.
    #[inline]
    pub(crate) fn state(&self) -> std::cell::RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Whose code runs.
    #[inline]
    pub(crate) fn slot(&self) -> u32 {
        self.current.get()
    }

    /// Whether the root's code runs.
    #[inline]
    pub(crate) fn is_root(&self) -> bool {
        self.current.get() == ROOT
    }

    /// The number of the running task.
    pub(crate) fn current_id(&self) -> u64 {
        self.with_current(|task| task.id)
    }

    /// Calls `f` with the record of the running task. It must not call user code.
    #[inline]
    pub(crate) fn with_current<R>(&self, f: impl FnOnce(&mut Task) -> R) -> R {
        let mut state = self.state.borrow_mut();
        f(state.scheduler.get_mut(self.current.get()).expect("the running task has a record"))
    }

    /// Names the next wait of the running task.
    #[inline]
    pub(crate) fn ticket(&self) -> Ticket {
        self.state.borrow().scheduler.ticket(self.current.get())
    }

    /// Waits: the only point at which a task is suspended.
    ///
    /// Other tasks run until somebody uses the ticket, the deadline has passed, or a kill
    /// or a timeout that `mode` lets through wants this task. The last is only reported:
    /// the caller removes its registrations and then throws, or gives an error.
    #[inline]
    pub(crate) fn block(&self, deadline: Deadline, reason: Reason, mode: Mode) -> Outcome {
        let slot = self.current.get();
        let mut state = self.state.borrow_mut();
        let State { scheduler, parked_unwinding, timers, .. } = &mut *state;
        let mut unwinding = false;
        let mut gave_up = false;
        let ticket = scheduler.block_if(slot, |task| {
            unwinding = note_unwinding(task, *parked_unwinding);
            if task.interrupts.wanted() {
                gave_up = task.interrupts.give_up();
                if lets_through(mode) && task.interrupts.is_deliverable() {
                    return false;
                }
            }
            task.reason = reason;
            task.since_ms = self.clock_ms.get();
            task.mode = mode;
            true
        });
        let Some(ticket) = ticket else {
            scheduler.void_ticket(slot);
            drop(state);
            self.report_if(gave_up);
            return Outcome::Interrupted;
        };
        if unwinding {
            *parked_unwinding += 1;
            self.refuse_in_panic_hook();
        }
        let timer =
            (!deadline.is_never()).then(|| timers.arm(deadline.as_ns(), Alarm::Wait(ticket)));
        drop(state);
        self.report_if(gave_up);
        let outcome = self.switch_out();
        if timer.is_some() || unwinding {
            self.after_wait(timer, unwinding);
        }
        outcome
    }

    /// Lets every other ready task run first. `Interrupted`: it did not.
    #[inline]
    pub(crate) fn yield_now(&self, mode: Mode) -> Outcome {
        let slot = self.current.get();
        let mut state = self.state.borrow_mut();
        let State { scheduler, parked_unwinding, .. } = &mut *state;
        let mut unwinding = false;
        let mut gave_up = false;
        let queued = scheduler.requeue_if(slot, |task| {
            unwinding = note_unwinding(task, *parked_unwinding);
            if task.interrupts.wanted() {
                gave_up = task.interrupts.give_up();
                if lets_through(mode) && task.interrupts.is_deliverable() {
                    return false;
                }
            }
            task.reason = Reason::Yield;
            true
        });
        if !queued {
            drop(state);
            self.report_if(gave_up);
            return Outcome::Interrupted;
        }
        if unwinding {
            *parked_unwinding += 1;
            self.refuse_in_panic_hook();
        }
        drop(state);
        self.report_if(gave_up);
        let outcome = self.switch_out();
        if unwinding {
            self.after_wait(None, true);
        }
        outcome
    }

    /// Counts an operation that did not have to wait; lets the others run when the task
    /// has done many in a row. `Interrupted`: a kill or a timeout wants the task.
    #[inline]
    pub(crate) fn spend(&self) -> Outcome {
        match self.allowance.get() {
            0 => self.spend_last(),
            left => {
                self.allowance.set(left - 1);
                Outcome::Woken
            }
        }
    }

    #[cold]
    fn spend_last(&self) -> Outcome {
        self.allowance.set(ALLOWANCE);
        // A destructor in mid-unwinding is not made to wait.
        if self.is_unwinding() { Outcome::Woken } else { self.yield_now(Mode::Plain) }
    }

    #[inline]
    fn switch_out(&self) -> Outcome {
        match self.running() {
            Some(coroutine) => {
                // SAFETY: it is the coroutine whose code runs, which is the caller's.
                unsafe { coroutine.suspend() };
                self.outcome.get()
            }
            None => self.run_until_root(),
        }
    }

    /// The coroutine whose code runs.
    #[inline]
    fn running(&self) -> Option<Coroutine> {
        let occupant = NonNull::new(self.running.get().cast_mut())?;
        // SAFETY: the cell holds what the running coroutine gave.
        Some(unsafe { Coroutine::of(occupant) })
    }

    #[inline(never)]
    fn after_wait(&self, timer: Option<TimerKey>, unwinding: bool) {
        let mut state = self.state.borrow_mut();
        if let Some(timer) = timer {
            state.timers.cancel(timer);
        }
        state.parked_unwinding -= usize::from(unwinding);
    }

    #[inline]
    fn report_if(&self, gave_up: bool) {
        if gave_up {
            self.report_ignored_kill();
        }
    }

    /// Says that the running task swallowed its kill as often as it was thrown.
    #[cold]
    fn report_ignored_kill(&self) {
        let (body, line) = self.with_current(|task| {
            let label = table::label(task.id, task.name());
            let line = format!(
                "corovent: coroutine {label}, spawned at {}, swallowed its kill {THROWS_MAX} times",
                task.spawned_at,
            );
            (task.body, line)
        });
        eprintln!("{line}");
        if let Some(body) = body {
            // SAFETY: the task still has its body, so it is not published.
            unsafe { body.kill_ignored() };
        }
        turn::tell_of_end(&mut self.state.borrow_mut());
    }

    /// A panic of another task while this one is inside the hook would abort in std.
    #[cold]
    fn refuse_in_panic_hook(&self) {
        if self.in_panic_hook.get() {
            abort_with("a panic hook waits: others may not run while it does");
        }
    }

    /// The handle of the running coroutine.
    pub(crate) fn current_thread(&self) -> Thread {
        let body = self.with_current(|task| task.body);
        match body {
            // SAFETY: the task still has its body, so it is not published.
            Some(body) => unsafe { body.thread() },
            // The last destructor of a result that nobody wanted asks.
            None => Thread::new(self.current_id(), None),
        }
    }

    /// Ends the wait that a ticket of this hub names; a late one is a no-op.
    #[inline]
    pub(crate) fn wake(&self, ticket: Ticket) -> bool {
        self.state.borrow_mut().scheduler.wake(ticket, Outcome::Woken)
    }

    /// Whether the running task unwinds: by its own throw, or by a panic.
    pub(crate) fn is_unwinding(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let State { scheduler, parked_unwinding, .. } = &mut *state;
        let task = scheduler.get_mut(self.current.get()).expect("the running task has a record");
        note_unwinding(task, *parked_unwinding)
    }

    /// Throws what interrupted a wait of the running task.
    #[cold]
    pub(crate) fn throw(&self) -> ! {
        let taken = self.with_current(|task| task.interrupts.take());
        match taken.expect("a wait was interrupted") {
            Interrupt::Kill => std::panic::resume_unwind(Box::new(Killed)),
            Interrupt::Timeout(scope) => {
                std::panic::resume_unwind(Box::new(TimeoutThrow { scope }))
            }
            Interrupt::Deadlock => {
                let report = std::mem::take(&mut self.state.borrow_mut().deadlock_report);
                std::panic::resume_unwind(Box::new(Deadlock::new(report)))
            }
        }
    }

    /// Goes on with an unwinding that was caught on its way.
    #[cold]
    pub(crate) fn rethrow(&self, payload: Box<dyn Any + Send>) -> ! {
        self.with_current(|task| task.interrupts.set_unwinding(true));
        std::panic::resume_unwind(payload)
    }

    /// Takes back a deadlock that was to be thrown on the root; false if none was.
    pub(crate) fn take_deadlock(&self) -> bool {
        self.with_current(|task| task.interrupts.take_deadlock())
    }

    /// Opens a timeout scope of the running task.
    pub(crate) fn open_scope(&self, deadline: Deadline) -> (ScopeMark, Option<TimerKey>) {
        let mut state = self.state.borrow_mut();
        let scope = next_id(&mut state);
        let slot = self.current.get();
        let task = state.scheduler.get_mut(slot).expect("the running task has a record");
        let mark = task.interrupts.open_scope(scope);
        let timer = (!deadline.is_never())
            .then(|| state.timers.arm(deadline.as_ns(), Alarm::Scope { slot, scope }));
        (mark, timer)
    }

    /// Closes a timeout scope: it does not fire any more.
    pub(crate) fn close_scope(&self, mark: ScopeMark, timer: Option<TimerKey>, caught: bool) {
        let mut state = self.state.borrow_mut();
        if let Some(timer) = timer {
            state.timers.cancel(timer);
        }
        let slot = self.current.get();
        let task = state.scheduler.get_mut(slot).expect("the running task has a record");
        task.interrupts.close_scope(mark, caught);
    }

    /// Changes the interrupts of the running task, such as its shields.
    pub(crate) fn with_interrupts<R>(&self, f: impl FnOnce(&mut Interrupts) -> R) -> R {
        self.with_current(|task| f(&mut task.interrupts))
    }

    /// A number for a task, unique in the process.
    #[inline]
    pub(crate) fn new_id(&self) -> u64 {
        next_id(&mut self.state.borrow_mut())
    }

    /// Adds a task at the end of the ready queue. The error names the limit that left no
    /// room for its stack; the body is the caller's still.
    #[inline]
    pub(crate) fn spawn(&self, new: NewTask) -> io::Result<u32> {
        let mut state = self.state.borrow_mut();
        let class = new.class.unwrap_or(state.default_class);
        state.stacks.reserve(class)?;
        Ok(state.scheduler.insert_ready(Task {
            id: new.id,
            coroutine: None,
            body: Some(new.body),
            interrupts: Interrupts::default(),
            reason: Reason::Start,
            since_ms: self.clock_ms.get(),
            spawned_at: new.spawned_at,
            mode: Mode::Masked,
            class,
        }))
    }

    /// Asks the task in a slot to end, if it still has that id. False if it has ended, or
    /// cannot be ended in this build.
    pub(crate) fn kill(&self, slot: u32, id: u64) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(task) = state.scheduler.get_mut(slot).filter(|task| task.id == id) else {
            return false;
        };
        if task.body.is_none() || (task.coroutine.is_some() && !UNWINDS) {
            return false;
        }
        task.interrupts.want_kill();
        interrupt_if_blocked(&mut state, slot);
        true
    }

    /// The tasks besides the root, as slot and id.
    pub(crate) fn coroutines(&self) -> Vec<(u32, u64)> {
        let state = self.state.borrow();
        let tasks = state.scheduler.iter().filter(|(slot, _, _)| *slot != ROOT);
        tasks.map(|(slot, _, task)| (slot, task.id)).collect()
    }

    /// The coroutines that were spawned for an observer, as slot and id.
    pub(crate) fn coroutines_of(&self, observer: *const ()) -> Vec<(u32, u64)> {
        let state = self.state.borrow();
        let tasks = state.scheduler.iter().filter(|(_, _, task)| {
            // SAFETY: a task that has its body has not published it.
            task.body.is_some_and(|body| unsafe { body.observer() } == observer)
        });
        tasks.map(|(slot, _, task)| (slot, task.id)).collect()
    }

    /// How many tasks there are besides the root.
    pub(crate) fn live(&self) -> usize {
        self.state.borrow().scheduler.len() - 1
    }

    /// Sets what counts as a deadlock; returns what did.
    pub(crate) fn set_deadlock_scope(&self, scope: DeadlockScope) -> DeadlockScope {
        self.deadlock_scope.replace(scope)
    }
}

/// Notes whether the running task unwinds. While others are parked in the middle of an
/// unwinding, std's answer means nothing, and the last known one holds.
#[inline]
fn note_unwinding(task: &mut Task, parked_unwinding: usize) -> bool {
    if parked_unwinding == 0 {
        task.interrupts.set_unwinding(thread::panicking());
    }
    task.interrupts.unwinding()
}

/// Wakes a blocked task that a kill or a timeout wants and may have.
pub(crate) fn interrupt_if_blocked(state: &mut State, slot: u32) {
    if state.scheduler.state(slot) != Some(TaskState::Blocked) {
        return;
    }
    let task = state.scheduler.get(slot).expect("a blocked task has a record");
    if lets_through(task.mode) && task.interrupts.is_deliverable() {
        let ticket = state.scheduler.ticket(slot);
        state.scheduler.wake(ticket, Outcome::Interrupted);
    }
}

fn lets_through(mode: Mode) -> bool {
    match mode {
        Mode::Plain => UNWINDS,
        Mode::Io => true,
        Mode::Masked => false,
    }
}

fn next_id(state: &mut State) -> u64 {
    match state.ids.next() {
        Some(id) => id,
        None => {
            state.ids = id_block();
            state.ids.next().expect("a fresh block")
        }
    }
}

/// Takes ids for one hub from those of the process.
fn id_block() -> std::ops::Range<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    let first = NEXT.fetch_add(ID_BLOCK, Ordering::Relaxed);
    first..first + ID_BLOCK
}
