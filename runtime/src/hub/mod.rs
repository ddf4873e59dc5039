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

mod debugger;
pub(crate) mod end;
mod first;
mod fork;
pub(crate) mod give_up;
pub(crate) mod identity;
pub(crate) mod inspect;
pub(crate) mod interruption;
pub(crate) mod items;
mod look;
mod messages;
pub(crate) mod no_wait;
pub(crate) mod panic_hook;
mod polling;
pub(crate) mod reason;
pub(crate) mod shared;
#[cfg(feature = "tracing")]
mod spans;
mod stackless;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod turn;
pub(crate) mod vitals;
pub(crate) mod wait;
pub(crate) mod wake;
pub(crate) mod watchdog;

use std::cell::Cell;
use std::cell::OnceCell;
use std::cell::RefCell;
use std::cell::RefMut;
use std::fmt;
use std::io;
use std::ops::Range;
use std::panic::Location;
use std::ptr;

use crate::coroutine::Valgrind;
use crate::hub::identity::Thread;
use crate::hub::inspect::Resumed;
use crate::hub::inspect::Walk;
use crate::hub::no_wait::NoWait;
use crate::hub::reason::Reason;
use crate::hub::shared::KernelSide;
use crate::hub::shared::SharedRecord;
use crate::hub::stats::Stats;
use crate::hub::task::Body;
use crate::hub::task::NewTask;
use crate::hub::task::Task;
use crate::hub::vitals::Vitals;
use crate::order::Order;
use crate::overflow::Occupant;
use crate::overflow::Reporter;
use crate::poller::Poller;
use crate::readiness::Readiness;
use crate::scheduler::Outcome;
use crate::scheduler::Scheduler;
use crate::scheduler::Ticket;
use crate::stack::SizeClass;
use crate::stack::StackPool;
use crate::storage::Storage;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::blocks::Blocks;
use crate::sys::clock::Deadline;
use crate::sys::origin::Origin;
use crate::sys::pages::Pages;
use crate::timers::TimerKey;
use crate::timers::Timers;

pub(crate) use crate::hub::first::at_first_hub;
pub(crate) use crate::hub::wait::Begun;
pub(crate) use crate::hub::wait::Mode;
pub(crate) use crate::hub::wait::Suspension;

