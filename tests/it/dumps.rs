//! Dumps with backtraces: what they say, and that those who are looked at notice nothing.

use std::cell::Cell;
use std::cell::RefCell;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corosensei::Coroutine;
use corosensei::CoroutineResult;
use corosensei::Yielder;
use corovent::Builder;
use corovent::JoinHandle;
use corovent::debug;
use corovent::debug::Dump;
use corovent::debug::TaskInfo;
use corovent::os::unix::net::UnixStream;
use corovent::scope;
use corovent::select;
use corovent::shield;
use corovent::signal;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Mutex;
use corovent::sync::mpsc;
use corovent::thread::park;
use corovent::threadpool::blocking;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::child_command;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::until_waiting;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(600);

/// Whether a frame of the task is in a function whose name has that part.
fn stands_in(task: &TaskInfo<'_>, function: &str) -> bool {
    task.frames().any(|frame| frame.function().is_some_and(|name| name.contains(function)))
}

/// The function and the line of a task's place.
fn place(task: &TaskInfo<'_>) -> (String, u32) {
    let place = task.place().unwrap_or_else(|| panic!("no place: {:?}", task.lacks_frames()));
    assert!(place.file().unwrap().ends_with("tests/it/dumps.rs"), "{place:?}");
    (place.function().unwrap().to_owned(), place.line().unwrap())
}

/// The task with that name.
fn named<'a>(dump: &'a Dump, name: &str) -> TaskInfo<'a> {
    dump.tasks().find(|task| task.name() == Some(name)).expect("it has not ended")
}

fn spawn_named<T: 'static>(name: &str, f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    Builder::new().name(name.to_owned()).spawn(f).unwrap()
}

/// Wakes parked ones and waits for their ends.
fn release(tasks: Vec<JoinHandle<()>>) {
    tasks.iter().for_each(|task| task.thread().unpark());
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

#[inline(never)]
fn park_here() {
    park();
}

// The closure is the frame that is looked for.
#[allow(clippy::redundant_closure)]
#[test]
fn a_backtrace_leads_from_the_entry_to_the_line_that_waits() {
    run(|| {
        let line = line!() + 1;
        let tasks: Vec<_> = (0..20).map(|_| spawn(|| park_here())).collect();
        yield_now();
        let dump = debug::dump_with_backtraces();
        for task in dump.tasks().filter(|task| !task.is_root()) {
            assert_eq!(task.lacks_frames(), None);
            let (function, _) = place(&task);
            assert!(function.ends_with("dumps::park_here"), "{function}");
            assert!(stands_in(&task, "closure"), "who has called it");
            assert!(!stands_in(&task, "support::run"), "the root's frames are not its own");
            let innermost = task.frames().next().unwrap();
            assert!(innermost.is_machinery() && innermost.address() > 0);
        }
        let text = dump.to_string();
        let expected = "20 coroutines at tests/it/dumps.rs:";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(" wait for unpark, for "), "{text}");
        assert!(text.contains(&format!("spawned at tests/it/dumps.rs:{line}:")), "{text}");
        assert!(text.contains("    it::dumps::park_here at tests/it/dumps.rs:"), "{text}");
        assert!(!text.contains("corovent_runtime::hub"), "the machinery is hidden: {text}");
        assert!(format!("{dump:#}").contains("corovent_runtime::hub"), "and shown on demand");
        assert_eq!(text.matches("it::dumps::park_here").count(), 1, "once for all: {text}");
        release(tasks);
    });
}

#[inline(never)]
fn dump_here() -> Dump {
    debug::dump_with_backtraces()
}

#[inline(never)]
fn join_here<T>(task: JoinHandle<T>) -> T {
    task.join().unwrap()
}

