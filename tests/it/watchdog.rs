//! The watchdog: who keeps the others waiting is named, and nobody else.
//!
//! Each test is a process of its own, since the watchdog is one for all hubs.

use std::hint::black_box;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use corovent::Builder;
use corovent::debug;
use corovent::debug::Stall;
use corovent::sleep;
use corovent::spawn;
use corovent::thread;
use corovent::yield_now;

use crate::support::child_command;
use crate::support::passes;

const LIMIT: Duration = Duration::from_millis(100);

/// The reports so far.
static REPORTS: Mutex<Vec<Stall>> = Mutex::new(Vec::new());

/// Turns the watchdog on, which adds its reports to [`REPORTS`].
fn collect() {
    collect_reports();
    assert_eq!(debug::watchdog(LIMIT), Duration::ZERO);
}

fn collect_reports() {
    debug::on_stall(|stall| REPORTS.lock().unwrap().push(stall.clone()));
}

fn reports() -> Vec<Stall> {
    REPORTS.lock().unwrap().clone()
}

/// Computes until there are so many reports, and then for another three times the limit of the
/// processor's time.
#[inline(never)]
fn spin_until_reported(count: usize) {
    while REPORTS.lock().unwrap().len() < count {
        black_box(());
    }
    spin(3 * LIMIT);
}

#[inline(never)]
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        black_box(());
    }
}

#[test]
fn a_coroutine_that_computes_is_reported_once() {
    passes("watchdog::computes_once");
}

#[test]
#[ignore = "run by a_coroutine_that_computes_is_reported_once"]
fn computes_once() {
    collect();
    let hog = Builder::new().name("hog".to_owned()).spawn(|| spin_until_reported(1)).unwrap();
    let id = hog.thread().id();
    hog.join().unwrap();
    // In good order, and long enough for another report if there were to be one.
    sleep(3 * LIMIT);
    let reports = reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    assert_eq!(report.name(), Some("hog"));
    assert!(format!("{id:?}").contains(&report.id().unwrap().to_string()), "{id:?}");
    assert_eq!(report.spawned_at().unwrap().file(), file!());
    assert!(report.duration() >= LIMIT);
    assert!(!report.is_blocked());
    assert!(report.backtrace().contains("spin_until_reported"), "{report}");
    assert!(report.backtrace().contains("watchdog.rs"), "{report}");
    // The frames are the coroutine's own.
    assert!(!report.backtrace().contains("run_until_root"), "{report}");
    assert!(report.to_string().contains("coroutine 'hog'"), "{report}");
}

#[test]
fn each_episode_is_reported() {
    passes("watchdog::computes_twice");
}

#[test]
#[ignore = "run by each_episode_is_reported"]
fn computes_twice() {
    collect();
    for n in 1..=2 {
        let name = format!("hog {n}");
        let hog = Builder::new().name(name.clone()).spawn(move || spin_until_reported(n)).unwrap();
        hog.join().unwrap();
        let reports = reports();
        assert_eq!(reports.len(), n);
        assert_eq!(reports[n - 1].name(), Some(name.as_str()));
    }
}

#[test]
fn the_environment_turns_it_on_and_reports_go_to_stderr() {
    let mut command = child_command("watchdog::computes_by_the_environment");
    command.env("COROVENT_WATCHDOG_MS", "50");
    let text = says(&mut command, &[&["corovent: coroutine 'hog'", "computes_by_the_environment"]]);
    assert_eq!(text.matches("corovent: coroutine 'hog'").count(), 1, "{text}");
    assert!(text.contains("has kept the thread"), "{text}");
}

#[test]
#[ignore = "run by the_environment_turns_it_on_and_reports_go_to_stderr"]
fn computes_by_the_environment() {
    // To find the names of a stack takes longer than the stack was there, on a slow machine.
    let told = told();
    let hog = Builder::new().name("hog".to_owned()).spawn(move || {
        while told.load(Ordering::Relaxed) < 1 {
            black_box(());
        }
        spin(3 * LIMIT);
    });
    hog.unwrap().join().unwrap();
}

/// Runs a child that goes on each time when it has said the next words on stderr, one after the
/// other, and gives all that it has said.
fn says(command: &mut Command, steps: &[&[&str]]) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, mut stderr) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
    let mut text = String::new();
    for words in steps {
        for word in *words {
            text.push_str(&read_until(&mut stderr, word));
        }
        stdin.write_all(b"x").unwrap();
    }
    stderr.read_to_string(&mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}: {text}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{text}");
    text
}

