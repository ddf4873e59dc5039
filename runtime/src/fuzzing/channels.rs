//! A channel of std's kind, without waits, beside a list. Those that wait are in
//! `tests/properties`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc::TryRecvError;
use std::sync::mpsc::TrySendError;

use crate::fuzzing::Fault;
use crate::fuzzing::Program;
use crate::sync::mpsc;

/// A value that counts how many there are.
struct Value {
    number: u64,
    live: Rc<Cell<i64>>,
}

impl Value {
    fn new(number: u64, live: &Rc<Cell<i64>>) -> Value {
        live.set(live.get() + 1);
        Value { number, live: Rc::clone(live) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
    }
}

enum Sender {
    Unbounded(mpsc::Sender<Value>),
    Bounded(mpsc::SyncSender<Value>),
}

impl Sender {
    fn copy(&self) -> Sender {
        match self {
            Sender::Unbounded(sender) => Sender::Unbounded(sender.clone()),
            Sender::Bounded(sender) => Sender::Bounded(sender.clone()),
        }
    }

    /// Sends without a wait. The error: full, or else nobody is there.
    fn send(&self, value: Value) -> Result<(), bool> {
        match self {
            Sender::Unbounded(sender) => sender.send(value).map_err(|_| false),
            Sender::Bounded(sender) => {
                sender.try_send(value).map_err(|error| matches!(error, TrySendError::Full(_)))
            }
        }
    }
}

/// Runs a program. A fault takes a value too many where a block ends.
pub(super) fn run(program: &mut Program<'_>, fault: Fault) {
    let live = Rc::new(Cell::new(0));
    let bound = program.below(5).checked_sub(1).map(|bound| bound as usize);
    let (first, receiver) = match bound {
        None => {
            let (sender, receiver) = mpsc::channel();
            (Sender::Unbounded(sender), receiver)
        }
        Some(bound) => {
            let (sender, receiver) = mpsc::sync_channel(bound);
            (Sender::Bounded(sender), receiver)
        }
    };
    let (mut senders, mut receiver) = (vec![first], Some(receiver));
    let mut model: VecDeque<u64> = VecDeque::new();
    let mut number = 0;
    while program.goes_on() {
        match program.below(32) {
            0..16 => {
                let which = program.below(senders.len().max(1) as u64) as usize;
                let Some(sender) = senders.get(which) else { continue };
                number += 1;
                let is_full = bound.is_some_and(|bound| model.len() >= bound);
                let expected = match receiver {
                    None => Err(false),
                    Some(_) if is_full => Err(true),
                    Some(_) => {
                        model.push_back(number);
                        Ok(())
                    }
                };
                assert_eq!(sender.send(Value::new(number, &live)), expected);
            }
            16..29 => {
                let Some(receiver) = &receiver else { continue };
                if fault.strikes(model.len() == 33) {
                    drop(receiver.try_recv());
                }
                let received = receiver.try_recv().map(|value| value.number);
                let none = if senders.is_empty() {
                    TryRecvError::Disconnected
                } else {
                    TryRecvError::Empty
                };
                assert_eq!(received, model.pop_front().ok_or(none));
            }
            29 if senders.len() < 5 => senders.extend(senders.first().map(Sender::copy)),
            30 => drop(senders.pop()),
            31 if program.below(8) == 0 => {
                model.clear();
                receiver = None;
            }
            _ => {}
        }
        assert_eq!(live.get(), model.len() as i64);
    }
    drop((senders, receiver));
    assert_eq!(live.get(), 0, "values that were not dropped once");
}
