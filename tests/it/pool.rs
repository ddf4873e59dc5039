//! Work off the thread.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use std::sync::mpsc::channel;
use std::thread::ThreadId;
use std::time::Duration;

use corovent::Abandoned;
use corovent::Killed;
use corovent::fs::File;
use corovent::remote;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::until_waiting;
use crate::support::was_killed;

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
        // Its coroutine may have its turn late.
        until_waiting(1);
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
        until_waiting(1);
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

/// A job that waits for jobs of its own: on its own thread, unless it has coroutines.
#[test]
fn a_job_may_have_jobs_of_its_own() {
    run(|| {
        let (outer, inner) = blocking(|| {
            let own = std::thread::current().id();
            (own, blocking(|| std::thread::current().id()))
        });
        assert_eq!(outer, inner);
        let sum = blocking(|| {
            let tasks = [1, 2, 3].map(|n| spawn(move || blocking(move || n * 10)));
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
        });
        assert_eq!(sum, 60);
    });
}

#[test]
fn a_coroutine_that_unwinds_waits_for_its_job() {
    run(|| {
        let (go, got) = (Arc::new(AtomicBool::new(false)), Rc::new(Cell::new(0)));
        let task = spawn({
            let (go, got) = (Arc::clone(&go), Rc::clone(&got));
            move || {
                let _guard = on_drop(move || {
                    got.set(blocking(move || {
                        while !go.load(Ordering::SeqCst) {
                            std::thread::yield_now();
                        }
                        5
                    }));
                });
                park();
            }
        });
        until_waiting(1);
        task.kill();
        (0..3).for_each(|_| yield_now());
        task.kill();
        (0..3).for_each(|_| yield_now());
        assert!(!task.is_finished());
        go.store(true, Ordering::SeqCst);
        assert!(was_killed(task));
        assert_eq!(got.get(), 5);
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

/// Each of 64 jobs gives a value whose destructor panics, with a payload whose destructor
/// panics as well. The threads of the pool outlive them.
#[test]
fn an_unwanted_result_may_panic_when_it_is_dropped() {
    struct Bomb(u32, Arc<Mutex<Vec<ThreadId>>>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(std::thread::current().id());
            if self.0 > 0 {
                std::panic::panic_any(Bomb(self.0 - 1, Arc::clone(&self.1)));
            }
        }
    }

    run(|| {
        let (go, dropped_at) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (go, bomb) = (Arc::clone(&go), Bomb(2, Arc::clone(&dropped_at)));
                spawn(move || {
                    blocking(move || {
                        while !go.load(Ordering::SeqCst) {
                            std::thread::yield_now();
                        }
                        bomb
                    });
                })
            })
            .collect();
        // Each has begun its job, or its closure would be dropped here.
        until_waiting(64);
        tasks.iter().for_each(|task| assert!(task.kill()));
        assert!(tasks.into_iter().all(was_killed));
        assert!(dropped_at.lock().unwrap().is_empty(), "the jobs go on");
        go.store(true, Ordering::SeqCst);
        // One drop runs, and panics; what it panics with is dropped nowhere.
        while dropped_at.lock().unwrap().len() < 64 {
            yield_now();
        }
        let home = std::thread::current().id();
        assert!(dropped_at.lock().unwrap().iter().all(|thread| *thread != home));
        // The pool is whole: as many run at once as before.
        let meet = Arc::new(Barrier::new(64));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let meet = Arc::clone(&meet);
                spawn(move || blocking(move || meet.wait().is_leader()))
            })
            .collect();
        let leaders = tasks.into_iter().map(|task| usize::from(task.join().unwrap()));
        assert_eq!(leaders.sum::<usize>(), 1);
    });
}

/// A thread with a hub puts jobs in line behind 64 others, and ends: what its coroutines have not
/// begun is not done for nobody. One that was killed was told that its job goes on.
#[test]
fn jobs_of_a_hub_that_has_ended_are_dropped() {
    passes("pool::child_loses_those_who_wait_for_jobs");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_loses_those_who_wait_for_jobs() {
    run(|| {
        let (go, gone) = channel::<()>();
        let gone = Arc::new(Mutex::new(gone));
        let busy: Vec<_> = (0..64)
            .map(|_| {
                let gone = Arc::clone(&gone);
                spawn(move || blocking(move || assert!(gone.lock().unwrap().recv().is_err())))
            })
            .collect();
        until_waiting(64);
        let file = tempfile::tempfile().unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let said: Arc<Mutex<Vec<&str>>> = Arc::default();
        let theirs = Arc::clone(&said);
        let ended = std::thread::spawn(move || {
            let submit = |word: &'static str| {
                let (ran, dropped) = (Arc::clone(&theirs), Arc::clone(&theirs));
                let guard = on_drop(move || dropped.lock().unwrap().push("dropped"));
                spawn(move || {
                    blocking(move || {
                        ran.lock().unwrap().push(word);
                        drop(guard);
                    })
                })
            };
            let locked = std::fs::File::open(path).unwrap();
            spawn(move || File::from(locked).lock());
            submit("lost");
            let killed = submit("killed");
            until_waiting(3);
            assert!(killed.kill());
            assert!(was_killed(killed));
        });
        ended.join().unwrap();
        drop(go);
        busy.into_iter().for_each(|task| task.join().unwrap());
        // Each thread of the pool is here: whatever was in line has been dealt with.
        let meet = Arc::new(Barrier::new(64));
        let meet = |_| {
            spawn({
                let meet = Arc::clone(&meet);
                move || blocking(move || meet.wait().is_leader())
            })
        };
        let tasks: Vec<_> = (0..64).map(meet).collect();
        tasks.into_iter().for_each(|task| _ = task.join().unwrap());
        let mut said = said.lock().unwrap().clone();
        said.sort_unstable();
        assert_eq!(said, ["dropped", "dropped", "killed"]);
        assert!(file.try_lock().is_ok(), "nobody holds it");
    });
}

