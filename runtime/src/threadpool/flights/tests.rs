//! Lookups that are shared: counted, without a network.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::error::Elapsed;
use crate::error::Killed;
use crate::hub::DeadlockScope;
use crate::join::JoinHandle;
use crate::run::run;
use crate::task::spawn;
use crate::task::yield_now;
use crate::threadpool::blocking;
use crate::threadpool::lane::IDLE_EXIT;
use crate::time::timeout;

impl<V> Flights<V> {
    /// How many are in flight.
    fn aloft(&self) -> usize {
        let mut count = 0;
        for list in &self.lists {
            let list = list.lock();
            let mut at = &*list;
            while let Some(node) = at {
                count += 1;
                at = &node.next;
            }
        }
        count
    }
}

/// A lookup that counts, and then waits to be let go.
#[derive(Default)]
struct Source {
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    goes: AtomicBool,
}

impl Source {
    fn ask(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        while !self.goes.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_micros(100));
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn go(&self) {
        self.goes.store(true, Ordering::SeqCst);
    }
}

/// Looks a name up; the answer is its length.
fn length(flights: &'static Flights<usize>, source: &Arc<Source>, name: &str) -> io::Result<usize> {
    let source = Arc::clone(source);
    flights.look_up(name, move |name| {
        source.ask();
        Ok(name.len())
    })
}

fn spawn_length(
    flights: &'static Flights<usize>,
    source: &Arc<Source>,
    name: &'static str,
) -> JoinHandle<io::Result<usize>> {
    let source = Arc::clone(source);
    spawn(move || length(flights, &source, name))
}

/// Lets the others run until so many wait for a name.
fn until_waiting<V: Clone + Send + Sync>(flights: &Flights<V>, name: &str, count: usize) {
    let waiting = || {
        let list = flights.list(name).lock();
        let flight = list.as_ref().map(|node| Arc::clone(&node.flight));
        drop(list);
        flight.map_or(0, |flight| flight.progress.waiting())
    };
    while waiting() != count {
        yield_now();
    }
}

#[test]
fn all_hubs_share_a_lookup_and_keep_nothing() {
    static LANE: Lane = Lane::new("test", 2, IDLE_EXIT);
    static FLIGHTS: Flights<usize> = Flights::on(&LANE);

    let source = Arc::new(Source::default());
    let there = thread::spawn({
        let source = Arc::clone(&source);
        move || run(|| spawn_length(&FLIGHTS, &source, "host").join().unwrap().unwrap())
    });
    let tasks = [(); 3].map(|()| spawn_length(&FLIGHTS, &source, "host"));
    until_waiting(&FLIGHTS, "host", 4);
    let hub = hub::current().expect("a coroutine was spawned");
    assert_eq!(hub.shared().holders(), 3, "no deadlock while it is looked up");
    source.go();
    for task in tasks {
        assert_eq!(task.join().unwrap().unwrap(), 4);
    }
    assert_eq!(there.join().unwrap(), 4);
    assert_eq!((source.calls(), FLIGHTS.aloft()), (1, 0));
    assert_eq!(spawn_length(&FLIGHTS, &source, "host").join().unwrap().unwrap(), 4);
    assert_eq!(spawn_length(&FLIGHTS, &source, "other").join().unwrap().unwrap(), 5);
    assert_eq!(source.calls(), 3);
    while hub.shared().holders() > 0 {
        thread::yield_now();
    }
}

/// The first, on whose behalf it was begun, another whose time is up, and one whose thread
/// ends.
#[test]
fn those_who_leave_harm_nobody() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    static FLIGHTS: Flights<usize> = Flights::on(&LANE);

    let source = Arc::new(Source::default());
    let first = spawn_length(&FLIGHTS, &source, "host");
    until_waiting(&FLIGHTS, "host", 1);
    let stays = spawn_length(&FLIGHTS, &source, "host");
    until_waiting(&FLIGHTS, "host", 2);
    first.kill();
    assert!(first.join().unwrap_err().is::<Killed>());
    let late = timeout(Duration::from_millis(1), || length(&FLIGHTS, &source, "host"));
    assert_eq!(late.unwrap_err(), Elapsed);
    until_waiting(&FLIGHTS, "host", 1);
    let ends = Arc::clone(&source);
    thread::spawn(move || {
        drop(spawn_length(&FLIGHTS, &ends, "host"));
        until_waiting(&FLIGHTS, "host", 2);
    })
    .join()
    .unwrap();
    source.go();
    assert_eq!(stays.join().unwrap().unwrap(), 4);
    assert_eq!(source.calls(), 1);

    // Nobody is left to hear of it.
    let source = Arc::new(Source::default());
    let alone = spawn_length(&FLIGHTS, &source, "host");
    until_waiting(&FLIGHTS, "host", 1);
    alone.kill();
    assert!(alone.join().unwrap_err().is::<Killed>());
    assert_eq!(FLIGHTS.aloft(), 1);
    source.go();
    while FLIGHTS.aloft() > 0 {
        thread::yield_now();
    }
    assert_eq!(length(&FLIGHTS, &source, "host").unwrap(), 4);
    assert_eq!(source.calls(), 2);
}

