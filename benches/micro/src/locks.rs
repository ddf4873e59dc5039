//! Locks and permits: nanoseconds for one that is free, for one that many want, and for handing
//! permits to each other.
//!
//! A contended lock is held over a yield, as on one thread nobody would have to wait for it else;
//! that of threads is too. `corovent on a thread` is corovent's lock where there is no hub, and
//! `corovent beside a thread` where the process has another thread.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_smol;
use crate::peers::on_tokio;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("mutex", "free", 5_000_000, 10_000)
            .mark_of("threads", 1.2)
            .ours(|count| in_a_coroutine(move || corovent_free(count)))
            .who("corovent on a thread", corovent_free)
            .slow_who("tokio", 5, tokio_free)
            .slow_who("smol", 5, smol_free)
            .slow_who("may", 5, |count| on_may(move || may_free(count)))
            .who("threads", std_free),
        Case::new("lock to read", "free", 5_000_000, 10_000)
            .mark_of("threads", 1.2)
            .who("corovent", |count| in_a_coroutine(move || corovent_read(count)))
            .slow_who("tokio", 5, tokio_read)
            .slow_who("smol", 5, smol_read)
            .who("threads", std_read),
    ];
    let contended = |tasks: usize| {
        Case::new("mutex", &format!("wanted by {tasks}"), 500_000, 2_000)
            .ours(move |count| corovent_contended(tasks, count))
            .slow_who("tokio", 4, move |count| tokio_contended(tasks, count))
            .slow_who("smol", 4, move |count| smol_contended(tasks, count))
            .slow_who("may", 10, move |count| may_contended(tasks, count))
            .slow_who("threads", 50, move |count| std_contended(tasks, count))
    };
    cases.extend([contended(2), contended(100).mark(60.0)]);
    cases.extend([
        Case::new("semaphore", "free", 2_000_000, 10_000)
            .who("corovent", |count| in_a_coroutine(move || corovent_permits(count)))
            .slow_who("tokio", 4, tokio_permits)
            .slow_who("smol", 4, smol_permits),
        Case::new("semaphore", "3 permits wanted by 100", 500_000, 2_000)
            .who("corovent", corovent_wanted)
            .slow_who("tokio", 4, tokio_wanted)
            .slow_who("smol", 4, smol_wanted),
        Case::new("semaphore", "handed over and back", 500_000, 1_000)
            .who("corovent", corovent_handed)
            .slow_who("tokio", 4, tokio_handed)
            .slow_who("may", 10, may_handed),
    ]);
    cases
}

fn in_a_coroutine(f: impl FnOnce() -> f64 + 'static) -> f64 {
    corovent::spawn(f).join().expect("it does not panic")
}

/// Takes a lock that nobody else has. A macro, as all three have std's names.
macro_rules! free {
    ($count:expr, $mutex:ty) => {{
        let lock = black_box(<$mutex>::new(0usize));
        ns_each($count, || (0..$count).for_each(|_| *lock.lock().expect("nobody panics") += 1))
    }};
}

fn corovent_free(count: usize) -> f64 {
    free!(count, corovent::sync::Mutex<usize>)
}

fn may_free(count: usize) -> f64 {
    free!(count, may::sync::Mutex<usize>)
}

fn std_free(count: usize) -> f64 {
    free!(count, std::sync::Mutex<usize>)
}

fn tokio_free(count: usize) -> f64 {
    on_tokio(async {
        let lock = black_box(tokio::sync::Mutex::new(0usize));
        let start = Instant::now();
        for _ in 0..count {
            *lock.lock().await += 1;
        }
        ns_since(start, count)
    })
}

fn smol_free(count: usize) -> f64 {
    on_smol(async |_| {
        let lock = black_box(smol::lock::Mutex::new(0usize));
        let start = Instant::now();
        for _ in 0..count {
            *lock.lock().await += 1;
        }
        ns_since(start, count)
    })
}

