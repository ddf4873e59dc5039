//! Lookups in flight: who asks for a name that is being looked up already waits for the same
//! answer, on whichever hub.
//!
//! A flight belongs to the pool. Those who wait for it may leave at any time and harm nobody,
//! and it is out of the list before its answer is known to anybody, so that nothing is kept:
//! who asks later asks anew.

use std::any::Any;
use std::fmt;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::io;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::thread;

use crate::error;
use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::reason::What;
use crate::packet::drop_quietly;
use crate::sys::atomic::AtomicBool;
use crate::sys::clock::Deadline;
use crate::sys::fork::Repair;
use crate::sys::fork::watch;
use crate::sys::lock::Lock;
use crate::threadpool::holder::Holder;
use crate::threadpool::lane::LOOKUPS;
use crate::threadpool::lane::Lane;
use crate::threadpool::lane::run_job;
use crate::wait_queue::WaitQueue;

/// Lookups of one kind, told apart by the names that are looked up.
pub struct Flights<V: 'static> {
    lane: &'static Lane,
    /// A name's flight is in the list of its hash.
    lists: [Lock<List<V>>; LISTS],
    /// Whether forks concern it already.
    is_watched: AtomicBool,
}

/// The flights of a list; the newest first.
type List<V> = Option<Box<Node<V>>>;

struct Node<V> {
    flight: Arc<Flight<V>>,
    next: List<V>,
}

struct Flight<V> {
    name: Box<str>,
    progress: WaitQueue<Progress<V>>,
}

enum Progress<V> {
    /// With those for whom it keeps their hubs from a deadlock.
    Aloft(Option<Box<Passenger>>),
    Landed(Arc<Answer<V>>),
}

struct Passenger {
    _hub: Holder,
    next: Option<Box<Passenger>>,
}

/// What everybody gets a copy of.
enum Answer<V> {
    Value(V),
    Error(io::Error),
    /// The message of a panic.
    Panic(String),
}

/// With thousands of lookups at once a list has dozens.
const LISTS: usize = 64;

