//! Who does the work where the code is the same for all that block: coroutines of corovent, those
//! of may, threads.

use std::thread;

/// Workers that block, and are joined.
pub(crate) trait Crew: 'static {
    type Handle;

    fn spawn(body: impl FnOnce() + Send + 'static) -> Self::Handle;
    fn join(handle: Self::Handle);
}

pub(crate) struct Coroutines;

impl Crew for Coroutines {
    type Handle = corovent::JoinHandle<()>;

    fn spawn(body: impl FnOnce() + Send + 'static) -> Self::Handle {
        corovent::spawn(body)
    }

    fn join(handle: Self::Handle) {
        handle.join().expect("it does not panic");
    }
}

/// Only in a coroutine of may.
pub(crate) struct MayCoroutines;

impl Crew for MayCoroutines {
    type Handle = may::coroutine::JoinHandle<()>;

    fn spawn(body: impl FnOnce() + Send + 'static) -> Self::Handle {
        may::go!(body)
    }

    fn join(handle: Self::Handle) {
        handle.join().expect("it does not panic");
    }
}

pub(crate) struct Threads;

impl Crew for Threads {
    type Handle = thread::JoinHandle<()>;

    fn spawn(body: impl FnOnce() + Send + 'static) -> Self::Handle {
        thread::spawn(body)
    }

    fn join(handle: Self::Handle) {
        handle.join().expect("it does not panic");
    }
}
