//! Groups: waiting for many coroutines, and killing them.

use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::thread as os;
use std::time::Duration;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::debug;
use corovent::group::Group;
use corovent::group::join_all;
use corovent::group::kill_all;
use corovent::group::kill_all_timeout;
use corovent::remote;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::spawn_after;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::resident_bytes;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// Lets others run until no coroutine is left.
fn settle() {
    while debug::counters().coroutines > 0 {
        yield_now();
    }
}

/// Swallows kills until the flag is set.
fn stubborn(done: &Rc<Cell<bool>>) -> impl FnOnce() + use<> {
    let done = Rc::clone(done);
    move || {
        while !done.get() {
            let _ = catch_unwind(park);
        }
    }
}

#[test]
fn members_leave_when_they_have_ended() {
    run(|| {
        let group = Group::new();
        let tasks = [group.spawn(|| 1), group.spawn(|| panic!("as expected")), group.spawn(park1)];
        tasks[2].kill();
        assert_eq!(group.len(), 3);
        assert!(tasks.iter().all(|task| group.contains(task)));
        group.join();
        assert!(group.is_empty());
        assert!(!group.contains(&tasks[0]));
        let [first, second, third] = join_all(tasks).try_into().unwrap();
        assert_eq!(first.unwrap(), 1);
        assert!(is_message(&*second.unwrap_err(), "as expected"));
        assert!(third.unwrap_err().is::<Killed>());
    });
}

fn park1() -> i32 {
    park();
    1
}

#[test]
fn an_empty_group_is_not_waited_for() {
    run(|| {
        let group = Group::new();
        group.join();
        assert!(group.join_timeout(Duration::ZERO));
        assert!(!group.join_next());
        assert_eq!(group.kill(), 0);
        group.kill_timeout(Duration::ZERO).unwrap();
    });
}

#[test]
fn members_come_and_go_by_hand() {
    run(|| {
        let (group, other) = (Group::new(), Group::default());
        let task = spawn(park);
        group.add(&task);
        group.add(&task);
        other.add(&task);
        assert_eq!((group.len(), other.len()), (1, 1));
        assert_eq!(group.threads()[0].id(), task.thread().id());
        assert!(group.discard(&task));
        assert!(!group.discard(&task));
        group.add(&task);
        assert!(task.kill_timeout(LONG));
        assert_eq!((group.len(), other.len()), (0, 0));
        group.add(&task);
        assert!(group.is_empty(), "it has ended");
        assert!(was_killed(task));
    });
}

#[test]
fn many_additions_of_one_leave_one_link() {
    run(|| {
        let group = Group::new();
        let task = spawn(park);
        for _ in 0..100_000 {
            group.add(&task);
            group.discard(&task);
        }
        task.kill();
        assert!(was_killed(task));
    });
}

#[test]
fn groups_that_are_gone_leave_nothing_with_their_members() {
    passes("groups::child_drops_groups");
}

#[test]
#[ignore = "measures the memory of its process"]
fn child_drops_groups() {
    run(|| {
        let task = spawn(park);
        let before = resident_bytes();
        for _ in 0..200_000 {
            Group::new().add(&task);
        }
        let grown = resident_bytes().saturating_sub(before);
        // They would take 30 MB at least, with what their links keep.
        assert!(grown < 8 << 20, "{grown} bytes more");
        task.kill();
        assert!(was_killed(task));
    });
}

#[test]
fn a_member_of_another_thread_is_refused() {
    run(|| {
        let task = os::spawn(|| spawn(park)).join().unwrap();
        let group = Group::new();
        assert!(catch_unwind(AssertUnwindSafe(|| group.add(&task))).is_err());
    });
}

#[test]
fn a_coroutine_sent_to_this_thread_may_be_added() {
    run(|| {
        let (group, hub) = (Group::new(), remote());
        let task = hub.spawn(park).unwrap();
        group.add(&task);
        assert_eq!(group.len(), 1);
        group.kill_timeout(LONG).unwrap();
        assert!(was_killed(task));
    });
}

/// gevent scenario: members are added while somebody waits for all.
#[test]
fn a_join_waits_for_members_that_come_meanwhile() {
    run(|| {
        let (group, log) = (Group::new(), Log::new());
        group.spawn({
            let (group, log) = (group.clone(), log.clone());
            move || {
                yield_now();
                log.add("first");
                group.spawn(move || log.add("second"));
            }
        });
        group.join();
        assert_eq!(log.text(), "first second");
    });
}

