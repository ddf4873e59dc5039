//! The lane's line of jobs, and a result that meets a kill.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::error::Killed;
use crate::hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::sys::atomic::Ordering;
use crate::task::spawn;
use crate::task::yield_now;
use crate::threadpool::blocking::run_on;
use crate::threadpool::handle::JobHandle;
use crate::threadpool::lane::Entry;
use crate::threadpool::lane::IDLE_EXIT;
use crate::threadpool::lane::Job;
use crate::threadpool::lane::Lane;
use crate::threadpool::pool::ThreadPool;

/// Puts a job in line that sends its number and whether it ran.
fn push(lane: &'static Lane, sender: &mpsc::Sender<(u32, bool)>, number: u32) {
    let sender = sender.clone();
    let job = move |started: io::Result<()>| sender.send((number, started.is_ok())).unwrap();
    lane.queue.lock().state.push(Entry::new(Box::new(job)));
}

fn take(lane: &'static Lane) -> Option<Box<Entry>> {
    let mut inner = lane.queue.lock();
    inner.state.idle += 1;
    let taken = inner.state.take();
    inner.state.idle -= usize::from(taken.is_none());
    taken
}

#[test]
fn jobs_leave_the_line_in_the_order_in_which_they_came() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    let (sender, receiver) = mpsc::channel();
    let run_next = || take(&LANE).expect("a job is in line").job.run(Ok(()));
    (0..3).for_each(|number| push(&LANE, &sender, number));
    run_next();
    (3..5).for_each(|number| push(&LANE, &sender, number));
    (0..4).for_each(|_| run_next());
    assert!(take(&LANE).is_none());
    drop(sender);
    assert_eq!(receiver.iter().map(|(number, _)| number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// However many come and are cancelled before a thread gets to them; the others keep their
/// order, and one that was run in place is gone as well.
#[test]
fn jobs_that_are_void_leave_the_line() {
    let pool = ThreadPool::new(1);
    let in_line = |pool: &ThreadPool| pool.pool.lane.queue.lock().state.waiting;
    let (go, stuck) = mpsc::channel::<()>();
    let (entered, is_entered) = mpsc::channel();
    let first = pool.submit(move || {
        entered.send(()).unwrap();
        stuck.recv().is_err()
    });
    is_entered.recv().unwrap();
    let (done, order) = mpsc::channel();
    for round in 0..100 {
        if round % 10 == 0 {
            let done = done.clone();
            pool.submit(move || done.send(round).unwrap());
        }
        assert!(pool.submit(|| unreachable!("it was cancelled")).cancel());
        assert!(in_line(&pool) <= 2 * (round / 10 + 1), "{} in round {round}", in_line(&pool));
    }
    // From the newest to the oldest, as a map does that panics.
    let jobs: Vec<_> = (0..1000).map(|_| pool.submit(|| ())).collect();
    assert!(jobs.iter().rev().all(JobHandle::cancel));
    assert!(in_line(&pool) <= 20, "{} are in line", in_line(&pool));
    drop((go, done));
    assert!(first.join().unwrap());
    assert!(order.iter().eq((0..100).step_by(10)));
    let pool = Arc::new(pool);
    let there = Arc::clone(&pool);
    let left = pool.submit(move || {
        (0..10).for_each(|n| assert_eq!(there.submit(move || n).join().unwrap(), n));
        in_line(&there)
    });
    assert_eq!(left.join().unwrap(), 0);
    pool.join();
}

/// A job came after the thread's time was up, and before it was counted out: who submitted
/// it has counted on that thread.
#[test]
fn a_thread_that_wants_to_leave_stays_for_a_job() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    let (sender, receiver) = mpsc::channel();
    {
        let mut inner = LANE.queue.lock();
        inner.state.threads = 1;
        inner.state.idle = 1;
    }
    push(&LANE, &sender, 0);
    assert!(!LANE.leave());
    let inner = LANE.queue.lock();
    assert_eq!((inner.state.threads, inner.state.idle), (1, 1));
    drop(inner);
    let entry = LANE.queue.lock().state.take();
    entry.expect("the job is in line").job.run(Ok(()));
    assert_eq!(receiver.recv().unwrap(), (0, true));
    LANE.queue.lock().state.idle += 1;
    assert!(LANE.leave());
    let inner = LANE.queue.lock();
    assert_eq!((inner.state.threads, inner.state.idle, inner.state.waiting), (0, 0, 0));
}

#[test]
fn jobs_fail_only_if_there_is_no_thread_at_all() {
    static LANE: Lane = Lane::new("test", 4, IDLE_EXIT);
    let (sender, receiver) = mpsc::channel();
    let error = io::Error::from_raw_os_error(11);
    (0..3).for_each(|number| push(&LANE, &sender, number));
    // Two were to be started: the first failure leaves the jobs to the other.
    LANE.queue.lock().state.threads = 2;
    LANE.do_without_thread(&error);
    assert!(receiver.try_recv().is_err());
    LANE.do_without_thread(&error);
    let mut failed: Vec<_> = receiver.try_iter().collect();
    failed.sort_unstable();
    assert_eq!(failed, [(0, false), (1, false), (2, false)]);
    let inner = LANE.queue.lock();
    assert_eq!((inner.state.threads, inner.state.waiting), (0, 0));
}

/// The kill came first, but before the waiter has run the job was done: what it gave is not
/// lost, and the kill comes at the next wait.
#[test]
fn a_result_that_comes_together_with_a_kill_is_given() {
    let go = Arc::new(AtomicBool::new(false));
    let got = std::rc::Rc::new(std::cell::Cell::new(0));
    let task = spawn({
        let (go, got) = (Arc::clone(&go), std::rc::Rc::clone(&got));
        move || {
            got.set(blocking(move || {
                while !go.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                5
            }));
            yield_now();
            got.set(6);
        }
    });
    yield_now();
    assert!(task.kill());
    go.store(true, Ordering::SeqCst);
    // The job's thread sends its wake when the result is there; this thread reads it later.
    let hub = hub::current().expect("a coroutine was spawned");
    while !hub.shared().has_messages() {
        thread::yield_now();
    }
    assert!(task.join().unwrap_err().is::<Killed>());
    assert_eq!(got.get(), 5);
}

/// gevent's test of its pool: jobs of one size after the other, on few threads.
#[test]
fn a_thousand_jobs_on_two_threads_run_in_order() {
    static LANE: Lane = Lane::new("test", 2, IDLE_EXIT);
    let begun = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..1000)
        .map(|n| {
            let begun = Arc::clone(&begun);
            spawn(move || {
                run_on(&LANE, What::Blocking, Mode::Plain, move || {
                    begun.lock().unwrap().push((thread::current().id(), n));
                    n
                })
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.join().unwrap().unwrap(), n);
    }
    let begun = begun.lock().unwrap();
    assert_eq!(begun.len(), 1000);
    let (first, _) = begun[0];
    let (own, others): (Vec<_>, Vec<_>) = begun.iter().partition(|(thread, _)| *thread == first);
    assert!(own.is_sorted_by_key(|(_, n)| *n) && others.is_sorted_by_key(|(_, n)| *n));
    assert!(others.iter().all(|(thread, _)| *thread == others[0].0), "more than two threads");
}

#[test]
fn idle_threads_end_and_come_again() {
    static LANE: Lane = Lane::new("test", 3, Duration::from_millis(1));
    let mut ids = std::collections::HashSet::new();
    for round in 1..=3 {
        let meet = Arc::new(std::sync::Barrier::new(3));
        let tasks = [(); 3].map(|()| {
            let meet = Arc::clone(&meet);
            spawn(move || {
                let job = move || {
                    meet.wait();
                    thread::current().id()
                };
                run_on(&LANE, What::Blocking, Mode::Plain, job).unwrap()
            })
        });
        ids.extend(tasks.map(|task| task.join().unwrap()));
        while LANE.queue.lock().state.threads > 0 {
            thread::yield_now();
        }
        let inner = LANE.queue.lock();
        assert_eq!((inner.state.idle, inner.state.waiting), (0, 0));
        assert_eq!(ids.len(), 3 * round);
    }
}

/// Those that are too many leave, whether they sleep or are busy, and the jobs that they were
/// woken for go to the others.
#[test]
fn a_lane_that_is_resized_has_as_many_threads_as_were_said() {
    static LANE: Lane = Lane::new("test", 3, Duration::MAX);
    let meeting = |count: usize| {
        let meet = Arc::new(std::sync::Barrier::new(count));
        let (sender, receiver) = mpsc::channel();
        for _ in 0..count {
            let (meet, sender) = (Arc::clone(&meet), sender.clone());
            let job: Job = Box::new(move |_| {
                meet.wait();
                sender.send(()).unwrap();
            });
            Lane::submit(&&LANE, job);
        }
        receiver
    };
    let settle = |threads: usize| {
        while {
            let inner = LANE.queue.lock();
            (inner.state.threads, inner.state.idle) != (threads, threads)
        } {
            thread::yield_now();
        }
    };
    assert_eq!(meeting(3).iter().take(3).count(), 3);
    settle(3);
    Lane::set_threads_max(&&LANE, 1);
    settle(1);
    // Two meet only once there is a second thread, which is started for the job in line.
    let receiver = meeting(2);
    assert!(receiver.recv_timeout(Duration::from_millis(5)).is_err());
    Lane::set_threads_max(&&LANE, 2);
    assert_eq!(receiver.iter().take(2).count(), 2);
    settle(2);
    LANE.close();
    settle(0);
    // A job that comes all the same is done, and nobody stays.
    assert_eq!(meeting(1).iter().take(1).count(), 1);
    settle(0);
}

/// A long line is cleared without a frame for each job, and nothing of it is left.
#[test]
fn a_line_is_cleared_however_long_it_is() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    let (sender, receiver) = mpsc::channel();
    (0..100_000).for_each(|number| push(&LANE, &sender, number));
    drop(sender);
    LANE.clear();
    assert_eq!(receiver.iter().count(), 0);
    assert_eq!(LANE.queue.lock().state.waiting, 0);
}
