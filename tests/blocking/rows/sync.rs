//! Locks, conditions, and values that are made once.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent::sync::AsyncResult;
use corovent::sync::Barrier;
use corovent::sync::BoundedSemaphore;
use corovent::sync::Condvar;
use corovent::sync::Event;
use corovent::sync::LazyLock;
use corovent::sync::Mutex;
use corovent::sync::Once;
use corovent::sync::OnceLock;
use corovent::sync::ReentrantMutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;

use crate::case::Case;
use crate::case::Gate;
use crate::case::Holder;
use crate::case::Row;
use crate::case::aside;
use crate::case::let_others_run;

const LONG: Duration = Duration::from_secs(3600);

pub(crate) const ROWS: &[Row] = &[
    Row { functions: &["Mutex::lock"], make: mutex_lock, lacks: &[] },
    Row { functions: &["RwLock::read"], make: rwlock_read, lacks: &[] },
    Row { functions: &["RwLock::write"], make: rwlock_write, lacks: &[] },
    Row { functions: &["RwLock::write"], make: rwlock_write_behind_a_reader, lacks: &[] },
    Row { functions: &["Condvar::wait"], make: condvar_wait, lacks: &[] },
    Row { functions: &["Condvar::wait_while"], make: condvar_wait_while, lacks: &[] },
    Row {
        functions: &["Condvar::wait_timeout", "Condvar::wait_timeout_ms"],
        make: condvar_wait_timeout,
        lacks: &[],
    },
    Row {
        functions: &["Condvar::wait_timeout_while"],
        make: condvar_wait_timeout_while,
        lacks: &[],
    },
    Row {
        functions: &["Barrier::wait"],
        make: barrier_wait,
        lacks: &[
            ("behind", "two are all that it takes"),
            ("ended hub", "as above: it is not one of them that goes on"),
        ],
    },
    Row { functions: &["Once::call_once", "Once::call_once_force"], make: once_call, lacks: &[] },
    Row { functions: &["Once::wait", "Once::wait_force"], make: once_wait, lacks: &[] },
    Row { functions: &["OnceLock::get_or_init"], make: once_lock_get_or_init, lacks: &[] },
    Row { functions: &["OnceLock::set"], make: once_lock_set, lacks: &[] },
    Row { functions: &["OnceLock::wait"], make: once_lock_wait, lacks: &[] },
    Row { functions: &["LazyLock::force"], make: lazy_lock_force, lacks: &[] },
    Row { functions: &["Event::wait"], make: event_wait, lacks: &[] },
    Row { functions: &["Event::wait_timeout"], make: event_wait_timeout, lacks: &[] },
    Row {
        functions: &["AsyncResult::get", "AsyncResult::wait"],
        make: async_result_get,
        lacks: &[],
    },
    Row {
        functions: &["AsyncResult::get_timeout", "AsyncResult::wait_timeout"],
        make: async_result_get_timeout,
        lacks: &[],
    },
    Row { functions: &["Semaphore::acquire"], make: semaphore_acquire, lacks: &[] },
    Row { functions: &["Semaphore::acquire_many"], make: semaphore_acquire_many, lacks: &[] },
    Row { functions: &["Semaphore::acquire_timeout"], make: semaphore_acquire_timeout, lacks: &[] },
    Row {
        functions: &["Semaphore::acquire_owned", "Semaphore::acquire_owned_timeout"],
        make: semaphore_acquire_owned,
        lacks: &[],
    },
    Row {
        functions: &["BoundedSemaphore::acquire", "BoundedSemaphore::acquire_timeout"],
        make: bounded_semaphore_acquire,
        lacks: &[],
    },
    Row { functions: &["ReentrantMutex::lock"], make: reentrant_mutex_lock, lacks: &[] },
    Row {
        functions: &["ReentrantMutex::lock_timeout"],
        make: reentrant_mutex_lock_timeout,
        lacks: &[],
    },
];

/// A call that needs what a thread holds, which lets go of it by a panic as well.
fn held(
    hold: impl FnOnce(&dyn Fn()) + Send + 'static,
    call: impl Fn() + Send + Sync + 'static,
) -> Case {
    let holder = Holder::new(hold);
    let panics = Arc::clone(&holder);
    initialising(holder, call).ended("its holder panics", move || panics.panic(), "ok")
}

/// A call that needs what a thread makes.
fn initialising(holder: Arc<Holder>, call: impl Fn() + Send + Sync + 'static) -> Case {
    let released = Arc::clone(&holder);
    Case::infallible(call).opened(move || released.release()).keep(holder)
}

fn mutex_lock() -> Case {
    let lock = Arc::new(Mutex::new(0));
    let other = Arc::clone(&lock);
    held(
        move |until| {
            let _guard = other.lock().unwrap();
            until();
        },
        move || *lock.lock().unwrap_or_else(PoisonError::into_inner) += 1,
    )
}

