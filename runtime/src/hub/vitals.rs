//! What tells that a hub lives: the few of its words that the watchdog's thread reads.
//!
//! The hub writes them anyway, for itself; that another thread may look costs nothing, since a
//! relaxed store is a store. They lie outside of what the hub borrows.
//!
//! **Invariant:** only the hub's own thread writes.

use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::AtomicU64;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;

/// The words.
#[derive(Debug)]
pub(crate) struct Vitals {
    /// How often the ready queue was looked at: once for each run of a task, and once for each
    /// poll, before which there was none to run or the turn was over.
    looks: AtomicU64,
    /// How often the hub has polled.
    turns: AtomicU64,
    /// Whether a coroutine is being inspected: it runs, and is not the one that is noted.
    inspects: AtomicBool,
    /// How many tasks there were when the root was last given the thread.
    tasks: AtomicUsize,
    /// The next number of a coroutine.
    next_id: AtomicU64,
    /// The same when `tasks` was noted.
    noted_id: AtomicU64,
}

/// A copy of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// Changes whenever the loop comes round.
    pub(crate) looks: u64,
    /// How often a task was resumed.
    pub(crate) switches: u64,
    /// Coroutines, as far as can be told from outside; `None` if some were spawned since.
    pub(crate) coroutines: Option<usize>,
}

impl Vitals {
    pub(crate) fn new(next_id: u64) -> Vitals {
        Vitals {
            looks: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            inspects: AtomicBool::new(false),
            tasks: AtomicUsize::new(1),
            next_id: AtomicU64::new(next_id),
            noted_id: AtomicU64::new(next_id),
        }
    }

    /// Counts a look at the ready queue, and gives its number.
    #[inline]
    pub(super) fn count_look(&self) -> u64 {
        add_one(&self.looks)
    }

    /// Counts a poll; gives the number of looks before it.
    pub(super) fn count_turn(&self) -> u64 {
        add_one(&self.turns);
        self.looks.load(Ordering::Relaxed)
    }

    /// Notes whether a coroutine is being inspected.
    pub(super) fn note_inspection(&self, inspects: bool) {
        self.inspects.store(inspects, Ordering::Relaxed);
    }

    /// Whether a coroutine is being inspected.
    pub(super) fn inspects(&self) -> bool {
        self.inspects.load(Ordering::Relaxed)
    }

    /// Notes how many tasks there are.
    #[inline]
    pub(super) fn note_tasks(&self, tasks: usize) {
        self.tasks.store(tasks, Ordering::Relaxed);
        self.noted_id.store(self.next_id.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The next number of a coroutine.
    #[inline]
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_next_id(&self, id: u64) {
        self.next_id.store(id, Ordering::Relaxed);
    }

    /// How often the hub has polled.
    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// How often a task was resumed. Exact on the hub's own thread.
    pub(crate) fn switches(&self) -> u64 {
        // Before each poll the queue is looked at once more than tasks are run.
        self.looks.load(Ordering::Relaxed).saturating_sub(self.turns())
    }

    /// A copy, from any thread.
    pub(crate) fn pulse(&self) -> Pulse {
        let spawned = self.next_id() != self.noted_id.load(Ordering::Relaxed);
        let coroutines = self.tasks.load(Ordering::Relaxed).saturating_sub(1);
        Pulse {
            looks: self.looks.load(Ordering::Relaxed),
            switches: self.switches(),
            coroutines: (!spawned).then_some(coroutines),
        }
    }
}

/// Adds one to a word that no other thread writes.
#[inline]
fn add_one(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed) + 1;
    word.store(value, Ordering::Relaxed);
    value
}
