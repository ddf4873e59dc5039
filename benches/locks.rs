//! Locks: nanoseconds for taking and giving back a lock or a permit that is free, one that a
//! hundred coroutines want, and for handing it or a notification over.
//!
//! ```text
//! cargo bench --bench locks [-- --quick]
//! ```
//!
//! std's locks, on OS threads, and tokio's in tasks of one thread are measured beside ours in
//! turns; the last lines give the ratios. A contended lock is held over a yield, as on one
//! thread nobody would have to wait for it else; std's is wanted by threads that hold it as
//! briefly as they can.

mod support;
#[path = "support/tokio_runtime.rs"]
mod tokio_runtime;

use std::hint::black_box;
use std::sync as std_sync;
use std::sync::Arc;
use std::thread as os;

use corovent::spawn;
use corovent::sync::Condvar;
use corovent::sync::Event;
use corovent::sync::Mutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;
use corovent::yield_now;

use crate::support::Figure;
use crate::support::Race;
use crate::support::ns_each;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::COROUTINES_AT_A_LOCK;
use crate::support::workloads::contended_locks;

const REACH_CONTENDED_NS: f64 = 60.0;
const REACH_FREE: f64 = 1.2;
/// Threads that fight for std's lock.
const THREADS: usize = 4;

fn main() {
    let free = scale(20_000_000, 10_000);
    let handed = scale(1_000_000, 2_000);
    let kept = scale(20_000, 200);
    let mut race = Race::default();
    race.add("free mutex, std's on a thread", || on_a_thread(move || std_mutex(free)));
    race.add("free mutex, on a thread without a hub", || on_a_thread(move || own_mutex(free)));
    race.add("free mutex, in a coroutine", || in_a_coroutine(move || own_mutex(free)));
    race.add("free mutex, tokio's", || tokio_runtime::free_locks(free / 10));
    race.add("free lock to read, std's", || on_a_thread(move || std_read(free)));
    race.add("free lock to read, in a coroutine", || in_a_coroutine(move || own_read(free)));
    let at_a_lock = format!("mutex that {COROUTINES_AT_A_LOCK} coroutines want");
    race.add(&at_a_lock, || contended_locks(handed));
    race.add("the same, tokio's tasks and lock", || tokio_runtime::contended_locks(handed));
    race.add("mutex that 2 coroutines want", || hand_over(handed));
    race.add("condition, there and back", || ping_pong(handed));
    race.add("mutex that 4 threads want, std's", || std_contended(kept));
    race.add("condition, there and back, std's", || std_ping_pong(kept));
    race.add("free permit, in a coroutine", || in_a_coroutine(move || own_permit(free)));
    race.add("free permit, tokio's", || tokio_runtime::free_permits(free / 10));
    race.add("3 permits that 100 coroutines want", || contended_permits(handed));
    race.add("the same, tokio's", || tokio_runtime::contended_permits(handed));
    race.add("event, there and back", || signals(handed));
    race.add("the same, tokio's Notify", || tokio_runtime::signals(handed));
    let figures: Vec<(String, Figure)> = race.run(scale(9, 1));
    print_head("locks: ns for each");
    for (name, figure) in &figures {
        let reach = (*name == at_a_lock).then_some(REACH_CONTENDED_NS);
        print_figure(name, *figure, reach);
    }
    print_head("ratios");
    let ratio = |own: usize, std: usize| {
        let (own, std) = (figures[own].1, figures[std].1);
        Figure::of(&[own.least / std.least, own.median / std.median, own.most / std.most])
    };
    print_figure("free mutex without a hub, of std's", ratio(1, 0), Some(REACH_FREE));
    print_figure("free mutex in a coroutine, of std's", ratio(2, 0), Some(REACH_FREE));
    print_figure("free lock to read, of std's", ratio(5, 4), Some(REACH_FREE));
    print_figure("mutex that 100 want, of tokio's", ratio(6, 7), None);
    print_figure("free permit, of tokio's", ratio(12, 13), None);
    print_figure("3 permits that 100 want, of tokio's", ratio(14, 15), None);
    print_figure("event, there and back, of tokio's Notify", ratio(16, 17), None);
}

fn on_a_thread(f: impl FnOnce() -> f64 + Send + 'static) -> f64 {
    os::spawn(f).join().expect("it does not panic")
}

fn in_a_coroutine(f: impl FnOnce() -> f64 + 'static) -> f64 {
    spawn(f).join().expect("it does not panic")
}

