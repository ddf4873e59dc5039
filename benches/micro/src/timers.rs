//! Timers: arming one and cancelling it with up to 1,000,000 others pending; the processor time
//! of one that fires; by how much the last of 100,000 sleepers wakes too late.
//!
//! corovent's timer is `timeout` around a closure that does nothing; the others' is a sleep that
//! is polled once and dropped, which is what their timeouts do around a future that has to wait.
//! Each reads the clock once. That is a matter of the machine: it is measured by itself and taken
//! off.

use std::cell::Cell;
use std::future::Future;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_smol;
use crate::peers::on_tokio;

/// So many timeouts are open in one coroutine, which sleeps: together with that, 100.
const NESTED: usize = 99;
const HOUR_MS: u64 = 3_600_000;
/// From seconds to a day, so that every level of a wheel is in use.
const SECONDS: [u64; 5] = [3, 40, 500, 6_000, 80_000];
/// How many sleep at once for the shortest time that all can measure.
const NAPPERS: usize = 1_000;
const NAP: Duration = Duration::from_millis(1);
/// How long the sleepers sleep at most.
const LONGEST: Duration = Duration::from_millis(100);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [0, 1_000, 1_000_000].map(armed).into();
    cases.push(
        Case::new("timer fired", "1 ms", 100_000, 2_000)
            .unit("ns CPU")
            .who("corovent", corovent_naps)
            .who("tokio", tokio_naps)
            .who("smol", smol_naps)
            .who("may", may_naps)
            .who("threads", thread_naps),
    );
    let sleepers =
        |name: &str| Case::new("sleepers", name, 100_000, 1_000).unit("ms late").mark(30.0).cold();
    // In the first the clock starts before the first spawn, and page faults are part of it.
    cases.push(
        sleepers("100000")
            .who("corovent", corovent_sleepers)
            .who("tokio", tokio_sleepers)
            .who("smol", smol_sleepers),
    );
    cases.push(sleepers("100000 on warm stacks").who("corovent", corovent_warm_sleepers));
    cases
}

fn armed(pending: usize) -> Case {
    let case = Case::new("timer", &format!("{pending} pending"), 500_000, 5_000)
        .mark(40.0)
        .who("corovent", move |count| corovent_timers(pending, count))
        .who("tokio", move |count| on_tokio(tokio_timers(pending, count)))
        .slow_who("smol", 5, move |count| smol_timers(pending, count));
    // It takes seconds until so many are there.
    if pending > 100_000 { case.cold().heavy() } else { case }
}

/// Measures `arm_and_cancel` without the reading of the clock.
fn without_clock(count: usize, arm_and_cancel: impl Fn(Duration)) -> f64 {
    let clock = clock_ns(count);
    let durations = SECONDS.map(Duration::from_secs);
    ns_each(count, || (0..count).for_each(|n| arm_and_cancel(durations[n % 5]))) - clock
}

fn clock_ns(count: usize) -> f64 {
    ns_each(count, || {
        (0..count).for_each(|_| {
            black_box(Instant::now());
        });
    })
}

fn corovent_timers(pending: usize, count: usize) -> f64 {
    let mut random = Random(1);
    while corovent::debug::counters().timers < pending {
        let durations: Vec<Duration> = (0..=NESTED).map(|_| random.duration()).collect();
        // Detached: it is still asleep when the process ends.
        corovent::spawn(move || sleep_under(&durations));
        corovent::yield_now();
    }
    without_clock(count, |duration| {
        corovent::timeout(duration, || black_box(())).expect("the time is not up");
    })
}

fn sleep_under(durations: &[Duration]) {
    match durations {
        [] => {}
        [last] => corovent::sleep(*last),
        [first, rest @ ..] => corovent::timeout(*first, || sleep_under(rest)).unwrap_or_default(),
    }
}

