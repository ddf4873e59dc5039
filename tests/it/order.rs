//! Who runs when.

use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::Log;
use crate::support::run;

/// Runs a program: one word for each coroutine, in the order of spawning, whose letters are
/// its steps: `y` yields, `p` parks, `u` unparks the next coroutine, `s` spawns a child that
/// logs its name. After each step the coroutine logs its number and the step's letter.
fn check(program: &str, expected: &str) {
    run(|| {
        let log = Log::new();
        let tasks: std::rc::Rc<std::cell::RefCell<Vec<corovent::JoinHandle<()>>>> =
            Default::default();
        for (n, steps) in program.split(' ').enumerate() {
            let (log, steps, all) = (log.clone(), steps.to_owned(), tasks.clone());
            let task = spawn(move || {
                log.add(format!("{}A", n + 1));
                for (step, letter) in steps.chars().zip('B'..) {
                    match step {
                        'y' => yield_now(),
                        'p' => park(),
                        'u' => {
                            let next = all.borrow()[n + 1].thread().clone();
                            next.unpark();
                        }
                        's' => {
                            let log = log.clone();
                            spawn(move || log.add(format!("{}c", n + 1)));
                        }
                        '-' => {}
                        other => panic!("unknown step {other}"),
                    }
                    log.add(format!("{}{letter}", n + 1));
                }
            });
            tasks.borrow_mut().push(task);
        }
        while !tasks.borrow().iter().all(|task| task.is_finished()) {
            yield_now();
        }
        yield_now();
        tasks.borrow_mut().clear();
        assert_eq!(log.text(), expected, "program {program:?}");
    });
}

#[test]
fn coroutines_take_turns() {
    check("y y", "1A 2A 1B 2B");
    check("yy yy", "1A 2A 1B 2B 1C 2C");
    check("y y y", "1A 2A 3A 1B 2B 3B");
    check("- y", "1A 1B 2A 2B");
}

#[test]
fn a_wake_only_enqueues() {
    // The second parks first; the unparker goes on before it runs.
    check("yuy p", "1A 2A 1B 1C 2B 1D");
    check("u p", "1A 1B 2A 2B");
}

#[test]
fn spawning_only_enqueues() {
    check("s y", "1A 1B 2A 1c 2B");
    check("sy y", "1A 1B 2A 1c 1C 2B");
}

#[test]
fn a_spawned_coroutine_runs_when_the_spawner_waits_and_not_before() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || log.add("child")
        });
        log.add("spawner");
        task.join().unwrap();
        assert_eq!(log.text(), "spawner child");
    });
}

#[test]
fn a_thousand_start_in_the_order_of_their_spawning() {
    run(|| {
        let log = Log::new();
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                let log = log.clone();
                spawn(move || log.add(n.to_string()))
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        let expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(log.text(), expected.join(" "));
    });
}

#[test]
fn the_root_takes_its_turn_like_any_other() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                for _ in 0..3 {
                    log.add("child");
                    yield_now();
                }
            }
        });
        for _ in 0..3 {
            log.add("root");
            yield_now();
        }
        task.join().unwrap();
        assert_eq!(log.text(), "root child root child root child");
    });
}

/// With COROVENT_SEED the order is another one, the same for each seed; the work done is
/// the same.
#[test]
fn a_seed_shuffles_the_order_and_repeats_it() {
    let printed = |seed: &str| {
        let output =
            crate::support::child_with("order::child_logs_an_order", &[("COROVENT_SEED", seed)]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.split_once("order: ")).unwrap().1.to_owned()
    };
    assert_eq!(printed("1"), printed("1"));
    assert_ne!(printed("1"), printed("2"));
    let mut letters: Vec<char> = printed("1").chars().collect();
    letters.sort_unstable();
    assert_eq!(letters.iter().collect::<String>(), "abcdefghijklmnopqrstuvwxyz");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_logs_an_order() {
    let log = Log::new();
    let tasks: Vec<_> = ('a'..='z')
        .map(|letter| {
            let log = log.clone();
            spawn(move || log.add(letter))
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    println!("order: {}", log.text().replace(' ', ""));
}

/// A switch changes neither; both belong to the thread, so that another coroutine may.
#[test]
fn a_switch_keeps_errno_and_the_way_of_rounding() {
    unsafe extern "C" {
        fn fesetround(mode: libc::c_int) -> libc::c_int;
        fn fegetround() -> libc::c_int;
    }
    #[cfg(target_arch = "x86_64")]
    const UPWARD: libc::c_int = 0x800;
    #[cfg(target_arch = "aarch64")]
    const UPWARD: libc::c_int = 0x40_0000;

    run(|| {
        let task = spawn(|| {
            // SAFETY: no floating-point code of Rust runs while the mode is another.
            assert_eq!(unsafe { fesetround(UPWARD) }, 0);
            // SAFETY: the call has no preconditions.
            let errno = unsafe { libc::__errno_location() };
            // SAFETY: the location of the thread's errno is writable.
            unsafe { errno.write(77) };
            // The loop makes system calls of its own meanwhile.
            (0..1000).for_each(|_| yield_now());
            corovent::sleep(std::time::Duration::from_micros(300));
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(77));
            // SAFETY: the call has no preconditions.
            assert_eq!(unsafe { fegetround() }, UPWARD);
            // SAFETY: the usual mode again.
            assert_eq!(unsafe { fesetround(0) }, 0);
        });
        task.join().unwrap();
    });
}