#[test]
fn a_join_returns_when_the_group_was_empty_for_a_moment() {
    run(|| {
        let group = Group::new();
        let task = spawn(yield_now);
        // In the turn in which the last one ends, before the waiter goes on, a new one comes.
        task.on_exit({
            let group = group.clone();
            move |_| drop(group.spawn(park))
        });
        group.add(&task);
        group.join();
        assert_eq!(group.len(), 1);
        group.kill_timeout(LONG).unwrap();
        settle();
    });
}

#[test]
fn a_member_cannot_wait_for_its_own_group() {
    run(|| {
        let group = Group::new();
        let own = group.clone();
        let task = group.spawn(move || own.join());
        assert!(task.join().is_err());
    });
}

#[test]
fn a_join_may_time_out_and_be_interrupted() {
    run(|| {
        let group = Group::new();
        group.spawn(park);
        assert!(!group.join_timeout(SHORT));
        assert_eq!(timeout(SHORT, || group.join()), Err(Elapsed));
        assert_eq!(timeout(SHORT, || group.join_timeout(LONG)), Err(Elapsed));
        assert_eq!(timeout(SHORT, || group.join_next()), Err(Elapsed));
        let waiter = spawn({
            let group = group.clone();
            move || group.join()
        });
        until_quiet();
        assert!(waiter.kill());
        assert!(was_killed(waiter));
        group.kill_timeout(LONG).unwrap();
    });
}

#[test]
fn several_wait_for_the_next_to_leave() {
    run(|| {
        let (group, log) = (Group::new(), Log::new());
        let tasks = [1, 2].map(|n| group.spawn(move || (0..n).for_each(|_| park())));
        let waiters = ["a", "b"].map(|word| {
            let (group, log) = (group.clone(), log.clone());
            spawn(move || {
                assert!(group.join_next());
                log.add(word);
            })
        });
        until_quiet();
        tasks[0].thread().unpark();
        join_all(waiters);
        log.assert_fifo("a b");
        assert_eq!(group.len(), 1);
        group.kill_timeout(LONG).unwrap();
        join_all(tasks);
    });
}

#[test]
fn dropping_a_group_detaches_its_members() {
    run(|| {
        let group = Group::new();
        let task = group.spawn(|| {
            until_quiet();
            1
        });
        drop(group);
        assert_eq!(task.join().unwrap(), 1);
    });
}

/// gevent scenarios 6 and 11: one that has not started, one that waits, one that has ended.
#[test]
fn a_kill_reaches_all_and_nobody_runs_before_all_are_marked() {
    run(|| {
        let log = Log::new();
        let group = Group::new();
        let waiting = group.spawn({
            let log = log.clone();
            move || {
                let _dropped = log.on_drop("waiting");
                park();
            }
        });
        let ended = group.spawn(|| ());
        until_quiet();
        let dropped = log.on_drop("captured");
        let new = group.spawn(move || {
            let _dropped = dropped;
            unreachable!()
        });
        let late = spawn_after(LONG, || unreachable!());
        group.add(&late);
        assert_eq!(group.kill(), 3);
        assert_eq!(log.text(), "", "nothing happens at once");
        group.kill_timeout(LONG).unwrap();
        log.assert_fifo("captured waiting");
        ended.join().unwrap();
        assert!(was_killed(waiting));
        assert!(was_killed(new));
        assert!(was_killed(late));
    });
}

/// gevent scenario 12: members that spawn members.
#[test]
fn members_that_come_while_the_group_is_killed_are_killed() {
    run(|| {
        for shape in ["when killed", "before it starts", "in a chain"] {
            let group = Group::new();
            let count = Rc::new(Cell::new(0));
            spawner(&group, &count, if shape == "in a chain" { 50 } else { 1 });
            if shape != "before it starts" {
                until_quiet();
            }
            group.kill_timeout(LONG).unwrap();
            assert!(group.is_empty());
            let expected = if shape == "before it starts" { 1 } else { 2 };
            assert_eq!(count.get(), expected, "{shape}");
            settle();
        }
    });
}

/// Spawns a member that spawns another when it is killed.
fn spawner(group: &Group, count: &Rc<Cell<u32>>, left: u32) {
    count.set(count.get() + 1);
    let (own, count) = (group.clone(), Rc::clone(count));
    group.spawn(move || {
        let _next = on_drop(|| {
            if left > 0 {
                spawner(&own, &count, left - 1);
            }
        });
        park();
    });
}

