//! Awaiting a future where code blocks.
//!
//! The future is polled in the caller's frame. What it is given as its waker is one word that
//! says "poll again", with a line in which at most the caller waits: a wait of its own, apart
//! from the token of `park`, so that neither is taken for the other. The word outlives the
//! call and the thread for as long as somebody keeps a waker.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::join::interrupted;
use crate::sys::clock::Deadline;
use crate::task::yield_now;
use crate::wait_queue::WaitQueue;

/// Waits until a future is done, and gives its output.
///
/// Any future will do that brings its own wakers along: channels, locks, combinators, the
/// handle of a task that another runtime runs on threads of its own. Sockets and timers of
/// such a runtime work in its own tasks, not in futures that are polled here. The waker may
/// be used from any thread and at any time; once the future is done, it does nothing.
///
/// # Suspends
///
/// Until the future is done. A thread without a hub is stopped meanwhile. One that wakes
/// itself and is not done lets the others run before it is polled again; so does, from time
/// to time, a task whose futures are done at once.
///
/// # Panics
///
/// If the future does.
///
/// # Cancellation
///
/// The future is dropped in the middle of what it does, here. A kill or a timeout comes while
/// it waits, never while it is polled, unless it waits inside of that.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{block_on, spawn, yield_now};
/// use std::cell::Cell;
/// use std::future::poll_fn;
/// use std::rc::Rc;
/// use std::task::{Poll, Waker};
///
/// let waiting = Rc::new(Cell::new(None::<Waker>));
/// let task = spawn({
///     let waiting = Rc::clone(&waiting);
///     let mut polls = 0;
///     move || {
///         block_on(poll_fn(move |context| {
///             polls += 1;
///             waiting.set(Some(context.waker().clone()));
///             if polls < 2 { Poll::Pending } else { Poll::Ready(polls) }
///         }))
///     }
/// });
/// yield_now();
/// waiting.take().unwrap().wake();
/// assert_eq!(task.join().unwrap(), 2);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    hub::spend();
    let alarm = Arc::new(Alarm::new());
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        alarm.wait();
    }
}

/// Says that the future is to be polled again.
struct Alarm {
    /// Whether it is. Only the caller of `block_on` waits for it.
    rung: WaitQueue<bool>,
}

impl Alarm {
    fn new() -> Alarm {
        Alarm { rung: WaitQueue::new(false) }
    }

    /// Waits until it is rung.
    fn wait(&self) {
        let take = |rung: &mut bool| mem::take(rung).then_some(());
        let rung_already = take(&mut self.rung.lock().state).is_some();
        if rung_already {
            // A future that always is must not keep the others from running.
            return yield_now();
        }
        if self.rung.wait(Deadline::NEVER, What::Future, Mode::Plain, take).is_err() {
            interrupted();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let was_rung = mem::replace(&mut self.rung.lock().state, true);
        // Whoever rang before wakes the waiter, or has.
        if !was_rung {
            self.rung.wake_one();
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
