//! Names of waits that any thread may end, and where the running code would wait.

use std::cell::Cell;

use crate::hub;
use crate::hub::Begun;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::Suspension;
use crate::hub::reason;
use crate::hub::reason::Reason;
use crate::hub::shared;
use crate::hub::shared::Message;
use crate::hub::shared::SharedRecord;
use crate::scheduler::Outcome;
use crate::scheduler::Ticket;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::atomic::fence;
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::records::Record;
use crate::sys::records::Records;
use crate::sys::threads;

/// Names one wait, of a task or of an OS thread without a hub. Using it late is a no-op.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WakeRef {
    /// A wait of a hub's task.
    Task { hub: SharedRecord, ticket: Ticket },
    /// A wait of an OS thread.
    Thread { parker: &'static Record<Parker>, number: u32 },
}

impl WakeRef {
    /// Ends the wait, from any thread. False if nobody will ever return from it, because its
    /// hub has ended or has given the task up: what was to be handed over goes to the next
    /// then.
    #[inline(always)]
    pub(crate) fn wake(self) -> bool {
        if let WakeRef::Task { hub, ticket } = self
            && let Some(own) = hub::current()
            && std::ptr::eq(own.shared(), hub)
        {
            return own.wake(ticket) || own.is_late(ticket);
        }
        self.wake_elsewhere()
    }

    /// The same for a wait that is not one of this thread's hub.
    #[cold]
    fn wake_elsewhere(self) -> bool {
        match self {
            WakeRef::Task { hub, ticket } => hub.post_wake(ticket),
            WakeRef::Thread { parker, number } => parker.unpark(number),
        }
    }

    /// Whether it names the same wait.
    pub(crate) fn is_same(self, other: WakeRef) -> bool {
        match (self, other) {
            (WakeRef::Task { hub, ticket }, WakeRef::Task { hub: other, ticket: other_ticket }) => {
                std::ptr::eq(hub, other) && ticket == other_ticket
            }
            (
                WakeRef::Thread { parker, number },
                WakeRef::Thread { parker: other, number: other_number },
            ) => std::ptr::eq(parker, other) && number == other_number,
            _ => false,
        }
    }

    /// Whether the wait is one of a hub's, that of this thread.
    #[inline]
    pub(crate) fn is_of(self, own: Option<&Hub>) -> bool {
        match self {
            WakeRef::Task { hub, .. } => own.is_some_and(|own| std::ptr::eq(own.shared(), hub)),
            WakeRef::Thread { .. } => false,
        }
    }

    /// Whether the wait's hub has ended, so that nobody will ever return from it.
    #[inline]
    pub(crate) fn is_void(self) -> bool {
        match self {
            WakeRef::Task { hub, ticket } => ticket.number.get() < hub.first_ticket(),
            WakeRef::Thread { .. } => false,
        }
    }
}

/// Makes everybody in the process try again who waits in the wait queue at an address, or in
/// any: a wake was given to one of them who will never run again.
///
/// The queue itself may be gone, so it is found through those who wait in it.
#[cold]
pub(crate) fn retry(queue: Option<usize>) {
    RETRIES.fetch_add(2, Ordering::Relaxed);
    // Whoever has not seen the new number has announced its wait, or opened its hub, before
    // this, and is found below: `announced` and `shared::open` have the other fence.
    fence(Ordering::SeqCst);
    shared::for_each(|hub| {
        hub.post(hub.first_ticket(), Message::Retry(queue));
    });
    for parker in PARKERS.iter() {
        let waits_in = parker.queue.load(Ordering::Acquire);
        if waits_in != 0 && reason::concerns(queue, waits_in) {
            parker.unpark(parker.number());
        }
    }
}

/// How often [`retry`] was called: an odd number, which goes round.
///
/// A wake that was given when it was the same has not been lost, as far as is known. Who
/// relies on that, and has announced its wait before it asked, is woken if it turns out to
/// be.
#[inline]
pub(crate) fn retries() -> u32 {
    RETRIES.load(Ordering::Relaxed)
}

