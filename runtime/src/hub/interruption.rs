//! Kills, timeouts and deadlocks: how they reach a task, and how they are thrown.

// Those who wait for a kill are reached through the task's body.
#![allow(unsafe_code)]

use std::any::Any;
use std::io;
use std::mem;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::thread;

use crate::error::Deadlock;
use crate::error::Killed;
use crate::error::TimeoutThrow;
use crate::hub;
use crate::hub::Alarm;
use crate::hub::Hub;
use crate::hub::State;
use crate::hub::UNWINDS;
use crate::hub::table;
use crate::hub::turn;
use crate::interrupt::Interrupt;
use crate::interrupt::THROWS_MAX;
use crate::scheduler::Outcome;
use crate::scheduler::State as TaskState;
use crate::sys::clock::Deadline;
use crate::sys::process::report;
use crate::timers::TimerKey;

impl Hub {
    /// Throws what interrupted a wait of the running task.
    #[cold]
    pub(crate) fn throw(&self) -> ! {
        let taken = self.with_current(|task| task.interrupts.take());
        match taken.expect("a wait was interrupted") {
            Interrupt::Kill => panic::resume_unwind(Box::new(Killed)),
            Interrupt::Timeout(scope) => panic::resume_unwind(Box::new(TimeoutThrow { scope })),
            Interrupt::NoWait => self.throw_no_wait(),
            Interrupt::Deadlock => {
                let report = mem::take(&mut self.state.borrow_mut().deadlock_report);
                panic::resume_unwind(Box::new(Deadlock::new(report)))
            }
        }
    }

    /// Throws what interrupted a call that gives errors. Where nothing can unwind it was a
    /// timeout, and this is its error.
    #[cold]
    pub(crate) fn throw_or_error(&self) -> io::Error {
        if UNWINDS {
            self.throw()
        }
        io::ErrorKind::TimedOut.into()
    }

    /// Calls a closure and catches what unwinds out of it. Afterwards the task unwinds if it
    /// did before.
    pub(crate) fn catch<T>(&self, f: impl FnOnce() -> T) -> thread::Result<T> {
        let unwinding = self.with_current(|task| task.interrupts.unwinding());
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        if result.is_err() {
            self.with_current(|task| task.interrupts.set_unwinding(unwinding));
        }
        result
    }

    /// Goes on with an unwinding that was caught on its way.
    #[cold]
    pub(crate) fn rethrow(&self, payload: Box<dyn Any + Send>) -> ! {
        self.with_current(|task| task.interrupts.set_unwinding(true));
        panic::resume_unwind(payload)
    }

    /// Takes back a deadlock that was to be thrown on the root; false if none was.
    pub(crate) fn take_deadlock(&self) -> bool {
        self.with_current(|task| task.interrupts.take_deadlock())
    }

    /// Opens a timeout scope of the running task, and gives its number.
    pub(crate) fn open_scope(&self, deadline: Deadline) -> (u64, Option<TimerKey>) {
        let mut state = self.state.borrow_mut();
        let scope = self.next_scope.get();
        self.next_scope.set(scope + 1);
        let slot = self.current.get();
        let task = state.scheduler.get_mut(slot).expect("the running task has a record");
        task.interrupts.open_scope(scope);
        let timer = (!deadline.is_never())
            .then(|| state.timers.arm(deadline.as_ns(), Alarm::Scope { slot, scope }));
        (scope, timer)
    }

    /// Closes a timeout scope: it does not fire any more.
    pub(crate) fn close_scope(&self, scope: u64, timer: Option<TimerKey>) {
        let mut state = self.state.borrow_mut();
        if let Some(timer) = timer {
            state.timers.cancel(timer);
        }
        let slot = self.current.get();
        let task = state.scheduler.get_mut(slot).expect("the running task has a record");
        task.interrupts.close_scope(scope);
    }

    /// Runs code during which kills and timeouts from outside wait.
    pub(crate) fn enter_shield(&self) {
        self.with_current(|task| task.interrupts.enter_shield());
    }

    /// Ends [`enter_shield`](Hub::enter_shield).
    pub(crate) fn leave_shield(&self) {
        self.with_current(|task| task.interrupts.leave_shield());
    }

    /// Destroys the running coroutine's locals, the newest first, and those that destructors
    /// make. `panicked` gets the payload of each destructor that panics. Kills wait until all
    /// is done: they would come too late for the coroutine, and half-way for what is left.
    #[cold]
    pub(crate) fn end_locals(&self, panicked: impl Fn(Box<dyn Any + Send>)) {
        let take = || hub::with_locals(|locals| locals?.get()?.take_newest());
        let shields = self.with_current(|task| task.interrupts.shields());
        while let Some(remains) = take() {
            self.with_current(|task| {
                // What ended the coroutine, or the destructor before, was caught.
                task.interrupts.set_unwinding(false);
                // Set and not counted: by another crate's switch a destructor may leave a
                // shield that it has not entered, and here nothing may panic.
                task.interrupts.set_shields(shields.saturating_add(1));
            });
            if let Err(payload) = self.catch(move || drop(remains)) {
                panicked(payload);
            }
        }
        self.with_current(|task| task.interrupts.set_shields(shields));
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

    /// Says that the running task swallowed its kill as often as it was thrown.
    #[cold]
    pub(super) fn report_ignored_kill(&self) {
        let (body, line) = self.with_current(|task| {
            let label = table::label(task.id, task.name());
            let line = format!(
                "corovent: coroutine {label}, spawned at {}, swallowed its kill {THROWS_MAX} times",
                task.spawned_at,
            );
            (task.body, line)
        });
        report(&line);
        if let Some(body) = body {
            // SAFETY: the task still has its body, so the packet is there.
            unsafe { body.kill_ignored() };
        }
        turn::tell_of_end(&mut self.state.borrow_mut());
    }
}

/// Wakes a blocked task that a kill or a timeout wants and may have.
pub(crate) fn interrupt_if_blocked(state: &mut State, slot: u32) {
    if state.scheduler.state(slot) != Some(TaskState::Blocked) {
        return;
    }
    let task = state.scheduler.get(slot).expect("a blocked task has a record");
    if task.mode.lets_through() && task.interrupts.is_deliverable() {
        let ticket = state.scheduler.ticket(slot);
        state.scheduler.wake(ticket, Outcome::Interrupted);
    }
}