/// How often the parent has said that it has seen enough.
fn told() -> &'static AtomicUsize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    std::thread::spawn(|| {
        while let Ok(1) = std::io::stdin().read(&mut [0]) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
    });
    &COUNT
}

/// The processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn reports_are_limited_to_five_a_minute() {
    passes("watchdog::computes_often");
}

#[test]
#[ignore = "run by reports_are_limited_to_five_a_minute"]
fn computes_often() {
    let start = Instant::now();
    collect();
    for n in 1..=5 {
        spawn(move || spin_until_reported(n)).join().unwrap();
    }
    for _ in 0..3 {
        spawn(|| {
            let start = processor_time();
            while processor_time() < start + 5 * LIMIT {
                black_box(());
            }
        })
        .join()
        .unwrap();
    }
    // On a slow machine the minute may be over by now.
    assert!(reports().len() == 5 || start.elapsed() >= Duration::from_secs(60));
    assert!(reports().len() >= 5);
}

#[test]
fn a_root_that_computes_is_reported_if_somebody_waits_for_it() {
    passes("watchdog::the_root_computes");
}

#[test]
#[ignore = "run by a_root_that_computes_is_reported_if_somebody_waits_for_it"]
fn the_root_computes() {
    collect();
    // A hub without coroutines: nobody waits.
    spawn(|| ()).join().unwrap();
    spin(5 * LIMIT);
    assert_eq!(reports().len(), 0);
    let other = spawn(thread::park);
    spin_until_reported(1);
    let reports = reports();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].id(), reports[0].spawned_at()), (None, None));
    assert!(reports[0].to_string().contains("the root has kept"), "{}", reports[0]);
    assert!(reports[0].backtrace().contains("the_root_computes"), "{}", reports[0]);
    other.kill();
}

#[test]
fn a_call_that_blocks_is_reported_and_goes_on() {
    passes("watchdog::blocks_in_the_kernel");
}

/// Lets a thread write a byte when there are so many reports.
fn write_when_reported(count: usize) -> std::io::PipeReader {
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::thread::spawn(move || {
        while REPORTS.lock().unwrap().len() < count {
            std::thread::yield_now();
        }
        writer.write_all(b"x").unwrap();
    });
    reader
}

#[test]
#[ignore = "run by a_call_that_blocks_is_reported_and_goes_on"]
fn blocks_in_the_kernel() {
    collect();
    // A raw read(2), which is interrupted by the signal and goes on.
    let reader = write_when_reported(1);
    let reading = Builder::new().name("reader".to_owned()).spawn(move || {
        let mut byte = [0];
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        // SAFETY: the byte is writable.
        let count = unsafe { libc::read(fd, byte.as_mut_ptr().cast(), 1) };
        assert_eq!((count, byte[0]), (1, b'x'));
        drop(reader);
    });
    reading.unwrap().join().unwrap();
    // poll(2), which would fail with EINTR and is left alone.
    let reader = write_when_reported(2);
    let polling = spawn(move || {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: the record is valid.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, -1) }, 1);
    });
    polling.join().unwrap();
    let reports = reports();
    assert_eq!(reports.len(), 2);
    assert!(reports.iter().all(Stall::is_blocked));
    let first = reports[0].to_string();
    assert!(first.contains("has blocked the thread"), "{first}");
    assert_eq!(reports[0].name(), Some("reader"), "{first}");
    assert!(first.contains("read(2)") && first.contains("blocks_in_the_kernel"), "{first}");
    let second = reports[1].to_string();
    assert!(second.contains("poll(2)") && second.contains("threadpool::blocking"), "{second}");
    assert!(second.contains("somebody"), "{second}");
}

#[test]
fn a_sleep_of_std_is_reported_with_what_to_do() {
    passes("watchdog::sleeps_as_std_does");
}

#[test]
#[ignore = "run by a_sleep_of_std_is_reported_with_what_to_do"]
fn sleeps_as_std_does() {
    collect();
    let sleeper = spawn(|| {
        let start = Instant::now();
        while reports().is_empty() {
            std::thread::sleep(5 * LIMIT);
        }
        assert!(start.elapsed() >= 5 * LIMIT);
    });
    sleeper.join().unwrap();
    let report = reports()[0].to_string();
    assert!(report.contains("corovent::sleep"), "{report}");
    assert!(report.contains("sleeps_as_std_does"), "{report}");
}

