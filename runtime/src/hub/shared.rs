//! What other threads may touch of a hub: its inbox, its alarm, and whether it has ended.
//!
//! A message is pushed without a lock; the thread that pushes onto the inbox of a sleeping
//! hub rings the alarm, once for a burst, and not at all while the hub is awake.
//!
//! The record outlives the hub, so that a late wake finds it; the next hub of any thread
//! may get it then. Tickets tell the two apart: their numbers go on where the hub before
//! stopped. After the hub's end a message is refused, so that who hands something over
//! learns of it.

// Messages are passed as raw pointers, from push to take.
#![allow(unsafe_code)]

use std::mem;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::ptr;

use crate::hub::Hub;
use crate::hub::debugger::Seen;
use crate::hub::task::NewTask;
use crate::hub::watchdog::watched::Watched;
use crate::poller;
use crate::scheduler::Ticket;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::atomic::fence;
use crate::sys::epoll;
use crate::sys::lock::Lock;
use crate::sys::records::Record;
use crate::sys::records::Records;

/// The part of a hub that all threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Tickets below this number are those of hubs that have ended.
    first_ticket: AtomicU64,
    inbox: Inbox,
    /// One of `AWAKE`, `ASLEEP`, `RUNG`.
    sleep: AtomicU32,
    inner: Lock<Inner>,
    /// Those outside who can still wake the hub: remote handles and running pool jobs. With a lock
    /// of its own, as the other is held across a call that has the hub run: it often does so at
    /// once, in the caller's place, and its next job would have to wait for that lock.
    holders: Lock<usize>,
    /// What the watchdog looks at.
    pub(crate) watched: Watched,
    /// What a debugger sees of the hub.
    pub(super) seen: Seen,
}

/// The part that is behind a lock.
#[derive(Debug)]
struct Inner {
    /// `None` once the hub has ended.
    kernel: Option<KernelSide>,
    /// Rings in the place of an alarm that other code has closed.
    second_alarm: Option<OwnedFd>,
}

/// The fds of a hub that other threads may use. The hub closes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelSide {
    /// The epoll instance, from which they remove fds.
    pub(crate) epoll: RawFd,
    /// The eventfd that ends a poll.
    pub(crate) alarm: RawFd,
}

/// A record of a hub that lives or has ended.
pub(crate) type SharedRecord = &'static Record<Shared>;

/// What one thread tells the hub of another.
#[derive(Debug)]
pub(crate) enum Message {
    /// A wait is over.
    Wake(Ticket),
    /// The task in the slot, if it still has that id, is to end.
    Kill { slot: u32, id: u64 },
    /// A new task.
    Spawn(NewTask),
    /// Those who wait in the queue at that address, or in any, are to try again.
    Retry(Option<usize>),
    /// A descriptor was closed elsewhere, and is out of the epoll instance.
    Forget { fd: RawFd, id: u64 },
    /// Call a function of the runtime, which neither waits nor runs code of the user's.
    Call(fn(&Hub)),
    /// Nothing but a reason to look whether anything can still happen.
    Look,
}

/// A stack of messages that any thread may push to and the hub takes as a whole.
#[derive(Debug)]
struct Inbox {
    top: AtomicPtr<Letter>,
}

struct Letter {
    below: *mut Letter,
    message: Message,
}

/// The first ticket of a hub whose thread is gone in the child of a fork.
const ORPHANED: u64 = u64::MAX;
/// The hub does something.
const AWAKE: u32 = 0;
/// It is about to sleep in the kernel, so that a message must ring.
const ASLEEP: u32 = 1;
/// It was about to, and somebody has rung.
const RUNG: u32 = 2;

/// All hubs there ever were at once.
pub(super) static HUBS: Records<Shared> = Records::new();

/// Takes a record for a new hub.
pub(crate) fn open(kernel: KernelSide) -> SharedRecord {
    let record = HUBS.claim(Shared::new);
    record.inner.lock().kernel = Some(kernel);
    record.inbox.top.store(ptr::null_mut(), Ordering::Release);
    // Pairs with `wake::retry`, which has to find every hub whose tasks could wait.
    fence(Ordering::SeqCst);
    record
}

/// Calls `visit` with the record of every live hub.
pub(crate) fn for_each(visit: impl FnMut(SharedRecord)) {
    HUBS.iter().filter(|record| record.is_used()).for_each(visit);
}

