//! Queues of all kinds: what was put in is taken once, in the order of the queue, whoever is
//! killed or too late meanwhile, and nobody waits for what is there.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use corovent::queue::Channel;
use corovent::queue::JoinableQueue;
use corovent::queue::LifoQueue;
use corovent::queue::PriorityQueue;
use corovent::queue::Queue;
use corovent::select;
use proptest::prelude::*;

use crate::program::Model;
use crate::program::check;
use crate::program::programs;

/// Does something with the queue of that number.
#[derive(Clone, Debug)]
enum Act {
    Put(usize),
    TryPut(usize),
    /// With a limit in microseconds.
    PutWithin(usize, u64),
    Get(usize),
    TryGet(usize),
    GetWithin(usize, u64),
    Peek(usize),
    /// Whichever of the two is possible first: putting into the one, or taking from the other.
    Select(usize, usize),
    /// Whichever of two lets an item in.
    SelectRoom(usize, usize),
    Close(usize),
}

/// An item: who has put it in, and how many that one had before. The order of a priority queue
/// goes by a number of its own.
#[derive(Debug)]
struct Item {
    priority: u64,
    from: usize,
    number: u64,
    live: Rc<Cell<i64>>,
}

impl Clone for Item {
    fn clone(&self) -> Item {
        self.live.set(self.live.get() + 1);
        Item { live: Rc::clone(&self.live), ..*self }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Item) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Item) -> std::cmp::Ordering {
        self.priority.cmp(&other.priority)
    }
}

/// A queue of any kind.
enum Any {
    First(Queue<Item>),
    Last(LifoQueue<Item>),
    Smallest(PriorityQueue<Item>),
    Joinable(JoinableQueue<Item>),
    Channel(Channel<Item>),
}

/// Calls the same method of whichever kind it is.
macro_rules! any {
    ($any:expr, $queue:ident => $call:expr) => {
        match $any {
            Any::First($queue) => $call,
            Any::Last($queue) => $call,
            Any::Smallest($queue) => $call,
            Any::Joinable($queue) => $call,
            Any::Channel($queue) => $call,
        }
    };
}

struct Case {
    any: Any,
    bound: usize,
    put: RefCell<Vec<(usize, u64)>>,
    taken: RefCell<Vec<(usize, u64)>>,
    next: Cell<u64>,
    is_closed: Cell<bool>,
}

struct Queues {
    queues: Vec<Case>,
    live: Rc<Cell<i64>>,
}

/// The kind of a queue, and its bound.
type Kind = (u8, Option<usize>);

fn model(kinds: &[Kind]) -> Queues {
    let open = |(kind, bound): &Kind| {
        macro_rules! make {
            ($kind:ident) => {
                bound.map_or_else($kind::unbounded, $kind::bounded)
            };
        }
        let (any, bound) = match kind {
            0 => (Any::First(make!(Queue)), bound.unwrap_or(usize::MAX)),
            1 => (Any::Last(make!(LifoQueue)), bound.unwrap_or(usize::MAX)),
            2 => (Any::Smallest(make!(PriorityQueue)), bound.unwrap_or(usize::MAX)),
            3 => (Any::Joinable(make!(JoinableQueue)), bound.unwrap_or(usize::MAX)),
            _ => (Any::Channel(Channel::new()), 0),
        };
        Case {
            any,
            bound,
            put: RefCell::default(),
            taken: RefCell::default(),
            next: Cell::new(0),
            is_closed: Cell::new(false),
        }
    };
    Queues { queues: kinds.iter().map(open).collect(), live: Rc::default() }
}

impl Case {
    fn item(&self, from: usize, live: &Rc<Cell<i64>>) -> Item {
        let number = self.next.replace(self.next.get() + 1);
        live.set(live.get() + 1);
        // Some are equal.
        Item { priority: number * 7 % 5, from, number, live: Rc::clone(live) }
    }

    fn note_put(&self, is_put: bool, from: usize, number: u64) -> Result<(), String> {
        if is_put {
            self.put.borrow_mut().push((from, number));
        }
        let len = match &self.any {
            Any::First(queue) => queue.len(),
            Any::Last(queue) => queue.len(),
            Any::Smallest(queue) => queue.len(),
            Any::Joinable(queue) => queue.len(),
            Any::Channel(_) => 0,
        };
        if len > self.bound {
            Err(format!("{len} items in room for {}", self.bound))
        } else {
            Ok(())
        }
    }

