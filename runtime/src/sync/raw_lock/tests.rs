//! The word and the line, step by step, and threads without a hub that race for them. All of
//! it runs under Miri; coroutines that wait are tested in `tests/it`.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

use std::sync::PoisonError;
use std::sync::atomic::AtomicI32;
use std::thread;
use std::time::Duration;

use super::*;
use crate::hub::wake::Place;
use crate::hub::wake::retry;
use crate::sync::raw_lock::waiting::InLine;
use crate::wait_queue::tests::OTHERS;

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// One that waits in line, and comes back when the test says so.
struct Waiter<'a> {
    kind: Kind,
    node: Pin<&'a Node>,
}

impl Waiter<'_> {
    /// Tries to take the lock, and goes into the line if it cannot.
    fn comes(&self, lock: &RawLock, stand: Stand) -> bool {
        let mut line = lock.line.lock();
        let taken = lock.take(&mut line, self.kind, self.node, stand);
        if !taken {
            let place = Place::current();
            line.link(self.node, &place, stand == Stand::Called);
            // Waking it works and changes nothing.
            place.forgo();
        }
        taken
    }

    /// Whether an unlock has called it.
    fn is_called(&self, lock: &RawLock) -> bool {
        let _line = lock.line.lock();
        !self.node.is_linked()
    }

    fn leaves(&self, lock: &RawLock) {
        drop(InLine { lock, node: self.node });
    }
}

/// Defines waiters that wait for nothing yet.
macro_rules! waiters {
    ($($name:ident: $kind:ident),*) => {
        $(
            let node = pin!(Node::new(Kind::$kind as u32));
            let $name = Waiter { kind: Kind::$kind, node: node.into_ref() };
        )*
    };
}

/// Others may not make everybody try again meanwhile.
fn alone() -> impl Sized {
    OTHERS.write().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_free_lock_is_taken_and_given_back() {
    let lock = RawLock::new();
    lock.lock(What::Lock);
    assert!(!lock.try_lock() && !lock.try_lock_shared());
    lock.unlock();
    assert!(lock.try_lock());
    lock.unlock();
    lock.lock_shared();
    assert!(lock.try_lock_shared());
    assert!(!lock.try_lock());
    lock.unlock_shared();
    assert!(!lock.try_lock());
    lock.unlock_shared();
    lock.lock(What::Lock);
    lock.downgrade();
    assert!(lock.try_lock_shared() && !lock.try_lock());
    lock.unlock_shared();
    lock.unlock_shared();
    assert_eq!(lock.word.load(Ordering::Relaxed), 0);
}

#[test]
fn who_was_called_and_came_too_late_is_not_overtaken_again() {
    let _alone = alone();
    let lock = RawLock::new();
    waiters!(first: Write, second: Write);
    lock.lock(What::Lock);
    assert!(!first.comes(&lock, Stand::Waits) && !second.comes(&lock, Stand::Waits));
    lock.unlock();
    assert!(first.is_called(&lock) && !second.is_called(&lock));
    // It is free until the called one comes, and calls nobody else meanwhile.
    for _ in 0..3 {
        lock.lock(What::Lock);
        lock.unlock();
    }
    assert!(!second.is_called(&lock));
    assert!(lock.try_lock());
    // Too late, once.
    assert!(!first.comes(&lock, Stand::Called));
    lock.unlock();
    assert!(first.is_called(&lock));
    assert!(!lock.try_lock() && !lock.try_lock_shared(), "it is the called one's now");
    assert!(first.comes(&lock, Stand::Called));
    lock.unlock();
    assert!(second.is_called(&lock) && second.comes(&lock, Stand::Called));
    lock.unlock();
    assert_eq!(lock.word.load(Ordering::Relaxed), 0);
}

#[test]
fn a_lock_is_not_kept_for_one_that_will_not_come() {
    let _alone = alone();
    let lock = RawLock::new();
    waiters!(lost: Write, other: Read);
    lock.lock(What::Lock);
    assert!(!lost.comes(&lock, Stand::Waits));
    lock.unlock();
    assert!(lock.try_lock());
    assert!(!lost.comes(&lock, Stand::Called));
    lock.unlock();
    assert!(lost.is_called(&lock) && !lock.try_lock());
    assert!(!other.comes(&lock, Stand::Waits), "it waits behind the called one");
    // The hub of one that was called somewhere has ended.
    retry(Some(0));
    assert!(other.comes(&lock, Stand::Waits));
    assert!(lock.try_lock_shared());
    lock.unlock_shared();
    lock.unlock_shared();
    lock.lock(What::Lock);
    lock.unlock();
    assert_eq!(lock.word.load(Ordering::Relaxed), 0);
}

#[test]
fn who_is_called_and_leaves_calls_the_next() {
    let _alone = alone();
    let lock = RawLock::new();
    waiters!(first: Write, second: Read, third: Read);
    lock.lock(What::Lock);
    for waiter in [&first, &second, &third] {
        assert!(!waiter.comes(&lock, Stand::Waits));
    }
    lock.unlock();
    first.leaves(&lock);
    assert!(second.is_called(&lock) && !third.is_called(&lock));
    second.leaves(&lock);
    assert!(third.is_called(&lock));
    third.leaves(&lock);
    assert!(lock.try_lock());
    lock.unlock();
    assert_eq!(lock.word.load(Ordering::Relaxed), 0);
}

#[test]
fn readers_behind_a_writer_that_leaves_join_those_that_read() {
    let _alone = alone();
    let lock = RawLock::new();
    waiters!(writer: Write, reader: Read);
    lock.lock_shared();
    assert!(!writer.comes(&lock, Stand::Waits));
    assert!(!lock.try_lock_shared(), "a writer waits");
    assert!(!reader.comes(&lock, Stand::Waits));
    writer.leaves(&lock);
    assert!(reader.is_called(&lock) && reader.comes(&lock, Stand::Called));
    assert!(lock.try_lock_shared());
    (0..3).for_each(|_| lock.unlock_shared());
    assert!(lock.try_lock());
}

#[test]
fn readers_in_a_row_follow_each_other_up_to_the_next_writer() {
    let _alone = alone();
    let lock = RawLock::new();
    waiters!(one: Read, two: Read, writer: Write, three: Read);
    lock.lock(What::Lock);
    for waiter in [&one, &two, &writer, &three] {
        assert!(!waiter.comes(&lock, Stand::Waits));
    }
    lock.downgrade();
    assert!(one.is_called(&lock) && one.comes(&lock, Stand::Called));
    // What `acquire` does when it has taken the lock to read.
    lock.call_next();
    assert!(two.is_called(&lock) && two.comes(&lock, Stand::Called));
    lock.call_next();
    assert!(!writer.is_called(&lock) && !three.is_called(&lock));
    lock.unlock_shared();
    lock.unlock_shared();
    assert!(!writer.is_called(&lock));
    lock.unlock_shared();
    assert!(writer.is_called(&lock) && writer.comes(&lock, Stand::Called));
    lock.unlock();
    assert!(three.is_called(&lock) && three.comes(&lock, Stand::Called));
    lock.unlock_shared();
    assert_eq!(lock.word.load(Ordering::Relaxed), 0);
}

#[test]
fn one_reader_too_many_is_refused() {
    let lock = RawLock::new();
    lock.word.store(READERS_MAX * READER, Ordering::Relaxed);
    assert!(!lock.try_lock_shared());
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lock.lock_shared()));
    assert!(refused.unwrap_err().is::<&str>());
    lock.unlock_shared();
    assert!(lock.try_lock_shared());
}