/// Everything one thread needs to run coroutines.
pub(crate) struct Hub {
    /// Whose code runs.
    current: Cell<u32>,
    /// The coroutine whose code runs, as the report of an overflow knows it; null on the
    /// root.
    running: AtomicPtr<Occupant>,
    /// Why the task is resumed that is being resumed.
    resumed: Cell<Resumed>,
    /// Where a coroutine that is only inspected tells its frames; null otherwise.
    inspection: Cell<*mut Walk>,
    /// Whether another task is parked in the middle of an unwinding, so that
    /// `std::thread::panicking` says nothing about the one that runs.
    others_unwind: Cell<bool>,
    /// Operations that the running task may still do without waiting.
    allowance: Cell<u32>,
    /// Milliseconds from the hub's first moment to the last poll, for the dump.
    clock_ms: Cell<u32>,
    /// What the watchdog may read.
    vitals: Vitals,
    /// The last of the ids that this hub may still give out; the next is among the vitals.
    last_id: Cell<u64>,
    /// The number of the next timeout scope; no other hub gives it out.
    next_scope: Cell<u64>,
    /// Coroutines whose closures have ended by a panic, and by a kill.
    panicked: Cell<u64>,
    killed: Cell<u64>,
    /// The parts of code that are not to wait, in the order in which they were entered.
    no_waits: RefCell<Vec<NoWait>>,
    /// What the last line of the trace said, and when; `None` before the first.
    traced: Cell<Option<Box<(Deadline, Stats)>>>,
    /// How many of its coroutines have items of a queue out, to compare or clone them.
    items_out: Cell<usize>,
    /// Memory of packets that were freed here, for those of the next coroutines.
    pub(crate) blocks: Blocks,
    /// Whether a panic's message is being written.
    in_panic_hook: Cell<bool>,
    /// Whether a subscriber of `tracing` is being told of a switch.
    #[cfg(feature = "tracing")]
    telling: Cell<bool>,
    /// This is the child of a fork, and the tables are still the parent's.
    is_forked: Cell<bool>,
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
    /// Suspended tasks that were unwinding, as far as was known, when they last ran.
    pub(crate) parked_unwinding: usize,
    /// The class of tasks that ask for none.
    default_class: SizeClass,
    /// The table that a deadlock is reported with.
    deadlock_report: String,
    /// Where the loop stands in its turn.
    pub(crate) turn: turn::Turn,
    /// What was so at a fork in whose child this is, until the tables are put right.
    forked: Option<fork::Forked>,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alarm {
    /// The deadline of a wait.
    Wait(Ticket),
    /// The end of a `timeout` block.
    Scope { slot: u32, scope: u64 },
}

impl Alarm {
    /// The slot of the task that it is for.
    fn slot(self) -> u32 {
        match self {
            Alarm::Wait(ticket) => ticket.slot,
            Alarm::Scope { slot, .. } => slot,
        }
    }
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
/// Timeout scopes are numbered from the hub's first id on, with so many bits more.
const SCOPE_BITS: u32 = 24;

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

/// Counts an operation that need not wait; lets the others run after many in a row. If
/// something wants the coroutine, it is thrown before anything has moved.
#[inline]
pub(crate) fn spend() {
    if let Some(hub) = current() {
        hub.spend();
    }
}

/// The hub of this thread, even if the thread is about to end.
#[inline]
pub(crate) fn running_hub() -> Option<&'static Hub> {
    // SAFETY: the pointer is null or that of a live hub.
    unsafe { HUB.get().as_ref() }
}

/// Calls `f` with the place for the running coroutine's locals; `None` is a thread's own
/// stack. It must not call user code.
#[inline]
pub(crate) fn with_locals<R>(f: impl FnOnce(Option<&OnceCell<Box<Storage>>>) -> R) -> R {
    // SAFETY: its code runs, and `f` does not lead to its end.
    f(running_hub().and_then(Hub::running).map(|coroutine| unsafe { coroutine.locals() }))
}

/// Whether the running coroutine has made a local.
#[inline]
pub(crate) fn has_locals() -> bool {
    with_locals(|locals| locals.is_some_and(|locals| locals.get().is_some()))
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
    fork::watch_forks();
    let pointer = Box::into_raw(Box::new(Hub::new()?));
    // SAFETY: the hub was just boxed and is freed by `end_hub` only.
    let hub: &'static Hub = unsafe { &*pointer };
    // SAFETY: the word lives as long as the reporter, both in the hub, and holds the record
    // of the coroutine that runs, or null.
    unsafe { hub.reporter.attach(&raw const hub.running) };
    hub.shared.seen.show(hub);
    HUB.set(pointer);
    // SAFETY: `end_hub` detaches it before it frees the hub.
    unsafe { hub.shared.watched.attach(hub) };
    panic_hook::install();
    watchdog::meet();
    first::meet();
    Ok(hub)
}

impl Hub {
    fn new() -> io::Result<Hub> {
        let origin = Origin::find().ok_or_else(end::ending)?;
        let poller = Poller::new()?;
        let reporter = Reporter::new()?;
        let now = Deadline::now().as_ns();
        let default_class = SizeClass::default_class()?;
        let entries = Pages::with_room()?;
        let ids = id_block();
        let shared = shared::open(KernelSide { epoll: poller.raw_fd(), alarm: poller.alarm() });
        let mut scheduler = Scheduler::over(entries, Order::of_thread(), shared.first_ticket());
        let root = scheduler.insert_running(Task::root(ids.start, default_class));
        assert_eq!(root, ROOT);
        Ok(Hub {
            current: Cell::new(ROOT),
            running: AtomicPtr::new(ptr::null_mut()),
            resumed: Cell::new(Resumed::Over(Outcome::Woken)),
            inspection: Cell::new(ptr::null_mut()),
            others_unwind: Cell::new(false),
            allowance: Cell::new(ALLOWANCE),
            clock_ms: Cell::new(0),
            vitals: Vitals::new(ids.start + 1),
            last_id: Cell::new(ids.end - 1),
            next_scope: Cell::new(ids.start << SCOPE_BITS),
            panicked: Cell::new(0),
            killed: Cell::new(0),
            no_waits: RefCell::new(Vec::new()),
            traced: Cell::new(None),
            items_out: Cell::new(0),
            blocks: Blocks::new(),
            in_panic_hook: Cell::new(false),
            #[cfg(feature = "tracing")]
            telling: Cell::new(false),
            is_forked: Cell::new(false),
            deadlock_scope: Cell::new(DeadlockScope::default()),
            state: RefCell::new(State {
                scheduler,
                timers: Timers::new(now),
                readiness: Readiness::default(),
                poller,
                stacks: StackPool::new(),
                parked_unwinding: 0,
                default_class,
                deadlock_report: String::new(),
                turn: turn::Turn::new(now),
                forked: None,
            }),
            shared,
            origin,
            reporter,
        })
    }

    /// What other threads know of the hub.
    #[inline]
    pub(crate) fn shared(&self) -> SharedRecord {
        self.shared
    }

    /// Whether a ticket that wakes nobody is that of a wait which is over: not one of an
    /// earlier hub, nor of a task that was given up in its wait.
    #[cold]
    pub(crate) fn is_late(&self, ticket: Ticket) -> bool {
        let state = self.state.borrow();
        ticket.number.get() >= self.shared.first_ticket() && state.turn.lost_wait(ticket).is_none()
    }

    /// The state, for the layers above. Never across a switch or user code.
    #[inline]
    pub(crate) fn state(&self) -> RefMut<'_, State> {
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

