//! The eventfds that the signal handler writes to, one for each listener.
//!
//! They are kept open and used again, since the handler may be about to write to one on another
//! thread: there are as many as there were listeners at once.

// The descriptor of a bell is lent out for as long as the process lives.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::IntoRawFd;
use std::os::fd::RawFd;

use crate::hub;
use crate::hub::Hub;
use crate::hub::shared::SharedRecord;
use crate::signal::caught;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicI32;
use crate::sys::atomic::Ordering;
use crate::sys::atomic::fence;
use crate::sys::epoll;
use crate::sys::fork::Repair;
use crate::sys::fork::watch;
use crate::sys::lock::Lock;
use crate::sys::records::Record;
use crate::sys::records::Records;

/// A bell for the time of one listener.
#[derive(Debug)]
pub(super) struct Ringing(&'static Record<Bell>);

/// An eventfd that the handler rings while a listener has it.
#[derive(Debug)]
struct Bell {
    /// The hub that the listener never leaves, and its first ticket: with that hub it is over.
    hub: Lock<Option<(SharedRecord, u64)>>,
    /// -1 until it is first taken; then never closed.
    fd: AtomicI32,
}

/// All bells: they are shared with the parent in the child of a fork.
struct Bells;

static BELLS: Records<Bell> = Records::new();
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

impl Repair for Bells {
    fn prepare(&self) {
        caught::lock();
    }

    fn parent(&self) {
        caught::unlock();
    }

    /// What rings here is not to ring there.
    fn child(&self) {
        caught::unlock();
        for bell in BELLS.iter() {
            bell.hub.free_in_child();
            let fd = bell.fd.load(Ordering::Acquire);
            if fd != -1 {
                // SAFETY: the descriptor is the bell's, and the child has one thread.
                unsafe { epoll::renew(fd, epoll::eventfd) };
            }
        }
    }
}

/// Rings for all listeners; async-signal-safe.
pub(super) fn ring_all() {
    // Pairs with `take`: either we see the listener or it sees the signal's count.
    fence(Ordering::SeqCst);
    for bell in BELLS.iter().filter(|bell| bell.is_used()) {
        epoll::eventfd_raise(bell.fd.load(Ordering::Acquire));
    }
}

impl Ringing {
    /// Takes a bell for a listener that never leaves this thread's hub, if there is one.
    pub(super) fn of_this_hub() -> io::Result<Ringing> {
        let hub = hub::current().map(Hub::shared);
        Ringing::take(hub.map(|hub| (hub, hub.first_ticket())))
    }

    /// Takes a bell for a listener that may go anywhere.
    pub(super) fn of_nobody() -> io::Result<Ringing> {
        Ringing::take(None)
    }

    fn take(hub: Option<(SharedRecord, u64)>) -> io::Result<Ringing> {
        watch(&Bells, &IS_WATCHED);
        let left = BELLS.iter().find(|bell| bell.take_from_ended_hub());
        let make = || Bell { hub: Lock::new(None), fd: AtomicI32::new(-1) };
        let ringing = Ringing(left.unwrap_or_else(|| BELLS.claim(make)));
        let bell = ringing.0;
        *bell.hub.lock() = hub;
        if bell.fd.load(Ordering::Acquire) == -1 {
            bell.fd.store(epoll::eventfd()?.into_raw_fd(), Ordering::Release);
        }
        // Pairs with `ring_all`.
        fence(Ordering::SeqCst);
        Ok(ringing)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'static> {
        let fd: RawFd = self.0.fd.load(Ordering::Acquire);
        // SAFETY: the eventfd of a bell is never closed.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        *self.0.hub.lock() = None;
        self.0.release();
    }
}

impl Bell {
    /// Takes over a bell that is taken, if nobody will ever give it back.
    fn take_from_ended_hub(&self) -> bool {
        let mut hub = self.hub.lock();
        let ended = hub.is_some_and(|(hub, number)| hub.first_ticket() != number);
        if ended {
            *hub = None;
        }
        ended
    }
}