fn corovent_read(count: usize) -> f64 {
    let lock = black_box(corovent::sync::RwLock::new(1usize));
    let read = |_| {
        black_box(*lock.read().expect("nobody panics"));
    };
    ns_each(count, || (0..count).for_each(read))
}

fn std_read(count: usize) -> f64 {
    let lock = black_box(std::sync::RwLock::new(1usize));
    let read = |_| {
        black_box(*lock.read().expect("nobody panics"));
    };
    ns_each(count, || (0..count).for_each(read))
}

fn tokio_read(count: usize) -> f64 {
    on_tokio(async {
        let lock = black_box(tokio::sync::RwLock::new(1usize));
        let start = Instant::now();
        for _ in 0..count {
            black_box(*lock.read().await);
        }
        ns_since(start, count)
    })
}

fn smol_read(count: usize) -> f64 {
    on_smol(async |_| {
        let lock = black_box(smol::lock::RwLock::new(1usize));
        let start = Instant::now();
        for _ in 0..count {
            black_box(*lock.read().await);
        }
        ns_since(start, count)
    })
}

/// Takes a lock that the others want as well, and holds it over a yield.
macro_rules! contended {
    ($tasks:expr, $count:expr, $mutex:ty, $spawn:expr, $yield:path) => {{
        let (tasks, each) = ($tasks, $count / $tasks);
        let lock = Arc::new(<$mutex>::new(0usize));
        let take = |_| {
            let lock = Arc::clone(&lock);
            $spawn(move || {
                for _ in 0..each {
                    let mut total = lock.lock().expect("nobody panics");
                    $yield();
                    *total += 1;
                }
            })
        };
        let start = Instant::now();
        let handles: Vec<_> = (0..tasks).map(take).collect();
        for handle in handles {
            handle.join().expect("it does not panic");
        }
        let ns = ns_since(start, each * tasks);
        assert_eq!(*lock.lock().expect("nobody panics"), each * tasks);
        ns
    }};
}

fn corovent_contended(tasks: usize, count: usize) -> f64 {
    let spawn = corovent::spawn;
    contended!(tasks, count, corovent::sync::Mutex<usize>, spawn, corovent::yield_now)
}

fn may_contended(tasks: usize, count: usize) -> f64 {
    let spawn = |f| may::go!(f);
    on_may(move || {
        contended!(tasks, count, may::sync::Mutex<usize>, spawn, may::coroutine::yield_now)
    })
}

fn std_contended(tasks: usize, count: usize) -> f64 {
    contended!(tasks, count, std::sync::Mutex<usize>, thread::spawn, thread::yield_now)
}

fn tokio_contended(tasks: usize, count: usize) -> f64 {
    let each = count / tasks;
    on_tokio(async {
        let lock = Arc::new(tokio::sync::Mutex::new(0));
        let take = |_| {
            let lock = Arc::clone(&lock);
            tokio::spawn(async move {
                for _ in 0..each {
                    let mut total = lock.lock().await;
                    tokio::task::yield_now().await;
                    *total += 1;
                }
            })
        };
        let start = Instant::now();
        let handles: Vec<_> = (0..tasks).map(take).collect();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        let ns = ns_since(start, each * tasks);
        assert_eq!(*lock.lock().await, each * tasks);
        ns
    })
}

fn smol_contended(tasks: usize, count: usize) -> f64 {
    let each = count / tasks;
    on_smol(async |executor| {
        let lock = Arc::new(smol::lock::Mutex::new(0));
        let take = |_| {
            let lock = Arc::clone(&lock);
            executor.spawn(async move {
                for _ in 0..each {
                    let mut total = lock.lock().await;
                    smol::future::yield_now().await;
                    *total += 1;
                }
            })
        };
        let start = Instant::now();
        let handles: Vec<_> = (0..tasks).map(take).collect();
        for handle in handles {
            handle.await;
        }
        let ns = ns_since(start, each * tasks);
        assert_eq!(*lock.lock().await, each * tasks);
        ns
    })
}

fn corovent_permits(count: usize) -> f64 {
    let room = black_box(corovent::sync::Semaphore::new(1));
    ns_each(count, || (0..count).for_each(|_| drop(black_box(room.acquire()))))
}

