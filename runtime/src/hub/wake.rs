//! Names of waits that any thread may end, and where the running code would wait.

use std::cell::Cell;

use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::hub::shared::SharedRecord;
use crate::scheduler::Outcome;
use crate::scheduler::Ticket;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::records::Record;
use crate::sys::records::Records;

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
    /// hub has ended: what was to be handed over goes to the next then.
    #[inline]
    pub(crate) fn wake(self) -> bool {
        match self {
            WakeRef::Task { hub, ticket } => match hub::current() {
                Some(own) if std::ptr::eq(own.shared(), hub) => {
                    own.wake(ticket) || own.owns(ticket)
                }
                _ => hub.post_wake(ticket),
            },
            WakeRef::Thread { parker, number } => parker.unpark(number),
        }
    }
}

/// Where the running code waits: as a task of its thread's hub, or by stopping the thread.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A coroutine, or the root of a hub.
    Task(&'static Hub),
    /// A thread without a hub.
    Thread(&'static Record<Parker>),
}

impl Place {
    /// The place of the running code. It makes no hub.
    #[inline]
    pub(crate) fn current() -> Place {
        match hub::current() {
            Some(hub) => Place::Task(hub),
            None => Place::Thread(Parker::current()),
        }
    }

    /// Names the next wait at this place.
    #[inline]
    pub(crate) fn wake_ref(self) -> WakeRef {
        match self {
            Place::Task(hub) => WakeRef::Task { hub: hub.shared(), ticket: hub.ticket() },
            Place::Thread(parker) => WakeRef::Thread { parker, number: parker.number() },
        }
    }

    /// Waits until the name is used, or the deadline, or what `mode` lets through.
    #[inline]
    pub(crate) fn block(self, deadline: Deadline, reason: Reason, mode: Mode) -> Outcome {
        match self {
            Place::Task(hub) => hub.block(deadline, reason, mode),
            Place::Thread(parker) => parker.park(deadline),
        }
    }
}

/// The futex word on which a thread without a hub waits.
#[derive(Debug)]
pub(crate) struct Parker {
    /// The number of the wait times two, plus one once it was woken.
    word: AtomicU32,
}

impl Parker {
    /// The word of the current thread.
    fn current() -> &'static Record<Parker> {
        /// Gives the word to another thread when this one ends.
        struct Lease(Cell<Option<&'static Record<Parker>>>);

        impl Drop for Lease {
            fn drop(&mut self) {
                if let Some(parker) = self.0.take() {
                    parker.release();
                }
            }
        }

        thread_local! {
            static LEASE: Lease = const { Lease(Cell::new(None)) };
        }
        static PARKERS: Records<Parker> = Records::new();

        let claim = || PARKERS.claim(|| Parker { word: AtomicU32::new(0) });
        let leased = LEASE.try_with(|lease| {
            let parker = lease.0.get().unwrap_or_else(claim);
            lease.0.set(Some(parker));
            parker
        });
        // Past the thread-local's end the word is not given back: a thread that ends waits
        // there once, if ever.
        leased.unwrap_or_else(|_| claim())
    }

    fn number(&self) -> u32 {
        self.word.load(Ordering::Relaxed) & !1
    }

    /// Ends the wait of that number, if it goes on. The thread takes part either way.
    fn unpark(&self, number: u32) -> bool {
        let woken =
            self.word.compare_exchange(number, number | 1, Ordering::Release, Ordering::Relaxed);
        if woken.is_ok() {
            futex::wake(&self.word, 1);
        }
        true
    }

    fn park(&self, deadline: Deadline) -> Outcome {
        let number = self.number();
        let outcome = loop {
            if self.word.load(Ordering::Acquire) != number {
                break Outcome::Woken;
            }
            if !deadline.is_never() && Deadline::now() >= deadline {
                break Outcome::TimedOut;
            }
            futex::wait(&self.word, number, deadline);
        };
        // The next wait has another number, so that a late wake misses it.
        self.word.store(number.wrapping_add(2), Ordering::Relaxed);
        outcome
    }
}
