//! `spawn` and `join`: nanoseconds for a coroutine that does nothing, joined before the next
//! is spawned; 100,000 spawned before the first is joined; and in waves of 100.
//!
//! ```text
//! cargo bench --bench spawn_join [-- --quick]
//! ```

mod support;

use crate::support::Race;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::spawn_and_join;

const WAVE: usize = 100;

fn main() {
    let many = scale(100_000, 1_000);
    let mut race = Race::default();
    race.add("one by one", || spawn_and_join(3 * many, 1));
    race.add(&format!("{many} at once"), || spawn_and_join(many, many));
    race.add(&format!("in waves of {WAVE}"), || spawn_and_join(3 * many, WAVE));
    print_head("spawn + join: ns for each coroutine");
    let reaches = [Some(60.0), Some(150.0), None];
    for ((name, figure), reach) in race.run(scale(15, 1)).into_iter().zip(reaches) {
        print_figure(&name, figure, reach);
    }
}
