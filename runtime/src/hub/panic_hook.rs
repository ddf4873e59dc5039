//! Names the coroutine of a panic.
//!
//! std's message names the OS thread only. A hook that is set once, with the first hub,
//! writes a line that names the coroutine and then calls the hook that was there before.
//! It also is the one place where the begin of a panic is seen for certain.

use std::panic;
use std::thread;

use crate::hub;
use crate::hub::table;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::process::report;

/// Sets the hook, once for the process. While the thread panics the hook cannot be changed
/// (std would abort); the next hub sets it then.
pub(crate) fn install() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);

    if thread::panicking() || INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if let Some(hub) = hub::running_hub() {
            hub.in_panic_hook.set(true);
            if let Some(line) = hub.note_panic() {
                report(&line);
            }
        }
        before(info);
        // Asked again: while the thread ends, the user's hook may have ended the hub.
        if let Some(hub) = hub::running_hub() {
            hub.in_panic_hook.set(false);
        }
    }));
}

impl hub::Hub {
    /// Notes that the running task unwinds; gives the line that names it.
    fn note_panic(&self) -> Option<String> {
        // Borrowed: the panic is one of ours, and the state is not to be trusted.
        let mut state = self.state.try_borrow_mut().ok()?;
        let task = state.scheduler.get_mut(self.slot())?;
        task.interrupts.set_unwinding(true);
        (!self.is_root()).then(|| {
            let label = table::label(task.id, task.name());
            format!("\ncoroutine {label}, spawned at {}:", task.spawned_at)
        })
    }
}
