//! Time: a wall clock that jumps, an old machine's clock, waits without end, many timers, and
//! a coroutine that computes and computes.

use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::debug;
use corovent::os::unix::net::UnixStream;
use corovent::queue::Queue;
use corovent::scope;
use corovent::select::select_timeout;
use corovent::server::StreamServer;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Condvar;
use corovent::sync::Event;
use corovent::sync::Mutex;
use corovent::sync::ReentrantMutex;
use corovent::sync::Semaphore;
use corovent::sync::mpsc;
use corovent::thread::park_timeout;
use corovent::timeout;
use corovent::yield_now;

use crate::interruptions::work;
use crate::peers::ANY;
use crate::strace::trace;
use crate::support::passes;
use crate::support::resident_bytes;
use crate::support::run;

/// How far the clocks of this process are off, in seconds.
static WALL_OFFSET: AtomicI64 = AtomicI64::new(0);
static MONOTONIC_OFFSET: AtomicI64 = AtomicI64::new(0);
/// How often the time of day was asked for.
static WALL_READS: AtomicUsize = AtomicUsize::new(0);

/// Stands in for libc's: what the linker finds in the program itself it takes, also for std. The
/// clock of the kernel cannot be set for one process alone, and its calls are seen by no tracer.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: the caller's pointer is valid for the call.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    let offset = match clock {
        libc::CLOCK_REALTIME => {
            WALL_READS.fetch_add(1, Ordering::Relaxed);
            &WALL_OFFSET
        }
        libc::CLOCK_MONOTONIC => &MONOTONIC_OFFSET,
        _ => return result as libc::c_int,
    };
    if result == 0 {
        // SAFETY: as above, and the kernel has written there.
        unsafe { (*time).tv_sec += offset.load(Ordering::Relaxed) };
    }
    result as libc::c_int
}

/// Nothing that waits, or is timed, asks for the time of day.
#[test]
fn a_jump_of_the_wall_clock_disturbs_nobody() {
    passes("time::child_has_a_jumping_wall_clock");
}

#[test]
#[ignore = "moves the clock of its process"]
fn child_has_a_jumping_wall_clock() {
    const DAY: i64 = 86_400;
    const HOUR: Duration = Duration::from_secs(3600);
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    let jumps = os::spawn(|| {
        for n in 0.. {
            if IS_OVER.load(Ordering::Relaxed) {
                return;
            }
            WALL_OFFSET.store(if n % 2 == 0 { DAY } else { -DAY }, Ordering::Relaxed);
            os::sleep(Duration::from_millis(1));
        }
    });
    // It is this clock that std asks, and it jumps.
    let first = SystemTime::now();
    while SystemTime::now().duration_since(first).unwrap_or_else(|e| e.duration()) < HOUR {}
    assert!(WALL_READS.load(Ordering::Relaxed) >= 2);
    let asked = WALL_READS.load(Ordering::Relaxed);
    run(|| (0..3).for_each(|_| work()));
    assert_eq!(WALL_READS.load(Ordering::Relaxed), asked, "the time of day was asked for");
    IS_OVER.store(true, Ordering::Relaxed);
    jumps.join().unwrap();
}

/// The kernel's clock begins with its boot; one that has run for 200 years is as good.
#[test]
fn a_clock_that_is_far_on_is_as_good_as_any() {
    passes("time::child_has_an_old_clock");
}

#[test]
#[ignore = "moves the clock of its process"]
fn child_has_an_old_clock() {
    MONOTONIC_OFFSET.store(200 * 365 * 86_400, Ordering::Relaxed);
    run(|| {
        work();
        let begun = Instant::now();
        assert!(timeout(Duration::from_millis(5), || sleep(Duration::MAX)).is_err());
        assert!(begun.elapsed() >= Duration::from_millis(5));
    });
}

/// A wait for `Duration::MAX` is one without end: what it waits for ends it, or a kill.
#[test]
fn the_longest_duration_is_no_limit_anywhere() {
    run(|| {
        let waits: Vec<(&str, JoinHandle<()>)> = endless_waits();
        yield_now();
        yield_now();
        for (name, task) in waits {
            assert!(!task.is_finished(), "{name} does not wait");
            task.kill();
            assert!(task.join().is_err(), "{name}");
        }
        // And those that are over at once.
        assert_eq!(timeout(Duration::MAX, || 1).unwrap(), 1);
        assert_eq!(spawn(|| 2).join_timeout(Duration::MAX).unwrap().unwrap(), 2);
        assert!(spawn(|| sleep(Duration::MAX)).kill_timeout(Duration::MAX));
        let server = StreamServer::bind(ANY, |_, _| ()).unwrap();
        server.start().unwrap();
        assert!(server.stop(Duration::MAX).is_clean());
    });
}

