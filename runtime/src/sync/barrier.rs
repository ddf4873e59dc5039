//! The barrier: a number of waiters go on together.

use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

use crate::hub::Mode;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::join::got_it_after_all;
use crate::join::interrupted;
use crate::sys::clock::Deadline;
use crate::wait_queue::WaitQueue;

/// Lets a number of coroutines or threads wait for each other: the mirror of
/// [`std::sync::Barrier`].
///
/// One that is killed while it waits has not arrived: the barrier still waits for as many as
/// it was made for. If the last one comes before the killed one has run, it has arrived, and
/// is killed at its next wait. One whose thread ends while it waits counts as arrived.
///
/// # Examples
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::{Arc, Barrier};
///
/// let barrier = Arc::new(Barrier::new(3));
/// let tasks: Vec<_> = (0..3)
///     .map(|_| {
///         let barrier = Arc::clone(&barrier);
///         spawn(move || barrier.wait().is_leader())
///     })
///     .collect();
/// let leaders = tasks.into_iter().filter_map(|task| task.join().ok()).filter(|leads| *leads);
/// assert_eq!(leaders.count(), 1);
/// ```
pub struct Barrier {
    round: WaitQueue<Round>,
    size: usize,
}

/// What the waiters of one round share.
struct Round {
    number: usize,
    arrived: usize,
}

/// Tells one of those who went on together from the others: the mirror of
/// [`std::sync::BarrierWaitResult`].
pub struct BarrierWaitResult(bool);

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl Barrier {
    /// Makes a barrier at which `n` wait for each other, again and again.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    #[inline]
    pub const fn new(n: usize) -> Barrier {
        Barrier { round: WaitQueue::new(Round { number: 0, arrived: 0 }), size: n }
    }

    /// Waits until all have arrived. One of them, the last, is the leader.
    ///
    /// # Suspends
    ///
    /// Until all have arrived; the last one does not. A thread without a hub is stopped.
    ///
    /// # Cancellation
    ///
    /// It has not arrived.
    pub fn wait(&self) -> BarrierWaitResult {
        // A refused wait has not arrived either.
        Place::check();
        let mut own = None;
        let arrive = |round: &mut Round| match own {
            None => {
                round.arrived += 1;
                if round.arrived < self.size {
                    own = Some(round.number);
                    return None;
                }
                round.arrived = 0;
                round.number = round.number.wrapping_add(1);
                Some(true)
            }
            Some(number) => (round.number != number).then_some(false),
        };
        let leads = self.round.wait(Deadline::NEVER, What::Barrier, Mode::Plain, arrive);
        match leads {
            Ok(true) => self.round.wake_all(),
            Ok(false) => {}
            Err(_) => self.leave(own),
        }
        BarrierWaitResult(leads == Ok(true))
    }

    /// Takes back the arrival of one that was interrupted; returns if it is too late for that.
    #[cold]
    fn leave(&self, own: Option<usize>) {
        let mut round = self.round.lock();
        if own != Some(round.state.number) {
            drop(round);
            return got_it_after_all();
        }
        round.state.arrived -= 1;
        drop(round);
        interrupted();
    }
}

impl BarrierWaitResult {
    /// Whether this was the last to arrive.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}
