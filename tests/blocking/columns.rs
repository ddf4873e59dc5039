//! The columns: what can happen to a wait, tried on every row.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Builder;
use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::Killed;
use corovent::debug;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::case::Call;
use crate::case::Case;
use crate::case::Row;
use crate::case::outcome;
use crate::rows::rows;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// The names of the columns that a row may lack.
pub(crate) const COLUMNS: [&str; 11] = [
    "timeout",
    "killed",
    "behind",
    "satisfied",
    "threads",
    "ended hub",
    "unwinding",
    "shield",
    "root",
    "seeds",
    "alone",
];

/// Runs a column on every row that has it; one that fails is the last that is named.
pub(crate) fn each(column: &str, mut check: impl FnMut(&Case)) {
    each_row(column, |row| {
        run(|| {
            let mut case = (row.make)();
            case.has_line = !row.has_not("behind");
            check(&case);
            drop(case);
            settle();
        });
    });
}

fn each_row(column: &str, mut check: impl FnMut(&Row)) {
    assert!(COLUMNS.contains(&column));
    for row in rows().filter(|row| !row.has_not(column)) {
        eprintln!("{column}: {}", row.functions.join(", "));
        check(row);
    }
}

/// Waits for helpers of the row to end: what stays for ever is found by `run`.
pub(crate) fn settle() {
    while debug::counters().coroutines > 0 {
        sleep(Duration::from_micros(100));
    }
}

/// A coroutine that waits.
pub(crate) struct Waiter<T> {
    pub(crate) task: JoinHandle<T>,
    name: String,
}

impl<T: 'static> Waiter<T> {
    /// Starts a coroutine and runs until it waits.
    fn start(f: impl FnOnce() -> T + 'static) -> Waiter<T> {
        let waiter = Waiter::spawn(f);
        until(|| waiter.is_settled());
        assert!(!waiter.task.is_finished(), "it has not waited");
        waiter
    }

    pub(crate) fn spawn(f: impl FnOnce() -> T + 'static) -> Waiter<T> {
        static COUNT: AtomicU64 = AtomicU64::new(0);

        let name = format!("waiter {}", COUNT.fetch_add(1, Ordering::Relaxed));
        Waiter { task: Builder::new().name(name.clone()).spawn(f).unwrap(), name }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        debug::dump().tasks().any(|task| {
            let waits = task.waits_for().is_some_and(|what| what != "its turn");
            task.name() == Some(&self.name) && task.state() == "blocked" && waits
        })
    }

    /// It waits, or has ended.
    pub(crate) fn is_settled(&self) -> bool {
        self.task.is_finished() || self.is_blocked()
    }

    pub(crate) fn kill(&self) -> bool {
        self.task.kill()
    }

    pub(crate) fn join(self) -> os::Result<T> {
        self.task.join()
    }
}

/// Lets the others run until something is so. Most need their turn only, and then it is by turns:
/// with a seed, always after as many.
pub(crate) fn until(is_so: impl Fn() -> bool) {
    for turns in 0.. {
        if is_so() {
            return;
        }
        if turns < 100 { yield_now() } else { sleep(Duration::from_micros(10)) }
    }
}

/// Starts the call and runs until it waits.
fn waiter(call: &Call) -> Waiter<io::Result<()>> {
    let call = Arc::clone(call);
    Waiter::start(move || call())
}

fn release(case: &Case) {
    case.release.as_ref().expect("the column `release` is lacking")();
}

/// The resource is as it should be: released, a call returns.
#[track_caller]
pub(crate) fn check_usable(case: &Case, is_released: bool) {
    let Some(release) = &case.release else { return };
    if case.is_personal {
        return;
    }
    if !is_released {
        release();
    }
    let again = timeout(Duration::from_secs(60), || (case.call)());
    assert_eq!(again.expect("nothing was left for it").map_err(|error| error.to_string()), Ok(()));
}

