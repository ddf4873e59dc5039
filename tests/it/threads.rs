//! Several OS threads: each with its own hub, or without one.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::Killed;
use corovent::remote;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::yield_now;

use crate::support::open_fds;
use crate::support::run;

/// Runs a thread to its end, while this thread's coroutines go on.
fn on_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = os::spawn(f);
    while !thread.is_finished() {
        sleep(Duration::from_micros(100));
    }
    thread.join().unwrap()
}

#[test]
fn a_handle_joined_on_another_thread_gives_the_result() {
    run(|| {
        // That thread has no hub: it is stopped until the result is there.
        let task = spawn(|| {
            sleep(Duration::from_millis(5));
            "from the first thread".to_owned()
        });
        assert_eq!(on_thread(move || task.join().unwrap()), "from the first thread");

        // This one has a hub, and joins in a coroutine.
        let task = spawn(|| {
            sleep(Duration::from_millis(5));
            7
        });
        assert_eq!(on_thread(move || spawn(move || task.join().unwrap()).join().unwrap()), 7);

        // One that has ended already.
        let task = spawn(|| 8);
        yield_now();
        assert_eq!(on_thread(move || task.join().unwrap()), 8);
    });
}

/// A packet is freed by the side that is through last, on whichever thread, and its memory used
/// again there.
#[test]
fn packets_of_any_layout_go_from_thread_to_thread() {
    #[repr(align(64))]
    struct Aligned(u8);
    #[repr(align(4096))]
    struct Page(u8);

    /// Spawns a coroutine whose closure and result have `N` bytes, and checks all of them.
    fn spawn_sized<const N: usize>(byte: u8) -> Box<dyn FnOnce() + Send> {
        let bytes = [byte; N];
        let task = spawn(move || bytes.map(|byte| byte ^ 1));
        Box::new(move || assert_eq!(task.join().unwrap(), [byte ^ 1; N]))
    }
    fn spawn_each(byte: u8) -> Vec<Box<dyn FnOnce() + Send>> {
        let aligned = Aligned(byte);
        let task = spawn(move || Page(aligned.0));
        let page = move || {
            let page = task.join().unwrap();
            assert_eq!((page.0, (&raw const page).addr() % 4096), (byte, 0));
        };
        let nothing = spawn(|| ());
        vec![
            Box::new(page),
            Box::new(move || nothing.join().unwrap()),
            spawn_sized::<0>(byte),
            spawn_sized::<1>(byte),
            spawn_sized::<15>(byte),
            spawn_sized::<16>(byte),
            spawn_sized::<17>(byte),
            spawn_sized::<33>(byte),
            spawn_sized::<48>(byte),
            spawn_sized::<200>(byte),
            spawn_sized::<2000>(byte),
        ]
    }
    run(|| {
        for round in 0..4 {
            let there = on_thread(move || {
                // These are joined where they ran, some of those that follow elsewhere.
                spawn_each(round).into_iter().for_each(|check| check());
                let tasks = spawn_each(round + 1);
                yield_now();
                tasks
            });
            let here = spawn_each(round + 2);
            there.into_iter().for_each(|check| check());
            yield_now();
            on_thread(move || {
                spawn_each(round + 3).into_iter().for_each(|check| check());
                here.into_iter().for_each(|check| check());
                // What came from the other thread is used for these.
                spawn_each(round + 4).into_iter().for_each(|check| check());
            });
        }
    });
}

#[test]
fn a_join_on_another_thread_can_time_out() {
    run(|| {
        let task = spawn(park);
        let unpark = task.thread().clone();
        let task = on_thread(move || task.join_timeout(Duration::from_millis(3)).unwrap_err());
        let task = on_thread(move || {
            spawn(|| ()).join().unwrap();
            task.join_timeout(Duration::from_millis(3)).unwrap_err()
        });
        unpark.unpark();
        task.join().unwrap();
    });
}

#[test]
fn a_kill_from_another_thread_is_a_message_to_the_hub() {
    run(|| {
        let home = os::current().id();
        let dropped_at = Rc::new(Cell::new(None));
        let task = spawn({
            let dropped_at = Rc::clone(&dropped_at);
            move || {
                let _guard = crate::support::on_drop(move || {
                    dropped_at.set(Some(os::current().id()));
                });
                park();
            }
        });
        yield_now();
        let task = on_thread(move || {
            assert!(task.kill());
            task
        });
        assert!(task.join().unwrap_err().is::<Killed>());
        assert_eq!(dropped_at.get(), Some(home));
    });
}

