//! What tells one owner of an fd number from the next: its id, its registrations, and the
//! waits of its tasks.

// Records of hubs are found again by their address.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::ptr;
use std::time::Duration;

use crate::error;
use crate::fd::Direction;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::State;
use crate::hub::reason::Reason;
use crate::hub::shared;
use crate::hub::shared::Shared;
use crate::hub::turn::wake_all;
use crate::hub::turn::wake_waiter;
use crate::readiness;
use crate::readiness::Ready;
use crate::scheduler::Outcome;
use crate::sys::atomic::AtomicPtr;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;
use crate::sys::epoll;
use crate::sys::records::Record;

/// What tells one owner of an fd number from the next, and where it is registered.
pub(super) struct Owner {
    /// Unique in the process; never zero.
    id: u64,
    /// The number that it owns.
    fd: RawFd,
    /// The record of the hub that the fd is registered with; null, or [`several`].
    hub: AtomicPtr<Record<Shared>>,
}

// The mark is only compared, or followed to a record that no panic leaves half changed.
impl UnwindSafe for Owner {}
impl RefUnwindSafe for Owner {}

/// Why a call cannot go on.
pub(super) enum Stop {
    /// It may not wait at all.
    Refused(io::Error),
    /// It has waited, or tried to.
    Failed(io::Error),
    /// It was woken, and nobody knows for what.
    Unknown,
    /// Other code has closed the descriptor: the number may belong to somebody else by now.
    Closed,
    /// A kill or a timeout wants the task.
    Interrupted,
}

impl Stop {
    /// Why a wait is over that no wake has ended. One that has not begun, of a task that
    /// unwinds, was refused.
    #[cold]
    pub(super) fn unless_woken(outcome: Outcome, hub: &Hub, has_begun: bool) -> Stop {
        match outcome {
            Outcome::Interrupted if !has_begun && hub.is_unwinding() => {
                Stop::Refused(error::unwinding())
            }
            Outcome::Interrupted => Stop::Interrupted,
            Outcome::TimedOut | Outcome::Woken => Stop::Failed(would_block()),
        }
    }

    /// The error that the call gives; an interrupt is thrown.
    #[cold]
    pub(super) fn into_error(self) -> io::Error {
        match self {
            Stop::Refused(error) | Stop::Failed(error) => error,
            Stop::Unknown => would_block(),
            Stop::Closed => io::Error::from_raw_os_error(libc::EBADF),
            Stop::Interrupted => hub::current().expect("only a hub interrupts").throw_or_error(),
        }
    }
}