#[test]
fn the_one_who_asks_has_a_backtrace_and_so_has_the_root() {
    run(|| {
        let dump = join_here(spawn_named("asks", dump_here));
        let asks = named(&dump, "asks");
        assert_eq!((asks.state(), asks.lacks_frames()), ("running", None));
        assert!(place(&asks).0.ends_with("dump_here"));
        assert!(!stands_in(&asks, "join_here"));
        let root = dump.tasks().find(TaskInfo::is_root).unwrap();
        assert_eq!((root.state(), root.lacks_frames()), ("blocked", None));
        // Some compilers say what it was made for.
        assert!(place(&root).0.contains("::join_here"), "{root:?}");
        assert!(!stands_in(&root, "dump_here"));

        // The root itself.
        let dump = dump_here();
        let root = dump.tasks().find(TaskInfo::is_root).unwrap();
        assert_eq!((root.state(), root.lacks_frames()), ("running", None));
        assert!(place(&root).0.ends_with("dump_here"));
    });
}

#[test]
fn a_dump_without_backtraces_says_so() {
    run(|| {
        let task = spawn(park);
        yield_now();
        let dump = debug::dump();
        for task in dump.tasks() {
            assert_eq!((task.frames().count(), task.place().is_none()), (0, true));
            assert_eq!(task.lacks_frames(), Some("backtraces were not asked for"));
        }
        release(vec![task]);
    });
}

#[test]
fn one_that_has_not_run_has_no_backtrace_but_a_place_of_birth() {
    run(|| {
        let line = line!() + 1;
        let task = spawn(|| ());
        let text = debug::dump_with_backtraces().to_string();
        assert!(
            text.contains(&format!(
                "is ready, stack at most 0 of 256 KiB, spawned at {}:{line}",
                file!()
            )),
            "{text}"
        );
        assert!(text.contains("Frames are missing: it has not run yet."), "{text}");
        task.join().unwrap();
    });
}

/// A coroutine that says whether all was well.
type Waits = Box<dyn FnOnce() -> bool>;

/// Starts coroutines whose waits end of themselves, in each of the ways there are.
fn start_some_that_wait(start: &mut dyn FnMut(&'static str, Waits)) {
    start(
        "sleep",
        Box::new(|| {
            sleep(Duration::from_millis(30));
            true
        }),
    );
    start("timeout", Box::new(|| timeout(Duration::from_millis(20), park).is_err()));
    start(
        "nested timeouts",
        Box::new(|| {
            timeout(LONG, || timeout(Duration::from_millis(10), park).is_err()) == Ok(true)
        }),
    );
    start("blocking", Box::new(|| blocking(|| 5) == 5));
    start("join", Box::new(|| spawn(|| sleep(Duration::from_millis(15))).join().is_ok()));
    start(
        "scope",
        Box::new(|| {
            scope(|scope| {
                scope
                    .spawn(|| {
                        yield_now();
                        3
                    })
                    .join()
                    .unwrap()
            }) == 3
        }),
    );
    start(
        "panic",
        Box::new(|| {
            catch_unwind(|| {
                let _waits = on_drop(|| sleep(Duration::from_millis(10)));
                panic!("expected")
            })
            .is_err()
        }),
    );
    start(
        "shielded",
        Box::new(|| {
            shield(|| sleep(Duration::from_millis(25)));
            true
        }),
    );
    start(
        "yields",
        Box::new(|| {
            (0..100).for_each(|_| yield_now());
            true
        }),
    );
}

/// Everything at once, again and again, with a dump at each step; then what came of it.
#[test]
fn those_who_are_looked_at_notice_nothing() {
    run(|| {
        let log = Log::new();
        let lock = Rc::new(Mutex::new(0));
        let (sender, receiver) = mpsc::channel();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let held = lock.lock().unwrap();
        let mut tasks = Vec::new();
        let mut start = |name: &'static str, f: Waits| {
            let log = log.clone();
            tasks.push(spawn_named(name, move || {
                let at_end = on_drop(|| log.add(name));
                let good = f();
                drop(at_end);
                good
            }));
        };
        let locker = Rc::clone(&lock);
        start(
            "lock",
            Box::new(move || {
                *locker.lock().unwrap() += 1;
                true
            }),
        );
        start("receive", Box::new(move || receiver.recv() == Ok(7)));
        start(
            "read",
            Box::new(move || {
                let mut byte = [0];
                near.read(&mut byte).unwrap() == 1 && byte == [9]
            }),
        );
        start_some_that_wait(&mut start);
        let killed = spawn(park);
        for _ in 0..20 {
            // One of them waits in the middle of an unwinding, for a while.
            let panicking = std::thread::panicking();
            debug::dump_with_backtraces();
            assert_eq!(std::thread::panicking(), panicking);
            yield_now();
        }
        killed.kill();
        debug::dump_with_backtraces();
        drop(held);
        sender.send(7).unwrap();
        far.write_all(&[9]).unwrap();
        debug::dump_with_backtraces();
        for task in tasks {
            let name = task.thread().name().unwrap().to_owned();
            assert!(task.join().unwrap(), "{name}");
        }
        assert!(was_killed(killed));
        assert_eq!(*lock.lock().unwrap(), 1);
        assert_eq!(log.words().len(), 12, "{}", log.text());
    });
}

