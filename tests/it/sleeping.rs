//! Time: never early, and in order.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use corovent::sleep;
use corovent::spawn;
use corovent::time::sleep_until;

use crate::support::Log;
use crate::support::run;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_sleep_is_never_short() {
    run(|| {
        let durations = [0, 1, 10, 999, 1_000, 1_001, 250_000, 1_000_000, 3_000_000];
        for nanos in durations {
            let duration = Duration::from_nanos(nanos);
            let start = Instant::now();
            sleep(duration);
            assert!(start.elapsed() >= duration, "{duration:?} took {:?}", start.elapsed());
        }
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    run(|| {
        let log = Log::new();
        let tasks: Vec<_> = [30, 10, 20, 0, 25]
            .into_iter()
            .map(|delay| {
                let log = log.clone();
                spawn(move || {
                    sleep(ms(delay));
                    log.add(delay.to_string());
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0 10 20 25 30");
    });
}

/// The clock is read when a timer is armed, so what was computed before does not shorten it.
#[test]
fn a_sleep_after_a_long_computation_lasts_in_full() {
    run(|| {
        let task = spawn(|| {
            thread::sleep(ms(50));
            let start = Instant::now();
            sleep(ms(20));
            start.elapsed()
        });
        assert!(task.join().unwrap() >= ms(20));
        let start = Instant::now();
        assert!(corovent::timeout(ms(20), || sleep(ms(10_000))).is_err());
        assert!(start.elapsed() >= ms(20));
    });
}

#[test]
fn sleeping_until_the_past_only_yields() {
    run(|| {
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || log.add("other")
        });
        sleep_until(Instant::now() - ms(5));
        log.add("sleeper");
        task.join().unwrap();
        assert_eq!(log.text(), "other sleeper");
        let deadline = Instant::now() + ms(3);
        sleep_until(deadline);
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn an_endless_sleep_can_be_killed() {
    run(|| {
        let task = spawn(|| sleep(Duration::MAX));
        corovent::yield_now();
        assert!(task.kill());
        assert!(task.join().unwrap_err().is::<corovent::Killed>());
    });
}

/// A hundred thousand timers at once, half of them taken back in a scattered order.
#[test]
fn a_hundred_thousand_timers_come_and_go() {
    const COUNT: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

    run(|| {
        let tasks: Vec<_> = (0..COUNT)
            .map(|n| {
                spawn(move || {
                    let start = Instant::now();
                    let delay = Duration::from_micros(n as u64 * 7919 % 20_000);
                    sleep(if n % 2 == 0 { delay } else { Duration::from_secs(3600) });
                    assert!(start.elapsed() >= delay);
                })
            })
            .collect();
        corovent::yield_now();
        // 7919 is a prime: the order is scattered, and every odd one is met.
        let mut killed = 0;
        for step in 0..COUNT {
            let n = step * 7919 % COUNT;
            if n % 2 == 1 {
                killed += usize::from(tasks[n].kill());
            }
        }
        assert_eq!(killed, COUNT / 2);
        let ended = tasks.into_iter().map(|task| task.join().is_ok());
        assert_eq!(ended.filter(|ok| *ok).count(), COUNT / 2);
    });
}

#[test]
fn a_thread_that_only_sleeps_needs_no_coroutine() {
    thread::spawn(|| {
        let start = Instant::now();
        sleep(ms(2));
        assert!(start.elapsed() >= ms(2));
    })
    .join()
    .unwrap();
}