/// The result of a job that runs when its hub ends is dropped by the thread of the pool.
#[test]
fn what_a_job_gives_to_a_hub_that_has_ended_is_dropped() {
    run(|| {
        let (go, gone) = channel::<()>();
        let (dropped, is_dropped) = channel();
        let (entered, is_entered) = channel();
        let ended = std::thread::spawn(move || {
            let guard = on_drop(move || dropped.send(()).unwrap());
            spawn(move || {
                blocking(move || {
                    entered.send(()).unwrap();
                    assert!(gone.recv().is_err());
                    guard
                });
            });
            // Whoever has its turn first.
            while is_entered.try_recv().is_err() {
                yield_now();
            }
        });
        ended.join().unwrap();
        assert_eq!(is_dropped.try_recv(), Err(TryRecvError::Empty), "the job runs");
        drop(go);
        is_dropped.recv().unwrap();
    });
}

#[test]
fn without_a_thread_all_jobs_in_line_fail() {
    passes("pool::child_has_no_room_for_threads");
}

/// Four hubs put jobs in line, while no thread can be started for lack of address space: a
/// job may stand in line because another is about to start a thread.
#[test]
#[ignore = "runs in a process of its own"]
fn child_has_no_room_for_threads() {
    const JOBS: usize = 50;
    fn address_space() -> libc::rlimit {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is writable.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) }, 0);
        limit
    }
    fn set_address_space(limit: libc::rlimit) {
        // SAFETY: `limit` is readable.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    }

    run(|| {
        let (ready, limited) = (Arc::new(Barrier::new(5)), Arc::new(Barrier::new(5)));
        let (done, lifted) = (Arc::new(Barrier::new(5)), Arc::new(Barrier::new(5)));
        let dropped = Arc::new(AtomicUsize::new(0));
        let hub_thread = || {
            let barriers = [&ready, &limited, &done, &lifted].map(Arc::clone);
            let dropped = Arc::clone(&dropped);
            move || {
                let [ready, limited, done, lifted] = barriers;
                // Stacks are mapped, and the heap has room, before the limit is set.
                let tasks: Vec<_> = (0..JOBS).map(|_| spawn(yield_now)).collect();
                tasks.into_iter().for_each(|task| task.join().unwrap());
                drop(Vec::<u8>::with_capacity(1 << 20));
                ready.wait();
                limited.wait();
                let submit = |_| {
                    let dropped = Arc::clone(&dropped);
                    let guard = on_drop(move || {
                        dropped.fetch_add(1, Ordering::SeqCst);
                    });
                    spawn(move || blocking(move || drop(guard)))
                };
                let tasks: Vec<_> = (0..JOBS).map(submit).collect();
                for task in tasks {
                    let payload = task.join().unwrap_err();
                    let text = payload.downcast_ref::<String>().unwrap();
                    assert!(text.starts_with("the thread pool has no thread: "), "{text}");
                }
                done.wait();
                lifted.wait();
                assert_eq!(blocking(|| 5), 5);
            }
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(hub_thread())).collect();
        ready.wait();
        let before = address_space();
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
        // Less than the 2 MiB of a thread's stack.
        set_address_space(libc::rlimit { rlim_cur: pages * 4096 + (1 << 20), ..before });
        limited.wait();
        done.wait();
        set_address_space(before);
        assert_eq!(dropped.load(Ordering::SeqCst), 4 * JOBS, "their closures are gone");
        lifted.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Jobs of several hubs come as the threads of the pool become idle and are busy again.
#[test]
fn no_job_is_lost_between_busy_and_idle() {
    const EACH: usize = if cfg!(debug_assertions) { 2_000 } else { 20_000 };

    let threads = (0..3).map(|seed| {
        std::thread::spawn(move || {
            run(|| {
                let worker = |_| {
                    spawn(move || {
                        for n in 0..EACH / 4 {
                            assert_eq!(blocking(move || n + seed), n + seed);
                            if n % 7 == seed {
                                sleep(Duration::from_micros(n as u64 % 50));
                            }
                        }
                    })
                };
                let workers: Vec<_> = (0..4).map(worker).collect();
                workers.into_iter().for_each(|worker| worker.join().unwrap());
            });
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn the_coroutines_that_a_job_leaves_behind_end_with_it() {
    run(|| {
        spawn(|| {
            let (hub, left) = blocking(|| (remote(), spawn(park)));
            assert!(left.join().unwrap_err().is::<Abandoned>());
            let error = hub.spawn(|| ()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
        })
        .join()
        .unwrap();
    });
}
