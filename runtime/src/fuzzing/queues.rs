//! The queues of gevent's kind, without waits, beside a list. Those that wait are in
//! `tests/properties`.

use crate::fuzzing::Fault;
use crate::fuzzing::Program;
use crate::queue::JoinableQueue;
use crate::queue::LifoQueue;
use crate::queue::PriorityQueue;
use crate::queue::Queue;
use crate::queue::TryGetError;
use crate::queue::TryPutError;

/// The order in which items leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    First,
    Last,
    Least,
    Counted,
}

/// The items in the order in which they came.
struct Model {
    kind: Kind,
    items: Vec<u64>,
    is_closed: bool,
    unfinished: usize,
}

impl Model {
    /// Where the item is that leaves next.
    fn next(&self) -> Option<usize> {
        match self.kind {
            Kind::First | Kind::Counted => (!self.items.is_empty()).then_some(0),
            Kind::Last => self.items.len().checked_sub(1),
            Kind::Least => (0..self.items.len()).min_by_key(|at| self.items[*at]),
        }
    }

    fn none(&self) -> TryGetError {
        if self.is_closed { TryGetError::Closed } else { TryGetError::Empty }
    }
}

/// Runs a program. A fault puts an item in twice.
pub(super) fn run(program: &mut Program<'_>, fault: Fault) {
    macro_rules! run_on {
        ($queue:ident, $kind:expr) => {{
            let bound = program.below(6) as usize;
            let queue = if bound == 0 { $queue::unbounded() } else { $queue::bounded(bound) };
            let kind = $kind;
            let mut model = Model { kind, items: Vec::new(), is_closed: false, unfinished: 0 };
            while program.goes_on() {
                step!(queue, model, (bound > 0).then_some(bound));
            }
            let mut left = queue.close_now();
            // In whatever order it is given up.
            left.sort_unstable();
            model.items.sort_unstable();
            assert_eq!(left, model.items);
            (queue, model)
        }};
    }
    macro_rules! step {
        ($queue:ident, $model:ident, $bound:expr) => {
            match program.below(16) {
                0..7 => {
                    let item = program.below(20);
                    let is_full = $bound.is_some_and(|bound| $model.items.len() >= bound);
                    let expected = match () {
                        () if $model.is_closed => Err(TryPutError::Closed(item)),
                        () if is_full => Err(TryPutError::Full(item)),
                        () => Ok(()),
                    };
                    assert_eq!($queue.try_put(item), expected);
                    if fault.strikes(item == 19 && $model.items.len() > 8) {
                        let _ = $queue.try_put(item);
                    }
                    if expected.is_ok() {
                        $model.items.push(item);
                        $model.unfinished += 1;
                    }
                }
                7..13 => {
                    let next = $model.next().map(|at| $model.items.remove(at));
                    assert_eq!($queue.try_get(), next.ok_or($model.none()));
                }
                13 => {
                    let next = $model.next().map(|at| $model.items[at]);
                    assert_eq!($queue.try_peek(), next.ok_or($model.none()));
                }
                14 if program.below(8) == 0 => {
                    $queue.close();
                    $model.is_closed = true;
                }
                _ => assert_eq!($queue.is_closed(), $model.is_closed),
            }
            assert_eq!($queue.len(), $model.items.len());
            assert_eq!($queue.is_full(), $bound.is_some_and(|bound| $queue.len() >= bound));
        };
    }
    match program.below(4) {
        0 => drop(run_on!(Queue, Kind::First)),
        1 => drop(run_on!(LifoQueue, Kind::Last)),
        2 => drop(run_on!(PriorityQueue, Kind::Least)),
        _ => {
            let (queue, model) = run_on!(JoinableQueue, Kind::Counted);
            // Those that were taken are not done; those that were given up are.
            assert_eq!(queue.unfinished(), model.unfinished - model.items.len());
        }
    }
}
