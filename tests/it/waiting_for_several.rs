//! Joining many handles, the first of them, and one after the other as they end.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Abandoned;
use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::debug;
use corovent::group::Joinable;
use corovent::group::as_completed;
use corovent::group::join_all;
use corovent::group::join_all_timeout;
use corovent::group::kill_all;
use corovent::group::try_join_all;
use corovent::group::wait_any;
use corovent::group::wait_any_timeout;
use corovent::group::wait_count;
use corovent::group::wait_count_timeout;
use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::Thread;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// Coroutines that end in another order than they were spawned in: the first last.
fn backwards(count: usize) -> Vec<JoinHandle<usize>> {
    let body = move |n| {
        (0..count - n).for_each(|_| yield_now());
        n
    };
    (0..count).map(|n| spawn(move || body(n))).collect()
}

#[test]
fn all_are_joined_in_the_order_of_their_handles() {
    run(|| {
        let values: Vec<_> = join_all(backwards(5)).into_iter().map(Result::unwrap).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        assert!(join_all(Vec::<JoinHandle<()>>::new()).is_empty());
    });
}

/// gevent scenario 18.
#[test]
fn all_are_joined_from_a_coroutine_and_by_chains() {
    run(|| {
        fn chain(depth: u32) -> u32 {
            let below = (0..2 * u32::from(depth > 0)).map(|_| spawn(move || chain(depth - 1)));
            1 + join_all(below).into_iter().map(Result::unwrap).sum::<u32>()
        }
        assert_eq!(spawn(|| chain(7)).join().unwrap(), 255);
    });
}

#[test]
fn one_that_waits_for_itself_panics() {
    type Wait = fn(JoinHandle<()>);

    run(|| {
        let waits: [Wait; 5] = [
            |own| drop(join_all([own])),
            |own| assert!(wait_any(&[own]).is_none()),
            |own| drop(wait_count(&[own], 1)),
            |own| as_completed([own]).for_each(drop),
            |own| drop(try_join_all([own])),
        ];
        for wait in waits {
            let (sender, receiver) = corovent::sync::mpsc::channel();
            let task = spawn(move || {
                let own = receiver.recv().unwrap();
                assert!(catch_unwind(AssertUnwindSafe(|| wait(own))).is_err());
            });
            sender.send(task).unwrap();
            while debug::counters().coroutines > 0 {
                yield_now();
            }
        }
    });
}

/// Nobody is waited for then, and so not the caller either.
#[test]
fn one_that_finds_enough_ends_may_be_among_those() {
    run(|| {
        let (sender, receiver) = corovent::sync::mpsc::channel();
        let (done, is_done) = corovent::sync::mpsc::channel();
        let task = spawn(move || {
            let own: JoinHandle<()> = receiver.recv().unwrap();
            let ended = [spawn(|| ()), spawn(|| ())];
            until_quiet();
            let tasks = [&own, &ended[0], &ended[1]];
            assert_eq!(wait_any(tasks), Some(1));
            assert_eq!(wait_any_timeout(tasks, LONG), Some(1));
            assert_eq!(wait_count(tasks, 2), [1, 2]);
            assert_eq!(wait_count_timeout(tasks, 2, LONG), [1, 2]);
            assert!(wait_count(tasks, 0).is_empty());
            done.send(()).unwrap();
        });
        sender.send(task).unwrap();
        is_done.recv().expect("the coroutine has not panicked");
    });
}

#[test]
fn those_that_have_not_ended_are_given_back() {
    run(|| {
        let tasks = vec![spawn(park), spawn(|| ()), spawn(park), spawn(|| panic!("as expected"))];
        let parked = [tasks[0].thread().clone(), tasks[2].thread().clone()];
        let results = join_all_timeout(tasks, SHORT);
        let ended: Vec<_> = results.iter().map(|result| result.is_ok()).collect();
        assert_eq!(ended, [false, true, false, true]);
        parked.iter().for_each(Thread::unpark);
        for handle in results.into_iter().filter_map(Result::err) {
            handle.join().unwrap();
        }
    });
}

