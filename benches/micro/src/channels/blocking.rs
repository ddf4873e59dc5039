//! Channels whose calls block, be it a coroutine or a thread.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Instant;

use corovent::queue::Queue;
use corovent::sync::mpsc;

use crate::crews::Crew;
use crate::operation::ns_since;

/// A channel of one of the libraries, with a bound or without.
pub(super) trait Channel: 'static {
    type Sender: Clone + Send + 'static;
    type Receiver: Send + 'static;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, value: usize);
    /// `None` if no sender is left. All are inlined, as the call is in a loop of a user's.
    fn receive(receiver: &Self::Receiver) -> Option<usize>;

    /// Gives another receiver, where there can be several.
    fn share(_: &Self::Receiver) -> Self::Receiver {
        panic!("this channel has one receiver");
    }

    /// Called when everything is sent.
    fn close(sender: Self::Sender) {
        drop(sender);
    }
}

/// Gives the nanoseconds of a message from `senders` to so many receivers.
pub(super) fn messages<C: Channel, W: Crew>(
    bound: Option<usize>,
    senders: usize,
    receivers: usize,
    count: usize,
) -> f64 {
    let each = count / senders;
    let (sender, receiver) = C::new(bound);
    let start = Instant::now();
    let sending: Vec<_> = (0..senders)
        .map(|_| {
            let sender = sender.clone();
            W::spawn(move || (0..each).for_each(|n| C::send(&sender, n)))
        })
        .collect();
    let mut receiving = Vec::with_capacity(receivers);
    for _ in 1..receivers {
        receiving.push(W::spawn(receive_all::<C>(C::share(&receiver))));
    }
    receiving.push(W::spawn(receive_all::<C>(receiver)));
    sending.into_iter().for_each(W::join);
    C::close(sender);
    receiving.into_iter().for_each(W::join);
    ns_since(start, each * senders)
}

fn receive_all<C: Channel>(receiver: C::Receiver) -> impl FnOnce() + Send + 'static {
    move || while black_box(C::receive(&receiver)).is_some() {}
}

/// Gives the nanoseconds of a round trip: one sends, another answers.
pub(super) fn round_trips<C: Channel, W: Crew>(bound: Option<usize>, count: usize) -> f64 {
    let ((ask, asked), (answer, answered)) = (C::new(bound), C::new(bound));
    let start = Instant::now();
    let echo = W::spawn(move || {
        while let Some(n) = C::receive(&asked) {
            C::send(&answer, n);
        }
    });
    let caller = W::spawn(move || {
        for n in 0..count {
            C::send(&ask, n);
            assert_eq!(C::receive(&answered), Some(n));
        }
    });
    W::join(caller);
    W::join(echo);
    ns_since(start, count)
}

/// Senders with and without a bound are two types in std and here.
#[derive(Clone)]
pub(super) enum Either<A, B> {
    Unbounded(A),
    Bounded(B),
}

/// corovent's mirror of std's channel, and std's.
macro_rules! std_channel {
    ($name:ident, $module:ident) => {
        pub(super) struct $name;

        impl Channel for $name {
            type Sender = Either<$module::Sender<usize>, $module::SyncSender<usize>>;
            type Receiver = $module::Receiver<usize>;

            fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
                if let Some(bound) = bound {
                    let (sender, receiver) = $module::sync_channel(bound);
                    return (Either::Bounded(sender), receiver);
                }
                let (sender, receiver) = $module::channel();
                (Either::Unbounded(sender), receiver)
            }

            fn send(sender: &Self::Sender, value: usize) {
                let sent = match sender {
                    Either::Unbounded(sender) => sender.send(value),
                    Either::Bounded(sender) => sender.send(value),
                };
                sent.expect("the receiver is there");
            }

            #[inline(always)]
            fn receive(receiver: &Self::Receiver) -> Option<usize> {
                receiver.recv().ok()
            }
        }
    };
}

std_channel!(Ours, mpsc);
std_channel!(Std, std_mpsc);

/// corovent's queue, from which anybody may get.
pub(super) struct OursMany;

impl Channel for OursMany {
    type Sender = Arc<Queue<usize>>;
    type Receiver = Arc<Queue<usize>>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        let queue = Arc::new(bound.map_or_else(Queue::unbounded, Queue::bounded));
        (Arc::clone(&queue), queue)
    }

    fn send(queue: &Self::Sender, value: usize) {
        queue.put(value).expect("it is not closed");
    }

    #[inline(always)]
    fn receive(queue: &Self::Receiver) -> Option<usize> {
        queue.get().ok()
    }

    fn share(queue: &Self::Receiver) -> Self::Receiver {
        Arc::clone(queue)
    }

    fn close(queue: Self::Sender) {
        queue.close();
    }
}

pub(super) struct Crossbeam;

impl Channel for Crossbeam {
    type Sender = crossbeam_channel::Sender<usize>;
    type Receiver = crossbeam_channel::Receiver<usize>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        bound.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded)
    }

    fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).expect("the receiver is there");
    }

    #[inline(always)]
    fn receive(receiver: &Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }

    fn share(receiver: &Self::Receiver) -> Self::Receiver {
        receiver.clone()
    }
}

/// may's channel to one.
pub(super) struct May;

impl Channel for May {
    type Sender = may::sync::mpsc::Sender<usize>;
    type Receiver = may::sync::mpsc::Receiver<usize>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        assert_eq!(bound, None, "may has no other");
        may::sync::mpsc::channel()
    }

    fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).expect("the receiver is there");
    }

    #[inline(always)]
    fn receive(receiver: &Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}

/// may's channel to many.
pub(super) struct MayMany;

impl Channel for MayMany {
    type Sender = may::sync::mpmc::Sender<usize>;
    type Receiver = may::sync::mpmc::Receiver<usize>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        assert_eq!(bound, None, "may has no other");
        may::sync::mpmc::channel()
    }

    fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).expect("the receiver is there");
    }

    #[inline(always)]
    fn receive(receiver: &Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }

    fn share(receiver: &Self::Receiver) -> Self::Receiver {
        receiver.clone()
    }
}
