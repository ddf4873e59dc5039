//! One hub, and two on two threads: millions of yields, messages and spawns a second in all.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::operation::Case;
use crate::peers::on_smol;
use crate::peers::on_tokio;

/// How many yield to each other on each thread.
const YIELDING: usize = 100;
const BOUND: usize = 128;
/// How many are spawned before they are joined.
const WAVE: usize = 100;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for threads in [1, 2] {
        let case = |bench, count| {
            let plural = if threads == 1 { "" } else { "s" };
            let name = format!("{threads} thread{plural}");
            Case::new(bench, &name, count, 2_000).unit("M/s").more().cores()
        };
        let on_threads = move |work: fn(usize)| move |count| per_second(threads, count, work);
        cases.extend([
            case("hubs: yields", 2_000_000)
                .who("corovent", on_threads(corovent_yields))
                .slow_who("tokio", 2, on_threads(tokio_yields))
                .slow_who("smol", 2, on_threads(smol_yields)),
            case("hubs: messages", 2_000_000)
                .who("corovent", on_threads(corovent_messages))
                .slow_who("tokio", 2, on_threads(tokio_messages))
                .slow_who("smol", 2, on_threads(smol_messages)),
            case("hubs: spawns", 500_000)
                .who("corovent", on_threads(corovent_spawns))
                .slow_who("tokio", 2, on_threads(tokio_spawns))
                .slow_who("smol", 2, on_threads(smol_spawns)),
        ]);
    }
    cases
}

/// Does the work `count` times on each of the threads, which start together.
fn per_second(threads: usize, count: usize, work: fn(usize)) -> f64 {
    let together = Barrier::new(threads + 1);
    let start = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                together.wait();
                work(count);
            });
        }
        let start = Instant::now();
        together.wait();
        start
    });
    (threads * count) as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn corovent_yields(count: usize) {
    let body = move || (0..count / YIELDING).for_each(|_| corovent::yield_now());
    let handles: Vec<_> = (0..YIELDING).map(|_| corovent::spawn(body)).collect();
    for handle in handles {
        handle.join().expect("it does not panic");
    }
}

fn tokio_yields(count: usize) {
    on_tokio(async {
        let spawn = |_| {
            tokio::spawn(async move {
                for _ in 0..count / YIELDING {
                    tokio::task::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..YIELDING).map(spawn).collect();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
    });
}

fn smol_yields(count: usize) {
    on_smol(async |executor| {
        let spawn = |_| {
            executor.spawn(async move {
                for _ in 0..count / YIELDING {
                    smol::future::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..YIELDING).map(spawn).collect();
        for handle in handles {
            handle.await;
        }
    });
}

fn corovent_messages(count: usize) {
    let (sender, receiver) = corovent::sync::mpsc::sync_channel(BOUND);
    corovent::spawn(move || (0..count).try_for_each(|n| sender.send(n)));
    let receiving = corovent::spawn(move || receiver.iter().map(black_box).count());
    assert_eq!(receiving.join().expect("it does not panic"), count);
}

fn tokio_messages(count: usize) {
    on_tokio(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(BOUND);
        tokio::spawn(async move {
            for n in 0..count {
                sender.send(n).await.expect("the receiver is there");
            }
        });
        let receiving =
            tokio::spawn(async move { while black_box(receiver.recv().await).is_some() {} });
        receiving.await.expect("it does not panic");
    });
}

fn smol_messages(count: usize) {
    on_smol(async |executor| {
        let (sender, receiver) = smol::channel::bounded(BOUND);
        let sending = async move {
            for n in 0..count {
                sender.send(n).await.expect("the receiver is there");
            }
        };
        executor.spawn(sending).detach();
        executor.spawn(async move { while black_box(receiver.recv().await).is_ok() {} }).await;
    });
}

fn corovent_spawns(count: usize) {
    let mut handles = Vec::with_capacity(WAVE);
    for _ in 0..count / WAVE {
        handles.extend((0..WAVE).map(|n| corovent::spawn(move || black_box(n))));
        for handle in handles.drain(..) {
            handle.join().expect("it does not panic");
        }
    }
}

fn tokio_spawns(count: usize) {
    on_tokio(async {
        let mut handles = Vec::with_capacity(WAVE);
        for _ in 0..count / WAVE {
            handles.extend((0..WAVE).map(|n| tokio::spawn(async move { black_box(n) })));
            for handle in handles.drain(..) {
                handle.await.expect("it does not panic");
            }
        }
    });
}

fn smol_spawns(count: usize) {
    on_smol(async |executor| {
        let mut handles = Vec::with_capacity(WAVE);
        for _ in 0..count / WAVE {
            handles.extend((0..WAVE).map(|n| executor.spawn(async move { black_box(n) })));
            for handle in handles.drain(..) {
                handle.await;
            }
        }
    });
}