/// gevent scenario 17.
#[test]
fn the_first_failure_is_given_at_once_and_the_others_go_on() {
    run(|| {
        let done = Rc::new(Cell::new(0));
        let own = Rc::clone(&done);
        let tasks = vec![
            spawn(move || {
                (0..20).for_each(|_| yield_now());
                own.set(1);
            }),
            spawn(|| {
                (0..5).for_each(|_| yield_now());
                panic!("second")
            }),
            spawn(|| {
                yield_now();
                panic!("first")
            }),
        ];
        let payload = try_join_all(tasks).unwrap_err();
        assert!(is_message(&*payload, "first"));
        assert_eq!(done.get(), 0);
        while debug::counters().coroutines > 0 {
            yield_now();
        }
        assert_eq!(done.get(), 1);
        assert_eq!(try_join_all(backwards(4)).unwrap(), [0, 1, 2, 3]);
    });
}

/// gevent scenario 16.
#[test]
fn results_come_in_the_order_of_the_ends() {
    run(|| {
        let mut completed = as_completed(backwards(4));
        assert_eq!(completed.len(), 4);
        let order: Vec<_> = completed.by_ref().map(|(n, value)| (n, value.unwrap())).collect();
        assert_eq!(order, [(3, 3), (2, 2), (1, 1), (0, 0)]);
        assert_eq!((completed.len(), completed.next().is_none()), (0, true));
        assert_eq!(as_completed(Vec::<JoinHandle<()>>::new()).count(), 0);
    });
}

#[test]
fn those_that_have_ended_before_come_first() {
    run(|| {
        let tasks = [spawn(|| sleep(SHORT)), spawn(|| ()), spawn(|| panic!("as expected"))];
        until_quiet();
        let order: Vec<_> = as_completed(tasks).map(|(n, result)| (n, result.is_ok())).collect();
        assert_eq!(order, [(1, true), (2, false), (0, true)]);
    });
}

#[test]
fn what_is_not_given_is_detached_or_given_back() {
    run(|| {
        let mut completed = as_completed(vec![spawn(park), spawn(|| ()), spawn(park)]);
        assert_eq!(completed.next().unwrap().0, 1);
        assert_eq!(timeout(SHORT, || completed.next().is_some()), Err(Elapsed));
        assert!(completed.next_timeout(SHORT).is_none());
        let handles = completed.into_handles();
        assert_eq!(handles.len(), 2);
        assert_eq!(kill_all(&handles), 2);
        drop(as_completed(handles));
        let waiter = spawn(|| as_completed([spawn(yield_now), spawn(yield_now)]).count());
        assert_eq!(waiter.join().unwrap(), 2);
        let parked = spawn(park);
        let thread = parked.thread().clone();
        let waiter = spawn(|| as_completed([parked]).count());
        until_quiet();
        waiter.kill();
        assert!(was_killed(waiter));
        thread.unpark();
        while debug::counters().coroutines > 0 {
            yield_now();
        }
    });
}

#[test]
fn any_of_several_is_waited_for() {
    run(|| {
        let tasks = [spawn(park), spawn(park), spawn(park), spawn(yield_now)];
        assert_eq!(wait_any(&tasks), Some(3));
        assert_eq!(wait_any(&tasks), Some(3), "the same again");
        assert_eq!(wait_any_timeout(&tasks[..3], SHORT), None);
        let both: [&dyn Joinable; 2] = [&tasks[0], &tasks[1]];
        tasks[1].thread().unpark();
        assert_eq!(wait_any(&both), Some(1));
        assert_eq!(wait_any::<JoinHandle<()>>(&[]), None);
        assert_eq!(wait_any_timeout(&tasks, LONG), Some(1), "the first in order");
        kill_all(&tasks);
        join_all(tasks);
    });
}

#[test]
fn so_many_of_several_are_waited_for() {
    run(|| {
        let tasks = backwards(4);
        assert!(wait_count(&tasks, 0).is_empty());
        assert_eq!(wait_count(&tasks, 2), [3, 2]);
        assert_eq!(wait_count(&tasks, 3), [2, 3, 1]);
        assert_eq!(wait_count(&tasks, 100).len(), 4);
        let more = [spawn(park), spawn(|| ())];
        assert_eq!(wait_count_timeout(&more, 2, SHORT), [1]);
        assert_eq!(timeout(SHORT, || wait_count(&more, 2)), Err(Elapsed));
        kill_all(&more);
        join_all(more);
        join_all(tasks);
    });
}

