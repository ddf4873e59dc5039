//! Other crates' coroutines on the same thread: switches that the hub knows nothing of.

use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

use corosensei::Coroutine;
use corosensei::CoroutineResult;
use corosensei::Yielder;
use corovent::JoinHandle;
use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::thread::park_timeout;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::child;
use crate::support::is_message;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(1);

/// A generator of the numbers below `count`, whose body waits before each.
fn numbers(count: u32) -> Coroutine<(), u32, ()> {
    Coroutine::new(move |yielder: &Yielder<(), u32>, ()| {
        for number in 0..count {
            sleep(SHORT);
            yield_now();
            assert_eq!(spawn(move || number).join().unwrap(), number);
            yielder.suspend(number);
        }
    })
}

fn next(generator: &mut Coroutine<(), u32, ()>) -> Option<u32> {
    match generator.resume(()) {
        CoroutineResult::Yield(number) => Some(number),
        CoroutineResult::Return(()) => None,
    }
}

/// Called from one of ours, or from the root, a foreign coroutine is part of it: it stands
/// on another stack, and its waits are those of its caller.
#[test]
fn a_foreign_coroutine_that_ours_calls_may_wait() {
    run(|| {
        let other = spawn(|| {
            loop {
                yield_now();
            }
        });
        let sum = || {
            let mut generator = numbers(4);
            std::iter::from_fn(|| next(&mut generator)).sum::<u32>()
        };
        assert_eq!(sum(), 6, "on the root");
        let tasks: Vec<JoinHandle<u32>> = (0..3).map(|_| spawn(sum)).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == 6));
        other.kill();
        assert!(was_killed(other));
    });
}

/// It was suspended by one of ours, and goes on in another.
#[test]
fn a_foreign_coroutine_may_go_from_one_of_ours_to_another() {
    run(|| {
        let mut generator = numbers(3);
        for expected in [Some(0), Some(1), Some(2), None] {
            let number = scope(|scope| scope.spawn(|| next(&mut generator)).join().unwrap());
            assert_eq!(number, expected);
        }
    });
}

/// What is thrown inside of one passes through it into the caller.
#[test]
fn a_kill_passes_through_a_foreign_coroutine() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _outer = log.on_drop("outer");
                let lent = log.clone();
                let mut foreign = Coroutine::new(move |_: &Yielder<(), ()>, ()| {
                    let _inner = lent.on_drop("inner");
                    park();
                });
                foreign.resume(());
                log.add("unreachable");
            }
        });
        yield_now();
        assert!(task.kill_timeout(Duration::from_secs(60)));
        assert!(was_killed(task));
        assert_eq!(log.text(), "inner outer");

        let elapsed = timeout(SHORT, || {
            let mut foreign = Coroutine::new(|_: &Yielder<(), ()>, ()| park());
            foreign.resume(());
        });
        assert_eq!(elapsed, Err(corovent::Elapsed));
    });
}

/// The reverse: one of ours was left by a foreign switch, so its caller stands somewhere
/// else than the hub thinks. A wait there would suspend the wrong code.
#[test]
fn code_that_was_reached_by_a_foreign_switch_may_not_wait() {
    passes("foreign::child_waits_where_the_hub_does_not_know_it");
}

/// Resumes a foreign coroutine in which one of ours switches back to here.
fn be_reached_by_a_foreign_switch() -> Coroutine<(), (), ()> {
    let mut foreign = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
        scope(|scope| {
            scope.spawn(|| yielder.suspend(()));
            yield_now();
        });
    });
    assert!(matches!(foreign.resume(()), CoroutineResult::Yield(())));
    foreign
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_where_the_hub_does_not_know_it() {
    let mut foreign = be_reached_by_a_foreign_switch();
    let task = spawn(park);
    let waits: [(&str, &dyn Fn()); 5] = [
        ("yield_now", &yield_now),
        ("sleep", &|| sleep(SHORT)),
        ("park", &park),
        ("park_timeout", &|| park_timeout(SHORT)),
        ("kill_timeout", &|| assert!(task.kill_timeout(SHORT))),
    ];
    for (name, wait) in waits {
        let payload = catch_unwind(AssertUnwindSafe(wait)).expect_err(name);
        let text = "code waits that was reached by a switch which the hub knows not of";
        assert!(is_message(&*payload, text), "{name}");
    }
    // What it was switched away from goes on, and all is well again.
    assert!(matches!(foreign.resume(()), CoroutineResult::Return(())));
    assert!(was_killed(task));
    run(|| assert_eq!(spawn(|| 5).join().unwrap(), 5));
}

/// A scope may not end before its coroutines, and there it could not wait for them: so it does
/// not begin.
#[test]
fn a_scope_does_not_begin_where_it_could_not_wait() {
    passes("foreign::child_opens_a_scope_where_the_hub_does_not_know_it");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_opens_a_scope_where_the_hub_does_not_know_it() {
    let mut foreign = be_reached_by_a_foreign_switch();
    let mut lent = vec![1];
    let ended = catch_unwind(AssertUnwindSafe(|| {
        scope(|scope| drop(scope.spawn(|| lent.push(2))));
    }));
    assert!(ended.is_err());
    assert_eq!(lent, [1]);
    foreign.resume(());
}

/// A coroutine that was switched away from may not end by another's return: its stack would
/// be that of somebody else.
#[test]
fn an_end_after_a_switch_that_the_hub_knows_not_of_aborts() {
    let output = child("foreign::child_ends_as_another");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("a coroutine ends after a switch"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_ends_as_another() {
    let first = spawn(|| std::mem::forget(be_reached_by_a_foreign_switch()));
    let _ = first.join();
}
