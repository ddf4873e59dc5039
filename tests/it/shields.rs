//! Code that must not be left half-way.

use std::time::Duration;

use corovent::Elapsed;
use corovent::Killed;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::is_message;
use crate::support::run;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

#[test]
fn a_kill_waits_until_the_shield_is_left() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                shield(|| {
                    park();
                    yield_now();
                    sleep(Duration::from_micros(10));
                    log.add("rolled back");
                });
                log.add("left");
                yield_now();
                log.add("unreachable");
            }
        });
        yield_now();
        task.kill();
        yield_now();
        assert_eq!(log.text(), "", "it is still parked");
        task.thread().unpark();
        assert!(task.join().unwrap_err().is::<Killed>());
        assert_eq!(log.text(), "rolled back left");
    });
}

#[test]
fn an_outer_timeout_waits_until_the_shield_is_left() {
    run(|| {
        let log = Log::new();
        let result = timeout(SHORT, || {
            shield(|| sleep(3 * SHORT));
            log.add("left");
            sleep(LONG);
        });
        assert_eq!((result, log.text()), (Err(Elapsed), "left".to_owned()));
    });
}

#[test]
fn a_timeout_inside_a_shield_works() {
    run(|| {
        let inner = shield(|| timeout(SHORT, || sleep(LONG)));
        assert_eq!(inner, Err(Elapsed));
        let outer = timeout(SHORT, || {
            // The outer one is over as well, but waits for its turn.
            let inner = shield(|| timeout(2 * SHORT, || sleep(LONG)));
            assert_eq!(inner, Err(Elapsed));
            sleep(LONG);
        });
        assert_eq!(outer, Err(Elapsed));
    });
}

#[test]
fn shields_nest() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                shield(|| {
                    shield(park);
                    yield_now();
                    log.add("outer shield");
                });
                yield_now();
                log.add("unreachable");
            }
        });
        yield_now();
        task.kill();
        task.thread().unpark();
        assert!(task.join().is_err());
        assert_eq!(log.text(), "outer shield");
    });
}

#[test]
fn a_panic_leaves_the_shield() {
    run(|| {
        let task = spawn(|| {
            let payload = std::panic::catch_unwind(|| shield(|| panic!("inside")));
            assert!(is_message(&*payload.unwrap_err(), "inside"));
            park();
        });
        yield_now();
        assert!(task.kill_timeout(LONG), "the shield is gone");
        assert!(task.join().unwrap_err().is::<Killed>());
    });
}

#[test]
fn a_shield_works_without_a_hub() {
    std::thread::spawn(|| assert_eq!(shield(|| 3), 3)).join().unwrap();
}

/// A kill cannot unwind through a frame of C: a callback from there is shielded.
#[test]
fn a_callback_from_c_that_waits_is_not_unwound() {
    extern "C" fn compare(a: *const libc::c_void, b: *const libc::c_void) -> libc::c_int {
        shield(yield_now);
        // SAFETY: qsort passes pointers to elements of the array.
        let a = unsafe { *a.cast::<i32>() };
        // SAFETY: as above.
        let b = unsafe { *b.cast::<i32>() };
        a.cmp(&b) as libc::c_int
    }

    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let mut numbers = [3, 1, 2];
                // SAFETY: the array has three elements of four bytes.
                unsafe { libc::qsort(numbers.as_mut_ptr().cast(), 3, 4, Some(compare)) };
                log.add(format!("{numbers:?}"));
                yield_now();
            }
        });
        yield_now();
        task.kill();
        assert!(task.join().unwrap_err().is::<Killed>());
        assert_eq!(log.text(), "[1, 2, 3]");
    });
}
