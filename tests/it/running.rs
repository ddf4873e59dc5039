//! `run`: a root that ends what it started.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

use corovent::JoinHandle;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::Log;
use crate::support::run;
use crate::support::was_killed;

#[test]
fn run_kills_until_nobody_is_left() {
    crate::support::run(|| {
        let log = Log::new();
        corovent::run(|| {
            for n in 0..3 {
                let log = log.clone();
                spawn(move || {
                    let _guard = crate::support::on_drop({
                        let log = log.clone();
                        // A destructor that spawns: that one is killed before it runs.
                        move || {
                            log.add(n.to_string());
                            spawn(|| unreachable!("killed before its first run"));
                            sleep(Duration::from_millis(1));
                        }
                    });
                    park();
                });
            }
            yield_now();
        });
        assert_eq!(log.text(), "0 1 2");
    });
}

#[test]
fn run_ends_its_coroutines_also_after_a_panic() {
    run(|| {
        let log = Log::new();
        let payload = catch_unwind(AssertUnwindSafe(|| {
            corovent::run(|| {
                let log = log.clone();
                spawn(move || {
                    let _guard = log.on_drop("destructor");
                    park();
                });
                yield_now();
                panic!("the body");
            })
        }));
        assert!(crate::support::is_message(&*payload.unwrap_err(), "the body"));
        assert_eq!(log.text(), "destructor");
    });
}

#[test]
fn run_gives_up_one_that_swallows_its_kills() {
    let output = crate::support::child("running::child_runs_a_stubborn_coroutine");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("swallowed its kill 8 times"), "{text}");
    assert!(text.contains("is given up"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_runs_a_stubborn_coroutine() {
    let value = Rc::new(());
    let inside = Rc::clone(&value);
    let mut stubborn = None;
    corovent::run(|| {
        stubborn = Some(spawn(move || {
            let _inside = inside;
            loop {
                let _ = catch_unwind(park);
            }
        }));
        yield_now();
    });
    // It is left as it is for ever; the hub works on, and its stack is not used again.
    assert_eq!(Rc::strong_count(&value), 2);
    let stubborn: JoinHandle<()> = stubborn.unwrap();
    assert!(stubborn.join().unwrap_err().is::<corovent::Abandoned>());
    let tasks: Vec<_> = (0..10_000).map(|n| spawn(move || n)).collect();
    assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).max(), Some(9_999));
}

#[test]
fn run_is_for_a_root_without_coroutines() {
    run(|| {
        let nested = spawn(|| corovent::run(|| ()));
        assert!(nested.join().is_err());
        let other = spawn(park);
        assert!(catch_unwind(AssertUnwindSafe(|| corovent::run(|| ()))).is_err());
        other.kill();
        assert!(was_killed(other));
    });
}
