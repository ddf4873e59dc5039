//! Channels: what was sent arrives once and in order, whoever is killed meanwhile, and nobody
//! waits for what is there.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use corovent::sync::mpsc;
use proptest::prelude::*;

use crate::program::Model;
use crate::program::check;
use crate::program::programs;

/// Does something with the channel of that number. The receiver belongs to one coroutine.
#[derive(Clone, Debug)]
enum Act {
    /// Receives, if the channel is the coroutine's own; sends otherwise.
    Pass(usize),
    /// The same, but only if that need not wait.
    TryPass(usize),
    /// Receives with a limit in microseconds.
    RecvTimeout(usize, u64),
    /// The owner drops the receiver.
    HangUp(usize),
}

struct Message {
    /// Who has sent it, and how many it has sent to that channel before.
    from: usize,
    number: u64,
    live: Rc<Cell<i64>>,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
    }
}

enum Sender {
    Unbounded(mpsc::Sender<Message>),
    Bounded(usize, mpsc::SyncSender<Message>),
}

struct Channel {
    sender: Sender,
    receiver: RefCell<Option<mpsc::Receiver<Message>>>,
    /// What was sent for certain, and what was received, as sender and number.
    sent: RefCell<Vec<(usize, u64)>>,
    received: RefCell<Vec<(usize, u64)>>,
    next: Cell<u64>,
}

struct Channels {
    channels: Vec<Channel>,
    live: Rc<Cell<i64>>,
}

/// An unbounded channel for `None`.
fn model(capacities: &[Option<usize>]) -> Channels {
    let open = |capacity: &Option<usize>| {
        let (sender, receiver) = match capacity {
            None => {
                let (sender, receiver) = mpsc::channel();
                (Sender::Unbounded(sender), receiver)
            }
            Some(capacity) => {
                let (sender, receiver) = mpsc::sync_channel(*capacity);
                (Sender::Bounded(*capacity, sender), receiver)
            }
        };
        Channel {
            sender,
            receiver: RefCell::new(Some(receiver)),
            sent: RefCell::default(),
            received: RefCell::default(),
            next: Cell::new(0),
        }
    };
    Channels { channels: capacities.iter().map(open).collect(), live: Rc::default() }
}

impl Channels {
    fn send(&self, task: usize, channel: &Channel, waits: bool) -> Result<(), String> {
        let number = channel.next.replace(channel.next.get() + 1);
        self.live.set(self.live.get() + 1);
        let message = Message { from: task, number, live: Rc::clone(&self.live) };
        let is_sent = match &channel.sender {
            Sender::Unbounded(sender) => sender.send(message).is_ok(),
            Sender::Bounded(_, sender) if waits => sender.send(message).is_ok(),
            Sender::Bounded(_, sender) => sender.try_send(message).is_ok(),
        };
        if is_sent {
            channel.sent.borrow_mut().push((task, number));
        }
        channel.check_capacity()
    }
}

impl Channel {
    /// Receives by a call on the receiver, which nobody else uses.
    fn receive<E>(
        &self,
        receive: impl FnOnce(&mpsc::Receiver<Message>) -> Result<Message, E>,
    ) -> Result<(), String> {
        // Put back also if the call unwinds.
        struct Borrowed<'a>(&'a Channel, Option<mpsc::Receiver<Message>>);