/// Where the running code waits: as a task of its thread's hub, or by stopping the thread.
#[derive(Debug)]
pub(crate) enum Place {
    /// A coroutine, or the root of a hub.
    Task(&'static Hub),
    /// A thread without a hub.
    Thread(Seat),
}

impl Place {
    /// The place of the running code. It makes no hub.
    #[inline]
    pub(crate) fn current() -> Place {
        match hub::current() {
            Some(hub) => {
                hub.check_caller();
                Place::Task(hub)
            }
            None => Place::Thread(Seat::take()),
        }
    }

    /// The same for a wait that others will know of. It is taken before the line is locked or
    /// the node linked: from then on [`retry`] finds the wait.
    #[inline]
    pub(crate) fn announced(reason: Reason) -> Place {
        let place = Place::current();
        // A task's reason is looked at only once it waits, by its own hub.
        if let Place::Thread(Seat { parker, .. }) = &place {
            parker.queue.store(reason.queue().unwrap_or(0), Ordering::Release);
            // Pairs with `retry`, for those who ask for `retries` next.
            fence(Ordering::SeqCst);
        }
        place
    }

    /// Checks that the running code may wait, before it gives anything up for that.
    #[inline]
    pub(crate) fn check() {
        if cfg!(feature = "tracing") {
            hub::current().inspect(|hub| hub.check_caller());
        }
    }

    /// Names the next wait at this place.
    #[inline]
    pub(crate) fn wake_ref(&self) -> WakeRef {
        match self {
            Place::Task(hub) => WakeRef::Task { hub: hub.shared(), ticket: hub.ticket() },
            Place::Thread(Seat { parker, .. }) => {
                WakeRef::Thread { parker, number: parker.number() }
            }
        }
    }

    /// Writes the name of the next wait at this place to where those look who end it.
    #[inline]
    pub(crate) fn name_wait(&self, name: &Cell<Option<WakeRef>>) {
        // Word by word in either arm: a name that is put together first, and copied then, is
        // loaded by words that no store has the whole of, for which the processor waits.
        match self {
            Place::Task(hub) => {
                name.set(Some(WakeRef::Task { hub: hub.shared(), ticket: hub.ticket() }));
            }
            Place::Thread(Seat { parker, .. }) => {
                name.set(Some(WakeRef::Thread { parker, number: parker.number() }));
            }
        }
    }

    /// Makes the name of the next wait void: it was given away, and the wait does not begin.
    pub(crate) fn forgo(&self) {
        match self {
            Place::Task(hub) => hub.void_ticket(),
            Place::Thread(Seat { parker, .. }) => parker.next_number(),
        }
    }

    /// Begins that wait; see [`Suspension`].
    #[inline(always)]
    pub(crate) fn begin(&self, deadline: Deadline, reason: Reason, mode: Mode) -> Begun {
        match self {
            Place::Task(hub) => hub.begin(deadline, reason, mode),
            Place::Thread(seat) => Err(seat.park(deadline, reason.is_idle())),
        }
    }

