//! What the first hub of a process brings about.

use crate::sys::lock::Lock;
use crate::sys::single_threaded;

/// What is called then, which the process is not to need.
static CALL: Lock<Option<fn()>> = Lock::new(None);

/// Has a function called when the process has its first hub. There is one such function.
pub(crate) fn at_first_hub(call: fn()) {
    *CALL.lock() = Some(call);
}

/// Does what is to be done, now that there is a hub.
pub(super) fn meet() {
    single_threaded::find_note();
    let call = CALL.lock().take();
    call.inspect(|call| call());
}

/// Lets the child of a fork make hubs although another thread of the parent was about to. A
/// function that was just taken is called in the parent alone.
pub(super) fn free_lock() {
    CALL.free_in_child();
}