/// A coroutine for each call, which waits for what never comes.
fn endless_waits() -> Vec<(&'static str, JoinHandle<()>)> {
    const MAX: Duration = Duration::MAX;
    vec![
        ("sleep", spawn(|| sleep(MAX))),
        ("park_timeout", spawn(|| park_timeout(MAX))),
        ("timeout", spawn(|| timeout(MAX, || sleep(MAX)).unwrap())),
        ("Event", spawn(|| assert!(!Event::new().wait_timeout(MAX)))),
        ("Semaphore", spawn(|| drop(Semaphore::new(0).acquire_timeout(MAX)))),
        ("Queue::get", spawn(|| assert!(Queue::<u8>::unbounded().get_timeout(MAX).is_err()))),
        // It ends what was spawned in it.
        ("join_timeout", {
            let join = || scope(|scope| drop(scope.spawn(|| sleep(MAX)).join_timeout(MAX)));
            spawn(join)
        }),
        ("recv_timeout", {
            let (sender, receiver) = mpsc::channel::<u8>();
            spawn(move || {
                let _sender = sender;
                let _ = receiver.recv_timeout(MAX);
            })
        }),
        ("select_timeout", {
            let (sender, receiver) = mpsc::channel::<u8>();
            spawn(move || {
                let _sender = sender;
                let _ = select_timeout(&[&receiver], MAX);
            })
        }),
        ("Condvar", {
            spawn(|| {
                let mutex = Mutex::new(());
                drop(Condvar::new().wait_timeout(mutex.lock().unwrap(), MAX));
            })
        }),
        ("lock_timeout", {
            let mutex = Rc::new(ReentrantMutex::new(()));
            let other = Rc::clone(&mutex);
            let holder = spawn(move || {
                let _guard = other.lock();
                sleep(MAX);
            });
            let waiter = spawn(move || drop(mutex.lock_timeout(MAX)));
            spawn(move || {
                // They end with this one.
                let _both = (KillOnDrop(holder), KillOnDrop(waiter));
                sleep(MAX);
            })
        }),
        ("read timeout", {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.set_read_timeout(Some(MAX)).unwrap();
            spawn(move || {
                let _other = other;
                let _ = one.read(&mut [0]);
            })
        }),
        ("write timeout", {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.set_write_timeout(Some(MAX)).unwrap();
            spawn(move || {
                let _other = other;
                let _ = one.write_all(&[0; 1 << 20]);
            })
        }),
    ]
}

struct KillOnDrop<T>(JoinHandle<T>);

