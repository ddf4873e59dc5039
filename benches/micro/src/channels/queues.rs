//! gevent's queues between coroutines: nanoseconds for an item through them.

use std::hint::black_box;
use std::rc::Rc;

use corovent::queue::Channel;
use corovent::queue::LifoQueue;
use corovent::queue::PriorityQueue;
use corovent::queue::Queue;

use crate::operation::Case;
use crate::operation::ns_each;

/// Has `putters` put and one get. A macro, as the queues have no trait in common.
macro_rules! pass {
    ($putters:expr, $count:expr, $queue:expr) => {{
        let (queue, each) = (Rc::new($queue), $count / $putters);
        for _ in 0..$putters {
            let queue = Rc::clone(&queue);
            corovent::spawn(move || (0..each).try_for_each(|n| queue.put(n)));
        }
        let total = each * $putters;
        let getting = corovent::spawn(move || (0..total).all(|_| black_box(queue.get()).is_ok()));
        ns_each(total, || assert!(getting.join().expect("it does not panic")))
    }};
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name, item: fn(usize) -> f64| {
        Case::new("queue", name, 500_000, 1_000).who("corovent", item)
    };
    vec![
        case("unbounded", |count| pass!(1, count, Queue::unbounded())),
        case("unbounded, 4 putters", |count| pass!(4, count, Queue::unbounded())),
        case("bounded 1", |count| pass!(1, count, Queue::bounded(1))),
        case("bounded 128", |count| pass!(1, count, Queue::bounded(128))),
        case("bounded 128, 4 putters", |count| pass!(4, count, Queue::bounded(128))),
        case("rendezvous", |count| pass!(1, count, Channel::new())),
        case("last first, bounded 128", |count| pass!(1, count, LifoQueue::bounded(128))),
        case("smallest first, bounded 128", |count| pass!(1, count, PriorityQueue::bounded(128))),
    ]
}
