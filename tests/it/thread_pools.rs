//! Thread pools of one's own, and jobs whose submitter does not wait.

use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::ThreadId;
use std::time::Duration;

use corovent::debug;
use corovent::spawn;
use corovent::thread::park;
use corovent::threadpool::Builder;
use corovent::threadpool::Cancelled;
use corovent::threadpool::JobHandle;
use corovent::threadpool::ThreadPool;
use corovent::threadpool::TrySubmitError;
use corovent::threadpool::blocking;
use corovent::threadpool::submit;
use corovent::timeout;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::on_drop;
use crate::support::run;
use crate::support::until_waiting;
use crate::support::was_killed;

/// How many threads of this process have a name.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One may end while it is looked at.
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

fn wait_for_threads(name: &str, count: usize) {
    while threads_named(name) != count {
        std::thread::yield_now();
    }
}

fn here() -> ThreadId {
    std::thread::current().id()
}

/// A job that keeps a thread of a pool busy until it is told to end.
struct Busy {
    job: JobHandle<()>,
    end: mpsc::Sender<()>,
}

impl Busy {
    /// Returns when the job runs.
    fn start(pool: &ThreadPool) -> Busy {
        let ((end, ended), (runs, is_running)) = (mpsc::channel(), mpsc::channel());
        let job = pool.submit(move || {
            runs.send(()).unwrap();
            ended.recv().unwrap();
        });
        is_running.recv().unwrap();
        Busy { job, end }
    }

    fn end(self) {
        self.end.send(()).unwrap();
        self.job.join().unwrap();
    }
}

/// gevent's test of its pool: more jobs than threads, with a callback each.
#[test]
fn a_thousand_jobs_on_two_threads_begin_in_order_and_all_end() {
    run(|| {
        let pool = ThreadPool::new(2);
        let begun: Arc<Mutex<Vec<(ThreadId, usize)>>> = Arc::default();
        let called = Rc::new(Cell::new(0));
        let callbacks: Vec<_> = (0..1000)
            .map(|n| {
                let (begun, called) = (Arc::clone(&begun), Rc::clone(&called));
                let job = pool.submit(move || {
                    begun.lock().unwrap().push((here(), n));
                    n * 2
                });
                job.on_done(move |result| {
                    called.set(called.get() + 1);
                    result.unwrap()
                })
            })
            .collect();
        for (n, callback) in callbacks.into_iter().enumerate() {
            assert_eq!(callback.join().unwrap(), n * 2);
        }
        assert_eq!(called.get(), 1000);
        let begun = begun.lock().unwrap();
        let mut threads: Vec<ThreadId> = begun.iter().map(|(thread, _)| *thread).collect();
        threads.sort_by_key(|thread| format!("{thread:?}"));
        threads.dedup();
        assert!(threads.len() <= 2 && !threads.contains(&here()), "{threads:?}");
        for thread in threads {
            let own = begun.iter().filter(|(at, _)| *at == thread);
            assert!(own.map(|(_, n)| n).is_sorted());
        }
    });
}

