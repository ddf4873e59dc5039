//! Threads without a hub, so that all of it runs under Miri; the rest is in `tests/it`.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;

const EACH: usize = if cfg!(miri) { 70 } else { 2_000 };

fn any_channel<T>(bound: Option<usize>) -> (Arc<Sending<T>>, Receiver<T>) {
    let channel = Arc::new(Channel::new(bound));
    let sending = Sending::new(Arc::clone(&channel));
    (Arc::new(sending), Receiver { receiving: Receiving::new(channel) })
}

/// More than a block of values, over several threads, which wait in all places.
#[test]
fn threads_pass_boxes_on() {
    for bound in [None, Some(0), Some(1), Some(5)] {
        let (sender, receiver) = any_channel(bound);
        thread::scope(|scope| {
            for id in 0..3 {
                let sender = sender.clone();
                scope
                    .spawn(move || (0..EACH).for_each(|n| sender.send(Box::new((id, n))).unwrap()));
            }
            drop(sender);
            let mut next = [0; 3];
            loop {
                match receiver.recv_timeout(Duration::from_micros(50)) {
                    Ok(value) => {
                        assert_eq!(next[value.0], value.1);
                        next[value.0] += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            assert_eq!(next, [EACH; 3]);
        });
    }
}

/// The receiver goes while others send: each value is dropped once.
#[test]
fn ends_go_at_any_time() {
    let rounds = if cfg!(miri) { 4 } else { 40 };
    for round in 0..rounds {
        for bound in [None, Some(0), Some(1), Some(40)] {
            let (sender, receiver) = any_channel(bound);
            let value = Arc::new(());
            thread::scope(|scope| {
                for _ in 0..2 {
                    let (sender, value) = (sender.clone(), Arc::clone(&value));
                    scope.spawn(move || while sender.send(Arc::clone(&value)).is_ok() {});
                }
                scope.spawn(move || (0..round * 11).for_each(|_| drop(receiver.recv())));
            });
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}

/// The last sender goes while the receiver gets in line.
#[test]
fn the_end_is_seen_by_one_that_is_about_to_wait() {
    let rounds = if cfg!(miri) { 10 } else { 500 };
    for _ in 0..rounds {
        let (sender, receiver) = channel::<u8>();
        thread::scope(|scope| {
            scope.spawn(move || drop(sender));
            assert_eq!(receiver.recv(), Err(RecvError));
        });
    }
}

/// It is what makes an idle channel cheap.
#[test]
fn a_channel_is_small() {
    assert!(size_of::<Channel<u64>>() <= 256, "{}", size_of::<Channel<u64>>());
}
