//! Waiting and waking: the two verbs that everything else is made of.

// The running coroutine is suspended here.
#![allow(unsafe_code)]

use std::cell::RefMut;
use std::ptr::NonNull;
use std::thread;

use crate::coroutine::Coroutine;
use crate::hub;
use crate::hub::ALLOWANCE;
use crate::hub::Alarm;
use crate::hub::Hub;
use crate::hub::State;
use crate::hub::UNWINDS;
use crate::hub::inspect::Resumed;
use crate::hub::reason::Reason;
use crate::hub::task::Task;
use crate::scheduler::Outcome;
use crate::scheduler::Ticket;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::process::abort_with;

/// What may end a wait besides a wake and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Kills and timeouts, by unwinding.
    Plain,
    /// Kills and timeouts; where nothing can unwind, timeouts by an error of the call. While
    /// the task unwinds such a wait does not begin, and counts as interrupted.
    Io,
    /// Nothing but a deadlock.
    Deadlock,
    /// Nothing.
    Masked,
}

impl Mode {
    /// Whether an interrupt may end a wait.
    #[inline]
    pub(crate) fn lets_through(self) -> bool {
        match self {
            Mode::Plain => UNWINDS,
            Mode::Io => true,
            Mode::Deadlock | Mode::Masked => false,
        }
    }
}

/// The running coroutine's part of a wait that has begun: to be suspended, at once. The only
/// point at which one is.
///
/// A processor foretells where a `ret` leads from the calls before it. For the loop a coroutine
/// is a call that comes back by a `ret`. If the coroutine has returned from one function and has
/// called another in between, both are foretold wrongly, which takes a third of a switch. So the
/// waits that are to be quick hand this up, in calls that return, and it is used in the frame of
/// the runtime's caller, by functions that are always inlined.
#[must_use]
pub(crate) struct Suspension(Coroutine);

/// A wait that has begun. The error is its outcome, if it is over already: it could not begin,
/// or was one of those that are not quick.
pub(crate) type Begun = Result<Suspension, Outcome>;

impl Suspension {
    /// Waits for the outcome of a wait that has begun, with that deadline.
    #[inline(always)]
    pub(crate) fn outcome_of(begun: Begun, deadline: Deadline) -> Outcome {
        match begun {
            Ok(suspension) => suspension.suspend(deadline),
            Err(outcome) => outcome,
        }
    }

    /// Suspends the coroutine until the loop resumes it. The deadline is that of its wait.
    #[inline(always)]
    pub(crate) fn suspend(self, deadline: Deadline) -> Outcome {
        let coroutine = self.0;
        #[cfg(debug_assertions)]
        std::mem::forget(self);
        // SAFETY: it is the coroutine whose code runs, as `check_stack` has found: its own code
        // has only returned since.
        unsafe { coroutine.suspend() };
        let hub = hub::running_hub().expect("a coroutine has a hub");
        let outcome = match hub.resumed.get() {
            Resumed::Over(outcome) => outcome,
            Resumed::Inspected => hub.be_inspected(coroutine),
        };
        hub.end_timer(outcome, deadline);
        outcome
    }
}

/// The task would be blocked, and run on.
#[cfg(debug_assertions)]
impl Drop for Suspension {
    fn drop(&mut self) {
        abort_with("a wait that has begun is not suspended");
    }
}

/// What was found out at the begin of a wait.
#[derive(Clone, Copy, Default)]
struct Findings {
    /// The task unwinds.
    unwinding: bool,
    /// It has swallowed its kill as often as it was thrown.
    gave_up: bool,
}

impl Hub {
    /// Names the next wait of the running task.
    #[inline]
    pub(crate) fn ticket(&self) -> Ticket {
        self.state().scheduler.ticket(self.current.get())
    }

    /// Makes the name of the running task's next wait void.
    pub(crate) fn void_ticket(&self) {
        self.state.borrow_mut().scheduler.void_ticket(self.current.get());
    }

