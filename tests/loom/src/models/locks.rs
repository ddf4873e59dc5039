//! The lock, records, and the locks and permits of `sync` between threads without a hub.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::hub::reason::What;
use crate::models::explore;
use crate::models::tracked;
use crate::models::tracked::Tracked;
use crate::sync::once::Once;
use crate::sync::permits::Permits;
use crate::sync::raw_lock::Kind;
use crate::sync::raw_lock::RawLock;
use crate::sys::clock::Deadline;
use crate::sys::lock::Lock;
use crate::sys::records::Records;

#[test]
fn a_lock_is_held_by_one_thread() {
    explore(3, 800, || {
        let lock = Arc::new(Lock::new(Tracked::new(0)));
        let add = |lock: &Lock<Tracked>| lock.lock().add();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || add(&lock))
            })
            .collect();
        add(&lock);
        threads.into_iter().for_each(|thread| assert!(thread.join().unwrap() > 0));
        assert_eq!(lock.lock().read(), 3);
    });
}

#[test]
fn a_record_has_one_user_and_is_whole_when_it_is_found() {
    struct Slot(Tracked);

    loom::lazy_static! {
        static ref RECORDS: Records<Slot> = Records::new();
    }

    explore(4, 50, || {
        // The list is there before the race, as the real one is.
        assert_eq!(RECORDS.iter().count(), 0);
        let claim = || {
            let record = RECORDS.claim(|| Slot(Tracked::new(0)));
            let before = record.0.read();
            assert_eq!(record.0.add(), before + 1);
            record.release();
        };
        let threads = [thread::spawn(claim), thread::spawn(claim)];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let used: u32 = RECORDS.iter().map(|record| record.0.read()).sum();
        assert_eq!(used, 2);
        let (last, count) =
            (RECORDS.claim(|| unreachable!("some are free")), RECORDS.iter().count());
        assert!(last.is_used() && count <= 2);
        // Records are never freed, nor what is in them.
        tracked::forget(count);
    });
}

fn locked(lock: &RawLock, value: &Tracked) {
    lock.lock(What::Lock);
    value.add();
    lock.unlock();
}

#[test]
fn a_mutex_is_held_by_one_thread_and_forgets_nobody() {
    explore(3, 500, || {
        let shared = Arc::new((RawLock::new(), Tracked::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || locked(&shared.0, &shared.1))
            })
            .collect();
        locked(&shared.0, &shared.1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.1.read(), 3);
        assert!(shared.0.try_lock(), "nobody holds it");
    });
}

#[test]
fn a_waiter_that_gives_up_lets_the_next_in() {
    explore(2, 1500, || {
        let shared = Arc::new((RawLock::new(), Tracked::new(0)));
        shared.0.lock(What::Lock);
        let hasty = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let now = Deadline::after(Duration::ZERO);
                if shared.0.acquire(Kind::Write, What::Lock, now).is_ok() {
                    shared.1.add();
                    shared.0.unlock();
                }
            })
        };
        let patient = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || locked(&shared.0, &shared.1))
        };
        shared.0.unlock();
        hasty.join().unwrap();
        patient.join().unwrap();
        assert!(shared.0.try_lock(), "nobody holds it");
    });
}

#[test]
fn readers_share_and_writers_do_not() {
    explore(2, 15000, || {
        let shared = Arc::new((RawLock::new(), Tracked::new(0)));
        let reader = |shared: Arc<(RawLock, Tracked)>| {
            thread::spawn(move || {
                shared.0.lock_shared();
                shared.1.read();
                shared.0.unlock_shared();
            })
        };
        let readers = [reader(Arc::clone(&shared)), reader(Arc::clone(&shared))];
        locked(&shared.0, &shared.1);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(shared.0.try_lock(), "nobody holds it");
    });
}

#[test]
fn a_permit_is_held_by_one_thread_and_none_is_lost() {
    explore(2, 5000, || {
        let shared = Arc::new((Permits::new(1, usize::MAX / 8), Tracked::new(0)));
        let threads: Vec<_> = [Deadline::NEVER, Deadline::after(Duration::ZERO)]
            .into_iter()
            .map(|deadline| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if shared.0.take(1, deadline).is_ok() {
                        shared.1.add();
                        shared.0.give_back(1);
                    } else {
                        assert!(!deadline.is_never());
                    }
                })
            })
            .collect();
        shared.0.take(1, Deadline::NEVER).unwrap();
        shared.1.add();
        shared.0.give_back(1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(shared.0.try_take(1), "it is free");
    });
}

#[test]
fn a_once_runs_once_and_what_it_made_is_seen() {
    explore(2, 2000, || {
        let shared = Arc::new((Once::new(), Tracked::new(0)));
        let call = |shared: &(Once, Tracked)| {
            shared.0.call_once(|| assert_eq!(shared.1.add(), 1));
            assert_eq!(shared.1.read(), 1);
        };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || call(&shared))
            })
            .collect();
        call(&shared);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