fn rwlock_read() -> Case {
    let lock = Arc::new(RwLock::new(0));
    let other = Arc::clone(&lock);
    held(
        move |until| {
            let _guard = other.write().unwrap();
            until();
        },
        move || drop(lock.read().unwrap_or_else(PoisonError::into_inner)),
    )
}

fn rwlock_write() -> Case {
    let lock = Arc::new(RwLock::new(0));
    let other = Arc::clone(&lock);
    held(
        move |until| {
            let _guard = other.write().unwrap();
            until();
        },
        move || *lock.write().unwrap_or_else(PoisonError::into_inner) += 1,
    )
}

fn rwlock_write_behind_a_reader() -> Case {
    let lock = Arc::new(RwLock::new(0));
    let other = Arc::clone(&lock);
    held(
        move |until| {
            let _guard = other.read().unwrap();
            until();
        },
        move || *lock.write().unwrap_or_else(PoisonError::into_inner) += 1,
    )
}

/// A count of permits, of which a call takes one. A kill poisons the lock: its guard is dropped
/// while the coroutine unwinds.
struct Permits {
    count: Mutex<u32>,
    given: Condvar,
}

impl Permits {
    fn case(take: impl Fn(&Permits) + Send + Sync + 'static) -> (Case, Arc<Permits>) {
        let permits = Arc::new(Permits { count: Mutex::new(0), given: Condvar::new() });
        let (call, give) = (Arc::clone(&permits), Arc::clone(&permits));
        let case = Case::infallible(move || take(&call)).released(move || {
            *give.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            give.given.notify_one();
        });
        (case, permits)
    }
}

fn condvar_wait() -> Case {
    let take = |permits: &Permits| {
        let mut count = permits.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == 0 {
            count = permits.given.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
        *count -= 1;
    };
    Permits::case(take).0
}

fn condvar_wait_while() -> Case {
    let take = |permits: &Permits| {
        let count = permits.count.lock().unwrap_or_else(PoisonError::into_inner);
        let count = permits.given.wait_while(count, |count| *count == 0);
        *count.unwrap_or_else(PoisonError::into_inner) -= 1;
    };
    Permits::case(take).0
}

fn condvar_wait_timeout() -> Case {
    let wait = |permits: &Permits, limit| {
        let mut count = permits.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count == 0 {
            let waited = permits.given.wait_timeout(count, limit);
            let (again, is_over) = waited.unwrap_or_else(PoisonError::into_inner);
            if is_over.timed_out() {
                return true;
            }
            count = again;
        }
        *count -= 1;
        false
    };
    let (case, permits) = Permits::case(move |permits| assert!(!wait(permits, LONG)));
    case.limited(move |limit| wait(&permits, limit))
}

fn condvar_wait_timeout_while() -> Case {
    let wait = |permits: &Permits, limit| {
        let count = permits.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = permits.given.wait_timeout_while(count, limit, |count| *count == 0);
        let (mut count, is_over) = waited.unwrap_or_else(PoisonError::into_inner);
        if !is_over.timed_out() {
            *count -= 1;
        }
        is_over.timed_out()
    };
    let (case, permits) = Permits::case(move |permits| assert!(!wait(permits, LONG)));
    case.limited(move |limit| wait(&permits, limit))
}

/// Two have to arrive; who lets the other go arrives on a thread of its own, for it may be early.
fn barrier_wait() -> Case {
    let barrier = Arc::new(Barrier::new(2));
    let other = Arc::clone(&barrier);
    let wait = move || {
        barrier.wait();
    };
    Case::infallible(wait).released(move || {
        let other = Arc::clone(&other);
        aside(move || _ = other.wait());
    })
}

fn once_call() -> Case {
    let once = Arc::new(Once::new());
    let other = Arc::clone(&once);
    let holder = Holder::new(move |until| other.call_once(until));
    initialising(holder, move || once.call_once(|| unreachable!("it has run")))
}

fn once_wait() -> Case {
    let once = Arc::new(Once::new());
    let other = Arc::clone(&once);
    Case::infallible(move || once.wait()).opened(move || other.call_once(|| ()))
}

fn once_lock_get_or_init() -> Case {
    let lock = Arc::new(OnceLock::new());
    let other = Arc::clone(&lock);
    let holder = Holder::new(move |until| {
        other.get_or_init(|| {
            until();
            7
        });
    });
    initialising(holder, move || assert_eq!(*lock.get_or_init(|| unreachable!("it is there")), 7))
}

fn once_lock_set() -> Case {
    let lock = Arc::new(OnceLock::new());
    let other = Arc::clone(&lock);
    let holder = Holder::new(move |until| {
        other.get_or_init(|| {
            until();
            7
        });
    });
    initialising(holder, move || assert_eq!(lock.set(8), Err(8)))
}

fn once_lock_wait() -> Case {
    let lock = Arc::new(OnceLock::new());
    let other = Arc::clone(&lock);
    Case::infallible(move || assert_eq!(*lock.wait(), 7)).opened(move || _ = other.set(7))
}

fn lazy_lock_force() -> Case {
    let (gate, entered) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
    let (inner, flag) = (Arc::clone(&gate), Arc::clone(&entered));
    let lazy = Arc::new(LazyLock::new(move || {
        flag.store(true, Ordering::SeqCst);
        inner.wait();
        7
    }));
    let other = Arc::clone(&lazy);
    aside(move || _ = LazyLock::force(&other));
    while !entered.load(Ordering::SeqCst) {
        let_others_run();
    }
    Case::infallible(move || assert_eq!(*LazyLock::force(&lazy), 7)).opened(move || gate.open())
}

fn event_wait() -> Case {
    let event = Arc::new(Event::new());
    let other = Arc::clone(&event);
    Case::infallible(move || event.wait()).opened(move || other.set())
}

fn event_wait_timeout() -> Case {
    let event = Arc::new(Event::new());
    let (limited, other) = (Arc::clone(&event), Arc::clone(&event));
    Case::infallible(move || assert!(event.wait_timeout(LONG)))
        .opened(move || other.set())
        .limited(move |limit| !limited.wait_timeout(limit))
}

fn async_result_get() -> Case {
    let result = Arc::new(AsyncResult::new());
    let other = Arc::clone(&result);
    let get = move || {
        result.wait();
        assert_eq!(result.get().unwrap(), &7);
    };
    Case::infallible(get).opened(move || _ = other.set(7))
}

fn async_result_get_timeout() -> Case {
    let result = Arc::new(AsyncResult::<u32>::new());
    let (limited, other) = (Arc::clone(&result), Arc::clone(&result));
    let get = move || {
        let error = result.get_timeout(LONG).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "none");
    };
    Case::infallible(get)
        .opened(move || _ = other.set_error("none".into()))
        .limited(move |limit| !limited.wait_timeout(limit) && limited.get_timeout(limit).is_none())
}

