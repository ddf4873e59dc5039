//! A switch to the next one: `yield_now` with 2 and with 1,000 of them, and bare corosensei's
//! resume and suspend, the floor.

use std::thread;
use std::time::Instant;

use corosensei::Coroutine;
use corosensei::Yielder;
use corosensei::stack::DefaultStack;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_smol;
use crate::peers::on_tokio;

const STACK_BYTES: usize = 256 * 1024;

pub(crate) fn cases() -> Vec<Case> {
    let case = |tasks: usize, mark: f64| {
        Case::new("yield", &tasks.to_string(), 4_000_000, 20_000)
            .mark(mark)
            .who("corosensei", move |count| bare(tasks, count))
            .who("corovent", move |count| corovent(tasks, count))
            .slow_who("tokio", 4, move |count| tokio(tasks, count))
            .slow_who("smol", 4, move |count| smol(tasks, count))
            .slow_who("may", 8, move |count| may(tasks, count))
            .slow_who("threads", 20, move |count| threads(tasks, count))
    };
    vec![case(2, 15.0), case(1_000, 25.0)]
}

/// Coroutines without a scheduler, resumed round and round.
fn bare(tasks: usize, count: usize) -> f64 {
    let coroutine = |_| {
        let stack = DefaultStack::new(STACK_BYTES).expect("there is room for some stacks");
        Coroutine::with_stack(stack, |yielder: &Yielder<(), ()>, ()| -> () {
            loop {
                yielder.suspend(());
            }
        })
    };
    let mut coroutines: Vec<Coroutine<(), (), ()>> = (0..tasks).map(coroutine).collect();
    // As with the others, the first touch of a stack is measured.
    ns_each(count, || {
        for _ in 0..count / tasks {
            for coroutine in &mut coroutines {
                coroutine.resume(());
            }
        }
    })
}

fn corovent(tasks: usize, count: usize) -> f64 {
    let body = move || (0..count / tasks).for_each(|_| corovent::yield_now());
    let handles: Vec<_> = (0..tasks).map(|_| corovent::spawn(body)).collect();
    ns_each(count, || {
        for handle in handles {
            handle.join().expect("it does not panic");
        }
    })
}

fn tokio(tasks: usize, count: usize) -> f64 {
    on_tokio(async {
        let spawn = |_| {
            tokio::spawn(async move {
                for _ in 0..count / tasks {
                    tokio::task::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..tasks).map(spawn).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        ns_since(start, count)
    })
}

fn smol(tasks: usize, count: usize) -> f64 {
    on_smol(async |executor| {
        let spawn = |_| {
            executor.spawn(async move {
                for _ in 0..count / tasks {
                    smol::future::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..tasks).map(spawn).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await;
        }
        ns_since(start, count)
    })
}

fn may(tasks: usize, count: usize) -> f64 {
    on_may(move || {
        let body = move || (0..count / tasks).for_each(|_| may::coroutine::yield_now());
        let handles: Vec<_> = (0..tasks).map(|_| may::go!(body)).collect();
        ns_each(count, || {
            for handle in handles {
                handle.join().expect("it does not panic");
            }
        })
    })
}

fn threads(tasks: usize, count: usize) -> f64 {
    thread::scope(|scope| {
        let start = Instant::now();
        let handles: Vec<_> = (0..tasks)
            .map(|_| scope.spawn(move || (0..count / tasks).for_each(|_| thread::yield_now())))
            .collect();
        for handle in handles {
            handle.join().expect("it does not panic");
        }
        ns_since(start, count)
    })
}