        impl Drop for Borrowed<'_> {
            fn drop(&mut self) {
                *self.0.receiver.borrow_mut() = self.1.take();
            }
        }

        let borrowed = Borrowed(self, self.receiver.borrow_mut().take());
        let Some(receiver) = &borrowed.1 else { return Ok(()) };
        let Ok(message) = receive(receiver) else { return Ok(()) };
        self.note(&message)
    }

    fn note(&self, message: &Message) -> Result<(), String> {
        let (from, number) = (message.from, message.number);
        let mut received = self.received.borrow_mut();
        if received.iter().any(|(other, later)| *other == from && *later >= number) {
            return Err(format!("{number} of {from} comes late or twice: {received:?}"));
        }
        received.push((from, number));
        Ok(())
    }

    /// How many messages are in it for certain.
    fn len(&self) -> usize {
        let received = self.received.borrow();
        self.sent.borrow().iter().filter(|message| !received.contains(message)).count()
    }

    /// One more may be on its way to a receiver that has not gone on yet.
    fn check_capacity(&self) -> Result<(), String> {
        match &self.sender {
            Sender::Bounded(capacity, _) if self.len() > capacity + 1 => {
                Err(format!("{} are in a channel of {capacity}", self.len()))
            }
            _ => Ok(()),
        }
    }
}

impl Model for Channels {
    type Act = Act;

    fn act(&self, task: usize, act: &Act) -> Result<(), String> {
        let (Act::Pass(number)
        | Act::TryPass(number)
        | Act::RecvTimeout(number, _)
        | Act::HangUp(number)) = *act;
        let number = number % self.channels.len();
        let channel = &self.channels[number];
        let is_own = number == task;
        match act {
            Act::Pass(_) if is_own => channel.receive(|receiver| receiver.recv()),
            Act::TryPass(_) if is_own => channel.receive(|receiver| receiver.try_recv()),
            Act::RecvTimeout(_, micros) if is_own => {
                channel.receive(|receiver| receiver.recv_timeout(Duration::from_micros(*micros)))
            }
            Act::HangUp(_) if is_own => {
                drop(channel.receiver.borrow_mut().take());
                Ok(())
            }
            Act::HangUp(_) => Ok(()),
            Act::TryPass(_) => self.send(task, channel, false),
            Act::Pass(_) | Act::RecvTimeout(..) => self.send(task, channel, true),
        }
    }

    fn at_rest(&self, waiting: &[(usize, Act)]) -> Result<(), String> {
        for (task, act) in waiting {
            let (Act::Pass(number) | Act::RecvTimeout(number, _)) = *act else {
                return Err(format!("task {task} waits in {act:?}"));
            };
            let number = number % self.channels.len();
            let channel = &self.channels[number];
            if number == *task && channel.len() > 0 {
                return Err(format!("task {task} waits for what is there"));
            }
            if number != *task {
                let room = match &channel.sender {
                    Sender::Unbounded(_) => true,
                    Sender::Bounded(capacity, _) => channel.len() < *capacity,
                };
                let owner_waits = waiting.iter().any(|(other, _)| *other == number);
                let is_gone = channel.receiver.borrow().is_none() && !owner_waits;
                if room || is_gone {
                    return Err(format!("task {task} waits to send: room {room}, gone {is_gone}"));
                }
            }
        }
        Ok(())
    }

    fn at_end(&self) -> Result<(), String> {
        for channel in &self.channels {
            let Some(receiver) = channel.receiver.borrow_mut().take() else { continue };
            loop {
                match receiver.try_recv() {
                    Ok(message) => channel.note(&message)?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err("a sender is there".to_owned()),
                }
            }
            if channel.len() > 0 {
                return Err(format!("{} messages are lost", channel.len()));
            }
        }
        Ok(())
    }
}

impl Drop for Channels {
    fn drop(&mut self) {
        self.channels.clear();
        assert_eq!(self.live.get(), 0, "messages that were not dropped once");
    }
}

#[test]
fn channels_lose_nothing_and_wake_all() {
    let act = prop_oneof![
        8 => (0..4usize).prop_map(Act::Pass),
        2 => (0..4usize).prop_map(Act::TryPass),
        2 => (0..4usize, 0..200u64).prop_map(|(channel, micros)| Act::RecvTimeout(channel, micros)),
        1 => (0..4usize).prop_map(Act::HangUp),
    ];
    let capacity = prop_oneof![Just(None), (0..4usize).prop_map(Some)];
    let capacities = prop::collection::vec(capacity, 1..4);
    check((capacities, programs(act)), |capacities| model(capacities));
}
