//! Locks and conditions: nobody is inside with another, no permit is lost, and nobody waits for
//! what is free.

use std::cell::Cell;
use std::sync::PoisonError;
use std::time::Duration;

use corovent::sync::Condvar;
use corovent::sync::Mutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;
use corovent::sync::SemaphorePermit;
use corovent::yield_now;
use proptest::prelude::*;

use crate::program::Model;
use crate::program::check;
use crate::program::programs;
use crate::support::on_drop;

/// Does something with the lock of that number; who holds one yields some times.
#[derive(Clone, Debug)]
enum Act {
    Lock(usize, u8),
    TryLock(usize, u8),
    Read(usize, u8),
    Write(usize, u8),
    /// Takes a permit when there is one.
    Take(usize),
    /// The same, with a limit in microseconds.
    TakeWithin(usize, u64),
    /// Gives a permit, and tells one or all.
    Give(usize, bool),
    /// Takes so many permits of the semaphore, and gives them back.
    Acquire(usize, u32, u8),
    /// Takes one, with a limit in microseconds.
    AcquireWithin(usize, u64, u8),
    TryAcquire(usize, u8),
    /// Takes a permit for good, of those that are added.
    Keep(usize),
    Add(usize),
}

const COUNT: usize = 2;
/// The permits of each semaphore.
const ROOM: u32 = 2;

struct Locks {
    mutexes: [Mutex<()>; COUNT],
    holders: [Cell<u32>; COUNT],
    rwlocks: [RwLock<()>; COUNT],
    readers: [Cell<u32>; COUNT],
    writers: [Cell<u32>; COUNT],
    permits: [Mutex<u32>; COUNT],
    given: [Condvar; COUNT],
    /// Permits given less permits taken.
    balance: [Cell<i64>; COUNT],
    semaphores: [Semaphore; COUNT],
    /// The permits of a semaphore that somebody has.
    taken: [Cell<u32>; COUNT],
    /// Semaphores that begin without permits, and those added less those kept.
    added: [Semaphore; COUNT],
    left: [Cell<i64>; COUNT],
}

/// Counts itself while it is inside, also when it leaves by a kill.
fn inside<R>(count: &Cell<u32>, f: impl FnOnce() -> R) -> R {
    count.set(count.get() + 1);
    let _leave = on_drop(|| count.set(count.get() - 1));
    f()
}

fn hold(turns: u8, check: impl Fn() -> bool) -> Result<(), String> {
    for _ in 0..=turns {
        if !check() {
            return Err("it is not alone".to_owned());
        }
        yield_now();
    }
    if check() { Ok(()) } else { Err("it is not alone".to_owned()) }
}

impl Locks {
    fn new() -> Locks {
        Locks {
            mutexes: Default::default(),
            holders: Default::default(),
            rwlocks: Default::default(),
            readers: Default::default(),
            writers: Default::default(),
            permits: Default::default(),
            given: Default::default(),
            balance: Default::default(),
            semaphores: [const { Semaphore::new(ROOM as usize) }; COUNT],
            taken: Default::default(),
            added: [const { Semaphore::new(0) }; COUNT],
            left: Default::default(),
        }
    }

    /// Holds permits for a while.
    fn within(&self, n: usize, permit: SemaphorePermit<'_>, turns: u8) -> Result<(), String> {
        let (taken, count) = (&self.taken[n], permit.count());
        taken.set(taken.get() + count);
        let _leave = on_drop(|| taken.set(taken.get() - count));
        hold(turns, || taken.get() <= ROOM)
    }

    fn alone(&self, n: usize, turns: u8) -> Result<(), String> {
        inside(&self.holders[n], || hold(turns, || self.holders[n].get() == 1))
    }

    fn take(&self, n: usize, limit: Option<Duration>) {
        let is_none = |permits: &mut u32| *permits == 0;
        let permits = self.permits[n].lock().unwrap_or_else(PoisonError::into_inner);
        let mut permits = match limit {
            None => {
                let permits = self.given[n].wait_while(permits, is_none);
                permits.unwrap_or_else(PoisonError::into_inner)
            }
            Some(limit) => {
                let waited = self.given[n].wait_timeout_while(permits, limit, is_none);
                let (permits, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
                if outcome.timed_out() {
                    return;
                }
                permits
            }
        };
        *permits -= 1;
        self.balance[n].set(self.balance[n].get() - 1);
    }
}

impl Model for Locks {
    type Act = Act;