impl Owner {
    /// Names a new owner of an fd, registered nowhere.
    pub(super) fn new(fd: RawFd) -> Owner {
        Owner { id: new_id(), fd, hub: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Names a new owner of an fd that came from elsewhere: another owner may have registered
    /// it, with any hub, and have lost it to this one without being told.
    pub(super) fn of_foreign(fd: RawFd) -> Owner {
        Owner { hub: AtomicPtr::new(several()), ..Owner::new(fd) }
    }

    /// The number of the descriptor.
    #[inline]
    pub(super) fn fd(&self) -> RawFd {
        self.fd
    }

    /// Whether a call has a chance. It counts either way.
    #[inline]
    pub(super) fn is_worth_a_call(&self, hub: Option<&Hub>, direction: Direction) -> bool {
        let Some(hub) = hub else { return true };
        hub.spend();
        !self.is_registered() || hub.state().readiness.may_be_ready(self.fd, self.id, direction)
    }

    /// Notes that a part of a call is done that used up what there was. Whether the rest is
    /// worth a call all the same: nobody would tell of more, or the part proves nothing.
    #[cold]
    pub(super) fn drain(&self, direction: Direction) -> bool {
        let Some(hub) = hub::current() else { return true };
        let mut state = hub.state();
        state.readiness.note_call(self.fd, self.id, direction, true);
        state.readiness.known(self.fd, self.id, direction) != Some(Ready::No)
    }

    /// What is known of the descriptor; `None` if this hub watches it not.
    #[inline]
    pub(super) fn known(&self, hub: Option<&Hub>, direction: Direction) -> Option<Ready> {
        hub?.state().readiness.known(self.fd, self.id, direction)
    }

    /// Notes that a call found nothing.
    #[inline]
    pub(super) fn clear(&self, direction: Direction) {
        if self.is_registered()
            && let Some(hub) = hub::current()
        {
            hub.state().readiness.clear(self.fd, self.id, direction);
        }
    }

    /// Whether a call would find an error, as far as it is known; it is not taken.
    #[cold]
    pub(super) fn has_failed(&self) -> bool {
        let failed = |hub: &Hub| hub.state().readiness.may_have_failed(self.fd, self.id);
        // Without a bit to wait for, poll(2) tells of errors and of the end of both directions.
        hub::current().is_none_or(failed)
            && epoll::poll_one(self.fd, 0, Some(Duration::ZERO)).unwrap_or(false)
    }

    /// Notes that a call is over: one that has waited passes on what it left behind.
    #[inline]
    pub(super) fn leave(
        &self,
        hub: Option<&Hub>,
        direction: Direction,
        drained: bool,
        has_waited: bool,
    ) {
        // A write that had room need not say so: whoever asks for room asks the kernel.
        let says = drained || has_waited || direction == Direction::Read;
        if !says || !self.is_registered() {
            return;
        }
        let Some(hub) = hub else { return };
        let is_waited_for = hub.state().readiness.note_call(self.fd, self.id, direction, drained);
        if has_waited && is_waited_for {
            self.pass_on(direction);
        }
    }

    /// Wakes the next waiter, for a task that was woken and takes nothing.
    #[cold]
    pub(super) fn pass_on(&self, direction: Direction) {
        let Some(hub) = hub::current() else { return };
        let mut state = hub.state();
        let State { readiness, scheduler, .. } = &mut *state;
        if readiness.holds(self.fd, self.id) {
            wake_waiter(readiness, scheduler, self.fd, direction);
        }
    }

    /// Waits for the next change of the descriptor, to make a call then. `hub` is that of the
    /// thread, if it has one yet.
    pub(super) fn wait(
        &self,
        hub: Option<&'static Hub>,
        direction: Direction,
        deadline: Deadline,
        had_its_turn: bool,
        reason: Reason,
    ) -> Result<(), Stop> {
        self.wait_then(hub, direction, deadline, had_its_turn, reason, |state| match state {
            Some(state) if !state.readiness.holds(self.fd, self.id) => Err(Stop::Closed),
            _ => Ok(()),
        })
    }

    /// Waits until it is known that a call would find something. Then the next waiter is woken,
    /// since this one, which was, takes nothing.
    pub(super) fn wait_to_know(
        &self,
        hub: Option<&'static Hub>,
        direction: Direction,
        deadline: Deadline,
        had_its_turn: bool,
        reason: Reason,
    ) -> Result<(), Stop> {
        self.wait_then(hub, direction, deadline, had_its_turn, reason, |state| {
            let State { readiness, scheduler, .. } = state.ok_or(Stop::Unknown)?;
            match readiness.known(self.fd, self.id, direction) {
                None => return Err(Stop::Closed),
                Some(Ready::Yes) => {}
                Some(_) => return Err(Stop::Unknown),
            }
            if readiness.is_waited_for(self.fd, direction) {
                wake_waiter(readiness, scheduler, self.fd, direction);
            }
            Ok(())
        })
    }

    /// Waits, and asks `then` when it was woken.
    #[inline(always)]
    fn wait_then(
        &self,
        hub: Option<&'static Hub>,
        direction: Direction,
        deadline: Deadline,
        had_its_turn: bool,
        reason: Reason,
        then: impl FnOnce(Option<&mut State>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let fd = self.fd;
        let Some(hub) = hub.or_else(|| hub::get().ok()) else {
            wait_on_thread(fd, direction, deadline).map_err(Stop::Failed)?;
            return then(None);
        };
        hub.check_stack();
        let mut state = hub.state();
        if !state.readiness.holds(fd, self.id) {
            self.register(hub, &mut state).map_err(Stop::Failed)?;
            state.readiness.clear(fd, self.id, direction);
        }
        let mut queued = None;
        let outcome = hub.block_with(state, deadline, reason, Mode::Io, |state, ticket| {
            state.readiness.enqueue(fd, direction, ticket, had_its_turn);
            queued = Some(ticket);
        });
        if outcome == Outcome::Woken {
            return then(Some(&mut hub.state()));
        }
        if let Some(ticket) = queued {
            hub.state().readiness.dequeue(fd, direction, ticket);
        }
        Err(Stop::unless_woken(outcome, hub, queued.is_some()))
    }

    /// Waits until one of several descriptors has changed that calls have found empty. Nobody
    /// else may wait for them: none that was woken as well is passed on.
    pub(super) fn wait_any(owned: &[&Owner]) -> Result<(), Stop> {
        let direction = Direction::Read;
        let Some(first) = owned.first() else { return Ok(()) };
        let Ok(hub) = hub::get() else {
            let fds: Vec<RawFd> = owned.iter().map(|owner| owner.fd).collect();
            return epoll::poll_any(&fds, bits_of(direction)).map_err(Stop::Failed);
        };
        hub.check_stack();
        let mut state = hub.state();
        for owner in owned {
            if !state.readiness.holds(owner.fd, owner.id) {
                owner.register(hub, &mut state).map_err(Stop::Failed)?;
                state.readiness.clear(owner.fd, owner.id, direction);
            } else if state.readiness.known(owner.fd, owner.id, direction) == Some(Ready::Yes) {
                // It came while a call for another yielded.
                return Ok(());
            }
        }
        let reason = reason_of(first.fd, direction);
        let mut queued = None;
        let outcome = hub.block_with(state, Deadline::NEVER, reason, Mode::Io, |state, ticket| {
            for owner in owned {
                state.readiness.enqueue(owner.fd, direction, ticket, false);
            }
            queued = Some(ticket);
        });
        let mut state = hub.state();
        let kept = owned.iter().all(|owner| state.readiness.holds(owner.fd, owner.id));
        for owner in owned {
            queued.inspect(|ticket| state.readiness.dequeue(owner.fd, direction, *ticket));
        }
        drop(state);
        if outcome == Outcome::Woken {
            return kept.then_some(()).ok_or(Stop::Closed);
        }
        Err(Stop::unless_woken(outcome, hub, queued.is_some()))
    }

    #[cold]
    fn register(&self, hub: &Hub, state: &mut State) -> io::Result<()> {
        let fd = self.fd;
        // Remembered first, so that whoever drops the source finds the registration.
        let own = ptr::from_ref(hub.shared()).cast_mut();
        let remember = |old: *mut Record<Shared>| {
            let known = old.is_null() || ptr::eq(old, own);
            Some(if known { own } else { several() })
        };
        let _ = self.hub.fetch_update(Ordering::AcqRel, Ordering::Acquire, remember);
        // An older owner of the number left it there when another thread closed it.
        wake_all(state, fd);
        let data = state.readiness.insert(fd, self.id);
        let mut registered = state.poller.register(fd, readiness::BITS, data);
        if registered.is_err() && !state.poller.is_intact() {
            hub.check_poller(state);
            registered = state.poller.register(fd, readiness::BITS, data);
        }
        if registered.is_err() {
            state.readiness.remove(fd);
        }
        registered
    }

    #[inline]
    fn is_registered(&self) -> bool {
        !self.hub.load(Ordering::Relaxed).is_null()
    }

    /// Leaves all hubs. Whoever still waits for the number, which safe code cannot bring
    /// about, fails with EBADF. That may be another owner, newer or older: each has been told
    /// that the number is its own, and for all of them it is closed next.
    pub(super) fn unregister(&mut self) {
        let fd = self.fd;
        let marked: *const Record<Shared> = *self.hub.get_mut();
        let own = hub::current();
        if let Some(hub) = own {
            let mut state = hub.state();
            let is_ours = !marked.is_null() && state.readiness.holds(fd, self.id);
            if is_ours || state.readiness.has_waiters(fd) {
                // It fails if the number was closed by other code.
                let _ = epoll::delete(state.poller.raw_fd(), fd);
                wake_all(&mut state, fd);
            }
        }
        let own: *const Record<Shared> = own.map_or(ptr::null(), |hub| ptr::from_ref(hub.shared()));
        if ptr::eq(marked, several()) {
            shared::for_each(|hub| hub.unregister(fd, self.id));
        } else if !ptr::eq(marked, own) {
            // SAFETY: the mark is null or the address of a record, and these are never freed.
            if let Some(hub) = unsafe { marked.as_ref() } {
                hub.unregister(fd, self.id);
            }
        }
    }
}

/// Gives an id that nobody has had.
pub(super) fn new_id() -> u64 {
    static IDS: AtomicU64 = AtomicU64::new(1);

    IDS.fetch_add(1, Ordering::Relaxed)
}

/// The mark of a source that several hubs have registered, or may have: no record has this
/// address.
fn several() -> *mut Record<Shared> {
    ptr::without_provenance_mut(1)
}

pub(super) fn reason_of(fd: RawFd, direction: Direction) -> Reason {
    match direction {
        Direction::Read => Reason::Readable(fd),
        Direction::Write => Reason::Writable(fd),
    }
}

pub(super) fn bits_of(direction: Direction) -> u32 {
    match direction {
        Direction::Read => epoll::IN,
        Direction::Write => epoll::OUT,
    }
}

/// The error of a limit that is over, as the kernel gives it for SO_RCVTIMEO.
#[cold]
pub(super) fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}

/// Waits by stopping the thread: it has no hub, and cannot have one.
#[cold]
fn wait_on_thread(fd: RawFd, direction: Direction, deadline: Deadline) -> io::Result<()> {
    let now = Deadline::now();
    let limit = (!deadline.is_never()).then(|| deadline.since(now));
    // A signal counts as nothing: then the caller finds EAGAIN and comes back.
    if !epoll::poll_one(fd, bits_of(direction), limit)? && Deadline::now() >= deadline {
        return Err(would_block());
    }
    Ok(())
}