#[inline(never)]
fn select_here(first: &mpsc::Receiver<u8>, second: &mpsc::Receiver<u8>) -> u8 {
    select! {
        got = recv(first) => got.unwrap(),
        got = recv(second) => 100 + got.unwrap(),
        after(LONG) => 0,
    }
}

/// Those who wait for the first of several things are shown where they stand, and each has what
/// it would have had.
#[test]
fn those_in_a_select_are_shown_and_notice_nothing() {
    run(|| {
        let (senders, tasks): (Vec<_>, Vec<_>) = (0..20)
            .map(|n| {
                let (first, first_receiver) = mpsc::channel();
                let (second, second_receiver) = mpsc::channel();
                let name = format!("selects {n}");
                let task =
                    spawn_named(&name, move || select_here(&first_receiver, &second_receiver));
                ((first, second), task)
            })
            .unzip();
        crate::support::until_waiting(20);
        for _ in 0..3 {
            let plain = debug::dump();
            assert!((0..20).all(|n| named(&plain, &format!("selects {n}")).state() == "blocked"));
            let dump = debug::dump_with_backtraces();
            for n in 0..20 {
                let task = named(&dump, &format!("selects {n}"));
                assert!(place(&task).0.ends_with("select_here"), "{task:?}");
                assert!(stands_in(&task, "those_in_a_select"), "{task:?}");
            }
            yield_now();
        }
        for (n, (first, second)) in senders.iter().enumerate() {
            if n % 2 == 0 { first } else { second }.send(n as u8).unwrap();
        }
        debug::dump_with_backtraces();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n as u8 + if n % 2 == 0 { 0 } else { 100 });
        }
    });
}

