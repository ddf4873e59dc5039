//! Two things at once, which fail together.

use std::cell::Cell;
use std::panic;

use crate::error::Killed;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::scope::scope;
use crate::sys::clock::Deadline;
use crate::task::Builder;
use crate::wait_queue::WaitQueue;

/// Runs two closures at once, each in a coroutine. When one fails, the other is killed.
///
/// # Suspends
///
/// Until both have ended.
///
/// # Errors
///
/// The first error.
///
/// # Panics
///
/// If one of them does, or the thread has no room for two coroutines.
///
/// # Cancellation
///
/// Both are killed.
#[track_caller]
pub fn both<A, B, E>(
    first: impl FnOnce() -> Result<A, E>,
    second: impl FnOnce() -> Result<B, E>,
) -> Result<(A, B), E> {
    let progress = WaitQueue::new(Progress { ended: 0, failed: false });
    let error = Cell::new(None);
    scope(|scope| {
        let first = scope.spawn(|| told(&progress, &error, first));
        let second = Builder::new().spawn_scoped(scope, || told(&progress, &error, second));
        let second = second.unwrap_or_else(|error| {
            // A panic of a scope's body waits for those who run.
            first.kill();
            panic!("failed to spawn a coroutine: {error}")
        });
        let over = |progress: &mut Progress| {
            (progress.failed || progress.ended == 2).then_some(progress.failed)
        };
        match progress.wait(Deadline::NEVER, What::Scope, Mode::Plain, over) {
            Ok(false) => {}
            Ok(true) => {
                first.kill();
                second.kill();
            }
            Err(_) => interrupted(),
        }
        match (first.join(), second.join()) {
            (Ok(Some(first)), Ok(Some(second))) => Ok((first, second)),
            (first, second) => {
                // One that was killed for the other's sake has nothing to say.
                let mut payloads = [first.err(), second.err()].into_iter().flatten();
                let panic = payloads.find(|payload| !payload.is::<Killed>());
                match (panic, error.take()) {
                    (Some(payload), _) => panic::resume_unwind(payload),
                    (None, Some(error)) => Err(error),
                    (None, None) => panic!("one of the two was killed by somebody else"),
                }
            }
        }
    })
}

/// How far the two have come.
struct Progress {
    ended: u8,
    failed: bool,
}

/// Calls one of the two, and tells of its end whatever that is. `None`: it failed.
fn told<T, E>(
    progress: &WaitQueue<Progress>,
    error: &Cell<Option<E>>,
    f: impl FnOnce() -> Result<T, E>,
) -> Option<T> {
    let mut tells = Tells { progress, failed: true };
    match f() {
        Ok(value) => {
            tells.failed = false;
            Some(value)
        }
        Err(new) => {
            let old = error.take();
            error.set(Some(old.unwrap_or(new)));
            None
        }
    }
}

struct Tells<'a> {
    progress: &'a WaitQueue<Progress>,
    failed: bool,
}

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        let mut inner = self.progress.lock();
        inner.state.ended += 1;
        inner.state.failed |= self.failed;
        drop(inner);
        self.progress.wake_one();
    }
}