/// A call takes a permit for good.
fn semaphore_case(
    take: impl Fn(&Arc<Semaphore>) + Send + Sync + 'static,
) -> (Case, Arc<Semaphore>) {
    let semaphore = Arc::new(Semaphore::new(0));
    let (call, give) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
    (Case::infallible(move || take(&call)).released(move || give.release()), semaphore)
}

fn semaphore_acquire() -> Case {
    semaphore_case(|semaphore| semaphore.acquire().forget()).0
}

fn semaphore_acquire_many() -> Case {
    let semaphore = Arc::new(Semaphore::new(2));
    let give = Arc::clone(&semaphore);
    let take = move || semaphore.acquire_many(3).forget();
    // What is there before the first release stays, and what came with one that was too many.
    Case::infallible(take).released(move || give.add_permits(3))
}

fn semaphore_acquire_timeout() -> Case {
    let take = |semaphore: &Arc<Semaphore>| semaphore.acquire_timeout(LONG).unwrap().forget();
    let (case, semaphore) = semaphore_case(take);
    case.limited(move |limit| semaphore.acquire_timeout(limit).is_none())
}

fn semaphore_acquire_owned() -> Case {
    let (case, semaphore) = semaphore_case(|semaphore| semaphore.acquire_owned().forget());
    case.limited(move |limit| semaphore.acquire_owned_timeout(limit).is_none())
}

fn bounded_semaphore_acquire() -> Case {
    let semaphore = Arc::new(BoundedSemaphore::new(1));
    let other = Arc::clone(&semaphore);
    let (limited, call) = (Arc::clone(&semaphore), semaphore);
    held(
        move |until| {
            let _permit = other.acquire();
            until();
        },
        move || drop(call.acquire()),
    )
    .limited(move |limit| limited.acquire_timeout(limit).is_none())
}

fn reentrant_mutex_lock() -> Case {
    let lock = Arc::new(ReentrantMutex::new(0));
    let other = Arc::clone(&lock);
    held(
        move |until| {
            let _guards = (other.lock(), other.lock());
            until();
        },
        move || {
            let _guards = (lock.lock(), lock.lock());
        },
    )
}

fn reentrant_mutex_lock_timeout() -> Case {
    let lock = Arc::new(ReentrantMutex::new(0));
    let (other, limited) = (Arc::clone(&lock), Arc::clone(&lock));
    held(
        move |until| {
            let _guard = other.lock();
            until();
        },
        move || drop(lock.lock_timeout(LONG).unwrap()),
    )
    .limited(move |limit| limited.lock_timeout(limit).is_none())
}
