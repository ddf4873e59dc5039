//! A hub of one task, which sleeps, is woken and ends as the real one is, without a stack of
//! its own: the task is the code that calls `block`.

pub(crate) mod debugger;
pub(crate) mod identity {
    real!("hub/identity.rs");
}
pub(crate) mod reason {
    real!("hub/reason.rs");
}
pub(crate) mod shared {
    real!("hub/shared.rs");
}
pub(crate) mod task;
pub(crate) mod wake {
    real!("hub/wake.rs");
}
pub(crate) mod watchdog;

use std::cell::Cell;
use std::cell::RefCell;
use std::num::NonZeroU64;
use std::os::fd::RawFd;

use crate::hub::identity::Thread;
use crate::hub::reason::Reason;
use crate::hub::shared::KernelSide;
use crate::hub::shared::Message;
use crate::hub::shared::SharedRecord;
use crate::scheduler::Outcome;
use crate::scheduler::Ticket;
use crate::sys::blocks::Blocks;
use crate::sys::clock::Deadline;
use crate::sys::epoll;

/// Whether this build can unwind.
pub(crate) const UNWINDS: bool = true;

/// How a wait may end. Nothing interrupts one here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Plain,
}

/// What suspends a task. There is none here: a wait is over when it has begun.
pub(crate) struct Suspension(std::convert::Infallible);

/// A wait that has begun, as the real one: its outcome.
pub(crate) type Begun = Result<Suspension, Outcome>;

impl Suspension {
    pub(crate) fn outcome_of(begun: Begun, deadline: Deadline) -> Outcome {
        match begun {
            Ok(suspension) => suspension.suspend(deadline),
            Err(outcome) => outcome,
        }
    }

    pub(crate) fn suspend(self, _deadline: Deadline) -> Outcome {
        match self.0 {}
    }
}

/// The hub of a thread.
#[derive(Debug)]
pub(crate) struct Hub {
    shared: SharedRecord,
    alarm: RawFd,
    /// Of the ticket of the wait that goes on, or comes next.
    number: Cell<u64>,
    is_woken: Cell<bool>,
    kills: Cell<u32>,
    sent: RefCell<Option<task::NewTask>>,
    pub(crate) blocks: Blocks,
}

loom::thread_local! {
    static HUB: Cell<Option<&'static Hub>> = Cell::new(None);
}

/// The hub of this thread, if it has one.
pub(crate) fn current() -> Option<&'static Hub> {
    HUB.try_with(Cell::get).unwrap_or(None)
}

/// The same: the one task is always the one that runs.
pub(crate) fn running_hub() -> Option<&'static Hub> {
    current()
}

/// Whether the running task has locals.
pub(crate) fn has_locals() -> bool {
    false
}

/// Counts an operation that need not wait.
pub(crate) fn spend() {}