impl Shared {
    /// Makes a record that is no hub's, and takes no message.
    fn new() -> Shared {
        Shared {
            first_ticket: AtomicU64::new(1),
            inbox: Inbox { top: AtomicPtr::new(closed()) },
            sleep: AtomicU32::new(AWAKE),
            inner: Lock::new(Inner::EMPTY),
            holders: Lock::new(0),
            watched: Watched::new(),
            seen: Seen::nothing(),
        }
    }

    /// The number of the hub's first ticket, which also tells the hub from those that had
    /// the record before.
    #[inline]
    pub(crate) fn first_ticket(&self) -> u64 {
        self.first_ticket.load(Ordering::Acquire)
    }

    /// Refuses all further messages and calls; gives the messages that nobody read. The
    /// record may then be released.
    pub(crate) fn close(&self, next_ticket: u64) -> Messages {
        self.seen.hide();
        let mut inner = self.inner.lock();
        let second_alarm = mem::replace(&mut *inner, Inner::EMPTY).second_alarm;
        let mut holders = self.holders.lock();
        *holders = 0;
        self.first_ticket.store(next_ticket, Ordering::Release);
        drop(holders);
        drop(inner);
        drop(second_alarm);
        self.inbox.take(closed())
    }

    /// Hands a message to the hub that began with `first_ticket`. False after its end.
    pub(crate) fn post(&self, first_ticket: u64, message: Message) -> bool {
        if self.first_ticket() != first_ticket || !self.inbox.push(message) {
            return false;
        }
        // Pairs with `fall_asleep`: either we see the hub asleep or it sees the message.
        let (seq_cst, relaxed) = (Ordering::SeqCst, Ordering::Relaxed);
        if self.sleep.load(seq_cst) == ASLEEP
            && self.sleep.compare_exchange(ASLEEP, RUNG, seq_cst, relaxed).is_ok()
        {
            self.ring();
        }
        true
    }

    /// Hands a wake to the hub that gave the ticket. False if that hub has ended.
    pub(crate) fn post_wake(&self, ticket: Ticket) -> bool {
        let first_ticket = self.first_ticket();
        ticket.number.get() >= first_ticket && self.post(first_ticket, Message::Wake(ticket))
    }

    /// Cuts the record off in the child of a fork, where its hub's thread is gone: all wakes and
    /// messages are refused for good. Async-signal-safe.
    pub(crate) fn orphan(&self) {
        self.inner.free_in_child();
        self.holders.free_in_child();
        *self.holders.lock() = 0;
        // A second alarm stays open: it may be half written.
        mem::forget(mem::replace(&mut *self.inner.lock(), Inner::EMPTY));
        self.first_ticket.store(ORPHANED, Ordering::Release);
        self.inbox.top.store(closed(), Ordering::Release);
    }

