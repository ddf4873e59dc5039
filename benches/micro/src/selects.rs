//! Waiting for two channels at once: nanoseconds for a message out of either.

use std::hint::black_box;
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_smol;
use crate::peers::on_tokio;

/// What fits into each of the two.
const BOUND: usize = 1;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("select", "two channels", 200_000, 1_000)
            .who("corovent", corovent)
            .who("tokio", tokio)
            .who("smol", smol)
            .slow_who("crossbeam", 10, crossbeam),
    ]
}

fn corovent(count: usize) -> f64 {
    use corovent::queue::Queue;

    let queues = Rc::new([Queue::bounded(BOUND), Queue::bounded(BOUND)]);
    for own in [0, 1] {
        let queues = Rc::clone(&queues);
        corovent::spawn(move || (0..count / 2).try_for_each(|n| queues[own].put(n)));
    }
    let selecting = corovent::spawn(move || {
        for _ in 0..count / 2 * 2 {
            corovent::select! {
                item = get(&queues[0]) => black_box(item.expect("it is not closed")),
                item = get(&queues[1]) => black_box(item.expect("it is not closed")),
            };
        }
    });
    ns_each(count, || selecting.join().expect("it does not panic"))
}

fn tokio(count: usize) -> f64 {
    use tokio::sync::mpsc::channel;

    on_tokio(async {
        let start = Instant::now();
        let ((first, mut left), (second, mut right)) = (channel(BOUND), channel(BOUND));
        for sender in [first, second] {
            tokio::spawn(async move {
                for n in 0..count / 2 {
                    sender.send(n).await.expect("the receiver is there");
                }
            });
        }
        let selecting = tokio::spawn(async move {
            for _ in 0..count / 2 * 2 {
                tokio::select! {
                    Some(item) = left.recv() => black_box(item),
                    Some(item) = right.recv() => black_box(item),
                };
            }
        });
        selecting.await.expect("it does not panic");
        ns_since(start, count)
    })
}

fn smol(count: usize) -> f64 {
    use smol::channel::bounded;

    on_smol(async |executor| {
        let start = Instant::now();
        let ((first, left), (second, right)) = (bounded(BOUND), bounded(BOUND));
        for sender in [first, second] {
            let sending = async move {
                for n in 0..count / 2 {
                    sender.send(n).await.expect("the receiver is there");
                }
            };
            executor.spawn(sending).detach();
        }
        let selecting = executor.spawn(async move {
            // The channel that is used up fails for ever, and so it is left out.
            for _ in 0..count / 2 * 2 {
                let either = smol::future::race(open(&left), open(&right));
                black_box(either.await);
            }
        });
        selecting.await;
        ns_since(start, count)
    })
}

/// Gives the next item, and none for ever once there is no sender any more.
async fn open(receiver: &smol::channel::Receiver<usize>) -> usize {
    match receiver.recv().await {
        Ok(item) => item,
        Err(_) => smol::future::pending().await,
    }
}

fn crossbeam(count: usize) -> f64 {
    use crossbeam_channel::bounded;

    let ((first, left), (second, right)) = (bounded(BOUND), bounded(BOUND));
    let start = Instant::now();
    let sending = [first, second].map(|sender| {
        thread::spawn(move || {
            for n in 0..count / 2 {
                sender.send(n).expect("the receiver is there");
            }
            sender
        })
    });
    for _ in 0..count / 2 * 2 {
        crossbeam_channel::select! {
            recv(left) -> item => black_box(item.expect("the sender is kept")),
            recv(right) -> item => black_box(item.expect("the sender is kept")),
        };
    }
    let ns = ns_since(start, count);
    // The senders stay until all is received.
    drop(sending);
    ns
}