impl<T> Drop for KillOnDrop<T> {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// They cost little each, and nothing when they were cancelled; the hub is as quick as before.
#[test]
fn many_timers_are_cheap_and_go_when_they_are_cancelled() {
    passes("time::child_has_many_timers");
}

#[test]
#[ignore = "is measured in a process of its own"]
fn child_has_many_timers() {
    const COUNT: usize = 200_000;
    const HOUR: Duration = Duration::from_secs(3600);

    run(|| {
        let start = |count: usize| {
            let delay = |n: usize| HOUR + Duration::from_micros((n * 7919 % COUNT) as u64);
            let builder = || Builder::new().stack_size(64 * 1024);
            let one = |n| builder().spawn_after(delay(n), || ()).unwrap();
            (0..count).map(one).collect::<Vec<_>>()
        };
        let before = resident_bytes();
        let tasks = start(COUNT);
        assert_eq!(debug::counters().timers, COUNT);
        // The record of a coroutine that is to start, its closure and its timer.
        let each = (resident_bytes() - before) / COUNT;
        assert!(each <= 700, "{each} bytes each");
        let begun = Instant::now();
        sleep(Duration::from_millis(1));
        assert!(begun.elapsed() >= Duration::from_millis(1));
        let cancel = |tasks: Vec<JoinHandle<()>>| {
            tasks.iter().for_each(|task| assert!(task.kill()));
            tasks.into_iter().for_each(|task| assert!(task.join().is_err()));
            assert_eq!(debug::counters().timers, 0);
        };
        cancel(tasks);
        // Those that come after take the places of those that have gone.
        let full = resident_bytes();
        cancel(start(COUNT / 10));
        let grown = resident_bytes().saturating_sub(full);
        assert!(grown < 8 << 20, "{grown} bytes more");
        eprintln!("{each} bytes each");
    });
}

/// Who sleeps too long in the kernel is late by that, which no measuring can tell from a busy
/// machine; and who sleeps too short looks again for nothing.
#[test]
fn the_hub_sleeps_as_long_as_the_next_timer_is_off() {
    let calls = ["epoll_pwait2", "epoll_wait"];
    let Some(traced) = trace("time::child_sleeps_alone", &calls) else { return };
    let limits: Vec<u64> = calls.iter().flat_map(|call| traced.lines(call)).map(limit_ns).collect();
    let is_sleep = |limit: &&u64| **limit > 0;
    // The kernel wakes nobody early. A hub that was held up may find that its time is over.
    assert!(limits.iter().filter(is_sleep).count() <= SLEEPS, "{limits:?}");
    // Without epoll_pwait2 it is rounded up to milliseconds.
    assert!(limits.iter().all(|limit| *limit <= SLEEP.as_nanos() as u64), "{limits:?}");
}

const SLEEPS: usize = 20;
const SLEEP: Duration = Duration::from_millis(3);

#[test]
#[ignore = "is traced"]
fn child_sleeps_alone() {
    run(|| (0..SLEEPS).for_each(|_| sleep(SLEEP)));
}

/// For how long a call waits, of a line of the log.
fn limit_ns(line: &str) -> u64 {
    let number = |text: &str| -> u64 {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("no number: {line}"))
    };
    if let Some((_, rest)) = line.split_once("{tv_sec=") {
        let (_, nanos) = rest.split_once("tv_nsec=").unwrap();
        return number(rest) * 1_000_000_000 + number(nanos);
    }
    // The last argument, in milliseconds.
    let (call, _) = line.rsplit_once(')').unwrap();
    number(call.rsplit(", ").next().unwrap()) * 1_000_000
}

/// Others have to wait for one that computes; then each gets what it waited for, I/O before
/// timers that are late, and these in their order.
#[test]
fn after_a_long_computation_nothing_is_lost() {
    let mut unit = Duration::from_millis(1);
    // On a slow machine the first time may be over before the computation begins.
    while !run(|| computes_in_time(unit)) {
        unit *= 2;
        assert!(unit < Duration::from_secs(5), "the machine is too slow");
    }
}

/// Whether all waited before the shortest time was over; if so, it is checked what they find.
fn computes_in_time(unit: Duration) -> bool {
    let limit = 20 * unit;
    let order = Rc::new(Cell::new(0));
    let begun = Instant::now();
    let sleeper = |n: u32| {
        let order = Rc::clone(&order);
        let duration = n * unit;
        spawn(move || {
            sleep(duration);
            assert!(begun.elapsed() >= duration);
            order.replace(order.get() + 1)
        })
    };
    let (mut there, mut here) = UnixStream::pair().unwrap();
    here.set_read_timeout(Some(limit)).unwrap();
    let reader = spawn(move || (here.read(&mut [0; 8]), here).0);
    let (other, mut mine) = UnixStream::pair().unwrap();
    let late = spawn(move || timeout(limit, || mine.read(&mut [0; 8])));
    yield_now();
    let sleepers: Vec<_> = (1..=8).rev().map(sleeper).collect();
    yield_now();
    let was_in_time = begun.elapsed() < unit;
    // The answer of one comes in time, while another computes.
    there.write_all(b"answer").unwrap();
    let computing = Instant::now();
    while computing.elapsed() < 3 * limit {}
    let answer = reader.join().unwrap();
    let late = late.join().unwrap();
    let order: Vec<u32> = sleepers.into_iter().map(|task| task.join().unwrap()).collect();
    if was_in_time {
        assert_eq!(answer.unwrap(), 6);
        assert!(late.is_err());
        assert_eq!(order, [7, 6, 5, 4, 3, 2, 1, 0]);
    }
    drop(other);
    was_in_time
}