    fn act(&self, _task: usize, act: &Act) -> Result<(), String> {
        match *act {
            Act::Lock(n, turns) => {
                let _guard = self.mutexes[n].lock().unwrap_or_else(PoisonError::into_inner);
                self.alone(n, turns)
            }
            Act::TryLock(n, turns) => {
                use std::sync::TryLockError;

                let _guard = match self.mutexes[n].try_lock() {
                    Ok(guard) => guard,
                    Err(TryLockError::Poisoned(error)) => error.into_inner(),
                    Err(TryLockError::WouldBlock) => return Ok(()),
                };
                self.alone(n, turns)
            }
            Act::Read(n, turns) => {
                let _guard = self.rwlocks[n].read().unwrap_or_else(PoisonError::into_inner);
                inside(&self.readers[n], || hold(turns, || self.writers[n].get() == 0))
            }
            Act::Write(n, turns) => {
                let _guard = self.rwlocks[n].write().unwrap_or_else(PoisonError::into_inner);
                let is_alone = || self.writers[n].get() == 1 && self.readers[n].get() == 0;
                inside(&self.writers[n], || hold(turns, is_alone))
            }
            Act::Take(n) => {
                self.take(n, None);
                Ok(())
            }
            Act::TakeWithin(n, micros) => {
                self.take(n, Some(Duration::from_micros(micros)));
                Ok(())
            }
            Act::Give(n, all) => {
                *self.permits[n].lock().unwrap_or_else(PoisonError::into_inner) += 1;
                self.balance[n].set(self.balance[n].get() + 1);
                if all {
                    self.given[n].notify_all()
                } else {
                    self.given[n].notify_one()
                }
                Ok(())
            }
            Act::Acquire(n, count, turns) => {
                self.within(n, self.semaphores[n].acquire_many(count), turns)
            }
            Act::AcquireWithin(n, micros, turns) => {
                let permit = self.semaphores[n].acquire_timeout(Duration::from_micros(micros));
                permit.map_or(Ok(()), |permit| self.within(n, permit, turns))
            }
            Act::Keep(n) => {
                self.added[n].acquire().forget();
                self.left[n].set(self.left[n].get() - 1);
                Ok(())
            }
            Act::Add(n) => {
                self.left[n].set(self.left[n].get() + 1);
                self.added[n].release();
                Ok(())
            }
            Act::TryAcquire(n, turns) => {
                let permit = self.semaphores[n].try_acquire();
                permit.map_or(Ok(()), |permit| self.within(n, permit, turns))
            }
        }
    }

    /// Each lock is held for a while only, so that nobody waits for one in the end.
    fn at_rest(&self, waiting: &[(usize, Act)]) -> Result<(), String> {
        for (task, act) in waiting {
            match act {
                Act::Take(n) if self.balance[*n].get() == 0 => {}
                Act::Keep(n) if self.left[*n].get() == 0 => {}
                _ => return Err(format!("task {task} waits in {act:?}")),
            }
        }
        Ok(())
    }

    fn at_end(&self) -> Result<(), String> {
        for n in 0..COUNT {
            let permits = *self.permits[n].lock().unwrap_or_else(PoisonError::into_inner);
            if i64::from(permits) != self.balance[n].get() {
                return Err(format!("{permits} permits, not {}", self.balance[n].get()));
            }
            let left = self.added[n].available_permits();
            if left as i64 != self.left[n].get() {
                return Err(format!("{left} permits, not {}", self.left[n].get()));
            }
            let free = self.semaphores[n].available_permits();
            if self.semaphores[n].try_acquire_many(ROOM).is_none() || free != ROOM as usize {
                return Err(format!("{free} permits are left"));
            }
            let is_free = self.mutexes[n].try_lock().map(drop);
            if matches!(is_free, Err(std::sync::TryLockError::WouldBlock)) {
                return Err("a mutex is held by nobody".to_owned());
            }
            let is_free = self.rwlocks[n].try_write().map(drop);
            if matches!(is_free, Err(std::sync::TryLockError::WouldBlock)) {
                return Err("a lock is held by nobody".to_owned());
            }
        }
        Ok(())
    }
}

/// Acts on all that there is, or mostly on one: what goes wrong needs some that meet.
fn acts(focus: Focus) -> impl Strategy<Value = Act> + Clone {
    let n = 0..if focus == Focus::All { COUNT } else { 1 };
    let weight = |own| if focus == own { 12 } else { 1 };
    let held = (n.clone(), 0..4u8);
    prop_oneof![
        weight(Focus::Mutexes) => held.clone().prop_map(|(n, turns)| Act::Lock(n, turns)),
        1 => held.clone().prop_map(|(n, turns)| Act::TryLock(n, turns)),
        weight(Focus::RwLocks) => held.clone().prop_map(|(n, turns)| Act::Read(n, turns)),
        weight(Focus::RwLocks) => held.prop_map(|(n, turns)| Act::Write(n, turns)),
        weight(Focus::Permits) => n.clone().prop_map(Act::Take),
        1 => (n.clone(), 0..200u64).prop_map(|(n, micros)| Act::TakeWithin(n, micros)),
        weight(Focus::Permits) => (n.clone(), prop::bool::weighted(0.2))
            .prop_map(|(n, all)| Act::Give(n, all)),
        weight(Focus::Semaphores) => semaphore_acts(n),
    ]
}

fn semaphore_acts(n: std::ops::Range<usize>) -> impl Strategy<Value = Act> + Clone {
    let held = (n.clone(), 0..4u8);
    prop_oneof![
        2 => (n.clone(), 1..=ROOM, 0..4u8)
            .prop_map(|(n, count, turns)| Act::Acquire(n, count, turns)),
        2 => (n.clone(), 0..200u64, 0..4u8)
            .prop_map(|(n, micros, turns)| Act::AcquireWithin(n, micros, turns)),
        1 => held.prop_map(|(n, turns)| Act::TryAcquire(n, turns)),
        3 => n.clone().prop_map(Act::Keep),
        3 => n.prop_map(Act::Add),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Focus {
    All,
    Mutexes,
    RwLocks,
    Permits,
    Semaphores,
}

#[test]
fn locks_admit_one_and_wake_all() {
    use Focus::*;

    const ALL: &[Focus] = &[All, Mutexes, RwLocks, Permits, Semaphores];
    let focus = prop::sample::select(ALL);
    let setups = focus.prop_flat_map(|focus| (Just(focus), programs(acts(focus))));
    check(setups, |_| Locks::new());
}