    fn note_taken(&self, item: Option<Item>) -> Result<(), String> {
        let Some(item) = item else { return Ok(()) };
        let key = (item.from, item.number);
        let mut taken = self.taken.borrow_mut();
        let is_late = |(from, number): &(usize, u64)| *from == key.0 && *number > key.1;
        let is_ordered = matches!(self.any, Any::First(_) | Any::Joinable(_) | Any::Channel(_));
        if taken.contains(&key) || is_ordered && taken.iter().any(is_late) {
            return Err(format!("{key:?} comes late or twice: {taken:?}"));
        }
        taken.push(key);
        if let Any::Joinable(queue) = &self.any {
            queue.task_done();
        }
        Ok(())
    }

    /// How many items are in it for certain.
    fn len(&self) -> usize {
        let taken = self.taken.borrow();
        self.put.borrow().iter().filter(|key| !taken.contains(key)).count()
    }
}

impl Queues {
    fn case(&self, number: usize) -> &Case {
        &self.queues[number % self.queues.len()]
    }

    fn put(
        &self,
        task: usize,
        queue: usize,
        put: impl FnOnce(&Any, Item) -> bool,
    ) -> Result<(), String> {
        let case = self.case(queue);
        let item = case.item(task, &self.live);
        let number = item.number;
        case.note_put(put(&case.any, item), task, number)
    }

    /// Puts into one queue, or takes from another, or puts into that.
    fn select(&self, task: usize, one: usize, other: usize, gets: bool) -> Result<(), String> {
        let (one, other) = (self.case(one), self.case(other));
        let (mut item, mut second) =
            (Some(one.item(task, &self.live)), Some(other.item(task, &self.live)));
        let numbers = [&item, &second].map(|item| item.as_ref().map_or(0, |item| item.number));
        let (mut is_put, mut got) = (None, None);
        any!(&one.any, to => any!(&other.any, with => if gets {
            select! {
                result = put(to, &mut item) => is_put = Some((0, result.is_ok())),
                result = get(with) => got = result.ok(),
            }
        } else {
            select! {
                result = put(to, &mut item) => is_put = Some((0, result.is_ok())),
                result = put(with, &mut second) => is_put = Some((1, result.is_ok())),
            }
        }));
        if let Some((branch, is_ok)) = is_put {
            let (taken, kept) = if branch == 0 { (&item, &second) } else { (&second, &item) };
            if taken.is_some() || kept.is_none() {
                return Err("a select has put what it has not chosen".to_owned());
            }
            [one, other][branch].note_put(is_ok, task, numbers[branch])?;
        }
        other.note_taken(got)
    }
}

impl Model for Queues {
    type Act = Act;

    fn act(&self, task: usize, act: &Act) -> Result<(), String> {
        let limit = Duration::from_micros;
        match *act {
            Act::Put(n) => self.put(task, n, |any, item| any!(any, q => q.put(item).is_ok())),
            Act::TryPut(n) => {
                self.put(task, n, |any, item| any!(any, q => q.try_put(item).is_ok()))
            }
            Act::PutWithin(n, micros) => self.put(
                task,
                n,
                |any, item| any!(any, q => q.put_timeout(item, limit(micros)).is_ok()),
            ),
            Act::Get(n) => {
                let case = self.case(n);
                case.note_taken(any!(&case.any, q => q.get().ok()))
            }
            Act::TryGet(n) => {
                let case = self.case(n);
                case.note_taken(any!(&case.any, q => q.try_get().ok()))
            }
            Act::GetWithin(n, micros) => {
                let case = self.case(n);
                case.note_taken(any!(&case.any, q => q.get_timeout(limit(micros)).ok()))
            }
            Act::Peek(n) => {
                match &self.case(n).any {
                    Any::First(queue) => drop(queue.peek()),
                    Any::Last(queue) => drop(queue.peek()),
                    Any::Smallest(queue) => drop(queue.peek()),
                    Any::Joinable(queue) => drop(queue.peek()),
                    Any::Channel(_) => {}
                }
                Ok(())
            }
            Act::Select(one, other) => self.select(task, one, other, true),
            Act::SelectRoom(one, other) => self.select(task, one, other, false),
            Act::Close(n) => {
                let case = self.case(n);
                case.is_closed.set(true);
                any!(&case.any, q => q.close());
                Ok(())
            }
        }
    }

