//! Panics: who sees them, and what they leave alone.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use corovent::debug;
use corovent::spawn;
use corovent::thread::panicking;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::Log;
use crate::support::child;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;

#[test]
fn a_panic_is_the_joiners_payload_and_harms_nobody_else() {
    run(|| {
        let sibling = spawn(|| {
            yield_now();
            "fine"
        });
        let broken = spawn(|| -> () { panic!("broken") });
        assert!(is_message(&*broken.join().unwrap_err(), "broken"));
        assert_eq!(sibling.join().unwrap(), "fine");
        assert_eq!(spawn(|| 1).join().unwrap(), 1, "the hub goes on");
    });
}

#[test]
fn a_panic_that_nobody_joins_is_counted() {
    run(|| {
        let before = debug::unjoined_panics();
        drop(spawn(|| -> () { panic!("detached before it ran") }));
        yield_now();
        let late = spawn(|| -> () { panic!("detached after it ended") });
        yield_now();
        drop(late);
        let joined = spawn(|| -> () { panic!("joined") });
        assert!(joined.join().is_err());
        // Tests in other threads may panic as well.
        assert!(debug::unjoined_panics() >= before + 2);
    });
}

#[test]
fn a_panic_message_names_the_coroutine_once() {
    let output = child("panics::child_panics_in_a_named_coroutine");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.matches("coroutine 'worker' (#").count(), 1, "{text}");
    assert!(text.contains("tests/it/panics.rs:"), "where it was spawned: {text}");
    assert_eq!(text.matches("the message").count(), 1, "{text}");
    // A panic on the thread's own stack is not a coroutine's.
    let root = text.split("on the root").nth(1).unwrap_or_default();
    assert!(!root.contains("coroutine"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_panics_in_a_named_coroutine() {
    let builder = corovent::Builder::new().name("worker".to_owned());
    let task = builder.spawn(|| -> () { panic!("the message") }).unwrap();
    assert!(task.join().is_err());
    panic!("on the root");
}

/// std's count of panics is one for the thread. With one coroutine parked in the middle of
/// an unwinding, others panic, catch and lock as if it were not there.
#[test]
fn coroutines_may_be_parked_in_the_middle_of_an_unwinding() {
    run(|| {
        let log = Log::new();
        let parked = spawn({
            let log = log.clone();
            move || {
                let _guard = on_drop({
                    let log = log.clone();
                    move || {
                        assert!(panicking());
                        log.add("unwinding");
                        yield_now();
                        yield_now();
                        assert!(panicking());
                        log.add("unwound");
                    }
                });
                panic!("first");
            }
        });
        yield_now();
        assert_eq!(log.text(), "unwinding");
        assert!(std::thread::panicking(), "std sees the thread");
        assert!(!panicking(), "this is the root, which does not unwind");

        let second = spawn(|| {
            assert!(!panicking());
            let caught = std::panic::catch_unwind(|| panic!("second"));
            caught.is_err()
        });
        assert!(second.join().unwrap());
        assert!(is_message(&*parked.join().unwrap_err(), "first"));
        assert_eq!(log.text(), "unwinding unwound");
        assert!(!std::thread::panicking());
    });
}

#[test]
fn two_that_unwind_at_once_each_keep_their_payload() {
    run(|| {
        let unwinding = |message: &'static str, yields: u32| {
            spawn(move || {
                let _guard = on_drop(move || (0..yields).for_each(|_| yield_now()));
                std::panic::panic_any(message);
            })
        };
        let tasks = [unwinding("a", 3), unwinding("b", 1), unwinding("c", 2)];
        let payloads: Vec<&str> = tasks
            .into_iter()
            .map(|task: corovent::JoinHandle<()>| {
                *task.join().unwrap_err().downcast::<&str>().unwrap()
            })
            .collect();
        assert_eq!(payloads, ["a", "b", "c"]);
    });
}

/// The payload is dropped by the joiner, never by the hub.
#[test]
fn a_payload_with_a_destructor_is_dropped_by_its_owner() {
    run(|| {
        let dropped = Rc::new(Cell::new(false));
        struct Payload(Rc<Cell<bool>>);
        // SAFETY: the test drops it on the thread that made it.
        unsafe impl Send for Payload {}
        impl Drop for Payload {
            fn drop(&mut self) {
                yield_now();
                self.0.set(true);
            }
        }
        let task = spawn({
            let payload = Payload(Rc::clone(&dropped));
            move || std::panic::panic_any(payload)
        });
        let result: std::thread::Result<()> = task.join();
        assert!(!dropped.get());
        drop(result);
        assert!(dropped.get());
    });
}

#[test]
fn our_catch_unwind_catches_panics() {
    run(|| {
        let payload = corovent::catch_unwind(|| panic!("caught")).unwrap_err();
        assert!(is_message(&*payload, "caught"));
        assert_eq!(corovent::catch_unwind(|| 3).unwrap(), 3);
    });
}

#[test]
fn a_wait_in_a_panic_hook_is_refused() {
    let output = child("panics::child_waits_in_its_panic_hook");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("a panic hook waits"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_in_its_panic_hook() {
    std::panic::set_hook(Box::new(|_| yield_now()));
    let task = spawn(|| -> () { panic!("the hook yields") });
    let _ = task.join();
}

/// A hub that is made while its thread unwinds may not touch the panic hook: std aborts.
#[test]
fn a_hub_can_be_made_while_the_thread_unwinds() {
    passes("panics::child_makes_its_hub_in_a_destructor");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_makes_its_hub_in_a_destructor() {
    let caught = std::panic::catch_unwind(|| {
        let _guard = on_drop(|| assert_eq!(spawn(|| 5).join().unwrap(), 5));
        panic!("unwinds");
    });
    assert!(is_message(&*caught.unwrap_err(), "unwinds"));
}

/// A daemon whose stderr is a pipe that nobody reads any more: whoever reports must not
/// panic for that.
#[test]
fn reports_need_no_reader() {
    for test in [
        "panics::child_panics_without_a_reader",
        "panics::child_deadlocks_without_a_reader",
        "panics::child_swallows_without_a_reader",
    ] {
        let mut command = crate::support::child_command(test);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        drop(child.stderr.take());
        let status = child.wait().unwrap();
        assert!(status.success(), "{test}: {status:?}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_panics_without_a_reader() {
    run(|| {
        let task = spawn(|| -> () { panic!("nobody reads this") });
        assert!(is_message(&*task.join().unwrap_err(), "nobody reads this"));
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_deadlocks_without_a_reader() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        let task = spawn(|| corovent::shield(park));
        yield_now();
        // The killer's frame is what the coroutine would write to, if it was lost in a panic.
        let payload = catch_unwind(AssertUnwindSafe(|| task.kill_timeout(Duration::MAX)));
        assert!(payload.unwrap_err().is::<corovent::Deadlock>());
        task.thread().unpark();
        task.join().unwrap();
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_swallows_without_a_reader() {
    run(|| {
        let task = spawn(|| while catch_unwind(park).is_err() {});
        yield_now();
        assert!(!task.kill_timeout(Duration::from_secs(3600)));
        task.thread().unpark();
        task.join().unwrap();
    });
}
