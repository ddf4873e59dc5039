//! Names the coroutine of a panic.
//!
//! std's message names the OS thread only. A hook that is set once, with the first hub,
//! writes a line that names the coroutine and then calls the hook that was there before.
//! It also is the one place where the begin of a panic is seen for certain.

use std::panic;
use std::panic::PanicHookInfo;
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
            if let Some(line) = hub.borrow_hint(info) {
                report(line);
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
    /// What to say of a panic that is about the borrow of a `RefCell`.
    fn borrow_hint(&self, info: &PanicHookInfo<'_>) -> Option<&'static str> {
        // Thrown by `RefCell`, in these words; others may use them too, of the same.
        let is_borrow = info.payload_as_str().is_some_and(|message| {
            message.contains("already borrowed") || message.contains("already mutably borrowed")
        });
        let others = |state: &hub::State| state.scheduler.len() > 1;
        let has_others = self.state.try_borrow().is_ok_and(|state| others(&state));
        (is_borrow && has_others).then_some(
            "corovent: another coroutine may hold that borrow across a wait: wrap the code that \
             borrows in debug::no_wait, which panics at the wait",
        )
    }

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
