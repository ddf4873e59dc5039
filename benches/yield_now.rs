//! `yield_now`: nanoseconds for one switch to the next coroutine, with 2 and with 1,000 of
//! them; beside it what a bare corosensei pair of resume and suspend takes, the floor.
//!
//! ```text
//! cargo bench --bench yield_now [-- --quick]
//! ```

mod support;

use corosensei::Coroutine;
use corosensei::Yielder;
use corosensei::stack::DefaultStack;

use crate::support::Race;
use crate::support::ns_each;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::yields;

const STACK_BYTES: usize = 256 * 1024;
/// Coroutines, and what a yield may take.
const CASES: [(usize, f64); 2] = [(2, 15.0), (1000, 25.0)];

fn main() {
    let switches = scale(4_000_000, 20_000);
    let mut race = Race::default();
    for (coroutines, _) in CASES {
        let mut bare = Bare::new(coroutines);
        race.add(&format!("corosensei alone, {coroutines}"), move || bare.measure(switches));
        race.add(&format!("yield_now, {coroutines}"), move || yields(coroutines, switches));
    }
    print_head("yield_now: ns for each switch");
    for (n, (name, figure)) in race.run(scale(15, 1)).into_iter().enumerate() {
        let reach = (n % 2 == 1).then_some(CASES[n / 2].1);
        print_figure(&name, figure, reach);
    }
}

/// Coroutines without a scheduler, resumed round and round.
struct Bare {
    coroutines: Vec<Coroutine<(), (), ()>>,
}

impl Bare {
    fn new(count: usize) -> Bare {
        let coroutine = |_| {
            let stack = DefaultStack::new(STACK_BYTES).expect("there is room for some stacks");
            Coroutine::with_stack(stack, |yielder: &Yielder<(), ()>, ()| {
                loop {
                    yielder.suspend(());
                }
            })
        };
        Bare { coroutines: (0..count).map(coroutine).collect() }
    }

    fn measure(&mut self, switches: usize) -> f64 {
        let rounds = switches / self.coroutines.len();
        ns_each(rounds * self.coroutines.len(), || {
            for _ in 0..rounds {
                for coroutine in &mut self.coroutines {
                    coroutine.resume(());
                }
            }
        })
    }
}