/// Other threads wake while the hub does nothing but inspect.
#[test]
fn no_wake_of_another_thread_is_lost_to_an_inspection() {
    const TASKS: usize = 50;
    const ROUNDS: usize = 20;

    run(|| {
        let done = Rc::new(Cell::new(0));
        let tasks: Vec<JoinHandle<()>> = (0..TASKS)
            .map(|_| {
                let done = Rc::clone(&done);
                spawn(move || {
                    for _ in 0..ROUNDS {
                        park();
                    }
                    done.set(done.get() + 1);
                })
            })
            .collect();
        let handles: Vec<_> = tasks.iter().map(|task| task.thread().clone()).collect();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    handles.iter().for_each(|handle| handle.unpark());
                }
            });
            while done.get() < TASKS {
                debug::dump_with_backtraces();
                yield_now();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn ten_thousand_that_are_looked_at_keep_their_order() {
    const COUNT: usize = 10_000;
    const PAGE_BYTES: usize = 4096;

    run(|| {
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<JoinHandle<()>> = (0..COUNT)
            .map(|n| {
                let order = Rc::clone(&order);
                spawn(move || {
                    // Half of them are in the ready queue by the time of the dump.
                    if n % 2 == 0 {
                        park()
                    } else {
                        yield_now()
                    }
                    order.borrow_mut().push(n);
                })
            })
            .collect();
        // They have all begun, and those that yield are ready, one behind the other.
        until_waiting(COUNT / 2);
        tasks.iter().step_by(2).for_each(|task| task.thread().unpark());
        let mut expected = order.borrow().clone();
        let used: Vec<usize> = debug::dump().tasks().map(|task| task.stack_used_bytes()).collect();
        let dump = debug::dump_with_backtraces();
        let after = debug::dump();
        let used_after: Vec<usize> = after.tasks().map(|task| task.stack_used_bytes()).collect();
        for (used, used_after) in used.into_iter().zip(used_after) {
            assert!(used_after <= used + PAGE_BYTES, "a few hundred bytes, from {used}");
        }
        assert!(dump.tasks().all(|task| task.lacks_frames().is_none()));
        let even = (0..COUNT).step_by(2);
        let odd = (0..COUNT).skip(1).step_by(2);
        if expected.is_empty() {
            expected.extend(odd);
        }
        expected.extend(even);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        if std::env::var_os("COROVENT_SEED").is_none() {
            assert!(*order.borrow() == expected, "another order");
        }
    });
}

/// In the middle of a panic others are parked, and one of them asks.
#[test]
fn those_who_unwind_are_looked_at_and_may_ask() {
    run(|| {
        let log = Log::new();
        let waits = |log: Log| {
            move || {
                let unwinding = catch_unwind(AssertUnwindSafe(|| {
                    let _wait = on_drop(park_here);
                    panic!("expected");
                }));
                assert!(unwinding.is_err());
                log.add("caught");
            }
        };
        let tasks: Vec<_> = (0..3).map(|_| spawn(waits(log.clone()))).collect();
        until_waiting(3);
        let asks = spawn({
            let log = log.clone();
            move || {
                let asked = catch_unwind(AssertUnwindSafe(|| {
                    let _ask = on_drop(|| {
                        let dump = dump_here();
                        let parked = dump.tasks().filter(|task| task.state() == "blocked");
                        let parked = parked.filter(|task| stands_in(task, "park_here"));
                        log.add(format!("{} unwind", parked.count()));
                        assert!(std::thread::panicking());
                    });
                    panic!("expected");
                }));
                assert!(asked.is_err());
            }
        });
        asks.join().unwrap();
        release(tasks);
        assert_eq!(log.text(), "3 unwind caught caught caught");
    });
}

/// Parks with so many bytes of the stack used.
#[inline(never)]
fn park_deep(top: usize, used: usize) {
    let frame = [0_u8; 64];
    if top - std::hint::black_box(&frame).as_ptr().addr() < used {
        park_deep(top, used);
    } else {
        park_here();
    }
    std::hint::black_box(&frame);
}

#[test]
fn one_whose_stack_is_almost_used_up_is_not_asked() {
    // AddressSanitizer makes larger frames, of the runtime's functions as well.
    const FIRST_LEFT: usize = if cfg!(feature = "sanitizer") { 32 * 1024 } else { 16 * 1024 };

    run(|| {
        let bytes = 128 * 1024;
        let builder = || Builder::new().name("deep".to_owned()).stack_size(bytes);
        let task = builder().spawn(park).unwrap();
        yield_now();
        let bytes = named(&debug::dump(), "deep").stack_bytes();
        release(vec![task]);
        let mut seen = Vec::new();
        for left in (1..=FIRST_LEFT / 256).rev().map(|quarter| quarter * 256) {
            let deep = move || {
                let here = 0_u8;
                park_deep(std::hint::black_box(&raw const here).addr(), bytes - left);
            };
            let task = builder().spawn(deep).unwrap();
            yield_now();
            let dump = debug::dump_with_backtraces();
            let lacks = named(&dump, "deep").lacks_frames();
            seen.push(lacks);
            release(vec![task]);
            if lacks == Some("its stack is used up") {
                break;
            }
        }
        assert_eq!(seen.last(), Some(&Some("its stack is used up")), "{seen:?}");
        assert!(seen.len() > 1, "at first there is room");
        let deep = Some("the outer ones are too many, or have no unwind tables");
        assert_eq!(seen[0], deep, "more than 256 frames");
    });
}

extern "C" fn compare_and_park(_: *const libc::c_void, _: *const libc::c_void) -> libc::c_int {
    park_here();
    0
}

/// There is one comparison: AddressSanitizer has qsort make some more.
#[inline(never)]
fn search_by_c() {
    let item = 1_u32;
    let place = (&raw const item).cast();
    // SAFETY: one item of four bytes, and the comparison is one.
    let found = unsafe { libc::bsearch(place, place, 1, 4, Some(compare_and_park)) };
    assert!(std::ptr::eq(found, place));
}

#[inline(never)]
fn resume_foreign() {
    let mut foreign = Coroutine::new(|_: &Yielder<(), ()>, ()| park_here());
    assert!(matches!(foreign.resume(()), CoroutineResult::Return(())));
}

#[test]
fn frames_of_c_and_of_foreign_coroutines_are_part_of_it() {
    run(|| {
        let tasks = vec![spawn_named("c", search_by_c), spawn_named("foreign", resume_foreign)];
        yield_now();
        let dump = debug::dump_with_backtraces();
        for (name, below) in [("c", "search_by_c"), ("foreign", "resume_foreign")] {
            let task = named(&dump, name);
            assert_eq!(task.lacks_frames(), None);
            assert!(stands_in(&task, "park_here") && stands_in(&task, below), "{dump:#}");
            assert!(!stands_in(&task, "support::run"), "{dump:#}");
        }
        assert!(stands_in(&named(&dump, "c"), "compare_and_park"), "{dump:#}");
        release(tasks);
    });
}

#[test]
fn code_that_was_reached_by_a_foreign_switch_gets_no_backtraces() {
    passes("dumps::child_asks_where_the_hub_does_not_know_it");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_asks_where_the_hub_does_not_know_it() {
    let parked = spawn_named("parked", park);
    let mut foreign = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
        scope(|scope| {
            scope.spawn(|| yielder.suspend(()));
            yield_now();
        });
    });
    assert!(matches!(foreign.resume(()), CoroutineResult::Yield(())));
    let dump = debug::dump_with_backtraces();
    assert_eq!(dump.tasks().count(), 3);
    let why = Some("the code that asks was reached by another crate's switch");
    assert!(dump.tasks().all(|task| task.lacks_frames() == why), "{dump:#}");
    assert!(matches!(foreign.resume(()), CoroutineResult::Return(())));
    // All is as it was.
    release(vec![parked]);
}

