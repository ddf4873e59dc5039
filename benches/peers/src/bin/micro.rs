//! Small measurements of corovent and of tokio's current-thread runtime, in turns: yielding,
//! spawning and joining, channels, a lock, sleeping, skynet.
//!
//! It measures when it is given `--bench`, as cargo does with benches; else it runs
//! everything once.

#[path = "../../../support/mod.rs"]
mod support;

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::channel;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

use crate::support::Race;
use crate::support::elapsed_ms;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::CHILDREN;
use crate::support::workloads::COROUTINES_AT_A_LOCK;
use crate::support::workloads::contended_locks;
use crate::support::workloads::bounded_messages;
use crate::support::workloads::bounded_round_trips;
use crate::support::workloads::overrun_ms;
use crate::support::workloads::round_trips;
use crate::support::workloads::skynet;
use crate::support::workloads::sleep_of;
use crate::support::workloads::sleepers_overrun_ms;
use crate::support::workloads::spawn_and_join;
use crate::support::workloads::unbounded_messages;
use crate::support::workloads::yields;

fn main() {
    let many = scale(100_000, 1_000);
    print_head("ns for each");
    for coroutines in [2, 1_000] {
        let switches = scale(2_000_000, 10_000);
        pair(
            &format!("yield with {coroutines}"),
            || yields(coroutines, switches),
            || tokio_yields(coroutines, switches),
        );
    }
    pair("spawn + join one by one", || spawn_and_join(many, 1), || tokio_spawns(many, 1));
    pair("spawn + join all at once", || spawn_and_join(many, many), || tokio_spawns(many, many));
    let turns = scale(1_000_000, 2_000);
    pair(
        &format!("mutex that {COROUTINES_AT_A_LOCK} want"),
        || contended_locks(turns),
        || tokio_locks(turns),
    );
    channels(scale(1_000_000, 1_000));
    print_head("ms");
    pair(
        &format!("{many} sleepers, overrun"),
        || sleepers_overrun_ms(many),
        || tokio_sleepers(many),
    );
    let leaves = scale(1_000_000, 1_000);
    pair(
        &format!("skynet with {leaves}"),
        || elapsed_ms(|| skynet(leaves)),
        || elapsed_ms(|| tokio_skynet(leaves)),
    );
}

/// Measures channels: round trips between two coroutines or tasks, and messages to one.
fn channels(count: usize) {
    pair("round trip, unbounded", || round_trips(count), || tokio_round_trips(count));
    pair(
        "round trip, bounded 1",
        || bounded_round_trips(count),
        || tokio_bounded_round_trips(count),
    );
    for senders in [1, 4] {
        pair(
            &format!("unbounded, senders: {senders}"),
            || unbounded_messages(senders, count),
            || tokio_unbounded_messages(senders, count),
        );
        for bound in [1, 128] {
            pair(
                &format!("bounded {bound}, senders: {senders}"),
                || bounded_messages(bound, senders, count),
                || tokio_bounded_messages(bound, senders, count),
            );
        }
    }
}

/// Measures both in turn, and prints them with their ratio.
fn pair(name: &str, corovent: impl FnMut() -> f64, tokio: impl FnMut() -> f64) {
    let mut race = Race::default();
    race.add(&format!("{name}: corovent"), corovent);
    race.add(&format!("{name}: tokio"), tokio);
    let figures = race.run(scale(9, 1));
    for (name, figure) in &figures {
        print_figure(name, *figure, None);
    }
    println!("    {:.2} of tokio's", figures[0].1.median / figures[1].1.median);
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime needs a few descriptors")
}

