//! Stacks: their sizes, their guards, and the report of an overflow.

use std::cell::Cell;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::rc::Rc;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::coroutine_local;
use corovent::debug;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::child_with;
use crate::support::run;

/// Uses the stack until it ends.
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[(depth % 64) as usize]
}

/// The fallback must behave as the markers do.
const GUARDS: [(&str, &str); 2] =
    [("COROVENT_STACK_GUARD", ""), ("COROVENT_STACK_GUARD", "mprotect")];

#[test]
fn an_overflow_names_the_coroutine_its_size_and_the_way_out() {
    for guard in GUARDS {
        let output = child_with("stacks::child_overflows", &[guard]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
        for part in [
            "coroutine 'deep' (#",
            "overflowed its stack of 64 KiB",
            "Builder::stack_size",
            "COROVENT_STACK_SIZE",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_overflows() {
    let builder = Builder::new().name("deep".to_owned()).stack_size(64 * 1024);
    builder.spawn(|| recurse(0)).unwrap().join().unwrap();
}

#[test]
fn an_overflow_on_a_spawned_threads_hub_is_reported() {
    let output = child_with("stacks::child_overflows_on_another_thread", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("coroutine <unnamed> (#"), "{text}");
    assert!(text.contains("256 KiB"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_overflows_on_another_thread() {
    let thread = std::thread::spawn(|| spawn(|| recurse(0)).join().unwrap());
    thread.join().unwrap();
}

/// The report is about who overflows, not about who had the stack before.
#[test]
fn an_overflow_does_not_name_who_had_the_stack_before() {
    let output = child_with("stacks::child_overflows_where_another_has_ended", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("<unnamed> (#") && !text.contains("'before'"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_overflows_where_another_has_ended() {
    let builder = || Builder::new().stack_size(64 * 1024);
    // Joined before it has run, so that its end leaves the name where it is.
    builder().name("before".to_owned()).spawn(|| ()).unwrap().join().unwrap();
    builder().spawn(|| recurse(0)).unwrap().join().unwrap();
}

/// Stacks are taken out of the middle of others that are in use: each has its own guard.
#[test]
fn an_overflow_among_others_meets_its_own_guard() {
    for guard in GUARDS {
        for (kib, others) in [("64", "40"), ("256", "40"), ("8192", "10"), ("256", "20000")] {
            let variables = [guard, ("KIB", kib), ("OTHERS", others)];
            let output = child_with("stacks::child_overflows_among_others", &variables);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{variables:?}: {text}");
            let expected = format!("overflowed its stack of {kib} KiB");
            assert!(text.contains("coroutine 'deep' (#") && text.contains(&expected), "{text}");
        }
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_overflows_among_others() {
    let number = |name| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let (bytes, others) = (number("KIB") * 1024, number("OTHERS"));
    let builder = || Builder::new().stack_size(bytes);
    let mut tasks: Vec<_> = (0..others).map(|_| builder().spawn(park).unwrap()).collect();
    yield_now();
    // Its stack is the one that is used next.
    let ended = tasks.remove(others / 2);
    ended.thread().unpark();
    ended.join().unwrap();
    let deep = builder().name("deep".to_owned()).spawn(|| recurse(0)).unwrap();
    deep.join().unwrap();
}

/// A frame much larger than the guard: Rust touches each page on its way, so it meets the
/// guard; the guard of the default size is larger than what C code may step over.
#[test]
fn a_huge_frame_meets_the_guard() {
    for guard in GUARDS {
        let output = child_with("stacks::child_has_a_huge_frame", &[guard]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
        assert!(text.contains("overflowed its stack"), "{text}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_a_huge_frame() {
    #[inline(never)]
    fn huge() -> u8 {
        let frame = black_box([1u8; 1 << 20]);
        frame[black_box(12_345)]
    }
    let builder = Builder::new().stack_size(64 * 1024);
    builder.spawn(huge).unwrap().join().unwrap();
}

/// What is not an overflow of a coroutine goes to the handler that was there before.
#[test]
fn other_faults_are_left_to_others() {
    let output = child_with("stacks::child_overflows_an_os_thread", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("has overflowed its stack"), "std's own message: {text}");
    assert!(!text.contains("coroutine"), "{text}");

    for test in ["stacks::child_reads_null", "stacks::child_reads_null_in_a_coroutine"] {
        let output = child_with(test, &[]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{test}: {text}");
        assert!(!text.contains("overflowed"), "{test}: {text}");
    }
}

/// One that kill(2) sends is about no instruction that could run again and fault.
#[test]
fn a_fault_that_is_sent_kills() {
    for test in ["stacks::child_is_sent_a_fault", "stacks::child_sends_itself_a_fault"] {
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            let output = child_with(test, &[("SIGNAL", &signal.to_string())]);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.signal(), Some(signal), "{test}: {text}");
            assert!(!text.contains("overflowed"), "{test}: {text}");
        }
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_overflows_an_os_thread() {
    spawn(|| ()).join().unwrap();
    std::thread::spawn(|| {
        spawn(|| ()).join().unwrap();
        recurse(0)
    })
    .join()
    .unwrap();
}

fn read_null() -> u8 {
    let null: *const u8 = black_box(std::ptr::null());
    // SAFETY: none; the fault is what the test is about.
    unsafe { null.read_volatile() }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reads_null() {
    spawn(|| ()).join().unwrap();
    read_null();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_reads_null_in_a_coroutine() {
    spawn(read_null).join().unwrap();
}

fn signal_to_send() -> libc::c_int {
    std::env::var("SIGNAL").unwrap().parse().unwrap()
}

/// Once: the kernel may choose any thread, one without a hub too.
#[test]
#[ignore = "runs in a process of its own"]
fn child_is_sent_a_fault() {
    spawn(|| {
        // SAFETY: kill(2) takes no pointer.
        unsafe { libc::kill(std::process::id() as libc::pid_t, signal_to_send()) };
        corovent::sleep(std::time::Duration::from_secs(20));
    })
    .join()
    .unwrap();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_sends_itself_a_fault() {
    spawn(|| {
        // SAFETY: raise(3) has no preconditions.
        unsafe { libc::raise(signal_to_send()) };
    })
    .join()
    .unwrap();
}

/// Whoever ignored the signal goes on to: also after one was sent, an overflow is told.
#[test]
fn an_ignored_fault_leaves_the_report_in_force() {
    let output = child_with("stacks::child_ignores_a_fault", &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("goes on"), "{text}");
    assert!(text.contains("coroutine <unnamed> (#"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_ignores_a_fault() {
    // SAFETY: to ignore a signal installs no handler.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_IGN) };
    spawn(|| {
        // SAFETY: raise(3) has no preconditions.
        unsafe { libc::raise(libc::SIGSEGV) };
        eprintln!("goes on");
        recurse(0)
    })
    .join()
    .unwrap();
}

#[test]
fn a_stack_is_at_least_as_large_as_asked() {
    run(|| {
        for (asked, given) in [(0, 64), (1, 64), (65, 128), (100, 128), (256, 256), (8192, 8192)] {
            let task = Builder::new().stack_size(asked * 1024).spawn(park).unwrap();
            yield_now();
            let dump = debug::dump();
            let info = dump.tasks().find(|info| !info.is_root()).unwrap();
            assert_eq!(info.stack_bytes(), given * 1024);
            assert!(info.stack_used_bytes() > 0);
            task.thread().unpark();
            task.join().unwrap();
        }
    });
}

#[test]
fn a_stack_that_is_too_large_is_an_error() {
    run(|| {
        for bytes in [(1 << 30) + 1, usize::MAX / 2 + 1, usize::MAX] {
            let error = Builder::new().stack_size(bytes).spawn(|| ()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("larger than the limit"), "{error}");
        }
    });
}

#[test]
fn the_default_size_comes_from_the_environment() {
    let output =
        child_with("stacks::child_prints_its_stack", &[("COROVENT_STACK_SIZE", "1000000")]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("stack: 1048576"), "{text}");
    let output = child_with("stacks::child_prints_its_stack", &[("COROVENT_STACK_SIZE", "much")]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("COROVENT_STACK_SIZE=much is not a number of bytes"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_prints_its_stack() {
    spawn(|| {
        let dump = debug::dump();
        let info = dump.tasks().find(|info| !info.is_root()).unwrap();
        println!("stack: {}", info.stack_bytes());
    })
    .join()
    .unwrap();
}

/// Recurses until the stack has grown by `bytes`.
fn grow(bytes: usize, top: usize) -> usize {
    let frame = black_box([1u8; 512]);
    let grown = top.saturating_sub(frame.as_ptr() as usize);
    if grown >= bytes { grown } else { grow(bytes, top) + usize::from(frame[7]) - 1 }
}

fn grow_from_here(bytes: usize) -> usize {
    let top = black_box(0u8);
    grow(bytes, &raw const top as usize)
}

#[test]
fn a_stack_can_be_used_to_its_end() {
    run(|| {
        for kib in [64, 256, 1024] {
            let builder = Builder::new().stack_size(kib * 1024);
            let task = builder.spawn(move || grow_from_here((kib - 12) * 1024)).unwrap();
            assert!(task.join().unwrap() >= (kib - 12) * 1024);
        }
    });
}

#[test]
fn a_deep_stack_shows_in_the_dump() {
    run(|| {
        let task = spawn(|| {
            grow_from_here(120 * 1024);
            park();
        });
        yield_now();
        let dump = debug::dump();
        let info = dump.tasks().find(|info| !info.is_root()).unwrap();
        assert!(info.stack_used_bytes() >= 120 * 1024, "{}", info.stack_used_bytes());
        task.thread().unpark();
        task.join().unwrap();
    });
}

/// A backtrace with symbols is the deepest thing std does: the smallest stack holds it.
#[test]
fn the_smallest_stack_holds_a_panic_with_its_backtrace() {
    run(|| {
        let task = Builder::new().stack_size(1).spawn(|| {
            let trace = std::backtrace::Backtrace::force_capture().to_string();
            assert!(trace.contains("stacks"), "the frames of the coroutine: {trace}");
            panic!("with a backtrace");
        });
        let result: std::thread::Result<()> = task.unwrap().join();
        assert!(crate::support::is_message(&*result.unwrap_err(), "with a backtrace"));
    });
}

/// Sets a flag when it is dropped, and waits before.
struct Waits(Rc<Cell<u32>>);

impl Drop for Waits {
    fn drop(&mut self) {
        yield_now();
        self.0.set(self.0.get() + 1);
    }
}

/// What one coroutine leaves on its stack the next one does not meet: not its end, its name, its
/// place, nor its locals.
#[test]
fn a_stack_is_as_good_as_new_whatever_happened_on_it() {
    coroutine_local!(static LOCAL: Cell<u32> = Cell::new(0));

    run(|| {
        let drops = Rc::new(Cell::new(0));
        let ends: [&dyn Fn() -> JoinHandle<u32>; 6] = [
            &|| spawn(|| 1),
            &|| spawn(|| panic::resume_unwind(Box::new("on purpose"))),
            &|| {
                let task = spawn(|| unreachable!("it is killed before it runs"));
                task.kill();
                task
            },
            &|| {
                let task = spawn(|| {
                    park();
                    2
                });
                yield_now();
                task.kill();
                task
            },
            &|| {
                let waits = Waits(Rc::clone(&drops));
                spawn(move || {
                    let _waits = waits;
                    panic::resume_unwind(Box::new("on purpose"))
                })
            },
            &|| {
                let builder = Builder::new().name("named".to_owned());
                builder.spawn(|| LOCAL.with(|local| local.replace(7))).unwrap()
            },
        ];
        let results = [Some(1), None, None, None, None, Some(0)];
        for _ in 0..3 {
            for (end, expected) in ends.iter().zip(results) {
                assert_eq!(end().join().ok(), expected);
                let (task, line) = (spawn(|| (what_is_told(), LOCAL.with(Cell::get))), line!());
                assert_eq!(task.join().unwrap(), ((None, line), 0));
            }
        }
        assert_eq!(drops.get(), 3);
    });
}

/// The name of the only coroutine, and the line that spawned it.
fn what_is_told() -> (Option<String>, u32) {
    let dump = debug::dump();
    let own = dump.tasks().find(|info| !info.is_root()).unwrap();
    (own.name().map(str::to_owned), own.spawned_at().line())
}