#[test]
fn a_thread_without_a_hub_has_an_empty_dump_also_as_it_ends() {
    struct Asks;

    impl Drop for Asks {
        fn drop(&mut self) {
            assert_eq!(debug::dump_with_backtraces().tasks().count(), 0);
            ASKED.store(true, Ordering::Relaxed);
        }
    }

    static ASKED: AtomicBool = AtomicBool::new(false);
    std::thread_local!(static ASKS: Asks = const { Asks });

    let thread = std::thread::spawn(|| {
        assert_eq!(debug::dump_with_backtraces().tasks().count(), 0);
        assert!(debug::dump_with_backtraces().to_json().contains("\"tasks\":[]"));
        ASKS.with(|_| ());
        // One is parked for ever.
        spawn(park);
        yield_now();
        assert_eq!(debug::dump_with_backtraces().tasks().count(), 2);
    });
    thread.join().unwrap();
    assert!(ASKED.load(Ordering::Relaxed));
}

#[test]
fn it_is_json() {
    run(|| {
        let odd = "a \"quoted\" \\ name\nof\ttwo lines, \u{1} and ü";
        let task = spawn_named(odd, || timeout(LONG, park_here).unwrap());
        let handle = task.thread().clone();
        let (near, _far) = UnixStream::pair().unwrap();
        let reader = spawn_named("reader", move || (&near).read(&mut [0]).unwrap());
        let joiner = spawn_named("joiner", move || task.join().unwrap());
        yield_now();
        let dump = debug::dump_with_backtraces();
        let json: serde_json::Value = serde_json::from_str(&dump.to_json()).unwrap();
        let tasks = json["tasks"].as_array().unwrap();
        assert_eq!(tasks.len(), dump.tasks().count());
        let backtraces = json["backtraces"].as_array().unwrap();
        for (task, info) in tasks.iter().zip(dump.tasks()) {
            assert_eq!(task["id"], info.id());
            assert_eq!(task["name"].as_str(), info.name());
            assert_eq!(task["state"], info.state());
            assert_eq!(task["is_root"], info.is_root());
            assert_eq!(task["fd"].as_i64(), info.fd().map(i64::from));
            assert_eq!(task["task"].as_u64(), info.joins());
            assert_eq!(task["stack_bytes"], info.stack_bytes());
            assert_eq!(task["spawned_at"]["line"], info.spawned_at().line());
            let backtrace = &backtraces[task["backtrace"].as_u64().unwrap() as usize];
            let functions = backtrace.as_array().unwrap().iter();
            let functions: Vec<_> = functions.map(|frame| frame["function"].as_str()).collect();
            assert_eq!(functions, info.frames().map(|frame| frame.function()).collect::<Vec<_>>());
        }
        let parked = tasks.iter().find(|task| task["name"] == odd).unwrap();
        assert_eq!(parked["waits_for"], "unpark");
        let remaining = parked["remaining_ms"].as_u64().unwrap();
        assert!((1..=LONG.as_millis() as u64).contains(&remaining), "{remaining}");
        assert_eq!(named(&dump, "joiner").joins(), Some(named(&dump, odd).id()));
        assert!(named(&dump, "reader").fd().is_some());
        let parked = named(&dump, odd);
        assert_eq!(parked.remaining().unwrap().as_millis() as u64, remaining);
        reader.kill();
        assert!(was_killed(reader));
        handle.unpark();
        joiner.join().unwrap();
    });
}

