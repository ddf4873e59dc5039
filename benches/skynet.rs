//! Skynet: a coroutine spawns 10 that spawn 10 each, and so on down to 1,000,000, which give
//! their numbers back; each adds up those of its children. Milliseconds for all.
//!
//! ```text
//! cargo bench --bench skynet [-- --quick]
//! ```
//!
//! The 111,111 that have children are alive at once. The benchmark is that of
//! <https://github.com/atemerev/skynet>.

mod support;

use crate::support::Race;
use crate::support::elapsed_ms;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::CHILDREN;
use crate::support::workloads::skynet;

const REACH_MS: f64 = 400.0;

fn main() {
    let leaves = scale(1_000_000, 1_000);
    let mut race = Race::default();
    race.add("all have spawned, answered and ended", || elapsed_ms(|| skynet(leaves)));
    print_head(&format!("skynet: ms for {leaves} with {CHILDREN} children a level"));
    for (name, figure) in race.run(scale(7, 1)) {
        print_figure(&name, figure, Some(REACH_MS));
    }
}
