//! A hub, as other threads reach it.

// Making a packet needs a promise about what its closure borrows.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::panic::Location;

use crate::hub;
use crate::hub::shared::SharedRecord;
use crate::join::JoinHandle;
use crate::task::spawn_elsewhere;

/// A handle of a thread's hub, by which other threads spawn coroutines on it.
///
/// While one exists the hub is never in a deadlock, since a coroutine could still come from
/// there; [`uncounted`](Remote::uncounted) gives one that does not matter.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{remote, yield_now};
///
/// let hub = remote();
/// let thread = std::thread::spawn(move || {
///     // Runs on the first thread; its result comes back here.
///     hub.spawn(|| corovent_runtime::is_coroutine()).unwrap().join().unwrap()
/// });
/// while !thread.is_finished() {
///     yield_now();
/// }
/// assert!(thread.join().unwrap());
/// ```
pub struct Remote {
    hub: SharedRecord,
    hub_number: u64,
    counted: bool,
}

/// Gives a handle of this thread's hub, for other threads.
///
/// # Suspends
///
/// Never.
///
/// # Panics
///
/// If the thread's hub cannot be made.
#[track_caller]
pub fn remote() -> Remote {
    match hub::get() {
        Ok(hub) => {
            let shared = hub.shared();
            let hub_number = shared.first_ticket();
            shared.add_holder(hub_number);
            Remote { hub: shared, hub_number, counted: true }
        }
        Err(error) => panic!("a remote handle needs the thread's hub: {error}"),
    }
}

impl Remote {
    /// Starts a coroutine on the hub's thread.
    ///
    /// It runs after those that are ready there. Its closure and its result cross threads,
    /// so both are `Send`.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the hub's thread has ended; the closure is dropped then.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (hub, number) = (self.hub, self.hub_number);
        // SAFETY: the closure and its result borrow nothing, and are `Send`.
        let handle = unsafe { spawn_elsewhere(hub, number, Location::caller(), f) };
        let ended =
            || io::Error::new(io::ErrorKind::NotConnected, "the thread of the hub has ended");
        handle.ok_or_else(ended)
    }

    /// Gives the same handle, but one that does not keep the hub from a deadlock.
    pub fn uncounted(mut self) -> Remote {
        if self.counted {
            self.counted = false;
            self.hub.remove_holder(self.hub_number);
        }
        self
    }
}

impl Clone for Remote {
    fn clone(&self) -> Remote {
        if self.counted {
            self.hub.add_holder(self.hub_number);
        }
        Remote { hub: self.hub, hub_number: self.hub_number, counted: self.counted }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.counted {
            self.hub.remove_holder(self.hub_number);
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("counted", &self.counted).finish_non_exhaustive()
    }
}