#[test]
fn folded_stacks_weigh_what_the_tasks_have_waited() {
    run(|| {
        let tasks: Vec<_> = (0..30)
            .map(|n| match n % 3 {
                0 => spawn(park_here),
                1 => spawn(search_by_c),
                _ => spawn(park),
            })
            .collect();
        // Time passes.
        sleep(Duration::from_millis(5));
        yield_now();
        for dump in [debug::dump(), debug::dump_with_backtraces()] {
            let blocked = || dump.tasks().filter(|task| task.waits_for().is_some());
            let waited: u128 = blocked().map(|task| task.waiting().as_micros()).sum();
            let text = dump.to_folded();
            let mut sum = 0;
            for line in text.lines() {
                let (stack, weight) = line.rsplit_once(' ').unwrap();
                sum += weight.parse::<u128>().unwrap();
                let frames: Vec<&str> = stack.split(';').collect();
                assert!(frames.len() > 1 && frames.iter().all(|frame| !frame.is_empty()), "{line}");
                assert_eq!(*frames.last().unwrap(), "[unpark]");
            }
            assert_eq!(sum, waited, "{text}");
            assert_eq!(text.lines().count(), 3, "{text}");
        }
        release(tasks);
    });
}

/// A child process that says when it is ready, and goes on at a line of its input.
struct Talking {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Talking {
    fn start(test: &str, variables: &[(&str, &str)]) -> Talking {
        let mut command = child_command(test);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.envs(variables.iter().copied()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut talking = Talking { child, stdout };
        talking.until_ready();
        talking
    }

    fn until_ready(&mut self) {
        let mut line = String::new();
        while !line.contains("ready") {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it has ended");
        }
    }

    fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }

    /// Reads what it says on stderr until all of it is there.
    fn until_said(&mut self, parts: &[&str]) -> String {
        let mut text = Vec::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        loop {
            let mut buffer = [0; 4096];
            let count = stderr.read(&mut buffer).unwrap();
            text.extend_from_slice(&buffer[..count]);
            let said = String::from_utf8_lossy(&text).into_owned();
            if parts.iter().all(|part| said.contains(part)) {
                return said;
            }
            assert!(count > 0, "{parts:?} are not in:\n{said}");
        }
    }
}

/// The child's side: says that it is ready, and waits for a line while others run.
fn ready() {
    println!("\nready");
    blocking(|| std::io::stdin().read_line(&mut String::new()).unwrap());
}

#[test]
fn a_signal_has_all_hubs_print_again_and_again() {
    let variables = [("COROVENT_DUMP_SIGNAL", "quit")];
    let mut child = Talking::start("dumps::child_of_two_hubs", &variables);
    for _ in 0..2 {
        child.signal(rustix::process::Signal::QUIT);
        // Both wait in the kernel, and go on to.
        child.until_said(&["'of the one hub'", "'of the other hub'", "it::dumps::park_here at "]);
    }
    child.go_on();
    assert!(child.child.wait().unwrap().success());
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_of_two_hubs() {
    let (sender, parked) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let parked = spawn_named("of the other hub", park_here);
        yield_now();
        sender.send(parked.thread().clone()).unwrap();
        parked.join().unwrap();
    });
    let there = parked.recv().unwrap();
    let here = spawn_named("of the one hub", park_here);
    ready();
    there.unpark();
    other.join().unwrap();
    release(vec![here]);
}

#[test]
fn a_wrong_name_of_a_signal_is_said_and_ignored() {
    for name in ["SIGNONSENSE", "KILL", ""] {
        let mut command = child_command("dumps::child_has_a_hub");
        let output = command.env("COROVENT_DUMP_SIGNAL", name).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let said = format!("corovent: COROVENT_DUMP_SIGNAL={name} is ignored: it is none of QUIT");
        assert!(text.contains(&said), "{text}");
    }
    // Without it the signal does what it did.
    let output = child_command("dumps::child_has_a_hub").output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("DUMP_SIGNAL"));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_a_hub() {
    assert_eq!(spawn(|| 5).join().unwrap(), 5);
}

#[test]
fn a_call_asks_for_dumps_at_a_signal_until_it_is_given_back() {
    let mut child = Talking::start("dumps::child_gives_the_signal_back", &[]);
    child.signal(rustix::process::Signal::USR2);
    child.until_said(&["The root at ", "the listener has heard"]);
    child.go_on();
    child.until_ready();
    child.signal(rustix::process::Signal::USR2);
    assert_eq!(child.child.wait().unwrap().signal(), Some(signal::SIGUSR2));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_gives_the_signal_back() {
    for wrong in [signal::SIGUSR2 + 1000, -1, 0, 9] {
        let error = debug::dump_on_signal(wrong).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    debug::dump_on_signal(signal::SIGUSR2).unwrap();
    debug::dump_on_signal(signal::SIGUSR2).unwrap();
    let heard = spawn(|| {
        // The user's own listener hears of it as well.
        assert_eq!(signal::wait(&[signal::SIGUSR2]).unwrap(), signal::SIGUSR2);
        eprintln!("the listener has heard");
    });
    yield_now();
    ready();
    heard.join().unwrap();
    signal::reset(signal::SIGUSR2).unwrap();
    ready();
}