#[test]
fn an_outer_timeout_is_not_lost() {
    each("timeout", |case| {
        assert_eq!(timeout(SHORT, || (case.call)()).err(), Some(Elapsed), "on the root");
        let call = Arc::clone(&case.call);
        let task = spawn(move || timeout(SHORT, || call()).err());
        assert_eq!(task.join().unwrap(), Some(Elapsed), "in a coroutine");
        if let Some(limited) = &case.limited {
            assert_eq!(timeout(SHORT, || limited(LONG)), Err(Elapsed), "a longer limit");
            assert_eq!(timeout(LONG, || limited(SHORT)), Ok(true), "a shorter limit");
        }
        check_usable(case, false);
    });
}

#[test]
fn of_nested_timeouts_the_first_that_is_over_ends_the_wait() {
    each("timeout", |case| {
        let inner = timeout(LONG, || timeout(SHORT, || (case.call)()).err());
        assert_eq!(inner, Ok(Some(Elapsed)));
        let outer = timeout(SHORT, || timeout(LONG, || (case.call)()).is_ok());
        assert_eq!(outer, Err(Elapsed));
        let both = timeout(SHORT, || timeout(SHORT, || (case.call)()).is_ok());
        assert!(both.is_err() || both == Ok(false));
        check_usable(case, false);
    });
}

#[test]
fn a_killed_waiter_unwinds_and_loses_nothing() {
    each("killed", |case| {
        let dropped = Rc::new(Cell::new(false));
        let (call, flag) = (Arc::clone(&case.call), Rc::clone(&dropped));
        let task = Waiter::start(move || {
            let _guard = on_drop(move || flag.set(true));
            drop(call());
        });
        let behind = behind(case);
        assert!(task.kill());
        assert!(task.join().unwrap_err().is::<Killed>());
        assert!(dropped.get());
        let Some(behind) = behind else { return check_usable(case, false) };
        release(case);
        behind.join().unwrap().unwrap();
        check_usable(case, !case.consumes);
    });
}

/// A second one that waits, if there can be two.
fn behind(case: &Case) -> Option<Waiter<io::Result<()>>> {
    let has_line = case.has_line && case.release.is_some();
    has_line.then(|| waiter(&case.call))
}

#[test]
fn a_waiter_that_is_killed_and_satisfied_at_once_loses_nothing() {
    each("satisfied", |case| {
        for is_killed_first in [false, true] {
            let task = waiter(&case.call);
            let behind = behind(case);
            if is_killed_first {
                task.kill();
                release(case);
            } else {
                release(case);
                task.kill();
            }
            let has_it = match task.join() {
                Ok(result) => {
                    result.unwrap();
                    true
                }
                Err(payload) => {
                    assert!(payload.is::<Killed>());
                    false
                }
            };
            if let Some(behind) = behind {
                if has_it && case.consumes {
                    release(case);
                }
                behind.join().unwrap().unwrap();
                check_usable(case, !case.consumes);
            } else {
                check_usable(case, !(has_it && case.consumes));
            }
            if !case.consumes {
                break;
            }
        }
    });
}

/// Shut down, closed, or left alone by the other side.
#[test]
fn what_others_do_ends_the_wait() {
    passes("columns::child_has_its_waits_ended");
}

/// The number of a descriptor that is closed behind a waiter's back is the next one that any
/// thread opens: no other test may run meanwhile.
#[test]
#[ignore = "runs in a process of its own"]
fn child_has_its_waits_ended() {
    let endings: usize = rows().map(|row| run(|| (row.make)().endings.len())).sum();
    assert!(endings > 10, "only {endings} endings");
    for row in rows() {
        for nth in 0.. {
            let is_there = run(|| {
                let case = (row.make)();
                let Some((name, act, expected)) = case.endings.get(nth) else { return false };
                eprintln!("{}: {name}", row.functions.join(", "));
                let task = waiter(&case.call);
                let act = Arc::clone(act);
                spawn(move || act()).join().unwrap();
                assert_eq!(outcome(&task.join().unwrap()), *expected, "{name}");
                drop(case);
                settle();
                true
            });
            if !is_there {
                break;
            }
        }
    }
}