    /// Calls `f` with the record of the running task. It must not call user code.
    #[inline]
    pub(crate) fn with_current<R>(&self, f: impl FnOnce(&mut Task) -> R) -> R {
        let mut state = self.state.borrow_mut();
        f(state.scheduler.get_mut(self.current.get()).expect("the running task has a record"))
    }

    /// Calls `f` with the handle of the running coroutine.
    #[inline]
    pub(crate) fn with_current_thread<R>(&self, f: impl FnOnce(&Thread) -> R) -> R {
        let body = self.with_current(|task| task.body).expect("a coroutine has a body");
        // SAFETY: the coroutine's code runs `f`, so its body is not freed before that is over.
        f(unsafe { body.thread() })
    }

    /// The handle of a coroutine that has not ended, by its slot and id.
    pub(crate) fn thread_of(&self, slot: u32, id: u64) -> Option<Thread> {
        let body = self.state.borrow().scheduler.get(slot).filter(|task| task.id == id)?.body?;
        // SAFETY: its task is in the table, so the packet is there.
        Some(unsafe { body.thread() }.clone())
    }

    /// A number for a task, unique in the process.
    #[inline]
    pub(crate) fn new_id(&self) -> u64 {
        let id = self.vitals.next_id();
        if id == self.last_id.get() {
            let block = id_block();
            self.vitals.set_next_id(block.start);
            self.last_id.set(block.end - 1);
        } else {
            self.vitals.set_next_id(id + 1);
        }
        id
    }

    /// Adds a task at the end of the ready queue. The error names the limit that left no
    /// room for its stack; the body is the caller's still.
    #[inline(always)]
    pub(crate) fn spawn(&self, new: NewTask) -> io::Result<u32> {
        self.insert(new.id, new.body(), new.class, new.spawned_at)
    }

    /// Does that, with all that is needed in registers.
    #[inline(never)]
    fn insert(
        &self,
        id: u64,
        body: Body,
        class: Option<SizeClass>,
        spawned_at: &'static Location<'static>,
    ) -> io::Result<u32> {
        let mut state = self.state.borrow_mut();
        let class = class.unwrap_or(state.default_class);
        state.stacks.reserve(class)?;
        let since_ms = self.clock_ms.get();
        let task = Task::new(id, body, spawned_at, class, since_ms);
        Ok(state.scheduler.insert_ready(task))
    }

    /// Adds a task that is ready at the deadline, or when it is killed; gives its slot and
    /// its timer. Otherwise like [`spawn`](Hub::spawn).
    pub(crate) fn spawn_later(
        &self,
        new: NewTask,
        deadline: Deadline,
    ) -> io::Result<(u32, Option<TimerKey>)> {
        let mut state = self.state.borrow_mut();
        let class = new.class.unwrap_or(state.default_class);
        state.stacks.reserve(class)?;
        let task = Task {
            reason: Reason::Delay,
            // A kill ends this wait in every build: nothing has to unwind for it.
            mode: Mode::Io,
            ..Task::new(new.id, new.body(), new.spawned_at, class, self.clock_ms.get())
        };
        let ticket = state.scheduler.insert_blocked(task);
        let timer =
            (!deadline.is_never()).then(|| state.timers.arm(deadline.as_ns(), Alarm::Wait(ticket)));
        Ok((ticket.slot, timer))
    }

    /// The tasks besides the root, as slot and id.
    pub(crate) fn coroutines(&self) -> Vec<(u32, u64)> {
        self.settle_fork();
        let state = self.state.borrow();
        let tasks = state.scheduler.iter().filter(|(slot, _, _)| *slot != ROOT);
        tasks.map(|(slot, _, task)| (slot, task.id)).collect()
    }

    /// The coroutines that were spawned for an observer, as slot and id.
    pub(crate) fn coroutines_of(&self, observer: *const ()) -> Vec<(u32, u64)> {
        self.settle_fork();
        let state = self.state.borrow();
        let tasks = state.scheduler.iter().filter(|(_, _, task)| {
            // SAFETY: a task in the table still has its packet.
            task.body.is_some_and(|body| unsafe { body.observer() } == observer)
        });
        tasks.map(|(slot, _, task)| (slot, task.id)).collect()
    }

    /// How many tasks there are besides the root.
    pub(crate) fn live(&self) -> usize {
        self.settle_fork();
        self.state.borrow().scheduler.len() - 1
    }

    /// Sets what counts as a deadlock; returns what did.
    pub(crate) fn set_deadlock_scope(&self, scope: DeadlockScope) -> DeadlockScope {
        self.deadlock_scope.replace(scope)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("vitals", &self.vitals).finish_non_exhaustive()
    }
}

/// Takes ids for one hub from those of the process.
fn id_block() -> Range<u64> {
    static NEXT: AtomicU64 = AtomicU64::new(1);

    let first = NEXT.fetch_add(ID_BLOCK, Ordering::Relaxed);
    first..first + ID_BLOCK
}