    /// Whether the hub's thread is gone, since this is the child of a fork that it did not call.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.first_ticket() == ORPHANED
    }

    /// Forgets the other threads in the child of a fork, for the hub of the thread that is left;
    /// gives what they had asked for. Async-signal-safe.
    pub(crate) fn begin_anew(&self) -> Messages {
        self.inner.free_in_child();
        self.holders.free_in_child();
        *self.holders.lock() = 0;
        self.inbox.take(ptr::null_mut())
    }

    #[cold]
    fn ring(&self) {
        let mut inner = self.inner.lock();
        let Some(kernel) = inner.kernel else { return };
        if !epoll::eventfd_raise(kernel.alarm) && inner.second_alarm.is_none() {
            inner.second_alarm = poller::ring_otherwise(kernel.epoll, kernel.alarm).ok();
        }
    }

    /// Notes that the hub has other descriptors now.
    pub(crate) fn set_kernel(&self, kernel: KernelSide) {
        let mut inner = self.inner.lock();
        inner.kernel = Some(kernel);
        let second_alarm = inner.second_alarm.take();
        drop(inner);
        drop(second_alarm);
    }

    /// Takes all messages, in the order in which they came.
    pub(crate) fn take_messages(&self) -> Messages {
        self.inbox.take(ptr::null_mut())
    }

    /// Whether there is a message.
    #[inline]
    pub(crate) fn has_messages(&self) -> bool {
        !self.inbox.top.load(Ordering::Relaxed).is_null()
    }

    /// Announces that the hub is about to sleep. False if a message came first.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.sleep.store(ASLEEP, Ordering::SeqCst);
        if self.inbox.top.load(Ordering::SeqCst).is_null() {
            return true;
        }
        self.sleep.store(AWAKE, Ordering::Relaxed);
        false
    }

    /// Announces that the hub is awake.
    pub(crate) fn wake_up(&self) {
        self.sleep.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether the hub neither sleeps in the kernel nor is about to wake there.
    pub(crate) fn is_awake(&self) -> bool {
        self.sleep.load(Ordering::Relaxed) == AWAKE
    }

    /// Removes an fd from the hub's epoll instance, from any thread, and lets the hub know.
    pub(crate) fn unregister(&self, fd: RawFd, id: u64) {
        let first_ticket = self.first_ticket();
        let inner = self.inner.lock();
        // ENOENT: it was never registered there, or with a hub that had the record before.
        let deleted = inner.kernel.is_some_and(|kernel| epoll::delete(kernel.epoll, fd).is_ok());
        drop(inner);
        if deleted {
            self.post(first_ticket, Message::Forget { fd, id });
        }
    }

    /// Counts somebody who can still wake the hub that began with `first_ticket`.
    pub(crate) fn add_holder(&self, first_ticket: u64) {
        let mut holders = self.holders.lock();
        // A hub that has ended does not count, and the one after it has its own holders.
        if self.first_ticket() == first_ticket {
            *holders += 1;
        }
    }

    /// Takes back [`add_holder`](Shared::add_holder) of the hub that began with
    /// `first_ticket`, after the last wake. The hub is made to look again: it may have been
    /// the last, and nothing can wake it any more.
    pub(crate) fn remove_holder(&self, first_ticket: u64) {
        let mut holders = self.holders.lock();
        if self.first_ticket() != first_ticket {
            return;
        }
        // In the child of a fork those that were counted before count no more.
        *holders = holders.saturating_sub(1);
        let was_last = *holders == 0;
        drop(holders);
        if was_last {
            self.post(first_ticket, Message::Look);
        }
    }

    /// How many can still wake the hub.
    pub(crate) fn holders(&self) -> usize {
        *self.holders.lock()
    }
}

impl Inner {
    const EMPTY: Inner = Inner { kernel: None, second_alarm: None };
}

impl Inbox {
    /// False if the inbox is closed; the message is lost then.
    fn push(&self, message: Message) -> bool {
        let letter = Box::into_raw(Box::new(Letter { below: ptr::null_mut(), message }));
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            if top == closed() {
                // SAFETY: the letter was made above and given to nobody.
                drop(unsafe { Box::from_raw(letter) });
                return false;
            }
            // SAFETY: until the exchange succeeds the letter is ours alone.
            unsafe { (*letter).below = top };
            match self.top.compare_exchange_weak(top, letter, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => top = now,
            }
        }
    }

    /// Takes all letters and leaves `instead`.
    fn take(&self, instead: *mut Letter) -> Messages {
        let mut top = self.top.swap(instead, Ordering::Acquire);
        if top == closed() {
            top = ptr::null_mut();
        }
        // The newest is on top; turn the stack over.
        let mut oldest = ptr::null_mut();
        while !top.is_null() {
            // SAFETY: the swap made all letters ours; each is visited once.
            let below = unsafe { (*top).below };
            // SAFETY: as above.
            unsafe { (*top).below = oldest };
            oldest = top;
            top = below;
        }
        Messages { next: oldest }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        drop(self.take(closed()));
    }
}

/// The top of an inbox that takes no more: no letter has this address.
fn closed() -> *mut Letter {
    ptr::without_provenance_mut(1)
}

/// Messages taken from an inbox, oldest first.
#[derive(Debug)]
pub(crate) struct Messages {
    next: *mut Letter,
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: the letter came from `Box::into_raw` and is taken out of the list here.
        let letter = unsafe { Box::from_raw(self.next) };
        self.next = letter.below;
        Some(letter.message)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

// SAFETY: the letters in the list belong to the inbox, and every message is `Send`.
unsafe impl Send for Inbox {}
// SAFETY: the list is changed by atomic exchanges only.
unsafe impl Sync for Inbox {}

#[cfg(test)]
pub(crate) mod tests;