    fn at_rest(&self, waiting: &[(usize, Act)]) -> Result<(), String> {
        let can_put = |n: usize| {
            let case = self.case(n);
            case.is_closed.get() || case.len() < case.bound
        };
        let can_get = |n: usize| self.case(n).is_closed.get() || self.case(n).len() > 0;
        for (task, act) in waiting {
            let is_possible = match *act {
                Act::Put(n) | Act::PutWithin(n, _) => can_put(n),
                Act::Get(n) | Act::GetWithin(n, _) | Act::Peek(n) => can_get(n),
                Act::Select(one, other) => can_put(one) || can_get(other),
                Act::SelectRoom(one, other) => can_put(one) || can_put(other),
                Act::TryPut(_) | Act::TryGet(_) | Act::Close(_) => true,
            };
            if is_possible {
                return Err(format!("task {task} waits in {act:?}"));
            }
        }
        self.nobody_waits_for_another(waiting)
    }

    fn at_end(&self) -> Result<(), String> {
        for case in &self.queues {
            while let Some(item) = any!(&case.any, q => q.try_get().ok()) {
                case.note_taken(Some(item))?;
            }
            if case.len() > 0 {
                return Err(format!("{} items are lost", case.len()));
            }
            // What a killed one was about to put in may be there; all that was put in is taken.
            if let Any::Joinable(queue) = &case.any
                && queue.unfinished() > 0
            {
                return Err(format!("{} are not done", queue.unfinished()));
            }
        }
        Ok(())
    }
}

impl Queues {
    /// In a channel, one who puts and one who gets do not both wait.
    fn nobody_waits_for_another(&self, waiting: &[(usize, Act)]) -> Result<(), String> {
        let count = self.queues.len();
        for (n, case) in self.queues.iter().enumerate() {
            let puts = |act: &Act| match *act {
                Act::Put(at) | Act::PutWithin(at, _) | Act::Select(at, _) => at % count == n,
                Act::SelectRoom(one, other) => one % count == n || other % count == n,
                _ => false,
            };
            let gets = |act: &Act| match *act {
                Act::Get(at) | Act::GetWithin(at, _) | Act::Select(_, at) => at % count == n,
                _ => false,
            };
            let meets = waiting.iter().any(|(task, act)| {
                puts(act) && waiting.iter().any(|(other, act)| other != task && gets(act))
            });
            if matches!(case.any, Any::Channel(_)) && meets {
                return Err(format!("two wait for each other: {waiting:?}"));
            }
        }
        Ok(())
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        self.queues.clear();
        assert_eq!(self.live.get(), 0, "items that were not dropped once");
    }
}

#[test]
fn queues_lose_nothing_and_wake_all() {
    let act = prop_oneof![
        6 => (0..3usize).prop_map(Act::Put),
        6 => (0..3usize).prop_map(Act::Get),
        2 => (0..3usize).prop_map(Act::TryPut),
        2 => (0..3usize).prop_map(Act::TryGet),
        2 => (0..3usize, 0..200u64).prop_map(|(queue, micros)| Act::PutWithin(queue, micros)),
        2 => (0..3usize, 0..200u64).prop_map(|(queue, micros)| Act::GetWithin(queue, micros)),
        1 => (0..3usize).prop_map(Act::Peek),
        4 => (0..3usize, 0..3usize).prop_map(|(one, other)| Act::Select(one, other)),
        2 => (0..3usize, 0..3usize).prop_map(|(one, other)| Act::SelectRoom(one, other)),
        1 => (0..3usize).prop_map(Act::Close),
    ];
    let bound = prop_oneof![Just(None), (1..3usize).prop_map(Some)];
    let kinds = prop::collection::vec((0..5u8, bound), 1..4);
    check((kinds, programs(act)), |kinds| model(kinds));
}