#[test]
fn on_one_thread_jobs_and_callbacks_run_one_after_another() {
    run(|| {
        let pool = ThreadPool::new(1);
        let (home, log) = (here(), Rc::new(RefCell::new(Vec::new())));
        let jobs: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
        let callbacks = jobs.into_iter().map(|job| {
            let log = Rc::clone(&log);
            job.on_done(move |result| {
                assert_eq!(here(), home);
                assert!(corovent::is_coroutine());
                log.borrow_mut().push(result.unwrap());
                // A callback may wait, and stops nobody.
                corovent::sleep(Duration::from_micros(10));
            })
        });
        callbacks.collect::<Vec<_>>().into_iter().for_each(|callback| callback.join().unwrap());
        assert_eq!(*log.borrow(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_callback_that_comes_after_the_end_runs() {
    run(|| {
        let pool = ThreadPool::new(1);
        let finished = |n: i32| {
            let job = pool.submit(move || n);
            while !job.is_finished() {
                yield_now();
            }
            job
        };
        assert_eq!(finished(5).on_done(|result| result.unwrap() + 1).join().unwrap(), 6);
        let (sender, receiver) = mpsc::channel();
        let home = here();
        finished(7).on_done_in_pool(move |result| {
            sender.send((result.unwrap(), here() != home)).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), (7, true));
        // The pool is gone: the callback is the only work of a thread that ends then.
        let late = finished(8);
        drop(pool);
        let (sender, receiver) = mpsc::channel();
        late.on_done_in_pool(move |result| sender.send(result.unwrap()).unwrap());
        assert_eq!(receiver.recv().unwrap(), 8);
    });
}

/// It is counted like a job, and may wake its hub like one.
#[test]
fn a_callback_that_comes_after_the_end_is_waited_for() {
    run(|| {
        let before = debug::deadlock(debug::Scope::Hub);
        let pool = Arc::new(ThreadPool::new(1));
        let finished = || {
            let job = pool.submit(|| 5usize);
            while !job.is_finished() {
                yield_now();
            }
            job
        };
        let (first, second) = (finished(), finished());
        let busy = Busy::start(&pool);
        let called = Arc::new(AtomicBool::new(false));
        let there = Arc::clone(&called);
        first.on_done_in_pool(move |_| there.store(true, Ordering::SeqCst));
        busy.end();
        pool.join();
        assert!(called.load(Ordering::SeqCst));

        let busy = Busy::start(&pool);
        let root = corovent::current();
        second.on_done_in_pool(move |_| {
            std::thread::sleep(Duration::from_millis(5));
            root.unpark();
        });
        busy.end();
        park();
        // Those of a pool that is killed are called there.
        let (late, sum) = (finished(), Arc::new(AtomicUsize::new(0)));
        let busy = Busy::start(&pool);
        let there = Arc::clone(&sum);
        late.on_done_in_pool(move |result| {
            there.fetch_add(result.unwrap(), Ordering::SeqCst);
        });
        pool.kill();
        assert_eq!(sum.load(Ordering::SeqCst), 5);
        busy.end();
        pool.join();
        debug::deadlock(before);
    });
}

#[test]
fn a_callback_in_the_pool_runs_on_the_thread_of_the_job() {
    std::thread::spawn(|| {
        let pool = ThreadPool::new(3);
        let (go, gone) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        let job = pool.submit(move || {
            assert!(gone.recv().is_err());
            here()
        });
        job.on_done_in_pool(move |result| sender.send((result.unwrap(), here())).unwrap());
        drop(go);
        let (job_at, callback_at) = receiver.recv().unwrap();
        assert_eq!(job_at, callback_at);
        pool.shutdown();
        assert_eq!(debug::counters(), debug::Counters::default(), "no hub was made");
    })
    .join()
    .unwrap();
}

#[test]
fn a_panic_of_a_job_is_the_joiners_and_one_of_a_callback_harms_nobody() {
    run(|| {
        let pool = ThreadPool::new(1);
        let payload = pool.submit(|| -> () { panic!("in a job") }).join().unwrap_err();
        assert!(is_message(&*payload, "in a job"));
        let apply = AssertUnwindSafe(|| pool.apply(|| -> () { panic!("in an apply") }));
        assert!(is_message(&*catch_unwind(apply).unwrap_err(), "in an apply"));
        // Nobody joins these: they are printed.
        drop(pool.submit(|| -> () { panic!("in a detached job") }));
        pool.submit(|| ()).on_done_in_pool(|_| panic!("in a callback of the pool"));
        let callback = pool.submit(|| ()).on_done(|_| -> () { panic!("in a callback") });
        assert!(is_message(&*callback.join().unwrap_err(), "in a callback"));
        pool.submit(|| -> () { panic!("for a callback") })
            .on_done(|result| assert!(is_message(&*result.unwrap_err(), "for a callback")))
            .join()
            .unwrap();
        assert_eq!(pool.apply(|| 5), 5, "the pool goes on");
    });
}

/// The job's closure, and what it gives, are dropped on the pool's thread.
#[test]
fn the_job_of_a_killed_or_lost_waiter_goes_on() {
    run(|| {
        let pool = ThreadPool::new(1);
        let dropped_at: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
        let ended = |kill: bool| {
            let (go, gone) = mpsc::channel::<()>();
            let log = Arc::clone(&dropped_at);
            let result = on_drop(move || log.lock().unwrap().push(here()));
            let job = pool.submit(move || {
                assert!(gone.recv().is_err());
                result
            });
            if kill {
                let waiter = spawn(move || drop(job.join()));
                yield_now();
                waiter.kill();
                assert!(was_killed(waiter));
            } else {
                drop(job);
            }
            drop(go);
        };
        ended(true);
        ended(false);
        pool.join();
        let worker = pool.apply(here);
        assert_eq!(*dropped_at.lock().unwrap(), [worker, worker]);
    });
}

#[test]
fn a_job_that_has_not_begun_is_cancelled() {
    run(|| {
        let pool = ThreadPool::new(1);
        let busy = Busy::start(&pool);
        let dropped_at = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&dropped_at);
        let guard = on_drop(move || *slot.lock().unwrap() = Some(here()));
        let job = pool.submit(move || drop(guard));
        assert!(!job.is_finished());
        assert!(job.cancel());
        assert_eq!(*dropped_at.lock().unwrap(), Some(here()), "its closure is gone");
        assert!(!job.cancel(), "twice");
        assert!(job.is_finished());
        assert!(job.join().unwrap_err().is::<Cancelled>());
        assert!(!busy.job.cancel(), "it runs");
        busy.end();
        let done = pool.submit(|| 5);
        pool.join();
        assert!(!done.cancel(), "it has ended");
        assert_eq!(done.try_join().unwrap().unwrap(), 5);
    });
}

/// One thread, all of whose jobs wait for jobs of their own.
#[test]
fn jobs_that_wait_for_their_own_pool_run_in_place() {
    run(|| {
        let pool = Arc::new(ThreadPool::new(1));
        let inner = Arc::clone(&pool);
        let threads = pool.apply(move || {
            let own = here();
            let applied = inner.apply(here);
            let joined = inner.submit(here).join().unwrap();
            let mapped = inner.map([(), ()], |()| here());
            // In a coroutine of the job as well.
            let deeper = Arc::clone(&inner);
            let green = spawn(move || (deeper.apply(here), deeper.submit(here).join().unwrap()));
            let (first, second) = green.join().unwrap();
            [own, applied, joined, mapped[0], mapped[1], first, second]
        });
        assert!(threads.iter().all(|thread| *thread == threads[0] && *thread != here()));
        // From the runtime's own pool: another pool is another matter.
        let other = submit(move || (here(), pool.apply(here))).join().unwrap();
        assert_ne!(other.0, other.1);
        let nested = submit(|| (here(), submit(|| 5).join().unwrap(), blocking(here)));
        let (outer, joined, blocked) = nested.join().unwrap();
        assert_eq!((joined, blocked), (5, outer));
    });
}

#[test]
fn a_pool_is_resized_while_it_works() {
    run(|| {
        let pool = Builder::new().threads(1).name("resized").build();
        let meet = Arc::new(Barrier::new(3));
        let jobs = [(); 3].map(|()| {
            let meet = Arc::clone(&meet);
            pool.submit(move || meet.wait().is_leader())
        });
        assert_eq!(pool.threads(), 1);
        assert!(!pool.join_timeout(Duration::from_millis(2)), "one cannot meet the others");
        pool.set_threads(3);
        let leaders = jobs.map(|job| usize::from(job.join().unwrap()));
        assert_eq!(leaders.iter().sum::<usize>(), 1);
        pool.set_threads(1);
        wait_for_threads("resized", 1);
        let most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let seen = Arc::clone(&most);
        pool.map(0..50, move |_| {
            seen.0.fetch_max(seen.1.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            seen.1.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(most.0.load(Ordering::SeqCst), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| pool.set_threads(0))).is_err());
        pool.shutdown();
        wait_for_threads("resized", 0);
    });
}

#[test]
fn idle_threads_of_a_pool_end_and_come_again() {
    run(|| {
        let idle = Duration::from_millis(1);
        let pool = Builder::new().threads(2).name("shortlived").idle_timeout(idle).build();
        assert_eq!(threads_named("shortlived"), 0, "a thread is started when there is work");
        let mut threads = Vec::new();
        for _ in 0..3 {
            threads.push(pool.apply(here));
            wait_for_threads("shortlived", 0);
        }
        assert!(threads[0] != threads[1] && threads[1] != threads[2]);
    });
}

#[test]
fn a_pool_that_is_shut_down_does_what_was_submitted_and_no_more() {
    run(|| {
        let pool = Arc::new(Builder::new().threads(1).name("shutdown").build());
        let busy = Busy::start(&pool);
        let jobs: Vec<_> = (0..10).map(|n| pool.submit(move || n)).collect();
        let shutting = spawn({
            let pool = Arc::clone(&pool);
            move || pool.shutdown()
        });
        until_waiting(1);
        assert!(!shutting.is_finished(), "a job runs");
        assert!(matches!(pool.try_submit(|| ()), Err(TrySubmitError::ShutDown(_))));
        let refused = catch_unwind(AssertUnwindSafe(|| pool.submit(|| ()))).unwrap_err();
        assert!(is_message(&*refused, "a job was submitted to a pool that was shut down"));
        busy.end();
        shutting.join().unwrap();
        assert!(jobs.iter().all(JobHandle::is_finished));
        assert_eq!(jobs.into_iter().map(|job| job.join().unwrap()).sum::<i32>(), 45);
        wait_for_threads("shutdown", 0);
        // As often as one likes.
        pool.shutdown();
    });
}

#[test]
fn a_pool_that_is_dropped_does_what_was_submitted() {
    run(|| {
        let pool = Builder::new().threads(2).name("dropped").build();
        let jobs: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
        drop(pool);
        assert_eq!(jobs.into_iter().map(|job| job.join().unwrap()).sum::<i32>(), 4950);
        wait_for_threads("dropped", 0);
        // One that has done nothing has no threads either.
        drop(Builder::new().name("unused").build());
        assert_eq!(threads_named("unused"), 0);
        // The last owner may be a job.
        let pool = Arc::new(Builder::new().threads(1).name("dropped").build());
        let own = Arc::clone(&pool);
        let job = pool.submit(move || drop(own));
        drop(pool);
        job.join().unwrap();
        wait_for_threads("dropped", 0);
    });
}

#[test]
fn a_pool_that_is_killed_cancels_what_has_not_begun() {
    run(|| {
        let pool = Builder::new().threads(1).name("killed").build();
        let busy = Busy::start(&pool);
        let dropped = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..10)
            .map(|_| {
                let dropped = Arc::clone(&dropped);
                let guard = on_drop(move || _ = dropped.fetch_add(1, Ordering::SeqCst));
                pool.submit(move || drop(guard))
            })
            .collect();
        let (sender, receiver) = mpsc::channel();
        pool.submit(|| ()).on_done_in_pool(move |result| sender.send(result).unwrap());
        let waiter = spawn({
            let job = pool.submit(|| ());
            move || job.join().unwrap_err().is::<Cancelled>()
        });
        yield_now();
        pool.kill();
        assert_eq!(dropped.load(Ordering::SeqCst), 10);
        assert!(receiver.try_recv().unwrap().unwrap_err().is::<Cancelled>());
        assert!(waiter.join().unwrap());
        assert!(jobs.into_iter().all(|job| job.join().unwrap_err().is::<Cancelled>()));
        assert!(!busy.job.is_finished(), "what runs goes on");
        busy.end();
        pool.join();
        wait_for_threads("killed", 0);
    });
}

#[test]
fn a_line_with_a_limit_makes_the_submitter_wait() {
    run(|| {
        let pool = Arc::new(Builder::new().threads(1).queue_limit(2).build());
        let busy = Busy::start(&pool);
        let jobs = [pool.submit(|| 1), pool.submit(|| 2)];
        let Err(TrySubmitError::Full(job)) = pool.try_submit(|| 3) else { panic!("it has room") };
        assert_eq!(job(), 3);
        let log = Rc::new(RefCell::new(Vec::new()));
        let submitter = |n: i32| {
            let (pool, log) = (Arc::clone(&pool), Rc::clone(&log));
            spawn(move || {
                let guard = on_drop(|| ());
                let job = pool.submit(move || {
                    drop(guard);
                    n
                });
                log.borrow_mut().push(n);
                job.join().unwrap()
            })
        };
        let [third, fourth, fifth] = [3, 4, 5].map(|n| {
            let submitter = submitter(n);
            until_waiting(n as usize - 2);
            submitter
        });
        assert_eq!(*log.borrow(), [0; 0], "they wait for room");
        third.kill();
        assert!(was_killed(third));
        // One that is cancelled makes room.
        assert!(jobs[1].cancel());
        while log.borrow().is_empty() {
            yield_now();
        }
        assert_eq!(*log.borrow(), [4]);
        busy.end();
        assert_eq!((fourth.join().unwrap(), fifth.join().unwrap()), (4, 5));
        assert_eq!(*log.borrow(), [4, 5]);
        let [first, second] = jobs;
        assert_eq!(first.join().unwrap(), 1);
        assert!(second.join().is_err());
        // A job of the pool does not wait for room: nobody could make it.
        let inner = Arc::clone(&pool);
        let own = pool.apply(move || (0..5).map(|n| inner.submit(move || n)).collect::<Vec<_>>());
        assert_eq!(own.into_iter().map(|job| job.join().unwrap()).sum::<i32>(), 10);
    });
}

#[test]
fn those_who_wait_for_room_learn_of_the_end() {
    run(|| {
        let pool = Arc::new(Builder::new().threads(1).queue_limit(1).build());
        let busy = Busy::start(&pool);
        let job = pool.submit(|| 1);
        let waiting = spawn({
            let pool = Arc::clone(&pool);
            move || drop(pool.submit(|| 2))
        });
        yield_now();
        pool.kill();
        let payload = waiting.join().unwrap_err();
        assert!(is_message(&*payload, "a job was submitted to a pool that was shut down"));
        assert!(job.join().unwrap_err().is::<Cancelled>());
        busy.end();
    });
}

#[test]
fn a_map_gives_results_in_order_and_the_first_panic() {
    run(|| {
        let pool = Arc::new(ThreadPool::new(2));
        assert_eq!(pool.map(0..100, |n| n * n), (0..100).map(|n| n * n).collect::<Vec<_>>());
        assert_eq!(pool.map([0; 0], |n| n), [0; 0]);
        let busy = [Busy::start(&pool), Busy::start(&pool)];
        let calls = Arc::new(AtomicUsize::new(0));
        let map = spawn({
            let (pool, calls) = (Arc::clone(&pool), Arc::clone(&calls));
            move || {
                pool.map(0..50, move |n| {
                    calls.fetch_add(1, Ordering::SeqCst);
                    assert_ne!(n, 0);
                });
            }
        });
        yield_now();
        map.kill();
        assert!(was_killed(map));
        busy.into_iter().for_each(Busy::end);
        pool.join();
        assert_eq!(calls.load(Ordering::SeqCst), 0, "none had begun");
        let map = AssertUnwindSafe(|| pool.map([1, 2, 3], |n| assert!(n < 2, "item {n}")));
        assert!(is_message(&*catch_unwind(map).unwrap_err(), "item 2"));
        pool.join();
    });
}

/// Nothing but the job can wake the root, and the other hub's coroutine.
#[test]
fn a_job_keeps_the_hubs_that_wait_for_it_from_a_deadlock() {
    run(|| {
        let before = debug::deadlock(debug::Scope::Hub);
        let pool = Arc::new(ThreadPool::new(1));
        let slow = || {
            pool.submit(|| {
                std::thread::sleep(Duration::from_millis(5));
                5
            })
        };
        assert_eq!(slow().join().unwrap(), 5);
        // The job itself wakes the hub.
        let (thread, waiter) = (corovent::current(), slow());
        drop(pool.submit(move || {
            std::thread::sleep(Duration::from_millis(5));
            thread.unpark();
        }));
        park();
        // A handle that another hub waits for.
        let moved = slow();
        let other = std::thread::spawn(move || {
            debug::deadlock(debug::Scope::Hub);
            spawn(|| ()).join().unwrap();
            moved.join().unwrap()
        });
        assert_eq!(slow().on_done(|result| result.unwrap()).join().unwrap(), 5);
        drop(slow());
        pool.join();
        assert_eq!(other.join().unwrap(), 5);
        assert_eq!(waiter.join().unwrap(), 5);
        debug::deadlock(before);
    });
}

#[test]
fn threads_without_a_hub_and_several_hubs_share_a_pool() {
    run(|| {
        let pool = Arc::new(Builder::new().threads(3).queue_limit(4).build());
        let users = (0..6).map(|user| {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || {
                let work = move || {
                    (0..200).map(|n| pool.submit(move || n + user).join().unwrap()).sum::<usize>()
                };
                if user % 2 == 0 { work() } else { spawn(work).join().unwrap() }
            })
        });
        for (user, thread) in users.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(thread.join().unwrap(), 200 * 199 / 2 + 200 * user);
        }
    });
}

#[test]
fn a_timeout_ends_the_wait_and_not_the_job() {
    run(|| {
        let pool = ThreadPool::new(1);
        let busy = Busy::start(&pool);
        let mut job = pool.submit(|| 5);
        assert!(timeout(Duration::from_millis(1), || pool.join()).is_err());
        assert!(!pool.join_timeout(Duration::ZERO));
        job = job.try_join().unwrap_err();
        job = job.join_timeout(Duration::from_millis(1)).unwrap_err();
        busy.end();
        assert_eq!(job.join().unwrap(), 5);
        assert!(pool.join_timeout(Duration::from_secs(60)));
    });
}

#[test]
fn a_job_cannot_wait_for_its_own_pool_to_be_done() {
    run(|| {
        let pool = Arc::new(ThreadPool::new(1));
        let inner = Arc::clone(&pool);
        let payload = pool.submit(move || inner.shutdown()).join().unwrap_err();
        assert!(is_message(&*payload, "a job cannot wait for its own pool"));
    });
}

/// Races between a worker that begins a job, one that cancels it and one that kills the pool.
#[test]
fn every_job_ends_once_however_it_ends() {
    run(|| {
        for round in 0..200 {
            let pool = Arc::new(ThreadPool::new(2));
            let runs = Arc::new(AtomicUsize::new(0));
            let jobs: Vec<_> = (0..20)
                .map(|_| {
                    let runs = Arc::clone(&runs);
                    pool.submit(move || runs.fetch_add(1, Ordering::SeqCst))
                })
                .collect();
            let killer = std::thread::spawn({
                let pool = Arc::clone(&pool);
                move || if round % 2 == 0 { pool.kill() } else { pool.set_threads(1) }
            });
            let cancelled = jobs.iter().rev().filter(|job| job.cancel()).count();
            killer.join().unwrap();
            let results: Vec<_> = jobs.into_iter().map(JobHandle::join).collect();
            let ran = results.iter().filter(|result| result.is_ok()).count();
            assert_eq!(ran, runs.load(Ordering::SeqCst));
            assert!(ran + cancelled <= 20);
            pool.join();
        }
    });
}
