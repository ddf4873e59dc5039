//! Tasks whose turn to start has come, and for which the kernel has no stack just now: they wait,
//! and are tried again.

use std::io;

use crate::hub::Alarm;
use crate::hub::Mode;
use crate::hub::State;
use crate::hub::reason::Reason;
use crate::sys::clock::Deadline;
use crate::sys::process;

/// A task for which the kernel has no stack is tried again after a pause, and this is reported
/// once a second.
const START_PAUSE_NS: u64 = 10_000_000;
const REPORT_PAUSE_NS: u64 = 1_000_000_000;

/// Makes a task wait for which there is no stack, and says so now and then.
#[cold]
pub(super) fn start_later(state: &mut State, slot: u32, error: &io::Error) {
    let now = Deadline::now().as_ns();
    let blocked = state.scheduler.block_if(slot, |task| {
        task.reason = Reason::Delay;
        // As for one that is to start later: nothing has to unwind for a kill.
        task.mode = Mode::Io;
        true
    });
    let ticket = blocked.expect("nothing was asked of it");
    state.timers.arm(now + START_PAUSE_NS, Alarm::Wait(ticket));
    if now >= state.turn.next_report {
        state.turn.next_report = now + REPORT_PAUSE_NS;
        let id = state.scheduler.get(slot).expect("it is blocked just now").id;
        process::report(&format!("corovent: coroutine #{id} has no stack yet: {error}"));
    }
}
