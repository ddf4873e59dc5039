//! Timers: nanoseconds for arming one and cancelling it, with up to 1,000,000 others pending.
//!
//! ```text
//! cargo bench --bench timers [-- --quick]
//! ```
//!
//! What is measured is `timeout` around a closure that does nothing. It reads the clock
//! once; that is measured by itself and taken off. The others are timeouts too, nested
//! in coroutines that sleep, and end between one hour and ten.

mod support;

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Race;
use crate::support::ns_each;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;

/// So many timeouts are open in one coroutine, which sleeps: together with that, 100.
const NESTED: usize = 99;
const HOUR_MS: u64 = 3_600_000;
const REACH_NS: f64 = 40.0;

fn main() {
    let timers = scale(500_000, 5_000);
    let mut rows = Vec::new();
    let mut random = Random(1);
    for pending in [0, 1_000, scale(100_000, 2_000), scale(1_000_000, 3_000)] {
        while debug::counters().timers < pending {
            park_under_timeouts(&mut random);
        }
        assert_eq!(debug::counters().timers, pending);
        let mut race = Race::default();
        race.add("clock", || ns_each(timers, || (0..timers).for_each(|_| read_clock())));
        race.add("timer", || {
            // From seconds to a day, so that every level of a wheel is in use.
            let durations = [3, 40, 500, 6_000, 80_000].map(Duration::from_secs);
            ns_each(timers, || (0..timers).for_each(|n| arm_and_cancel(durations[n % 5])))
        });
        let figures = race.run(scale(9, 1));
        rows.push((pending, figures[0].1, figures[1].1));
    }
    print_head("timers: ns for arming and cancelling one");
    for (pending, clock, timer) in rows {
        print_figure("the clock, read once", clock, None);
        let name = format!("{pending} others pending, without the clock");
        print_figure(&name, timer.less(clock.median), Some(REACH_NS));
    }
}

fn read_clock() {
    black_box(Instant::now());
}

fn arm_and_cancel(duration: Duration) {
    timeout(duration, || black_box(())).expect("the time is not up");
}

fn park_under_timeouts(random: &mut Random) {
    let durations: Vec<Duration> = (0..=NESTED).map(|_| random.duration()).collect();
    // Detached: it is still asleep when the process ends.
    spawn(move || sleep_under(&durations));
    yield_now();
}

fn sleep_under(durations: &[Duration]) {
    match durations {
        [] => {}
        [last] => sleep(*last),
        [first, rest @ ..] => timeout(*first, || sleep_under(rest)).unwrap_or_default(),
    }
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