#[test]
fn threads_that_read_and_write_exclude_each_other() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let rounds = if cfg!(miri) { 20 } else { 5_000 };
    let (lock, holders) = (RawLock::new(), AtomicI32::new(0));
    let write = || {
        assert_eq!(holders.fetch_sub(1, Ordering::Relaxed), 0);
        thread::yield_now();
        assert_eq!(holders.fetch_add(1, Ordering::Relaxed), -1);
    };
    let read = || {
        assert!(holders.fetch_add(1, Ordering::Relaxed) >= 0);
        thread::yield_now();
        assert!(holders.fetch_sub(1, Ordering::Relaxed) > 0);
    };
    thread::scope(|scope| {
        for own in 0..4 {
            let (lock, write, read) = (&lock, &write, &read);
            scope.spawn(move || {
                for round in 0..rounds {
                    match (own + round) % 5 {
                        0 | 1 => {
                            lock.lock(What::Lock);
                            write();
                            lock.unlock();
                        }
                        2 => {
                            lock.lock(What::WriteLock);
                            write();
                            lock.downgrade();
                            lock.unlock_shared();
                        }
                        _ => {
                            lock.lock_shared();
                            read();
                            lock.unlock_shared();
                        }
                    }
                }
            });
        }
    });
    assert_eq!(lock.word.load(Ordering::Relaxed) & !(QUEUED | PASSED), 0);
    assert!(lock.try_lock(), "nothing is left that keeps it");
}

#[test]
fn a_thread_that_waits_is_called_by_the_unlock() {
    let lock = RawLock::new();
    lock.lock(What::Lock);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            lock.lock(What::Lock);
            lock.unlock();
        });
        until(|| lock.line.waiting() == 1);
        // It is asleep, or about to be; either way the call reaches it.
        thread::sleep(Duration::from_millis(1));
        lock.unlock();
        waits.join().unwrap();
    });
}