impl<V: Clone + Send + Sync + 'static> Flights<V> {
    /// Makes a set of lookups none of which is in flight.
    #[expect(clippy::new_without_default, reason = "it lives in a static")]
    pub const fn new() -> Flights<V> {
        Flights::on(&LOOKUPS)
    }

    pub(super) const fn on(lane: &'static Lane) -> Flights<V> {
        let lists = [const { Lock::new(None) }; LISTS];
        Flights { lane, lists, is_watched: AtomicBool::new(false) }
    }

    /// Looks a name up by `f`, on a thread of the lane for names, or waits for the answer of
    /// whoever is at it already.
    ///
    /// # Suspends
    ///
    /// Until the answer is there. On a thread without a hub `f` simply runs.
    ///
    /// # Errors
    ///
    /// - What `f` gives; everybody gets a copy, of the same kind and with the same text.
    /// - `Other` if the coroutine unwinds.
    /// - What starting a thread gives.
    /// - `TimedOut` in a build that cannot unwind, if a surrounding
    ///   [`timeout`](crate::time::timeout) is over.
    ///
    /// # Panics
    ///
    /// If `f` does, with its message.
    ///
    /// # Cancellation
    ///
    /// The lookup goes on, for the others who wait. An answer that came together with the kill
    /// is given; the kill comes at the next wait.
    pub fn look_up<F>(&'static self, name: &str, f: F) -> io::Result<V>
    where
        F: FnOnce(&str) -> io::Result<V> + Send + 'static,
    {
        let Some(hub) = hub::current() else { return f(name) };
        if hub.is_unwinding() {
            return Err(error::unwinding());
        }
        watch(self, &self.is_watched);
        let (flight, is_new) = self.board(name);
        flight.carry(hub);
        if is_new {
            self.take_off(Arc::clone(&flight), f);
        }
        let answer =
            flight.progress.wait(Deadline::NEVER, What::Lookup, Mode::Io, Progress::answer);
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => {
                let answer = flight.progress.lock().state.answer();
                match answer {
                    // What came together with the kill is given; the kill comes at the next wait.
                    Some(answer) => answer,
                    None => return Err(hub.throw_or_error()),
                }
            }
        };
        match &*answer {
            Answer::Value(value) => Ok(value.clone()),
            Answer::Error(error) => Err(copy_of(error)),
            Answer::Panic(message) => hub.rethrow(Box::new(message.clone())),
        }
    }

    /// Gives the flight of a name, and whether it is a new one.
    fn board(&self, name: &str) -> (Arc<Flight<V>>, bool) {
        let progress = WaitQueue::new(Progress::Aloft(None));
        let flight = Arc::new(Flight { name: name.into(), progress });
        // Made before the lock is taken, in case it is needed.
        let mut new = Box::new(Node { flight: Arc::clone(&flight), next: None });
        let mut list = self.list(name).lock();
        let mut at = &*list;
        while let Some(node) = at {
            if *node.flight.name == *name {
                let found = Arc::clone(&node.flight);
                drop(list);
                return (found, false);
            }
            at = &node.next;
        }
        new.next = list.take();
        *list = Some(new);
        (flight, true)
    }

    /// Has a thread of the pool do it.
    fn take_off<F>(&'static self, flight: Arc<Flight<V>>, f: F)
    where
        F: FnOnce(&str) -> io::Result<V> + Send + 'static,
    {
        Lane::submit(
            &self.lane,
            Box::new(move |thread_started| {
                let given = run_job(thread_started, || f(&flight.name));
                self.land(flight, Answer::of(given));
            }),
        );
    }

    /// Gives the answer to everybody.
    fn land(&self, flight: Arc<Flight<V>>, answer: Answer<V>) {
        let answer = Progress::Landed(Arc::new(answer));
        // First: who finds the flight gets its answer, and the next asks anew.
        drop(self.take_out(&flight));
        let before = mem::replace(&mut flight.progress.lock().state, answer);
        flight.progress.wake_all();
        if let Progress::Aloft(mut passengers) = before {
            while let Some(mut passenger) = passengers {
                passengers = passenger.next.take();
            }
        }
        // Perhaps nobody has waited for the answer.
        drop_quietly(flight);
    }

    /// Takes a flight out of its list.
    fn take_out(&self, flight: &Flight<V>) -> List<V> {
        let mut list = self.list(&flight.name).lock();
        let mut at = &mut *list;
        loop {
            match at {
                Some(node) if ptr::eq(&*node.flight, flight) => {
                    let next = node.next.take();
                    return mem::replace(at, next);
                }
                Some(node) => at = &mut node.next,
                None => return None,
            }
        }
    }

    fn list(&self, name: &str) -> &Lock<List<V>> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        &self.lists[hasher.finish() as usize % LISTS]
    }
}

impl<V: Send + Sync> Repair for Flights<V> {
    /// The threads are gone that were at it: who asks, asks anew.
    fn child(&self) {
        for list in &self.lists {
            list.free_in_child();
            mem::forget(list.lock().take());
        }
    }
}

impl<V> Flight<V> {
    /// Keeps a hub, one of whose tasks waits, from a deadlock until the answer is there.
    fn carry(&self, hub: &Hub) {
        let mut passenger = Box::new(Passenger { _hub: Holder::new(hub), next: None });
        let mut inner = self.progress.lock();
        if let Progress::Aloft(passengers) = &mut inner.state {
            passenger.next = passengers.take();
            *passengers = Some(passenger);
        }
    }
}

impl<V> Progress<V> {
    fn answer(&mut self) -> Option<Arc<Answer<V>>> {
        match self {
            Progress::Aloft(_) => None,
            Progress::Landed(answer) => Some(Arc::clone(answer)),
        }
    }
}

impl<V> Answer<V> {
    fn of(given: io::Result<thread::Result<io::Result<V>>>) -> Answer<V> {
        match given {
            Ok(Ok(Ok(value))) => Answer::Value(value),
            Ok(Ok(Err(error))) | Err(error) => Answer::Error(error),
            Ok(Err(payload)) => {
                let message = message_of(&*payload).to_owned();
                drop_quietly(payload);
                Answer::Panic(message)
            }
        }
    }
}

/// The text of a panic's payload.
fn message_of(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    let formatted = || payload.downcast_ref::<String>().map(String::as_str);
    literal.or_else(formatted).unwrap_or("a lookup has panicked")
}

/// Errors cannot be cloned: this one has the same number, or kind and text.
pub(super) fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl<V> fmt::Debug for Flights<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("lane", &self.lane).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
