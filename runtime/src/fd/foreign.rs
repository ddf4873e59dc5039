//! Waits for descriptors of other code, which closes them when it likes and tells nobody.
//!
//! Such a wait holds the open file by a duplicate, as poll(2) does: whatever becomes of the
//! number meanwhile, it is the file that was given which ends it. epoll knows the file by the
//! number, for one event. Afterwards that registration has no effect, and is left for the next
//! wait to renew; it ends with the file, or whoever owns the number next takes it over.
//!
//! **Invariant:** the entry of a number is there only during the wait.

use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;

use crate::fd::Direction;
use crate::fd::Limit;
use crate::fd::Source;
use crate::fd::ZERO;
use crate::fd::owner::Stop;
use crate::fd::owner::bits_of;
use crate::fd::owner::new_id;
use crate::fd::owner::reason_of;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::State;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;
use crate::sys::epoll;

/// Waits until a descriptor that belongs to other code is ready, or the deadline has
/// passed. It is watched for this wait only.
///
/// What epoll cannot watch, such as a file, is always ready.
///
/// # Suspends
///
/// Until the descriptor is ready. On a thread that cannot have a hub the thread is stopped.
///
/// # Errors
///
/// - `TimedOut` if the deadline has passed.
/// - `Other` if it would have to wait while the coroutine unwinds.
/// - What epoll_ctl(2) gives.
///
/// # Cancellation
///
/// Nothing is taken from the descriptor.
pub fn wait_foreign(
    fd: BorrowedFd<'_>,
    direction: Direction,
    deadline: Deadline,
) -> io::Result<()> {
    let number = fd.as_raw_fd();
    if epoll::poll_one(number, bits_of(direction), ZERO)? {
        return Ok(());
    }
    let file = fd.try_clone_to_owned()?;
    let waited = match hub::get().map(|hub| wait_once(hub, number, direction, deadline)) {
        Ok(Err(Stop::Unknown)) | Err(_) => {
            // The number of the duplicate is nobody else's.
            Source::new(file).ready(direction, || Limit::Until(deadline))
        }
        Ok(waited) => waited.map_err(Stop::into_error),
    };
    match waited {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::TimedOut.into())
        }
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        result => result,
    }
}

/// A higher number has its duplicate registered, which has a low one: the table of entries would
/// become that long.
const NUMBER_MAX: RawFd = 64 * 1024;

/// Waits for one event of the file that has the number now. `Unknown` if the number has an owner
/// here or is a very high one, another waits for it, or somebody has taken it over; or if epoll has
/// to be set up again.
fn wait_once(
    hub: &'static Hub,
    fd: RawFd,
    direction: Direction,
    deadline: Deadline,
) -> Result<(), Stop> {
    hub.check_stack();
    let mut state = hub.state();
    if fd > NUMBER_MAX || !state.readiness.is_vacant(fd) {
        return Err(Stop::Unknown);
    }
    let watch = Watch::begin(hub, &mut state, fd, direction)?;
    let mut has_begun = false;
    let outcome =
        hub.block_with(state, deadline, reason_of(fd, direction), Mode::Io, |state, ticket| {
            state.readiness.enqueue(fd, direction, ticket, false);
            has_begun = true;
        });
    let has_come = watch.end();
    match outcome {
        Outcome::Woken if has_come => Ok(()),
        Outcome::Woken => Err(Stop::Unknown),
        outcome => Err(Stop::unless_woken(outcome, hub, has_begun)),
    }
}

/// The entry of a number for one wait.
struct Watch {
    hub: &'static Hub,
    fd: RawFd,
    id: u64,
}

impl Watch {
    /// Begins it. The hub's state must not be borrowed any more when it is dropped.
    fn begin(
        hub: &'static Hub,
        state: &mut State,
        fd: RawFd,
        direction: Direction,
    ) -> Result<Watch, Stop> {
        let id = new_id();
        let (data, bits, was_spent) = state.readiness.insert_once(fd, id, direction);
        let begun = if was_spent {
            state.poller.register_again(fd, bits, data)
        } else {
            state.poller.register(fd, bits, data)
        };
        begun.map(|()| Watch { hub, fd, id }).map_err(|error| {
            state.readiness.remove(fd);
            // The epoll instance is to be made anew, which the duplicate's registration does.
            if state.poller.is_intact() { Stop::Failed(error) } else { Stop::Unknown }
        })
    }

    /// Ends it; whether its event has come.
    fn end(&self) -> bool {
        let mut state = self.hub.state();
        let has_come = state.readiness.remove_once(self.fd, self.id);
        if has_come == Some(false) {
            // It fails if the number was closed by other code. Of what is left then an event is
            // ignored.
            let _ = epoll::delete(state.poller.raw_fd(), self.fd);
        }
        has_come == Some(true)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}