impl Hub {
    /// Makes the hub of this thread.
    pub(crate) fn open() -> &'static Hub {
        let alarm = epoll::eventfd();
        let shared = shared::open(KernelSide { epoll: -1, alarm });
        let number = Cell::new(shared.first_ticket());
        let (is_woken, kills, sent) = (Cell::new(false), Cell::new(0), RefCell::new(None));
        // As the real one, it is found by references that nobody counts.
        let blocks = Blocks::new();
        let hub = Hub { shared, alarm, number, is_woken, kills, sent, blocks };
        let hub = Box::leak(Box::new(hub));
        HUB.with(|own| own.set(Some(hub)));
        hub
    }

    /// Ends it, as `hub/end.rs` does. `queue` is where a task waits that never goes on.
    pub(crate) fn end(&self, queue: Option<usize>) {
        HUB.with(|own| own.set(None));
        let own = self.ticket();
        let mut lost = self.is_woken.take();
        for message in self.shared.close(own.number.get() + 1) {
            match message {
                Message::Wake(ticket) => lost |= ticket == own,
                Message::Spawn(new) => drop(new),
                _ => {}
            }
        }
        self.shared.release();
        if lost {
            wake::retry(queue);
        }
    }

    pub(crate) fn shared(&self) -> SharedRecord {
        self.shared
    }

    pub(crate) fn slot(&self) -> u32 {
        0
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket { slot: 0, number: NonZeroU64::new(self.number.get()).unwrap() }
    }

    /// Nobody is told of switches here.
    pub(crate) fn check_caller(&self) {}

    /// Waits as the loop does: reads messages, and sleeps only if none came first.
    pub(crate) fn block(&self, deadline: Deadline, _reason: Reason, _mode: Mode) -> Outcome {
        self.read_messages();
        loop {
            if self.is_woken.take() {
                return Outcome::Woken;
            }
            if !deadline.is_never() {
                self.void_ticket();
                return Outcome::TimedOut;
            }
            self.sleep_once();
        }
    }

    /// The same.
    pub(crate) fn begin(&self, deadline: Deadline, reason: Reason, mode: Mode) -> Begun {
        Err(self.block(deadline, reason, mode))
    }

    /// Sleeps until there is a message, and reads it.
    pub(crate) fn sleep_once(&self) {
        if self.shared.fall_asleep() {
            epoll::eventfd_wait(self.alarm);
        }
        self.shared.wake_up();
        self.read_messages();
    }

    fn read_messages(&self) {
        if !self.shared.has_messages() {
            return;
        }
        for message in self.shared.take_messages() {
            match message {
                Message::Wake(ticket) => drop(self.wake(ticket)),
                Message::Retry(_) => drop(self.wake(self.ticket())),
                Message::Kill { .. } => {
                    self.kills.set(self.kills.get() + 1);
                    self.wake(self.ticket());
                }
                Message::Spawn(new) => {
                    *self.sent.borrow_mut() = Some(new);
                    self.wake(self.ticket());
                }
                _ => {}
            }
        }
    }

    /// What another thread has sent.
    pub(crate) fn take_sent(&self) -> Option<task::NewTask> {
        self.sent.take()
    }

    /// How many kills came.
    pub(crate) fn kills(&self) -> u32 {
        self.kills.get()
    }

    pub(crate) fn wake(&self, ticket: Ticket) -> bool {
        let wakes = ticket == self.ticket();
        if wakes {
            self.void_ticket();
            self.is_woken.set(true);
        }
        wakes
    }

    pub(crate) fn wake_slot(&self, _slot: u32) {
        self.wake(self.ticket());
    }

    /// Whether somebody returns, or has, from the wait that is over.
    pub(crate) fn is_late(&self, ticket: Ticket) -> bool {
        ticket.number.get() >= self.shared.first_ticket()
    }

    pub(crate) fn void_ticket(&self) {
        self.number.set(self.number.get() + 1);
    }

    pub(crate) fn kill(&self, _slot: u32, _id: u64) -> bool {
        self.kills.set(self.kills.get() + 1);
        true
    }

    pub(crate) fn is_root(&self) -> bool {
        true
    }

    pub(crate) fn is_unwinding(&self) -> bool {
        false
    }

    pub(crate) fn throw(&self) -> ! {
        unreachable!("nothing interrupts a wait here")
    }

    pub(crate) fn take_deadlock(&self) {}

    pub(crate) fn count_failure(&self, _was_killed: bool) {}

    /// # Safety
    ///
    /// None here: nobody reads it.
    pub(crate) unsafe fn set_running_name(&self, _name: &str) {}

    pub(crate) fn forget_running_name(&self) {}

    pub(crate) fn end_locals(&self, _panicked: impl Fn(Box<dyn std::any::Any + Send>)) {}

    pub(crate) fn with_current_thread<R>(&self, _look: impl FnOnce(&Thread) -> R) -> R {
        unreachable!("the one task is the root")
    }

    pub(crate) fn with_current<R>(&self, _look: impl FnOnce(&task::Task) -> R) -> R {
        unreachable!("the one task is the root")
    }
}