#[test]
fn the_same_handle_may_be_waited_for_twice_and_by_many() {
    run(|| {
        let task = Rc::new(spawn(park));
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let task = Rc::clone(&task);
                spawn(move || wait_any([&*task, &*task]))
            })
            .collect();
        until_quiet();
        // Some leave before, and leave nothing.
        waiters[..50].iter().for_each(|waiter| assert!(waiter.kill()));
        until_quiet();
        task.thread().unpark();
        let (killed, woken): (Vec<_>, Vec<_>) =
            join_all(waiters).into_iter().partition(Result::is_err);
        assert_eq!((killed.len(), woken.len()), (50, 50));
        assert!(woken.into_iter().all(|result| result.unwrap() == Some(0)));
    });
}

#[test]
fn scoped_coroutines_are_waited_for() {
    run(|| {
        let word = String::from("borrowed");
        scope(|scope| {
            let tasks = [scope.spawn(|| sleep(SHORT)), scope.spawn(|| drop(word.clone()))];
            assert_eq!(wait_any(&tasks), Some(1));
            assert_eq!(wait_count(&tasks, 2), [1, 0]);
        });
    });
}

/// Starts a thread whose coroutine gives a number when it is told to.
fn elsewhere(n: usize) -> (JoinHandle<usize>, Thread, os::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let thread = os::spawn(move || {
        let task = spawn(move || {
            park();
            n
        });
        let parked = task.thread().clone();
        sender.send((task, parked)).unwrap();
        while debug::counters().coroutines > 0 {
            sleep(Duration::from_micros(100));
        }
    });
    let (task, parked) = receiver.recv().unwrap();
    (task, parked, thread)
}

/// Calls a closure in a coroutine, and on a thread without a hub.
fn in_both_worlds(f: fn()) {
    run(|| spawn(f).join().unwrap());
    os::spawn(f).join().unwrap();
}

#[test]
fn coroutines_of_several_threads_are_waited_for() {
    in_both_worlds(|| {
        let (mut tasks, mut parked, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..4 {
            let (task, thread, other) = elsewhere(n);
            tasks.push(task);
            parked.push(thread);
            threads.push(other);
        }
        assert_eq!(wait_any_timeout(&tasks, SHORT), None);
        parked[2].unpark();
        assert_eq!(wait_any(&tasks), Some(2));
        parked[1].unpark();
        wait_count(&tasks, 2);
        let mut completed = as_completed(tasks);
        let first: Vec<_> = completed.by_ref().take(2).map(|(n, _)| n).collect();
        assert_eq!(first, [1, 2]);
        parked[0].unpark();
        assert_eq!(completed.next().unwrap().1.unwrap(), 0);
        parked[3].unpark();
        let rest: Vec<_> = join_all(completed.into_handles());
        assert_eq!(rest.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [3]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_thread_that_ends_wakes_those_who_wait_for_its_coroutines() {
    in_both_worlds(|| {
        let (sender, receiver) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let thread = os::spawn(move || {
            sender.send([spawn(park), spawn(park)]).unwrap();
            until_quiet();
            goes.recv().unwrap();
        });
        let tasks = receiver.recv().unwrap();
        let releaser = os::spawn(move || {
            os::sleep(SHORT);
            go.send(()).unwrap();
            thread.join().unwrap();
        });
        assert!(wait_any(&tasks).is_some());
        for (_, result) in as_completed(tasks) {
            assert!(result.unwrap_err().is::<Abandoned>());
        }
        releaser.join().unwrap();
    });
}

#[test]
fn a_hundred_thousand_as_they_end() {
    run(|| {
        let tasks: Vec<_> = (0..100_000).map(|n| spawn(move || n)).collect();
        let order: Vec<_> = as_completed(tasks).map(|(n, value)| (n, value.unwrap())).collect();
        assert_eq!(order.len(), 100_000);
        let tasks: Vec<_> = (0..100_000).map(|_| spawn(park)).collect();
        assert_eq!(wait_any_timeout(&tasks, SHORT), None);
        kill_all(&tasks);
        drop(as_completed(tasks));
        while debug::counters().coroutines > 0 {
            yield_now();
        }
    });
}