fn tokio_permits(count: usize) -> f64 {
    on_tokio(async {
        let room = tokio::sync::Semaphore::new(1);
        let start = Instant::now();
        for _ in 0..count {
            drop(black_box(room.acquire().await));
        }
        ns_since(start, count)
    })
}

fn smol_permits(count: usize) -> f64 {
    on_smol(async |_| {
        let room = smol::lock::Semaphore::new(1);
        let start = Instant::now();
        for _ in 0..count {
            drop(black_box(room.acquire().await));
        }
        ns_since(start, count)
    })
}

/// How many want the permits, and how many there are.
const WANTING: usize = 100;
const PERMITS: usize = 3;

/// A permit is held over a yield.
fn corovent_wanted(count: usize) -> f64 {
    let room = Arc::new(corovent::sync::Semaphore::new(PERMITS));
    let take = |_| {
        let room = Arc::clone(&room);
        corovent::spawn(move || {
            for _ in 0..count / WANTING {
                let _permit = room.acquire();
                corovent::yield_now();
            }
        })
    };
    let handles: Vec<_> = (0..WANTING).map(take).collect();
    ns_each(count, || {
        for handle in handles {
            handle.join().expect("it does not panic");
        }
    })
}

fn tokio_wanted(count: usize) -> f64 {
    on_tokio(async {
        let room = Arc::new(tokio::sync::Semaphore::new(PERMITS));
        let take = |_| {
            let room = Arc::clone(&room);
            tokio::spawn(async move {
                for _ in 0..count / WANTING {
                    let _permit = room.acquire().await.expect("it is not closed");
                    tokio::task::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..WANTING).map(take).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        ns_since(start, count)
    })
}

fn smol_wanted(count: usize) -> f64 {
    on_smol(async |executor| {
        let room = Arc::new(smol::lock::Semaphore::new(PERMITS));
        let take = |_| {
            let room = Arc::clone(&room);
            executor.spawn(async move {
                for _ in 0..count / WANTING {
                    let _permit = room.acquire().await;
                    smol::future::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..WANTING).map(take).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await;
        }
        ns_since(start, count)
    })
}

/// Two semaphores without a permit: each gives one to the other and waits for its own.
fn corovent_handed(count: usize) -> f64 {
    let rooms = Arc::new([0, 0].map(corovent::sync::Semaphore::new));
    let play = |own: usize| {
        let rooms = Arc::clone(&rooms);
        corovent::spawn(move || {
            for _ in 0..count {
                rooms[own].acquire().forget();
                rooms[1 - own].release();
            }
        })
    };
    let players = [play(0), play(1)];
    ns_each(count, || {
        rooms[0].release();
        for player in players {
            player.join().expect("it does not panic");
        }
    })
}

fn tokio_handed(count: usize) -> f64 {
    on_tokio(async {
        let rooms = Arc::new([0, 0].map(tokio::sync::Semaphore::new));
        let play = |own: usize| {
            let rooms = Arc::clone(&rooms);
            tokio::spawn(async move {
                for _ in 0..count {
                    rooms[own].acquire().await.expect("it is not closed").forget();
                    rooms[1 - own].add_permits(1);
                }
            })
        };
        let players = [play(0), play(1)];
        let start = Instant::now();
        rooms[0].add_permits(1);
        for player in players {
            player.await.expect("it does not panic");
        }
        ns_since(start, count)
    })
}

fn may_handed(count: usize) -> f64 {
    on_may(move || {
        let rooms = Arc::new([0, 0].map(may::sync::Semphore::new));
        let play = |own: usize| {
            let rooms = Arc::clone(&rooms);
            may::go!(move || {
                for _ in 0..count {
                    rooms[own].wait();
                    rooms[1 - own].post();
                }
            })
        };
        let players = [play(0), play(1)];
        ns_each(count, || {
            rooms[0].post();
            for player in players {
                player.join().expect("it does not panic");
            }
        })
    })
}