#[test]
fn a_lock_of_std_held_by_a_parked_coroutine_is_told() {
    passes("watchdog::waits_for_a_std_lock");
}

#[test]
#[ignore = "run by a_lock_of_std_held_by_a_parked_coroutine_is_told"]
fn waits_for_a_std_lock() {
    static LOCK: Mutex<()> = Mutex::new(());

    debug::on_stall(|stall| {
        let text = stall.to_string();
        assert!(text.contains("a parked coroutine of this hub holds it"), "{text}");
        assert!(text.contains("corovent::sync"), "{text}");
        assert!(text.contains("coroutine 'waiter'") && text.contains("futex(2)"), "{text}");
        assert!(text.contains("waits_for_a_std_lock"), "{text}");
        // The thread never goes on. The harness prints what it has to say at its end only.
        println!("test result: ok. 1 passed");
        std::process::exit(0);
    });
    debug::watchdog(LIMIT);
    let holder = spawn(|| {
        let _guard = LOCK.lock().unwrap();
        thread::park();
    });
    yield_now();
    let waiter = Builder::new().name("waiter".to_owned()).spawn(|| drop(LOCK.lock().unwrap()));
    waiter.unwrap().join().unwrap();
    holder.kill();
}

#[test]
fn hubs_that_turn_or_sleep_are_not_reported() {
    passes("watchdog::turns_and_sleeps");
}

#[test]
#[ignore = "run by hubs_that_turn_or_sleep_are_not_reported"]
fn turns_and_sleeps() {
    collect();
    // Asleep in the kernel, with a coroutine.
    let parked = spawn(thread::park);
    sleep(6 * LIMIT);
    // Busy all the time, in small pieces.
    let busy = spawn(|| {
        let start = Instant::now();
        while start.elapsed() < 10 * LIMIT {
            spin(Duration::from_millis(2));
            yield_now();
        }
    });
    busy.join().unwrap();
    parked.kill();
    assert!(parked.join().is_err());
    assert!(reports().is_empty(), "{:?}", reports());
}

#[test]
fn hubs_and_threads_that_end_while_they_are_looked_at_are_no_trouble() {
    passes("watchdog::many_hubs_come_and_go");
}