#[test]
fn kill_timeout_works_from_another_thread() {
    run(|| {
        let task = spawn(park);
        yield_now();
        let (ended, task) = on_thread(move || (task.kill_timeout(Duration::from_secs(60)), task));
        assert!(ended);
        assert!(!task.kill());
        let stubborn = spawn(|| while std::panic::catch_unwind(park).is_err() {});
        yield_now();
        let thread = stubborn.thread().clone();
        let ended = on_thread(move || {
            let ended = stubborn.kill_timeout(Duration::from_secs(60));
            (ended, stubborn)
        });
        assert!(!ended.0);
        thread.unpark();
        ended.1.join().unwrap();
    });
}

#[test]
fn a_handle_dropped_on_another_thread_detaches() {
    run(|| {
        let ended = Arc::new(AtomicU64::new(0));
        let task = spawn({
            let ended = Arc::clone(&ended);
            move || {
                park_timeout(Duration::from_millis(5));
                ended.store(1, Ordering::SeqCst);
            }
        });
        on_thread(move || drop(task));
        while ended.load(Ordering::SeqCst) == 0 {
            yield_now();
        }
        yield_now();
    });
}

#[test]
fn unpark_wakes_from_any_thread() {
    run(|| {
        let rounds = 200;
        let (root, turns) = (corovent::current(), Arc::new(AtomicU64::new(0)));
        let task = spawn({
            let turns = Arc::clone(&turns);
            move || {
                for turn in 0..rounds {
                    while turns.load(Ordering::SeqCst) <= turn {
                        park();
                    }
                }
                root.unpark();
            }
        });
        let parked = task.thread().clone();
        let thread = os::spawn(move || {
            for _ in 0..rounds {
                turns.fetch_add(1, Ordering::SeqCst);
                parked.unpark();
            }
        });
        park();
        task.join().unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn a_thread_without_a_hub_parks_and_is_unparked() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = os::spawn(move || {
        sender.send(corovent::current()).unwrap();
        park();
        let fds = open_fds();
        assert_eq!(corovent::debug::dump().tasks().count(), 0, "no hub was made");
        fds
    });
    receiver.recv().unwrap().unpark();
    thread.join().unwrap();
}

/// The handle and the token of a thread are one, whether it has a hub or gets one later.
#[test]
fn a_threads_handle_stays_when_a_hub_comes() {
    os::spawn(|| {
        let before = corovent::current();
        before.unpark();
        spawn(|| ()).join().unwrap();
        assert_eq!(corovent::current().id(), before.id());
        park();
        let named = os::Builder::new().name("named".to_owned());
        named
            .spawn(|| assert_eq!(corovent::current().name(), Some("named")))
            .unwrap()
            .join()
            .unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn remote_handles_spawn_on_their_hub() {
    run(|| {
        let home = os::current().id();
        let hub = remote();
        let answer = on_thread(move || {
            let task = hub.spawn(|| (os::current().id(), corovent::is_coroutine())).unwrap();
            task.join().unwrap()
        });
        assert_eq!(answer, (home, true));
    });
}

#[test]
fn a_remote_spawn_killed_before_the_hub_saw_it_never_runs() {
    run(|| {
        let hub = remote();
        // This thread stops meanwhile, so no turn of its hub comes between the two.
        let sender = os::spawn(move || {
            let task = hub.spawn(|| unreachable!("killed before it ran")).unwrap();
            assert!(task.kill());
            task
        });
        let result: os::Result<()> = sender.join().unwrap().join();
        assert!(result.unwrap_err().is::<Killed>());
    });
}

/// gevent's "cross-thread post": none is lost, from eight threads at once.
#[test]
fn spawns_from_eight_threads_all_arrive() {
    const EACH: u64 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

    run(|| {
        let sum = Rc::new(Cell::new(0u64));
        thread_local!(static SUM: Cell<u64> = const { Cell::new(0) });
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let hub = remote();
                os::spawn(move || {
                    for n in 0..EACH {
                        hub.spawn(move || SUM.set(SUM.get() + n)).unwrap();
                    }
                })
            })
            .collect();
        let expected = 8 * (EACH * (EACH - 1) / 2);
        while SUM.get() != expected {
            sleep(Duration::from_millis(1));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        sum.set(SUM.get());
        yield_now();
        assert_eq!(sum.get(), expected);
    });
}

/// Wakes race with timeouts on the waiter's side: each is used or comes too late, and none
/// hits another wait.
#[test]
fn wakes_from_threads_race_with_timeouts() {
    run(|| {
        let task = spawn(|| {
            for _ in 0..500 {
                park_timeout(Duration::from_micros(30));
            }
        });
        let parked = task.thread().clone();
        let stop = Arc::new(AtomicU64::new(0));
        let thread = os::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while stop.load(Ordering::Relaxed) == 0 {
                    parked.unpark();
                    os::yield_now();
                }
            }
        });
        task.join().unwrap();
        stop.store(1, Ordering::Relaxed);
        thread.join().unwrap();
    });
}
