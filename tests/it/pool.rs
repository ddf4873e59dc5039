//! Work off the thread.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent::Killed;
use corovent::sleep;
use corovent::spawn;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::run;

#[test]
fn a_job_runs_on_another_thread_while_others_go_on() {
    run(|| {
        let home = std::thread::current().id();
        let meet = Arc::new(Barrier::new(2));
        let job = spawn({
            let meet = Arc::clone(&meet);
            move || {
                blocking(move || {
                    meet.wait();
                    std::thread::current().id()
                })
            }
        });
        yield_now();
        // The job waits for this thread, which is not stopped by it.
        meet.wait();
        assert_ne!(job.join().unwrap(), home);
    });
}

#[test]
fn many_jobs_run_at_once_and_all_come_back() {
    run(|| {
        let most = Arc::new(AtomicUsize::new(0));
        let now = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..200usize)
            .map(|n| {
                let (most, now) = (Arc::clone(&most), Arc::clone(&now));
                spawn(move || {
                    blocking(move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_micros(200));
                        now.fetch_sub(1, Ordering::SeqCst);
                        n * 2
                    })
                })
            })
            .collect();
        let results: Vec<usize> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        assert_eq!(results, (0..200).map(|n| n * 2).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 64, "the pool is bounded");
    });
}

#[test]
fn the_panic_of_a_job_is_the_callers() {
    run(|| {
        let task = spawn(|| blocking(|| panic!("in the pool")));
        let result: std::thread::Result<()> = task.join();
        assert!(is_message(&*result.unwrap_err(), "in the pool"));
        assert_eq!(blocking(|| 5), 5, "the pool goes on");
    });
}

#[test]
fn the_job_of_a_caller_that_was_killed_goes_on_to_its_end() {
    struct Tells(Arc<AtomicBool>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    run(|| {
        let (go, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let task = spawn({
            let (go, result) = (Arc::clone(&go), Tells(Arc::clone(&dropped)));
            move || {
                blocking(move || {
                    while !go.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                    result
                });
            }
        });
        yield_now();
        task.kill();
        assert!(task.join().unwrap_err().is::<Killed>());
        assert!(!dropped.load(Ordering::SeqCst), "it has not ended");
        go.store(true, Ordering::SeqCst);
        while !dropped.load(Ordering::SeqCst) {
            yield_now();
        }
    });
}

#[test]
fn a_timeout_ends_the_wait_for_a_job() {
    run(|| {
        let go = Arc::new(AtomicBool::new(false));
        let wait = {
            let go = Arc::clone(&go);
            move || {
                while !go.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            }
        };
        assert!(timeout(Duration::from_millis(2), || blocking(wait)).is_err());
        go.store(true, Ordering::SeqCst);
    });
}

#[test]
fn without_a_hub_a_job_simply_runs() {
    std::thread::spawn(|| {
        let own = std::thread::current().id();
        assert_eq!(blocking(|| std::thread::current().id()), own);
    })
    .join()
    .unwrap();
}

#[test]
fn a_job_may_use_coroutines_of_its_own() {
    run(|| {
        let sum = blocking(|| {
            let tasks: Vec<_> = (0..10).map(|n| spawn(move || n)).collect();
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
        });
        assert_eq!(sum, 45);
    });
}

/// The result of a job may be something that only its own thread can use.
#[test]
fn what_is_captured_by_the_caller_stays_on_its_thread() {
    run(|| {
        let counter = Rc::new(Cell::new(0));
        let task = spawn({
            let counter = Rc::clone(&counter);
            move || {
                let got = blocking(|| 5);
                counter.set(got);
                sleep(Duration::from_micros(1));
            }
        });
        task.join().unwrap();
        assert_eq!(counter.get(), 5);
    });
}