#[test]
#[ignore = "run by hubs_and_threads_that_end_while_they_are_looked_at_are_no_trouble"]
fn many_hubs_come_and_go() {
    debug::on_stall(|stall| drop(stall.to_string()));
    // Whoever is looked at is asked for its stack, as often as can be.
    debug::watchdog(Duration::from_millis(1));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..50 {
                    let round = std::thread::spawn(|| {
                        let name = "a name that is freed".to_owned();
                        let other = Builder::new().name(name).spawn(|| {
                            spin(Duration::from_millis(3));
                            yield_now();
                        });
                        drop(other.unwrap());
                        yield_now();
                        spin(Duration::from_millis(3));
                        sleep(Duration::from_millis(1));
                    });
                    round.join().unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn it_is_turned_off_and_on_and_is_no_thread_that_could_wake() {
    passes("watchdog::off_and_on");
}

/// The number of threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Whether the watchdog's thread is there, when it has come or gone.
fn until_watched(wanted: bool) {
    let is_watched = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
        names.flatten().any(|name| name.trim() == "corovent-watch")
    };
    while is_watched() != wanted {
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "run by it_is_turned_off_and_on_and_is_no_thread_that_could_wake"]
fn off_and_on() {
    let before = threads();
    spawn(|| ()).join().unwrap();
    assert_eq!(threads(), before, "no thread unless somebody asks for it");
    for _ in 0..20 {
        assert_eq!(debug::watchdog(LIMIT), Duration::ZERO);
        until_watched(true);
        assert_eq!(debug::watchdog(Duration::ZERO), LIMIT);
        until_watched(false);
    }
    assert_eq!(threads(), before);
    debug::watchdog(LIMIT);
    until_watched(true);
    // The root of a process of one thread, but for the watchdog's and the test harness's.
    let alone = std::panic::catch_unwind(|| {
        if threads() > 2 {
            debug::deadlock(debug::Scope::Hub);
        }
        thread::park();
    });
    assert!(alone.unwrap_err().is::<corovent::Deadlock>());
}

#[test]
fn a_process_that_was_stopped_is_not_reported() {
    let mut command = child_command("watchdog::turns_while_it_is_stopped");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    read_until(&mut stdout, "turning");
    for _ in 0..3 {
        signal(&child, rustix::process::Signal::STOP);
        std::thread::sleep(5 * LIMIT);
        signal(&child, rustix::process::Signal::CONT);
        std::thread::sleep(LIMIT);
    }
    drop(child.stdin.take());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("1 passed"), "{rest}");
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

fn read_until(reader: &mut impl Read, word: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(word.as_bytes()) {
        assert_eq!(reader.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
#[ignore = "run by a_process_that_was_stopped_is_not_reported"]
fn turns_while_it_is_stopped() {
    collect();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        sender.send(()).unwrap();
    });
    println!("turning");
    let other = spawn(thread::park);
    while receiver.try_recv().is_err() {
        spin(Duration::from_millis(1));
        yield_now();
    }
    other.kill();
    assert!(reports().is_empty(), "{:?}", reports());
}

#[test]
fn a_process_that_is_forked_off_has_no_watchdog_and_may_have_one() {
    passes("watchdog::forks");
}

#[test]
#[ignore = "run by a_process_that_is_forked_off_has_no_watchdog_and_may_have_one"]
fn forks() {
    debug::watchdog(Duration::from_millis(1));
    spawn(|| ()).join().unwrap();
    for _ in 0..20 {
        let mut command = Command::new("/bin/true");
        let check = || {
            assert_eq!(threads(), 1);
            // Its own hub's end is no trouble, whatever the watchdog did when it was forked.
            debug::watchdog(Duration::from_millis(2));
            until_watched(true);
            Ok(())
        };
        // SAFETY: no other thread of this process holds the allocator's lock for ever.
        unsafe { command.pre_exec(check) };
        assert!(command.status().unwrap().success());
    }
}

#[test]
fn a_callback_may_take_its_own_place_and_panic_as_it_goes() {
    passes("watchdog::replaces_its_callback");
}

#[test]
#[ignore = "run by a_callback_may_take_its_own_place_and_panic_as_it_goes"]
fn replaces_its_callback() {
    static IS_REPLACED: AtomicBool = AtomicBool::new(false);

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a callback is dropped");
        }
    }

    let bomb = Bomb;
    debug::on_stall(move |_| {
        let _bomb = &bomb;
        collect_reports();
        IS_REPLACED.store(true, Ordering::Relaxed);
    });
    debug::watchdog(LIMIT);
    let first = spawn(|| {
        while !IS_REPLACED.load(Ordering::Relaxed) {
            black_box(());
        }
    });
    first.join().unwrap();
    spawn(|| spin_until_reported(1)).join().unwrap();
    assert_eq!(reports().len(), 1);
}

#[test]
fn a_callback_may_fork_and_its_child_is_nobodys_watchdog() {
    passes("watchdog::forks_in_its_callback");
}

#[test]
#[ignore = "run by a_callback_may_fork_and_its_child_is_nobodys_watchdog"]
fn forks_in_its_callback() {
    static CHILD: AtomicI32 = AtomicI32::new(0);

    debug::on_stall(|_| {
        // SAFETY: the child ends with this thread, which is its only one.
        match unsafe { libc::fork() } {
            // SAFETY: alarm(2) has no preconditions.
            0 => _ = unsafe { libc::alarm(60) },
            pid => CHILD.store(pid, Ordering::Relaxed),
        }
    });
    debug::watchdog(LIMIT);
    let hog = spawn(|| {
        while CHILD.load(Ordering::Relaxed) == 0 {
            black_box(());
        }
    });
    hog.join().unwrap();
    let (child, mut status) = (CHILD.load(Ordering::Relaxed), -1);
    // SAFETY: `status` is valid for the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}

#[test]
fn lines_of_rates_are_printed_for_hubs_that_do_something() {
    let mut command = child_command("watchdog::is_traced");
    let rates = [" switches so far, ", " switches/s, ", " live ("];
    says(command.env("COROVENT_TRACE", "20"), &[&rates, &[": has not come round for "]]);
}

#[test]
#[ignore = "run by lines_of_rates_are_printed_for_hubs_that_do_something"]
fn is_traced() {
    let told = told();
    let busy = spawn(move || {
        while told.load(Ordering::Relaxed) < 1 {
            yield_now();
        }
        while told.load(Ordering::Relaxed) < 2 {
            black_box(());
        }
    });
    busy.join().unwrap();
}