    /// Waits.
    ///
    /// Other tasks run until somebody uses the ticket, the deadline has passed, or a kill
    /// or a timeout that `mode` lets through wants this task. The last is only reported:
    /// the caller removes its registrations and then throws, or gives an error.
    #[inline(always)]
    pub(crate) fn block(&self, deadline: Deadline, reason: Reason, mode: Mode) -> Outcome {
        Suspension::outcome_of(self.begin(deadline, reason, mode), deadline)
    }

    /// Begins a wait that is as that of [`block`](Hub::block).
    #[inline(always)]
    pub(crate) fn begin(&self, deadline: Deadline, reason: Reason, mode: Mode) -> Begun {
        self.check_stack();
        self.begin_with(self.state.borrow_mut(), deadline, reason, mode, |_, _| ())
    }

    /// The same as `block` for a caller that has checked its stack and holds the state. `enqueue`
    /// is given the name of the wait; it is not called if that does not begin.
    #[inline]
    pub(crate) fn block_with(
        &self,
        state: RefMut<'_, State>,
        deadline: Deadline,
        reason: Reason,
        mode: Mode,
        enqueue: impl FnOnce(&mut State, Ticket),
    ) -> Outcome {
        Suspension::outcome_of(self.begin_with(state, deadline, reason, mode, enqueue), deadline)
    }

    #[inline(always)]
    fn begin_with(
        &self,
        mut state: RefMut<'_, State>,
        deadline: Deadline,
        reason: Reason,
        mode: Mode,
        enqueue: impl FnOnce(&mut State, Ticket),
    ) -> Begun {
        let slot = self.current.get();
        let mut findings = Findings::default();
        let State { scheduler, .. } = &mut *state;
        let others_unwind = self.others_unwind.get();
        let ticket = scheduler.block_if(slot, |task| {
            task.since_ms = self.clock_ms.get();
            task.mode = mode;
            task.depth_bytes = Coroutine::depth_bytes(task.coroutine);
            may_wait(task, reason, mode, others_unwind, &mut findings)
        });
        let Some(ticket) = ticket else {
            scheduler.void_ticket(slot);
            drop(state);
            return Err(self.not_now(findings));
        };
        if findings.unwinding {
            state.parked_unwinding += 1;
        }
        enqueue(&mut state, ticket);
        if !deadline.is_never() {
            begin_timer(&mut state, deadline, ticket);
        }
        drop(state);
        self.leave(findings, deadline)
    }

    /// Takes back the timer of a wait, if it had one that has not ended it.
    #[inline(always)]
    fn end_timer(&self, outcome: Outcome, deadline: Deadline) {
        if !deadline.is_never() && outcome != Outcome::TimedOut {
            self.cancel_timer();
        }
    }

    #[inline(never)]
    fn cancel_timer(&self) {
        let mut state = self.state.borrow_mut();
        let State { scheduler, timers, .. } = &mut *state;
        let task = scheduler.get_mut(self.current.get()).expect("the running task has a record");
        timers.cancel(task.timer);
    }

    /// Lets every other ready task run first. `Interrupted`: it did not.
    #[inline]
    pub(crate) fn yield_now(&self, mode: Mode) -> Outcome {
        Suspension::outcome_of(self.begin_yield(mode), Deadline::NEVER)
    }

    /// Begins that, as [`begin`](Hub::begin) does a wait.
    #[inline]
    pub(crate) fn begin_yield(&self, mode: Mode) -> Begun {
        self.check_stack();
        let slot = self.current.get();
        let mut findings = Findings::default();
        let mut state = self.state.borrow_mut();
        let State { scheduler, parked_unwinding, .. } = &mut *state;
        let others_unwind = self.others_unwind.get();
        let queued = scheduler.requeue_if(slot, |task| {
            task.depth_bytes = Coroutine::depth_bytes(task.coroutine);
            may_wait(task, Reason::Yield, mode, others_unwind, &mut findings)
        });
        *parked_unwinding += usize::from(queued && findings.unwinding);
        drop(state);
        if queued { self.leave(findings, Deadline::NEVER) } else { Err(self.not_now(findings)) }
    }