/// Polls a future that is not ready, and drops it.
async fn poll_once(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

async fn tokio_timers(pending: usize, count: usize) -> f64 {
    let mut random = Random(1);
    let started = Arc::new(AtomicUsize::new(0));
    for _ in 0..pending {
        let (started, sleep) = (Arc::clone(&started), tokio::time::sleep(random.duration()));
        tokio::spawn(async move {
            started.fetch_add(1, Relaxed);
            sleep.await;
        });
    }
    while started.load(Relaxed) < pending {
        tokio::task::yield_now().await;
    }
    let clock = clock_ns(count);
    let start = Instant::now();
    for n in 0..count {
        poll_once(tokio::time::sleep(Duration::from_secs(SECONDS[n % 5]))).await;
    }
    ns_since(start, count) - clock
}

fn smol_timers(pending: usize, count: usize) -> f64 {
    on_smol(async |executor| {
        let mut random = Random(1);
        let started = Rc::new(Cell::new(0));
        for _ in 0..pending {
            let (started, timer) = (Rc::clone(&started), smol::Timer::after(random.duration()));
            let sleeping = async move {
                started.set(started.get() + 1);
                timer.await;
            };
            executor.spawn(sleeping).detach();
        }
        while started.get() < pending {
            smol::future::yield_now().await;
        }
        let clock = clock_ns(count);
        let start = Instant::now();
        for n in 0..count {
            poll_once(smol::Timer::after(Duration::from_secs(SECONDS[n % 5]))).await;
        }
        ns_since(start, count) - clock
    })
}

/// Marsaglia's xorshift: the same durations in every run.
struct Random(u64);

impl Random {
    fn duration(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(HOUR_MS + self.0 % (9 * HOUR_MS))
    }
}

/// Gives the processor time of the process, of all its threads.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// How often each has to sleep so that it is `count` times in all.
fn naps_each(count: usize) -> usize {
    count / NAPPERS.min(count)
}

fn corovent_naps(count: usize) -> f64 {
    let each = naps_each(count);
    let body = move || (0..each).for_each(|_| corovent::sleep(NAP));
    let handles: Vec<_> = (0..NAPPERS.min(count)).map(|_| corovent::spawn(body)).collect();
    let start = cpu_ns();
    for handle in handles {
        handle.join().expect("it does not panic");
    }
    (cpu_ns() - start) / count as f64
}

fn tokio_naps(count: usize) -> f64 {
    on_tokio(async {
        let spawn = |_| {
            tokio::spawn(async move {
                for _ in 0..naps_each(count) {
                    tokio::time::sleep(NAP).await;
                }
            })
        };
        let handles: Vec<_> = (0..NAPPERS.min(count)).map(spawn).collect();
        let start = cpu_ns();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        (cpu_ns() - start) / count as f64
    })
}

fn smol_naps(count: usize) -> f64 {
    on_smol(async |executor| {
        let spawn = |_| {
            executor.spawn(async move {
                for _ in 0..naps_each(count) {
                    smol::Timer::after(NAP).await;
                }
            })
        };
        let handles: Vec<_> = (0..NAPPERS.min(count)).map(spawn).collect();
        let start = cpu_ns();
        for handle in handles {
            handle.await;
        }
        (cpu_ns() - start) / count as f64
    })
}

fn may_naps(count: usize) -> f64 {
    on_may(move || {
        let each = naps_each(count);
        let body = move || (0..each).for_each(|_| may::coroutine::sleep(NAP));
        let handles: Vec<_> = (0..NAPPERS.min(count)).map(|_| may::go!(body)).collect();
        let start = cpu_ns();
        for handle in handles {
            handle.join().expect("it does not panic");
        }
        (cpu_ns() - start) / count as f64
    })
}

fn thread_naps(count: usize) -> f64 {
    let each = naps_each(count);
    let body = move || (0..each).for_each(|_| thread::sleep(NAP));
    let start = cpu_ns();
    let handles: Vec<_> = (0..NAPPERS.min(count)).map(|_| thread::spawn(body)).collect();
    for handle in handles {
        handle.join().expect("it does not panic");
    }
    (cpu_ns() - start) / count as f64
}

/// Gives how long a sleeper sleeps. Short and long ones are mixed: 7919 is prime, so every
/// length comes up once.
fn sleep_of(n: usize, sleepers: usize) -> Duration {
    LONGEST * (n * 7919 % sleepers) as u32 / (sleepers - 1) as u32
}

/// Gives by how many milliseconds it took longer than the longest sleep.
fn overrun_ms(start: Instant) -> f64 {
    let overrun = start.elapsed().checked_sub(LONGEST).expect("nothing wakes early");
    overrun.as_secs_f64() * 1000.0
}

fn corovent_sleepers(sleepers: usize) -> f64 {
    let start = Instant::now();
    let spawn_one = |n| corovent::spawn(move || corovent::sleep(sleep_of(n, sleepers)));
    let handles: Vec<_> = (0..sleepers).map(spawn_one).collect();
    for handle in handles {
        handle.join().expect("it does not panic");
    }
    overrun_ms(start)
}

/// The same, from when all have touched their stacks.
fn corovent_warm_sleepers(sleepers: usize) -> f64 {
    let spawn_one = |n| {
        corovent::spawn(move || {
            corovent::thread::park();
            corovent::sleep(sleep_of(n, sleepers));
        })
    };
    let handles: Vec<_> = (0..sleepers).map(spawn_one).collect();
    // All reach their `park`: those that are ready run before the root does again.
    corovent::yield_now();
    let start = Instant::now();
    handles.iter().for_each(|handle| handle.thread().unpark());
    for handle in handles {
        handle.join().expect("it does not panic");
    }
    overrun_ms(start)
}

fn tokio_sleepers(sleepers: usize) -> f64 {
    on_tokio(async {
        let start = Instant::now();
        let handles: Vec<_> = (0..sleepers)
            .map(|n| tokio::spawn(async move { tokio::time::sleep(sleep_of(n, sleepers)).await }))
            .collect();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        overrun_ms(start)
    })
}

fn smol_sleepers(sleepers: usize) -> f64 {
    on_smol(async |executor| {
        let start = Instant::now();
        let handles: Vec<_> = (0..sleepers)
            .map(|n| executor.spawn(smol::Timer::after(sleep_of(n, sleepers))))
            .collect();
        for handle in handles {
            handle.await;
        }
        overrun_ms(start)
    })
}
