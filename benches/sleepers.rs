//! 100,000 coroutines that sleep for 0 to 100 ms: by how much the last wakes too late.
//!
//! ```text
//! cargo bench --bench sleepers [-- --quick]
//! ```
//!
//! In the first line the clock starts before the first is spawned, and each touches a stack
//! for the first time: page faults are part of it. In the second all have run once before it
//! starts.

mod support;

use crate::support::Race;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::sleepers_overrun_ms;
use crate::support::workloads::warm_sleepers_overrun_ms;

const REACH_MS: f64 = 30.0;

fn main() {
    let sleepers = scale(100_000, 1_000);
    let mut race = Race::default();
    race.add("from the first spawn on", || sleepers_overrun_ms(sleepers));
    race.add("on warm stacks", || warm_sleepers_overrun_ms(sleepers));
    print_head(&format!("sleepers: ms of overrun, of {sleepers}"));
    for (name, figure) in race.run(scale(9, 1)) {
        print_figure(&name, figure, Some(REACH_MS));
    }
}