fn own_mutex(count: usize) -> f64 {
    let lock = black_box(Mutex::new(0usize));
    ns_each(count, || (0..count).for_each(|_| *lock.lock().expect("nobody panics") += 1))
}

fn own_permit(count: usize) -> f64 {
    let room = black_box(Semaphore::new(1));
    ns_each(count, || (0..count).for_each(|_| drop(black_box(room.acquire()))))
}

/// A permit is held over a yield.
fn contended_permits(total: usize) -> f64 {
    let each = total / COROUTINES_AT_A_LOCK;
    let room = Arc::new(Semaphore::new(3));
    let take = |_| {
        let room = Arc::clone(&room);
        spawn(move || {
            for _ in 0..each {
                let _permit = room.acquire();
                yield_now();
            }
        })
    };
    let tasks: Vec<_> = (0..COROUTINES_AT_A_LOCK).map(take).collect();
    ns_each(COROUTINES_AT_A_LOCK * each, || {
        tasks.into_iter().for_each(|task| task.join().expect("it does not panic"));
    })
}

/// Two coroutines that wait for each other's event in turns.
fn signals(count: usize) -> f64 {
    let events = Arc::new([Event::new(), Event::new()]);
    let play = |own: usize| {
        let events = Arc::clone(&events);
        spawn(move || {
            for _ in 0..count {
                events[own].wait();
                events[own].clear();
                events[1 - own].set();
            }
        })
    };
    let tasks = [play(0), play(1)];
    ns_each(count, || {
        events[0].set();
        tasks.into_iter().for_each(|task| task.join().expect("it does not panic"));
    })
}

fn std_mutex(count: usize) -> f64 {
    let lock = black_box(std_sync::Mutex::new(0usize));
    ns_each(count, || (0..count).for_each(|_| *lock.lock().expect("nobody panics") += 1))
}

fn own_read(count: usize) -> f64 {
    let lock = black_box(RwLock::new(1usize));
    let read = |_| {
        black_box(*lock.read().expect("nobody panics"));
    };
    ns_each(count, || (0..count).for_each(read))
}

fn std_read(count: usize) -> f64 {
    let lock = black_box(std_sync::RwLock::new(1usize));
    let read = |_| {
        black_box(*lock.read().expect("nobody panics"));
    };
    ns_each(count, || (0..count).for_each(read))
}

/// Two coroutines, each of which holds the lock over a yield.
fn hand_over(count: usize) -> f64 {
    let lock = Arc::new(Mutex::new(0));
    let take = || {
        let lock = Arc::clone(&lock);
        spawn(move || {
            for _ in 0..count / 2 {
                let mut total = lock.lock().expect("nobody panics");
                yield_now();
                *total += 1;
            }
        })
    };
    let tasks = [take(), take()];
    let each = ns_each(count, || {
        for task in tasks {
            task.join().expect("it does not panic");
        }
    });
    assert_eq!(*lock.lock().expect("nobody panics"), count / 2 * 2);
    each
}

fn ping_pong(count: usize) -> f64 {
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let play = |own: usize| {
        let pair = Arc::clone(&pair);
        spawn(move || {
            let mut turn = pair.0.lock().expect("nobody panics");
            for _ in 0..count {
                turn = pair.1.wait_while(turn, |turn| *turn != own).expect("nobody panics");
                *turn = 1 - own;
                pair.1.notify_one();
            }
        })
    };
    let tasks = [play(0), play(1)];
    ns_each(count, || {
        for task in tasks {
            task.join().expect("it does not panic");
        }
    })
}

fn std_contended(count: usize) -> f64 {
    let lock = std_sync::Mutex::new(0);
    let take = || {
        for _ in 0..count / THREADS {
            *lock.lock().expect("nobody panics") += 1;
        }
    };
    ns_each(count, || {
        os::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(take);
            }
        });
    })
}

fn std_ping_pong(count: usize) -> f64 {
    let pair = (std_sync::Mutex::new(0), std_sync::Condvar::new());
    let play = |own: usize| {
        let mut turn = pair.0.lock().expect("nobody panics");
        for _ in 0..count {
            turn = pair.1.wait_while(turn, |turn| *turn != own).expect("nobody panics");
            *turn = 1 - own;
            pair.1.notify_one();
        }
    };
    ns_each(count, || {
        os::scope(|scope| {
            scope.spawn(|| play(0));
            scope.spawn(|| play(1));
        });
    })
}
