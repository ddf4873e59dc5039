//! Waits for each other and for the time, and those that are over before they begin.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use corovent::queue::Channel;
use corovent::queue::JoinableQueue;
use corovent::queue::LifoQueue;
use corovent::queue::PriorityQueue;
use corovent::queue::Queue;
use corovent::scope;
use corovent::select;
use corovent::shield;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::AsyncResult;
use corovent::sync::Barrier;
use corovent::sync::Condvar;
use corovent::sync::Event;
use corovent::sync::LazyLock;
use corovent::sync::Mutex;
use corovent::sync::Once;
use corovent::sync::OnceLock;
use corovent::sync::ReentrantMutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;
use corovent::sync::mpsc;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::thread::sleep_until;
use corovent::timeout;
use corovent::yield_now;

use crate::Work;

pub(crate) const WORK: &[Work] = &[
    ("turns", |count| beside(count, yield_now, yield_now)),
    ("sleeps", |count| {
        for _ in 0..count / 2 {
            sleep(MOMENT);
            sleep_until(Instant::now() + MOMENT);
            park_timeout(MOMENT);
        }
    }),
    ("many timers at once", |count| {
        let sleepers = (0..count as u32).map(|n| spawn(move || sleep(n % 9 * MOMENT)));
        sleepers.collect::<Vec<_>>().into_iter().for_each(|task| task.join().unwrap());
    }),
    ("timeouts", |count| {
        for _ in 0..count {
            timeout(LONG, || ()).unwrap();
            timeout(LONG, yield_now).unwrap();
            timeout(MOMENT, park).unwrap_err();
            shield(yield_now);
        }
    }),
    ("parks", |count| {
        let task = spawn(move || (0..count).for_each(|_| park()));
        while !task.is_finished() {
            task.thread().unpark();
            yield_now();
        }
    }),
    ("locks", |count| {
        let (mutex, lock, again) = (Mutex::new(0), RwLock::new(0), ReentrantMutex::new(0));
        let work = || {
            let mut guard = mutex.lock().unwrap();
            yield_now();
            *guard += 1;
            drop(guard);
            drop(lock.read().unwrap());
            let mut guard = lock.write().unwrap();
            yield_now();
            *guard += 1;
            drop(guard);
            let _outer = again.lock();
            let _inner = again.lock();
            yield_now();
        };
        beside(count, work, work);
    }),
    ("locks that are made anew", |count| {
        for n in 0..count {
            let things = (Mutex::new(n), RwLock::new(n), Semaphore::new(1), Event::new());
            let work = || {
                *things.0.lock().unwrap() += 1;
                *things.1.write().unwrap() += 1;
                let _permit = things.2.acquire();
                yield_now();
                things.3.set();
            };
            beside(1, work, work);
        }
    }),
    ("condition variables", |count| {
        let (turn, changed) = (Mutex::new(false), Condvar::new());
        let pass = |own: bool| {
            let mut guard = changed.wait_while(turn.lock().unwrap(), |now| *now != own).unwrap();
            *guard = !own;
            changed.notify_all();
        };
        beside(count, || pass(true), || pass(false));
        let guard = turn.lock().unwrap();
        assert!(changed.wait_timeout(guard, MOMENT).unwrap().1.timed_out());
    }),
    ("barriers and semaphores", |count| {
        let (barrier, permits) = (Barrier::new(2), Arc::new(Semaphore::new(1)));
        let work = || {
            barrier.wait();
            let permit = permits.acquire();
            yield_now();
            drop(permit);
            drop(permits.acquire_owned());
            drop(permits.acquire_timeout(MOMENT));
        };
        beside(count, work, work);
    }),
    ("events and results", |count| {
        for n in 0..count {
            let (event, result) = (Event::new(), AsyncResult::<usize>::new());
            scope(|scope| {
                scope.spawn(|| {
                    event.set();
                    result.set(n).unwrap();
                });
                event.wait();
                assert_eq!(*result.get().unwrap(), n);
            });
            event.clear();
            assert!(!event.wait_timeout(MOMENT));
        }
    }),
    ("what is made once", |count| {
        for n in 0..count {
            let (once, cell) = (Once::new(), OnceLock::new());
            let lazy = LazyLock::new(|| {
                yield_now();
                vec![1; 8]
            });
            let work = || {
                once.call_once(yield_now);
                cell.get_or_init(|| vec![n; 8]);
                assert_eq!(lazy.len(), 8);
            };
            beside(1, work, work);
        }
    }),
    ("channels", |count| {
        let (sender, receiver) = mpsc::channel();
        let (bounded, taken) = mpsc::sync_channel(1);
        scope(|scope| {
            scope.spawn(move || {
                for n in 0..count {
                    sender.send(vec![n; 8]).unwrap();
                    bounded.send(vec![n; 8]).unwrap();
                }
            });
            for _ in 0..count {
                receiver.recv().unwrap();
                taken.recv().unwrap();
            }
            receiver.recv().unwrap_err();
        });
    }),
    ("channels that are made anew", |count| {
        for n in 0..count {
            let (sender, receiver) = mpsc::channel();
            (0..n % 70).for_each(|n| sender.send(n).unwrap());
            assert_eq!(receiver.try_iter().take(n % 50).count(), (n % 70).min(n % 50));
        }
    }),
    ("queues", |count| {
        let (first, last) = (Queue::bounded(2), LifoQueue::bounded(2));
        let (smallest, one) = (PriorityQueue::bounded(2), Channel::new());
        let put = || {
            first.put(vec![1; 8]).unwrap();
            last.put(vec![1; 8]).unwrap();
            smallest.put(vec![1; 8]).unwrap();
            one.put(vec![1; 8]).unwrap();
        };
        let get = || {
            first.get().unwrap();
            last.get().unwrap();
            smallest.get().unwrap();
            one.get().unwrap();
        };
        beside(count, put, get);
        assert!(first.get_timeout(MOMENT).is_err());
        let done = JoinableQueue::unbounded();
        let get = || {
            done.get().unwrap();
            done.task_done();
        };
        beside(count, || done.put(()).unwrap(), get);
        done.join();
    }),
    ("selects", |count| {
        let (queue, other) = (Queue::bounded(1), Queue::<usize>::bounded(1));
        let get = || {
            select! {
                item = get(&queue) => drop(item.unwrap()),
                _ = get(&other) => unreachable!("nothing is put there"),
                after(LONG) => unreachable!("it is there before"),
            }
        };
        beside(count, || queue.put(vec![1; 8]).unwrap(), get);
        for _ in 0..count {
            select! {
                _ = get(&queue) => unreachable!("nothing is left"),
                after(MOMENT) => {}
            }
        }
    }),
    ("signals", |count| {
        for _ in 0..count / 10 {
            let signals = signal::Signals::new(&[signal::SIGUSR1]).unwrap();
            // SAFETY: raise(3) has no preconditions, and the signal is caught.
            assert_eq!(unsafe { libc::raise(signal::SIGUSR1) }, 0);
            assert_eq!(signals.wait().unwrap(), signal::SIGUSR1);
            drop(signal::on(&[signal::SIGUSR2], |_| ()).unwrap());
        }
    }),
];

const LONG: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_micros(1);

/// Two coroutines, each of which does its part so many times.
fn beside(count: usize, one: impl Fn(), other: impl Fn()) {
    scope(|scope| {
        scope.spawn(|| (0..count).for_each(|_| one()));
        (0..count).for_each(|_| other());
    });
}