#[test]
fn a_wait_is_ended_from_another_hub() {
    each("threads", |case| {
        let (call, (sender, is_blocked)) = (Arc::clone(&case.call), mpsc::channel());
        let other = os::spawn(move || {
            let task = waiter(&call);
            sender.send(()).unwrap();
            task.join().unwrap()
        });
        is_blocked.recv().unwrap();
        let act = Arc::clone(case.release.as_ref().unwrap());
        spawn(move || act()).join().unwrap();
        other.join().unwrap().unwrap();
        // And the other way round.
        if case.consumes {
            let (task, act) = (waiter(&case.call), Arc::clone(case.release.as_ref().unwrap()));
            os::spawn(move || spawn(move || act()).join().unwrap()).join().unwrap();
            task.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_wait_is_ended_by_a_thread_without_a_hub() {
    each("threads", |case| {
        let (task, act) = (waiter(&case.call), Arc::clone(case.release.as_ref().unwrap()));
        os::spawn(move || act()).join().unwrap();
        task.join().unwrap().unwrap();
    });
}

/// Whether it comes to wait before it is released or only after, nobody can tell.
#[test]
fn a_thread_without_a_hub_waits_as_well() {
    each("threads", |case| {
        let rounds = if case.consumes { 20 } else { 1 };
        for _ in 0..rounds {
            let (call, (sender, is_there)) = (Arc::clone(&case.call), mpsc::channel());
            let thread = os::spawn(move || {
                sender.send(()).unwrap();
                call()
            });
            is_there.recv().unwrap();
            let act = Arc::clone(case.release.as_ref().unwrap());
            spawn(move || act()).join().unwrap();
            thread.join().unwrap().unwrap();
        }
    });
}

/// One whose thread has ended stays in line for ever, and is passed over.
#[test]
fn a_waiter_whose_hub_has_ended_is_passed_over() {
    each_row("ended hub", |row| {
        let make = row.make;
        // What the lost waiter holds is never dropped: on a thread whose hub ends as well.
        run(|| os::spawn(move || pass_over(&make())).join().unwrap());
    });
}

fn pass_over(case: &Case) {
    let call = Arc::clone(&case.call);
    os::spawn(move || drop(waiter(&call))).join().unwrap();
    let task = waiter(&case.call);
    release(case);
    task.join().unwrap().unwrap();
    check_usable(case, !case.consumes);
}

/// Calls with an error to return fail; all others really wait.
#[test]
fn a_coroutine_that_unwinds() {
    each("unwinding", |case| {
        let result: Rc<RefCell<Option<io::Result<()>>>> = Rc::default();
        let (call, slot) = (Arc::clone(&case.call), Rc::clone(&result));
        let body = move || {
            let _guard = on_drop(move || *slot.borrow_mut() = Some(call()));
            park();
        };
        let task = Waiter::start(body);
        task.kill();
        if !case.fails {
            // It goes from one wait into the next.
            yield_now();
            until(|| task.is_settled());
            assert!(!task.task.is_finished(), "it has not waited");
            assert!(!task.task.kill_timeout(SHORT), "a kill does not end it");
            release(case);
        }
        assert!(task.join().unwrap_err().is::<Killed>());
        let result = result.borrow_mut().take().unwrap();
        if case.fails {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert_eq!(error.to_string(), "the coroutine is unwinding");
            check_usable(case, false);
        } else {
            result.unwrap();
            check_usable(case, !case.consumes);
        }
    });
}

#[test]
fn in_a_shield_a_kill_comes_after_the_wait() {
    each("shield", |case| {
        let passed = Rc::new(Cell::new(false));
        let (call, flag) = (Arc::clone(&case.call), Rc::clone(&passed));
        let task = Waiter::start(move || {
            shield(|| call()).unwrap();
            flag.set(true);
            park();
        });
        assert!(task.kill());
        (0..5).for_each(|_| yield_now());
        assert!(task.is_blocked(), "the kill waits");
        release(case);
        assert!(task.join().unwrap_err().is::<Killed>());
        assert!(passed.get());
        check_usable(case, !case.consumes);
    });
}

#[test]
fn the_root_waits_like_any_other() {
    each("root", |case| {
        let act = Arc::clone(case.release.as_ref().unwrap());
        let other = spawn(move || {
            (0..3).for_each(|_| yield_now());
            act();
        });
        (case.call)().unwrap();
        other.join().unwrap();
        check_usable(case, !case.consumes);
    });
}
