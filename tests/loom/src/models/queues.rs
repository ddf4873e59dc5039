//! Wait queues and channels, between threads without a hub and the tasks of hubs.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::hub::wake::Place;
use crate::models::explore;
use crate::models::tracked::Tracked;
use crate::scheduler::Outcome;
use crate::sync::mpsc::channel::Channel;
use crate::sync::mpsc::receiving::Missing;
use crate::sync::mpsc::receiving::Receiving;
use crate::sync::mpsc::sending::Sending;
use crate::sys::clock::Deadline;
use crate::wait_queue::Node;
use crate::wait_queue::WaitQueue;

/// Values that are handed over.
type Handover = WaitQueue<Vec<Tracked>>;

fn take(queue: &Handover, deadline: Deadline) -> Result<Tracked, Outcome> {
    queue.wait(deadline, What::Work, Mode::Plain, Vec::pop)
}

fn give(queue: &Handover, value: Tracked) {
    queue.lock().state.push(value);
    queue.wake_one();
}

fn handover() -> Arc<Handover> {
    // The lock is not held across an allocation.
    Arc::new(WaitQueue::new(Vec::with_capacity(2)))
}

#[test]
fn threads_are_woken_for_what_is_there() {
    explore(2, 400, || {
        let queue = handover();
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || take(&queue, Deadline::NEVER).unwrap().read())
            })
            .collect();
        give(&queue, Tracked::new(1));
        give(&queue, Tracked::new(2));
        let sum: u32 = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

/// One who was woken and leaves, since its time was up, passes the wake on.
#[test]
fn a_wake_that_meets_a_deadline_is_passed_on() {
    explore(2, 400, || {
        let queue = handover();
        let hasty = {
            let queue = Arc::clone(&queue);
            let soon = Deadline::after(Duration::ZERO);
            thread::spawn(move || take(&queue, soon).is_ok())
        };
        let patient = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || take(&queue, Deadline::NEVER).unwrap().read())
        };
        give(&queue, Tracked::new(1));
        if hasty.join().unwrap() {
            give(&queue, Tracked::new(2));
        }
        patient.join().unwrap();
        assert!(queue.lock().state.is_empty());
    });
}

#[test]
fn wake_all_wakes_all() {
    explore(2, 200, || {
        let queue = Arc::new(WaitQueue::new(false));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                let is_open = |open: &mut bool| open.then_some(());
                let wait = move || queue.wait(Deadline::NEVER, What::Work, Mode::Plain, is_open);
                thread::spawn(move || wait().unwrap())
            })
            .collect();
        queue.lock().state = true;
        queue.wake_all();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

/// A task of a hub is woken by another thread.
#[test]
fn a_task_is_woken_by_a_thread() {
    explore(3, 60, || {
        let (queue, hub) = (handover(), Hub::open());
        let giver = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || give(&queue, Tracked::new(1)))
        };
        take(&queue, Deadline::NEVER).unwrap().read();
        giver.join().unwrap();
        hub.end(None);
    });
}

/// The hub of a task that waits ends: a wake that was for it goes to the next in the queue.
#[test]
fn a_wake_for_a_hub_that_ends_goes_to_the_next() {
    explore(2, 250, || {
        let queue = handover();
        let ending = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let hub = Hub::open();
                // A task in the queue that never goes on: its frame is leaked with its stack.
                let node = Pin::static_ref(Box::leak(Box::new(Node::new(0))));
                queue.lock().link(node, &Place::current(), false);
                hub.end(Some(std::ptr::from_ref(&*queue).addr()));
            })
        };
        let patient = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || take(&queue, Deadline::NEVER).unwrap().read())
        };
        give(&queue, Tracked::new(1));
        patient.join().unwrap();
        ending.join().unwrap();
    });
}

/// The two ends of a channel; `None` is no bound.
fn channel(bound: Option<usize>) -> (Sending<Tracked>, Receiving<Tracked>) {
    let channel = Arc::new(Channel::new(bound));
    (Sending::new(Arc::clone(&channel)), Receiving::new(channel))
}

/// Sends so many from another thread, and receives to the end.
fn pass(bound: Option<usize>, count: u32) {
    let (sender, receiver) = channel(bound);
    let sending = thread::spawn(move || {
        (0..count).for_each(|n| assert!(sender.send(Tracked::new(n)).is_ok()));
    });
    let mut next = 0;
    loop {
        match receiver.receive() {
            Ok(value) => assert_eq!(value.read(), next),
            Err(missing) => break assert_eq!(missing, Missing::Ended),
        }
        next += 1;
    }
    assert_eq!(next, count);
    sending.join().unwrap();
}

/// A block has two slots here.
#[test]
fn values_pass_from_block_to_block() {
    explore(2, 1500, || pass(None, 3));
}

#[test]
fn values_pass_through_a_ring() {
    explore(2, 3000, || pass(Some(1), 3));
}

#[test]
fn values_are_met_at_a_rendezvous() {
    explore(2, 3000, || pass(Some(0), 2));
}

#[test]
fn two_senders_share_a_ring() {
    explore(2, 15000, || {
        let (sender, receiver) = channel(Some(1));
        let other = sender.clone();
        let send = |sender: Sending<Tracked>, n| {
            thread::spawn(move || assert!(sender.send(Tracked::new(n)).is_ok()))
        };
        let senders = [send(sender, 1), send(other, 2)];
        let sum: u32 = (0..2).map(|_| receiver.receive().ok().unwrap().read()).sum();
        assert_eq!(sum, 3);
        assert_eq!(receiver.receive().err(), Some(Missing::Ended));
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// What is sent to a receiver that goes comes back, or is dropped with the channel.
#[test]
fn a_value_meets_the_end_of_the_receiver() {
    for bound in [None, Some(1), Some(0)] {
        explore(3, 20, move || {
            let (sender, receiver) = channel(bound);
            let sending = thread::spawn(move || {
                for n in 0..2 {
                    if let Err(value) = sender.send(Tracked::new(n)) {
                        assert_eq!(value.read(), n);
                    }
                }
            });
            drop(receiver);
            sending.join().unwrap();
        });
    }
}

/// A receiver whose time is up leaves what comes later to the next call.
#[test]
fn a_value_meets_a_deadline() {
    explore(2, 250, || {
        let (sender, receiver) = channel(None);
        let sending = thread::spawn(move || assert!(sender.send(Tracked::new(1)).is_ok()));
        let value = match receiver.receive_timeout(Duration::ZERO) {
            Ok(value) => value,
            Err(missing) => {
                assert_eq!(missing, Missing::Late);
                receiver.receive().ok().unwrap()
            }
        };
        assert_eq!(value.read(), 1);
        sending.join().unwrap();
    });
}