#[test]
fn those_that_swallow_their_kill_survive_and_are_told() {
    run(|| {
        let (group, done) = (Group::new(), Rc::new(Cell::new(false)));
        let stubborn = group.spawn(stubborn(&done));
        let other = group.spawn(park);
        until_quiet();
        // It does not wait for the time: it is known when the last throw was swallowed.
        let survivors = group.kill_timeout(LONG).unwrap_err();
        assert_eq!(survivors.threads().len(), 1);
        assert_eq!(survivors.threads()[0].id(), stubborn.thread().id());
        assert_eq!(group.kill_timeout(LONG).unwrap_err().threads().len(), 1);
        done.set(true);
        group.kill_timeout(LONG).unwrap();
        assert!(was_killed(other));
        assert!(!was_killed(stubborn), "it has swallowed that as well");
    });
}

#[test]
fn one_in_a_shield_survives_until_the_time_is_up() {
    run(|| {
        let group = Group::new();
        let task = group.spawn(|| shield(park));
        until_quiet();
        let survivors = group.kill_timeout(SHORT).unwrap_err();
        assert_eq!(survivors.to_string(), "1 coroutines have not ended though they were killed");
        survivors.threads()[0].unpark();
        group.join();
        task.join().unwrap();
    });
}

#[test]
fn a_member_that_kills_its_group_dies_with_it() {
    run(|| {
        let group = Group::new();
        let parked = group.spawn(park);
        let own = group.clone();
        let killer = group.spawn(move || drop(own.kill_timeout(LONG)));
        group.join();
        assert!(was_killed(killer));
        assert!(was_killed(parked));
    });
}

#[test]
fn a_kill_that_is_over_does_not_kill_who_comes_later() {
    run(|| {
        let group = Group::new();
        let task = group.spawn(|| shield(park));
        until_quiet();
        assert_eq!(timeout(SHORT, || group.kill_timeout(LONG).is_ok()), Err(Elapsed));
        task.thread().unpark();
        settle();
        assert_eq!(group.spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn kill_all_marks_each_kind() {
    run(|| {
        let (done, ran) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(Vec::new())));
        let tasks: Vec<JoinHandle<()>> = vec![spawn(park), spawn(stubborn(&done)), spawn(|| ())];
        until_quiet();
        let own = Rc::clone(&ran);
        let new = spawn(move || own.borrow_mut().push(1));
        let handles: Vec<_> = tasks.iter().chain([&new]).collect();
        let survivors = kill_all_timeout(handles.clone(), LONG).unwrap_err();
        assert_eq!(survivors.threads().len(), 1);
        assert_eq!(survivors.threads()[0].id(), tasks[1].thread().id());
        assert!(ran.borrow().is_empty(), "it has not started");
        done.set(true);
        kill_all_timeout(handles.clone(), LONG).unwrap();
        assert_eq!(kill_all(handles), 0);
        assert!(was_killed(new));
        join_all(tasks);
    });
}

#[test]
fn kill_all_is_bounded_by_its_time() {
    run(|| {
        let tasks: Vec<_> = (0..1000).map(|_| spawn(|| shield(park))).collect();
        until_quiet();
        let survivors = kill_all_timeout(&tasks, SHORT).unwrap_err();
        assert_eq!(survivors.threads().len(), 1000);
        assert_eq!(timeout(SHORT, || kill_all_timeout(&tasks, LONG).is_ok()), Err(Elapsed));
        survivors.threads().iter().for_each(|thread| thread.unpark());
        join_all(tasks);
    });
}

#[test]
fn kill_all_reaches_coroutines_of_other_threads() {
    run(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = os::spawn(move || {
            sender.send([spawn(park), spawn(|| sleep(LONG))]).unwrap();
            while debug::counters().coroutines > 0 {
                yield_now();
            }
        });
        let tasks = receiver.recv().unwrap();
        kill_all_timeout(&tasks, LONG).unwrap();
        assert!(join_all(tasks).into_iter().all(|result| result.is_err()));
        other.join().unwrap();
    });
}

#[test]
fn a_hundred_thousand_members() {
    run(|| {
        let group = Group::new();
        let tasks: Vec<_> = (0..100_000).map(|_| group.spawn(park)).collect();
        assert_eq!(group.len(), 100_000);
        assert_eq!(group.kill(), 100_000);
        group.join();
        assert!(join_all(tasks).iter().all(Result::is_err));
        for _ in 0..100_000 {
            group.spawn(|| ());
        }
        group.join();
        settle();
    });
}
