//! A process makes its first thread while locks are held, lines are stood in and messages are on
//! their way: what began with plain instructions goes on with locked ones.
//!
//! The harness of tests makes a thread for each, so this program has none. It starts itself for
//! each scene, since a process has its first thread once.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use corovent::debug;
use corovent::process::Command;
use corovent::spawn;
use corovent::sync::Condvar;
use corovent::sync::Event;
use corovent::sync::Mutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;
use corovent::sync::mpsc;
use corovent::thread;
use corovent::timeout;
use corovent::yield_now;

/// Which scene the child is to play.
const SCENE: &str = "COROVENT_TEST_SCENE";
/// None takes as long as a second.
const PATIENCE: Duration = Duration::from_secs(60);
const THREADS: usize = 4;
const TIMES: usize = 2_000;

const SCENES: [(&str, fn()); 8] = [
    ("a mutex", a_mutex),
    ("a lock to read", a_lock_to_read),
    ("a semaphore", a_semaphore),
    ("an event", an_event),
    ("a condition", a_condition),
    ("channels", channels),
    ("a join", a_join),
    ("park", park),
];

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Starts threads that do the same, the first ones of the process.
fn first_threads<T: Send + 'static>(
    body: impl Fn(usize) -> T + Clone + Send + 'static,
) -> Vec<os::JoinHandle<T>> {
    assert_eq!(threads(), 1);
    (0..THREADS)
        .map(|number| {
            let body = body.clone();
            os::spawn(move || body(number))
        })
        .collect()
}

/// Lets coroutines run until the threads have ended, and gives what they return.
fn joined<T>(threads: Vec<os::JoinHandle<T>>) -> Vec<T> {
    while !threads.iter().all(os::JoinHandle::is_finished) {
        yield_now();
    }
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn a_mutex() {
    let count = Arc::new(Mutex::new(0));
    let add = {
        let count = Arc::clone(&count);
        move |_| (0..TIMES).for_each(|_| *count.lock().unwrap() += 1)
    };
    let own = add.clone();
    let held = count.lock().unwrap();
    let in_line = spawn(move || own(0));
    yield_now();
    let threads = first_threads(add);
    drop(held);
    joined(threads);
    in_line.join().unwrap();
    assert_eq!(*count.lock().unwrap(), (THREADS + 1) * TIMES);
}

fn a_lock_to_read() {
    let pair = Arc::new(RwLock::new((0, 0)));
    let body = {
        let pair = Arc::clone(&pair);
        move |number| {
            for turn in 0..TIMES {
                if turn % THREADS == number {
                    let mut pair = pair.write().unwrap();
                    pair.0 += 1;
                    pair.1 += 1;
                } else {
                    let pair = pair.read().unwrap();
                    assert_eq!(pair.0, pair.1);
                }
            }
        }
    };
    let own = body.clone();
    let held = pair.read().unwrap();
    let in_line = spawn(move || own(0));
    yield_now();
    let threads = first_threads(body);
    drop(held);
    joined(threads);
    in_line.join().unwrap();
    assert_eq!(pair.read().unwrap().0, (THREADS + 1) * TIMES / THREADS);
}

fn a_semaphore() {
    let permits = Arc::new(Semaphore::new(2));
    let inside = Arc::new(AtomicUsize::new(0));
    let body = {
        let (permits, inside) = (Arc::clone(&permits), Arc::clone(&inside));
        move |_| {
            for _ in 0..TIMES {
                let permit = permits.acquire();
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        }
    };
    let own = body.clone();
    let held = [permits.acquire(), permits.acquire()];
    let in_line = spawn(move || own(0));
    yield_now();
    let threads = first_threads(body);
    drop(held);
    joined(threads);
    in_line.join().unwrap();
    assert_eq!(permits.available_permits(), 2);
}

fn an_event() {
    let event = Arc::new(Event::new());
    let waiting = {
        let event = Arc::clone(&event);
        spawn(move || event.wait())
    };
    yield_now();
    let threads = first_threads({
        let event = Arc::clone(&event);
        move |_| event.wait()
    });
    event.set();
    joined(threads);
    waiting.join().unwrap();
}

fn a_condition() {
    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    let wait_for = {
        let turn = Arc::clone(&turn);
        move |number| {
            let (lock, changed) = &*turn;
            let mut now = changed.wait_while(lock.lock().unwrap(), |now| *now < number).unwrap();
            *now += 1;
            changed.notify_all();
        }
    };
    let own = wait_for.clone();
    let last = spawn(move || own(THREADS + 1));
    yield_now();
    let threads = first_threads(wait_for);
    joined(threads);
    assert_eq!(*turn.0.lock().unwrap(), THREADS);
    *turn.0.lock().unwrap() += 1;
    turn.1.notify_all();
    last.join().unwrap();
}

fn channels() {
    let (send, receive) = mpsc::channel();
    let (send_few, receive_few) = mpsc::sync_channel(3);
    // Some are on their way, one is blocked, and the receiver waits.
    (0..TIMES).for_each(|number| send.send(number).unwrap());
    let blocked = {
        let send_few = send_few.clone();
        spawn(move || (0..TIMES).for_each(|number| send_few.send(number).unwrap()))
    };
    let sum = spawn(move || receive.into_iter().sum::<usize>());
    yield_now();
    let threads = first_threads(move |_| {
        for number in 0..TIMES {
            send.send(number).unwrap();
            send_few.send(number).unwrap();
        }
    });
    let sum_of_few = spawn(move || receive_few.into_iter().sum::<usize>());
    joined(threads);
    blocked.join().unwrap();
    let expected = (THREADS + 1) * (0..TIMES).sum::<usize>();
    assert_eq!((sum.join().unwrap(), sum_of_few.join().unwrap()), (expected, expected));
}

fn a_join() {
    let event = Arc::new(Event::new());
    let waits = || {
        let event = Arc::clone(&event);
        spawn(move || event.wait())
    };
    let (joined_before, joined_after) = (waits(), waits());
    let joiner = spawn(move || joined_before.join().unwrap());
    yield_now();
    let threads = first_threads(|number| spawn(move || number).join().unwrap());
    event.set();
    joiner.join().unwrap();
    joined_after.join().unwrap();
    assert_eq!(joined(threads), (0..THREADS).collect::<Vec<_>>());
}

fn park() {
    let parked = spawn(thread::park);
    yield_now();
    let handle = parked.thread().clone();
    let threads = first_threads(move |_| handle.unpark());
    parked.join().unwrap();
    joined(threads);
}

fn main() {
    if let Ok(name) = env::var(SCENE) {
        let (_, scene) = SCENES.into_iter().find(|(scene, _)| *scene == name).unwrap();
        scene();
        assert_eq!(debug::counters(), debug::Counters::default(), "{}", debug::dump());
        return;
    }
    for (name, _) in SCENES {
        for _ in 0..5 {
            let mut command = Command::new(env::current_exe().unwrap());
            let output = timeout(PATIENCE, || command.env(SCENE, name).output());
            let output = output.unwrap_or_else(|_| panic!("{name} hangs")).unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {}: {text}", output.status);
        }
        eprintln!("{name} ... ok");
    }
}