    /// Waits until the name is used, or the deadline, or what `mode` lets through.
    #[inline]
    pub(crate) fn block(&self, deadline: Deadline, reason: Reason, mode: Mode) -> Outcome {
        Suspension::outcome_of(self.begin(deadline, reason, mode), deadline)
    }
}

/// The futex word on which a thread without a hub waits.
#[derive(Debug)]
pub(crate) struct Parker {
    /// The number of the wait times four, plus `ASLEEP` or `WOKEN`.
    word: AtomicU32,
    /// The address of the wait queue that the thread is in, or about to be; else 0.
    queue: AtomicUsize,
}

/// A parker in the hands of the thread that waits there.
#[derive(Debug)]
pub(crate) struct Seat {
    parker: &'static Record<Parker>,
    /// Whether others can run while this thread does, who might wake it.
    has_company: bool,
    /// Whether it was taken for one wait only: the thread's thread-locals are gone.
    is_late: bool,
}

static PARKERS: Records<Parker> = Records::new();
static RETRIES: AtomicU32 = AtomicU32::new(1);

/// The thread sleeps in the kernel, or is about to: who wakes it has to make a call.
const ASLEEP: u32 = 1;
/// The wait was ended by a wake.
const WOKEN: u32 = 2;
const STATES: u32 = 4;
/// A thread looks for a wake before it sleeps, since one that comes soon is cheaper so: after
/// pauses of 1, 2, 4, … spins. All of them take 2 us, which only keep others from a processor
/// that is the only one.
const PAUSES: u32 = 7;

impl Seat {
    /// Gives the parker of this thread, which keeps it to its end.
    fn take() -> Seat {
        /// Gives the parker to another thread when this one ends.
        struct Lease(Cell<Option<(&'static Record<Parker>, bool)>>);

        impl Drop for Lease {
            fn drop(&mut self) {
                if let Some((parker, _)) = self.0.take() {
                    parker.release();
                }
            }
        }

        thread_local! {
            static LEASE: Lease = const { Lease(Cell::new(None)) };
        }

        let claim =
            || PARKERS.claim(|| Parker { word: AtomicU32::new(0), queue: AtomicUsize::new(0) });
        let leased = LEASE.try_with(|lease| {
            let taken = lease.0.get().unwrap_or_else(|| (claim(), !threads::has_one_processor()));
            lease.0.set(Some(taken));
            taken
        });
        match leased {
            Ok((parker, has_company)) => Seat { parker, has_company, is_late: false },
            Err(_) => Seat { parker: claim(), has_company: true, is_late: true },
        }
    }

    /// Waits for the use of the parker's number.
    fn park(&self, deadline: Deadline, is_idle: bool) -> Outcome {
        // Who is idle is woken when somebody has run for a while, and it might be in the way.
        self.parker.park(deadline, self.has_company && !is_idle)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.is_late {
            self.parker.next_number();
            self.parker.release();
        }
    }
}

impl Parker {
    fn number(&self) -> u32 {
        self.word.load(Ordering::Relaxed) & !(STATES - 1)
    }

    /// Begins another number, so that a late wake misses the next wait.
    fn next_number(&self) {
        self.word.store(self.number().wrapping_add(STATES), Ordering::Relaxed);
    }

    /// Ends the wait of that number, if it goes on. The thread takes part either way.
    fn unpark(&self, number: u32) -> bool {
        let mut state = number;
        // It may fall asleep meanwhile, once.
        while let Err(now) =
            self.word.compare_exchange(state, number | WOKEN, Ordering::Release, Ordering::Relaxed)
        {
            if now != number | ASLEEP {
                return true;
            }
            state = now;
        }
        if state != number {
            futex::wake(&self.word, 1);
        }
        true
    }

    fn park(&self, deadline: Deadline, looks_first: bool) -> Outcome {
        let number = self.number();
        let is_past = || !deadline.is_never() && Deadline::now() >= deadline;
        let mut outcome = Outcome::Woken;
        if !(looks_first && self.is_woken_soon(number)) && self.fall_asleep(number) {
            while self.word.load(Ordering::Acquire) == number | ASLEEP {
                if is_past() {
                    outcome = Outcome::TimedOut;
                    break;
                }
                futex::wait(&self.word, number | ASLEEP, deadline);
            }
        }
        self.queue.store(0, Ordering::Relaxed);
        self.next_number();
        outcome
    }

    /// Looks for a wake without sleeping.
    fn is_woken_soon(&self, number: u32) -> bool {
        let is_woken = || self.word.load(Ordering::Acquire) != number;
        for pause in 0..PAUSES {
            if is_woken() {
                return true;
            }
            (0..1 << pause).for_each(|_| std::hint::spin_loop());
        }
        is_woken()
    }

    /// Announces that the thread is about to sleep. False if it was woken first.
    fn fall_asleep(&self, number: u32) -> bool {
        let asleep = number | ASLEEP;
        self.word.compare_exchange(number, asleep, Ordering::Relaxed, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
