//! Small measurements of corovent and of tokio's current-thread runtime, in turns: yielding,
//! spawning and joining, sleeping, skynet. Locks and channels: `benches/locks.rs`, `channels.rs`.
//!
//! It measures when it is given `--bench`, as cargo does with benches; else it runs
//! everything once.

#[path = "../../../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../../../support/tokio_runtime.rs"]
mod tokio_runtime;

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::time::Instant;

use crate::support::Race;
use crate::support::elapsed_ms;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::CHILDREN;
use crate::support::workloads::overrun_ms;
use crate::support::workloads::skynet;
use crate::support::workloads::sleep_of;
use crate::support::workloads::sleepers_overrun_ms;
use crate::support::workloads::spawn_and_join;
use crate::support::workloads::yields;
use crate::tokio_runtime::runtime;

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