    /// Whether a wait would not begin, since something that `mode` lets through wants the
    /// running task: for those whose wait cannot be interrupted later.
    pub(crate) fn is_interrupted(&self, mode: Mode) -> bool {
        let mut findings = Findings::default();
        let others_unwind = self.others_unwind.get();
        self.check_caller();
        let may_wait = self.with_current(|task| {
            let reason = task.reason;
            may_wait(task, reason, mode, others_unwind, &mut findings)
        });
        if findings.gave_up {
            self.report_ignored_kill();
        }
        !may_wait
    }

    /// Counts an operation that did not have to wait; lets the others run when the task
    /// has done many in a row, and throws if a kill or a timeout wants it then.
    #[inline]
    pub(crate) fn spend(&self) {
        match self.allowance.get() {
            0 => self.spend_last(),
            left => self.allowance.set(left - 1),
        }
    }

    #[cold]
    fn spend_last(&self) {
        self.allowance.set(ALLOWANCE);
        // A destructor in mid-unwinding is not made to wait, nor is who may not.
        let may_wait = !self.is_unwinding() && !self.tells_subscriber();
        if may_wait && self.yield_now(Mode::Plain) == Outcome::Interrupted {
            self.throw();
        }
    }

    /// Ends the wait that a ticket of this hub names; a late one is a no-op.
    #[inline]
    pub(crate) fn wake(&self, ticket: Ticket) -> bool {
        self.state.borrow_mut().scheduler.wake(ticket, Outcome::Woken)
    }

    /// Ends the wait of a task of this hub, whichever it is.
    #[inline]
    pub(crate) fn wake_slot(&self, slot: u32) {
        self.state.borrow_mut().scheduler.wake_slot(slot);
    }

    /// Whether the running task unwinds: by its own throw, or by a panic.
    pub(crate) fn is_unwinding(&self) -> bool {
        self.with_current(|task| note_unwinding(task, self.others_unwind.get()))
    }

    /// Leaves it to the caller to suspend the running task, if that is a coroutine and nothing
    /// else is to be done.
    #[inline(always)]
    fn leave(&self, findings: Findings, deadline: Deadline) -> Begun {
        let is_plain = !findings.unwinding && !findings.gave_up && !cfg!(feature = "tracing");
        match self.running() {
            Some(coroutine) if is_plain => Ok(Suspension(coroutine)),
            _ => Err(self.switch_out(findings, deadline)),
        }
    }

    /// Suspends the running task until the loop resumes it.
    #[inline(never)]
    fn switch_out(&self, findings: Findings, deadline: Deadline) -> Outcome {
        if findings.unwinding || findings.gave_up {
            return self.switch_out_specially(findings, deadline);
        }
        self.switch(deadline)
    }

    #[cold]
    fn switch_out_specially(&self, findings: Findings, deadline: Deadline) -> Outcome {
        if findings.gave_up {
            self.report_ignored_kill();
        }
        if findings.unwinding && self.in_panic_hook.get() {
            // A panic of another task would abort the process inside std.
            abort_with("a panic hook waits: others may not run while it does");
        }
        let outcome = self.switch(deadline);
        self.state.borrow_mut().parked_unwinding -= usize::from(findings.unwinding);
        outcome
    }

    #[inline]
    fn switch(&self, deadline: Deadline) -> Outcome {
        #[cfg(feature = "tracing")]
        let spans = self.leave_spans();
        let outcome = match self.running() {
            Some(coroutine) => Suspension(coroutine).suspend(deadline),
            None => {
                let outcome = self.run_until_root();
                self.end_timer(outcome, deadline);
                outcome
            }
        };
        #[cfg(feature = "tracing")]
        self.enter_spans(spans);
        outcome
    }

    /// Checks that the code that wants to wait is that of the running coroutine: code of
    /// another crate's coroutine may have switched away from it.
    #[inline]
    pub(crate) fn check_stack(&self) {
        self.check_caller();
        // SAFETY: it has not ended, since the loop has not got control back.
        if self.running().is_some_and(|coroutine| unsafe { !coroutine.is_here() }) {
            self.refuse_stack();
        }
    }

    /// Checks that the code that wants to wait is not a subscriber of `tracing` that is told of
    /// a switch: the task is in a wait already. Before the wait's name is given to anybody, who
    /// could end the other wait by it.
    #[inline]
    pub(crate) fn check_caller(&self) {
        if self.tells_subscriber() {
            refuse_subscriber();
        }
    }