/// The answer, the error or the panic of one lookup is that of everybody.
#[test]
fn everybody_gets_the_same() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    static FLIGHTS: Flights<usize> = Flights::on(&LANE);

    let check = |give: fn() -> io::Result<usize>, expected: &str| {
        let source = Arc::new(Source::default());
        let tasks = [(); 3].map(|()| {
            let source = Arc::clone(&source);
            let look_up = move |_: &str| {
                source.ask();
                give()
            };
            spawn(move || FLIGHTS.look_up("host", look_up))
        });
        until_waiting(&FLIGHTS, "host", 3);
        source.go();
        for task in tasks {
            let got = match task.join() {
                Ok(Ok(value)) => value.to_string(),
                Ok(Err(error)) => format!("{:?} {:?} {error}", error.kind(), error.raw_os_error()),
                Err(payload) => message_of(&*payload).to_owned(),
            };
            assert_eq!(got, expected);
        }
        assert_eq!(source.calls(), 1);
    };
    check(|| Ok(9), "9");
    check(|| Err(io::Error::other("no such name")), "Other None no such name");
    check(
        || Err(io::Error::from_raw_os_error(2)),
        "NotFound Some(2) No such file or directory (os error 2)",
    );
    check(|| Err(io::ErrorKind::TimedOut.into()), "TimedOut None timed out");
    check(|| panic!("in the resolver"), "in the resolver");
    check(|| panic!("in {}", "a resolver"), "in a resolver");
    check(|| std::panic::panic_any(5), "a lookup has panicked");
}

#[test]
fn without_a_thread_everybody_hears_of_it() {
    static LANE: Lane = Lane::new("test", 0, IDLE_EXIT);
    static FLIGHTS: Flights<usize> = Flights::on(&LANE);

    let source = Arc::new(Source::default());
    let tasks = [(); 2].map(|()| spawn_length(&FLIGHTS, &source, "host"));
    until_waiting(&FLIGHTS, "host", 2);
    LANE.queue.lock().state.threads = 1;
    LANE.do_without_thread(&io::Error::from_raw_os_error(11));
    for task in tasks {
        assert_eq!(task.join().unwrap().unwrap_err().raw_os_error(), Some(11));
    }
    assert_eq!((source.calls(), FLIGHTS.aloft()), (0, 0));
}

#[test]
fn an_answer_that_comes_together_with_a_kill_is_given() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    static FLIGHTS: Flights<usize> = Flights::on(&LANE);

    let source = Arc::new(Source::default());
    let got = std::rc::Rc::new(std::cell::Cell::new(0));
    let task = spawn({
        let (source, got) = (Arc::clone(&source), std::rc::Rc::clone(&got));
        move || {
            got.set(length(&FLIGHTS, &source, "host").unwrap());
            yield_now();
            got.set(99);
        }
    });
    until_waiting(&FLIGHTS, "host", 1);
    assert!(task.kill());
    source.go();
    // The answer is there, and its wake was sent; this thread reads it later.
    let hub = hub::current().expect("a coroutine was spawned");
    while !hub.shared().has_messages() {
        thread::yield_now();
    }
    assert!(task.join().unwrap_err().is::<Killed>());
    assert_eq!(got.get(), 4);
}

#[test]
fn who_may_not_wait_does_not() {
    static LANE: Lane = Lane::new("test", 1, IDLE_EXIT);
    static FLIGHTS: Flights<usize> = Flights::on(&LANE);

    // A thread without a hub looks up by itself, and gets no hub.
    thread::spawn(|| {
        let own = thread::current().id();
        let here = FLIGHTS.look_up("host", move |_| Ok(usize::from(thread::current().id() == own)));
        assert_eq!(here.unwrap(), 1);
        assert!(hub::current().is_none());
    })
    .join()
    .unwrap();

    struct LooksUp(std::rc::Rc<std::cell::RefCell<String>>);
    impl Drop for LooksUp {
        fn drop(&mut self) {
            let error = FLIGHTS.look_up("host", |_| Ok(1)).unwrap_err();
            *self.0.borrow_mut() = error.to_string();
        }
    }
    let text = std::rc::Rc::default();
    let guard = LooksUp(std::rc::Rc::clone(&text));
    let task = spawn(move || {
        let _guard = guard;
        panic!("unwinds");
    });
    let _: thread::Result<()> = task.join();
    assert_eq!(*text.borrow(), "the coroutine is unwinding");
    assert_eq!(FLIGHTS.aloft(), 0);
}

/// A thousand lookups that do not come to an end leave the pool to others, and the hub does not
/// take itself for deadlocked.
#[test]
fn a_thousand_lookups_do_not_hold_up_the_pool() {
    static FLIGHTS: Flights<usize> = Flights::new();

    spawn(|| ()).join().unwrap();
    let hub = hub::current().expect("a coroutine was spawned");
    hub.set_deadlock_scope(DeadlockScope::Hub);
    let source = Arc::new(Source::default());
    let tasks: Vec<_> = (0..1000usize)
        .map(|n| {
            let source = Arc::clone(&source);
            spawn(move || length(&FLIGHTS, &source, &"x".repeat(n)))
        })
        .collect();
    while FLIGHTS.aloft() < 1000 {
        yield_now();
    }
    assert_eq!(blocking(|| 5), 5);
    source.go();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.join().unwrap().unwrap(), n);
    }
    assert_eq!((source.calls(), FLIGHTS.aloft()), (1000, 0));
    let most = source.most_at_once.load(Ordering::SeqCst);
    assert!(most <= LOOKUPS.threads_max(), "{most} at once");
}
