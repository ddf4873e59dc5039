//! Channels and queues: nanoseconds for a round trip and for a message, between coroutines of
//! one thread, beside tokio's between tasks; then between OS threads, beside std's and
//! crossbeam's there.
//!
//! ```text
//! cargo bench --bench channels [-- --quick]
//! ```

mod support;
#[path = "support/tokio_runtime.rs"]
mod tokio_runtime;

use std::hint::black_box;
use std::sync::mpsc as std_mpsc;
use std::thread;

use corovent::sync::mpsc;

use crate::support::Race;
use crate::support::ns_each;
use crate::support::print_figure;
use crate::support::print_head;
use crate::support::scale;
use crate::support::workloads::bounded_messages;
use crate::support::workloads::bounded_round_trips;
use crate::support::workloads::priority_messages;
use crate::support::workloads::queue_messages;
use crate::support::workloads::round_trips;
use crate::support::workloads::unbounded_messages;

/// A channel of one of the libraries, with a bound or without.
trait Channel: 'static {
    const NAME: &'static str;
    type Sender: Clone + Send;
    type Receiver: Send;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, value: usize);
    /// `None` if no sender is left.
    fn receive(receiver: &Self::Receiver) -> Option<usize>;
}

/// What is measured between OS threads: the bound, and how many send.
const THREADS: [(Option<usize>, usize); 6] =
    [(None, 1), (None, 4), (Some(0), 1), (Some(1), 1), (Some(128), 1), (Some(128), 4)];

fn main() {
    print_head("between coroutines, or tasks of tokio: ns");
    coroutines();
    for (bound, senders) in THREADS {
        print_head(&format!("{}, OS threads: ns", label(bound, senders)));
        let count = scale(if bound.is_some_and(|bound| bound < 2) { 20_000 } else { 400_000 }, 400);
        let mut race = Race::default();
        add::<Ours>(&mut race, bound, senders, count);
        add::<Std>(&mut race, bound, senders, count);
        add::<Crossbeam>(&mut race, bound, senders, count);
        for (name, figure) in race.run(scale(9, 1)) {
            print_figure(&name, figure, None);
        }
    }
}

fn coroutines() {
    let count = scale(1_000_000, 1_000);
    let mut race = Race::default();
    race.add("round trip, unbounded", || round_trips(count));
    race.add("round trip, unbounded: tokio", || tokio_runtime::round_trips(count));
    race.add("round trip, bounded 1", || bounded_round_trips(count));
    race.add("round trip, bounded 1: tokio", || tokio_runtime::bounded_round_trips(count));
    for (bound, senders) in THREADS {
        race.add(&label(bound, senders), move || match bound {
            Some(bound) => bounded_messages(bound, senders, count),
            None => unbounded_messages(senders, count),
        });
        // tokio has no rendezvous.
        if bound != Some(0) {
            race.add(&format!("{}: tokio", label(bound, senders)), move || match bound {
                Some(bound) => tokio_runtime::bounded_messages(bound, senders, count),
                None => tokio_runtime::unbounded_messages(senders, count),
            });
        }
    }
    for (bound, putters) in THREADS {
        let name = label(bound, putters).replace("sender", "putter");
        race.add(&format!("queue, {name}"), move || queue_messages(bound, putters, count));
    }
    race.add("queue, smallest first, bounded 128", || priority_messages(128, count));
    for (name, figure) in race.run(scale(15, 1)) {
        let reach = match name.as_str() {
            "round trip, unbounded" | "round trip, bounded 1" => Some(80.0),
            "bounded 128, 1 sender" | "unbounded, 1 sender" => Some(25.0),
            _ => None,
        };
        print_figure(&name, figure, reach);
    }
}

fn label(bound: Option<usize>, senders: usize) -> String {
    let kind = match bound {
        None => "unbounded".to_owned(),
        Some(0) => "rendezvous".to_owned(),
        Some(bound) => format!("bounded {bound}"),
    };
    format!("{kind}, {senders} sender{}", if senders == 1 { "" } else { "s" })
}

/// Adds a measurement of messages that OS threads send to one.
fn add<C: Channel>(race: &mut Race, bound: Option<usize>, senders: usize, count: usize) {
    race.add(C::NAME, move || {
        let (sender, receiver) = C::new(bound);
        let each = count / senders;
        thread::scope(|scope| {
            for _ in 0..senders {
                let sender = sender.clone();
                scope.spawn(move || (0..each).for_each(|n| C::send(&sender, n)));
            }
            drop(sender);
            ns_each(each * senders, || while black_box(C::receive(&receiver)).is_some() {})
        })
    });
}

/// Senders with and without a bound are two types in std and here.
#[derive(Clone)]
enum Either<A, B> {
    Unbounded(A),
    Bounded(B),
}

struct Ours;

impl Channel for Ours {
    const NAME: &'static str = "corovent";
    type Sender = Either<mpsc::Sender<usize>, mpsc::SyncSender<usize>>;
    type Receiver = mpsc::Receiver<usize>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        if let Some(bound) = bound {
            let (sender, receiver) = mpsc::sync_channel(bound);
            return (Either::Bounded(sender), receiver);
        }
        let (sender, receiver) = mpsc::channel();
        (Either::Unbounded(sender), receiver)
    }

    fn send(sender: &Self::Sender, value: usize) {
        let sent = match sender {
            Either::Unbounded(sender) => sender.send(value),
            Either::Bounded(sender) => sender.send(value),
        };
        sent.expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}

struct Std;

impl Channel for Std {
    const NAME: &'static str = "std";
    type Sender = Either<std_mpsc::Sender<usize>, std_mpsc::SyncSender<usize>>;
    type Receiver = std_mpsc::Receiver<usize>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        if let Some(bound) = bound {
            let (sender, receiver) = std_mpsc::sync_channel(bound);
            return (Either::Bounded(sender), receiver);
        }
        let (sender, receiver) = std_mpsc::channel();
        (Either::Unbounded(sender), receiver)
    }

    fn send(sender: &Self::Sender, value: usize) {
        let sent = match sender {
            Either::Unbounded(sender) => sender.send(value),
            Either::Bounded(sender) => sender.send(value),
        };
        sent.expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}

struct Crossbeam;

impl Channel for Crossbeam {
    const NAME: &'static str = "crossbeam";
    type Sender = crossbeam_channel::Sender<usize>;
    type Receiver = crossbeam_channel::Receiver<usize>;

    fn new(bound: Option<usize>) -> (Self::Sender, Self::Receiver) {
        match bound {
            Some(bound) => crossbeam_channel::bounded(bound),
            None => crossbeam_channel::unbounded(),
        }
    }

    fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).expect("the receiver is there");
    }

    fn receive(receiver: &Self::Receiver) -> Option<usize> {
        receiver.recv().ok()
    }
}