    /// Nobody is told of switches.
    #[cfg(not(feature = "tracing"))]
    #[inline]
    fn tells_subscriber(&self) -> bool {
        false
    }

    #[cold]
    fn refuse_stack(&self) -> ! {
        let mut state = self.state.borrow_mut();
        // Nobody may be left waiting by the name of this wait.
        state.scheduler.void_ticket(self.current.get());
        let slot = self.current.get();
        state.readiness.forget_slots(|forgotten| forgotten == slot);
        drop(state);
        panic!("code waits that was reached by a switch which the hub knows not of");
    }

    /// The coroutine whose code runs.
    #[inline]
    pub(super) fn running(&self) -> Option<Coroutine> {
        let occupant = NonNull::new(self.running.load(Ordering::Relaxed))?;
        // SAFETY: the word holds what the running coroutine gave.
        Some(unsafe { Coroutine::of(occupant) })
    }

    /// Puts the name of the running coroutine where signal handlers read it, until
    /// [`forget_running_name`](Hub::forget_running_name) or its end.
    ///
    /// # Safety
    ///
    /// The name must be readable until then.
    #[cold]
    pub(crate) unsafe fn set_running_name(&self, name: &str) {
        if let Some(running) = self.running() {
            // SAFETY: the caller is its code, and vouches for the name.
            unsafe { running.set_name(name) };
        }
    }

    /// Takes the name of the running coroutine out of what signal handlers read.
    pub(crate) fn forget_running_name(&self) {
        if let Some(running) = self.running() {
            // SAFETY: the caller is its code.
            unsafe { running.forget_name() };
        }
    }

    /// The wait did not begin: something wants the task.
    #[cold]
    fn not_now(&self, findings: Findings) -> Outcome {
        if findings.gave_up {
            self.report_ignored_kill();
        }
        Outcome::Interrupted
    }
}

#[cold]
fn refuse_subscriber() -> ! {
    panic!("a subscriber of tracing waits while it is told of a switch between coroutines");
}

/// Makes the running task's wait end at its deadline.
#[inline(never)]
fn begin_timer(state: &mut State, deadline: Deadline, ticket: Ticket) {
    let timer = state.timers.arm(deadline.as_ns(), Alarm::Wait(ticket));
    state.scheduler.get_mut(ticket.slot).expect("the running task has a record").timer = timer;
}

/// Whether a wait may begin, or something wants the task.
#[inline]
fn may_wait(
    task: &mut Task,
    reason: Reason,
    mode: Mode,
    others_unwind: bool,
    findings: &mut Findings,
) -> bool {
    findings.unwinding = note_unwinding(task, others_unwind);
    if findings.unwinding && mode == Mode::Io {
        return false;
    }
    // Also of a wait that is refused, for the message.
    task.reason = reason;
    if !task.interrupts.wanted() {
        return true;
    }
    // Nothing is passed by reference that would then be in memory for those whom nothing wants.
    let (may_wait, gave_up) = may_still_wait(task, mode);
    findings.gave_up = gave_up;
    may_wait
}

/// The same for a task that something wants, whether or not it may have it now; and whether it has
/// swallowed its kill as often as it was thrown.
#[cold]
fn may_still_wait(task: &mut Task, mode: Mode) -> (bool, bool) {
    if task.interrupts.forbids_waits() && !UNWINDS {
        panic!("a wait on {} inside of debug::no_wait", task.reason);
    }
    let gave_up = task.interrupts.give_up();
    (!(mode.lets_through() && task.interrupts.is_deliverable()), gave_up)
}

/// Notes whether the running task unwinds. std knows of the thread only: if that does not
/// panic, nobody unwinds; if it does and no other task is parked in the middle of an
/// unwinding, it is the running one; else the last known answer holds.
#[inline]
fn note_unwinding(task: &mut Task, others_unwind: bool) -> bool {
    let panicking = thread::panicking();
    if !panicking || !others_unwind {
        task.interrupts.set_unwinding(panicking);
    }
    task.interrupts.unwinding()
}
