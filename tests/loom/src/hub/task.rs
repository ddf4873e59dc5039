//! What a hub knows of a task: the functions of its packet, as `hub/task.rs` of the runtime
//! declares them.

use std::ptr::NonNull;

use crate::hub::identity::Thread;
use crate::models::tracked::Tracked;

/// A task that another thread has sent, which carries no more than what the checker watches.
#[derive(Debug)]
pub(crate) struct NewTask(pub(crate) Tracked);

/// What is asked of the running task.
pub(crate) struct Task {
    pub(crate) id: u64,
}

/// Whether the task that ends is the one that was resumed: there is only one.
pub(crate) fn check_end(_slot: u32) {}

/// What a coroutine runs and where its result goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) data: NonNull<()>,
    pub(crate) calls: &'static BodyCalls,
}

impl Body {
    /// Pairs what is run with the functions that understand it.
    ///
    /// # Safety
    ///
    /// The functions must be those for `data`, which lives until `run` or `abandon`.
    pub(crate) unsafe fn new(data: NonNull<()>, calls: &'static BodyCalls) -> Body {
        Body { data, calls }
    }

    /// What is run.
    pub(crate) fn data(self) -> NonNull<()> {
        self.data
    }
}

// SAFETY: the models give a body to one thread, which alone uses it.
unsafe impl Send for Body {}

/// What a hub does with a body.
#[derive(Debug)]
pub(crate) struct BodyCalls {
    pub(crate) run: unsafe fn(NonNull<()>, slot: u32, killed: bool),
    pub(crate) abandon: unsafe fn(NonNull<()>),
    pub(crate) lose: unsafe fn(NonNull<()>),
    pub(crate) kill_ignored: unsafe fn(NonNull<()>),
    pub(crate) placed: unsafe fn(NonNull<()>, slot: u32),
    pub(crate) observer: unsafe fn(NonNull<()>) -> *const (),
    pub(crate) name: unsafe fn(NonNull<()>) -> *const str,
    pub(crate) thread: unsafe fn(NonNull<()>) -> NonNull<Thread>,
}