fn tokio_yields(tasks: usize, switches: usize) -> f64 {
    let each = switches / tasks;
    runtime().block_on(async {
        let spawn = |_| {
            tokio::spawn(async move {
                for _ in 0..each {
                    tokio::task::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..tasks).map(spawn).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        start.elapsed().as_nanos() as f64 / (tasks * each) as f64
    })
}

fn tokio_spawns(total: usize, wave: usize) -> f64 {
    let mut handles = Vec::with_capacity(wave);
    runtime().block_on(async {
        let start = Instant::now();
        for first in (0..total).step_by(wave) {
            let numbers = first..first + wave;
            handles.extend(numbers.map(|n| tokio::spawn(async move { black_box(n) })));
            for (n, handle) in (first..).zip(handles.drain(..)) {
                assert_eq!(handle.await.expect("it does not panic"), n);
            }
        }
        start.elapsed().as_nanos() as f64 / total as f64
    })
}

fn tokio_locks(total: usize) -> f64 {
    let each = total / COROUTINES_AT_A_LOCK;
    runtime().block_on(async {
        let lock = Arc::new(tokio::sync::Mutex::new(0));
        let spawn = |_| {
            let lock = Arc::clone(&lock);
            tokio::spawn(async move {
                for _ in 0..each {
                    let mut total = lock.lock().await;
                    tokio::task::yield_now().await;
                    *total += 1;
                }
            })
        };
        let handles: Vec<_> = (0..COROUTINES_AT_A_LOCK).map(spawn).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        assert_eq!(*lock.lock().await, COROUTINES_AT_A_LOCK * each);
        start.elapsed().as_nanos() as f64 / (COROUTINES_AT_A_LOCK * each) as f64
    })
}

fn tokio_round_trips(rounds: usize) -> f64 {
    runtime().block_on(async {
        let ((ask, mut asked), (answer, mut answered)) = (unbounded_channel(), unbounded_channel());
        let echo = tokio::spawn(async move {
            while let Some(n) = asked.recv().await {
                answer.send(n).expect("the other end is there");
            }
        });
        let caller = tokio::spawn(async move {
            for n in 0..rounds {
                ask.send(n).expect("the other end is there");
                assert_eq!(answered.recv().await, Some(n));
            }
        });
        both_ns_each(rounds, caller, echo).await
    })
}

fn tokio_bounded_round_trips(rounds: usize) -> f64 {
    runtime().block_on(async {
        let ((ask, mut asked), (answer, mut answered)) = (channel(1), channel(1));
        let echo = tokio::spawn(async move {
            while let Some(n) = asked.recv().await {
                answer.send(n).await.expect("the other end is there");
            }
        });
        let caller = tokio::spawn(async move {
            for n in 0..rounds {
                ask.send(n).await.expect("the other end is there");
                assert_eq!(answered.recv().await, Some(n));
            }
        });
        both_ns_each(rounds, caller, echo).await
    })
}

async fn both_ns_each(count: usize, first: JoinHandle<()>, second: JoinHandle<()>) -> f64 {
    let start = Instant::now();
    first.await.expect("it does not panic");
    second.await.expect("it does not panic");
    start.elapsed().as_nanos() as f64 / count as f64
}

fn tokio_bounded_messages(bound: usize, senders: usize, count: usize) -> f64 {
    runtime().block_on(async {
        let (sender, mut receiver) = channel(bound);
        let each = count / senders;
        for _ in 0..senders {
            let sender = sender.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    sender.send(n).await.expect("the other end is there");
                }
            });
        }
        drop(sender);
        let receiving = tokio::spawn(async move {
            while let Some(n) = receiver.recv().await {
                black_box(n);
            }
        });
        both_ns_each(each * senders, receiving, tokio::spawn(async {})).await
    })
}

fn tokio_unbounded_messages(senders: usize, count: usize) -> f64 {
    runtime().block_on(async {
        let (sender, mut receiver) = unbounded_channel();
        let each = count / senders;
        for _ in 0..senders {
            let sender = sender.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    sender.send(n).expect("the other end is there");
                    // As tokio advises for what never waits, and as ours does by itself.
                    tokio::task::coop::consume_budget().await;
                }
            });
        }
        drop(sender);
        let receiving = tokio::spawn(async move {
            while let Some(n) = receiver.recv().await {
                black_box(n);
            }
        });
        both_ns_each(each * senders, receiving, tokio::spawn(async {})).await
    })
}

fn tokio_sleepers(sleepers: usize) -> f64 {
    runtime().block_on(async {
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

fn tokio_skynet(leaves: usize) {
    /// A future that contains itself has to be boxed.
    type Sum = Pin<Box<dyn Future<Output = usize> + Send>>;

    fn sum(first: usize, leaves: usize) -> Sum {
        Box::pin(async move {
            if leaves == 1 {
                return first;
            }
            let each = leaves / CHILDREN;
            let child = |n| tokio::spawn(sum(first + n * each, each));
            let children: [_; CHILDREN] = std::array::from_fn(child);
            let mut total = 0;
            for child in children {
                total += child.await.expect("it does not panic");
            }
            total
        })
    }
    let root = sum(0, leaves);
    assert_eq!(runtime().block_on(root), leaves * (leaves - 1) / 2);
}
