//! What is measured of tokio's current-thread runtime, in the shape of `workloads.rs`.

// Each bench uses a part of it.
#![allow(dead_code)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::channel;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

use crate::support::workloads::COROUTINES_AT_A_LOCK;

/// A runtime on the calling thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime needs a few descriptors")
}

/// Nanoseconds for each permit that is free.
pub(crate) fn free_permits(count: usize) -> f64 {
    runtime().block_on(async {
        let room = tokio::sync::Semaphore::new(1);
        let start = Instant::now();
        for _ in 0..count {
            drop(black_box(room.acquire().await));
        }
        start.elapsed().as_nanos() as f64 / count as f64
    })
}

/// Nanoseconds for each of a few permits that many tasks want, which is held over a yield.
pub(crate) fn contended_permits(total: usize) -> f64 {
    let each = total / COROUTINES_AT_A_LOCK;
    runtime().block_on(async {
        let room = Arc::new(tokio::sync::Semaphore::new(3));
        let spawn = |_| {
            let room = Arc::clone(&room);
            tokio::spawn(async move {
                for _ in 0..each {
                    let _permit = room.acquire().await.expect("it is not closed");
                    tokio::task::yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..COROUTINES_AT_A_LOCK).map(spawn).collect();
        let start = Instant::now();
        for handle in handles {
            handle.await.expect("it does not panic");
        }
        start.elapsed().as_nanos() as f64 / (COROUTINES_AT_A_LOCK * each) as f64
    })
}

/// Nanoseconds for a signal there and one back.
pub(crate) fn signals(count: usize) -> f64 {
    runtime().block_on(async {
        let signals = Arc::new([tokio::sync::Notify::new(), tokio::sync::Notify::new()]);
        let play = |own: usize| {
            let signals = Arc::clone(&signals);
            tokio::spawn(async move {
                for _ in 0..count {
                    signals[own].notified().await;
                    signals[1 - own].notify_one();
                }
            })
        };
        let tasks = [play(0), play(1)];
        let start = Instant::now();
        signals[0].notify_one();
        for task in tasks {
            task.await.expect("it does not panic");
        }
        start.elapsed().as_nanos() as f64 / count as f64
    })
}

/// Nanoseconds for each lock that many tasks want, which is held over a yield.
pub(crate) fn contended_locks(total: usize) -> f64 {
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

/// Nanoseconds for a lock that is free.
pub(crate) fn free_locks(count: usize) -> f64 {
    runtime().block_on(async {
        let lock = tokio::sync::Mutex::new(0usize);
        let start = Instant::now();
        for _ in 0..count {
            *lock.lock().await += 1;
        }
        assert_eq!(*lock.lock().await, count);
        start.elapsed().as_nanos() as f64 / count as f64
    })
}

/// Nanoseconds for a round trip between two tasks.
pub(crate) fn round_trips(rounds: usize) -> f64 {
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

/// The same with a bound of one.
pub(crate) fn bounded_round_trips(rounds: usize) -> f64 {
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

/// Nanoseconds for each message from several tasks to one.
pub(crate) fn bounded_messages(bound: usize, senders: usize, count: usize) -> f64 {
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

/// The same without a bound.
pub(crate) fn unbounded_messages(senders: usize, count: usize) -> f64 {
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

async fn both_ns_each(count: usize, first: JoinHandle<()>, second: JoinHandle<()>) -> f64 {
    let start = Instant::now();
    first.await.expect("it does not panic");
    second.await.expect("it does not panic");
    start.elapsed().as_nanos() as f64 / count as f64
}
