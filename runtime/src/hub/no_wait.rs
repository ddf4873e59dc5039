//! Parts of a coroutine's code in which every wait is an error: `debug::no_wait`.
//!
//! That a task is in one is among its `Interrupts`, whose one flag a wait looks at anyway. Where
//! it began is kept beside: few tasks are ever in one.

use std::panic::Location;

use crate::hub;
use crate::hub::Hub;
use crate::symbols::Call;
use crate::symbols::Symbols;
use crate::sys::frames;

/// One such part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoWait {
    slot: u32,
    /// The task's number.
    id: u64,
    /// Unique in the hub.
    number: u64,
    place: &'static Location<'static>,
}

/// Ends the part when it is dropped, also by an unwinding.
#[derive(Debug)]
pub(crate) struct NoWaitGuard {
    number: u64,
}

/// So near to a wait is the code that waits.
const CALLER_FRAMES_MAX: usize = 64;

impl Hub {
    /// Begins such a part of the running task.
    pub(crate) fn enter_no_wait(&self, place: &'static Location<'static>) -> NoWaitGuard {
        let id = self.with_current(|task| {
            task.interrupts.enter_no_wait();
            task.id
        });
        let mut parts = self.no_waits.borrow_mut();
        let number = parts.last().map_or(0, |last| last.number + 1);
        parts.push(NoWait { slot: self.slot(), id, number, place });
        NoWaitGuard { number }
    }

    /// The running task has waited in such a part.
    #[cold]
    pub(super) fn throw_no_wait(&self) -> ! {
        let (id, reason) = self.with_current(|task| (task.id, task.reason));
        let place = {
            let parts = self.no_waits.borrow();
            let innermost = parts.iter().rev().find(|part| part.id == id);
            innermost.map_or_else(String::new, |part| format!(" at {}", part.place))
        };
        let wait = caller().map_or_else(String::new, |caller| format!(", at {caller}"));
        panic!("a wait on {reason} inside of debug::no_wait{place}{wait}");
    }
}

impl Drop for NoWaitGuard {
    fn drop(&mut self) {
        // Without a hub it has ended.
        let Some(hub) = hub::running_hub() else { return };
        let mut parts = hub.no_waits.borrow_mut();
        let Some(at) = parts.iter().position(|part| part.number == self.number) else { return };
        let part = parts.remove(at);
        drop(parts);
        // The part's own task, whichever runs: another crate's switch may have led here.
        let mut state = hub.state();
        if let Some(task) = state.scheduler.get_mut(part.slot).filter(|task| task.id == part.id) {
            task.interrupts.leave_no_wait();
        }
    }
}

/// Where the code stands that has called into the runtime, if that can be told.
fn caller() -> Option<String> {
    let mut frames = Vec::new();
    frames::walk(|frame| {
        frames.push(frame.code);
        frames.len() < CALLER_FRAMES_MAX
    });
    let symbols = Symbols::of(frames.iter().copied().collect());
    symbols.calls(&frames).filter(|call| !call.is_machinery).find_map(Call::place)
}
