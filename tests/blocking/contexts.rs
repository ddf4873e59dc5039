//! Where a wait may be called from: each place, tried on every row. A wait works there, or
//! panics, fails or aborts with a message that names the rule.

use std::cell::Cell;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::env;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::task::Context;
use std::task::Poll;
use std::thread as os;
use std::time::Duration;

use corosensei::Coroutine;
use corosensei::CoroutineResult;
use corosensei::Yielder;
use corovent::coroutine_local;
use corovent::queue::PriorityQueue;
use corovent::scope;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::LazyLock;
use corovent::task::block_on;
use corovent::yield_now;

use crate::case::Call;
use crate::columns::each;
use crate::rows::rows;
use crate::support::child_command;
use crate::support::is_message;

/// A wait in some place of the user's code. It is called in a coroutine, and returns when the
/// wait is over, or is about to be.
type Place = fn(Visit);

const PLACES: [(&str, Place); 14] = [
    ("a closure that std catches panics of", |visit| {
        panic::catch_unwind(AssertUnwindSafe(|| visit.wait())).unwrap();
    }),
    ("a coroutine in a scope in a coroutine", |visit| {
        scope(|outer| drop(outer.spawn(|| scope(|inner| drop(inner.spawn(|| visit.wait()))))));
    }),
    ("a foreign coroutine", |visit| {
        let mut foreign = Coroutine::new(move |_: &Yielder<(), ()>, ()| visit.wait());
        assert!(matches!(foreign.resume(()), CoroutineResult::Return(())));
    }),
    ("the initialiser of a lazy value", |visit| {
        let value = LazyLock::new(|| visit.wait());
        LazyLock::force(&value);
    }),
    ("the initialiser of a coroutine-local", |visit| {
        coroutine_local!(static MADE: () = LENT.take().unwrap().wait());
        lend(visit);
        MADE.with(|()| ());
    }),
    ("the destructor of a coroutine-local", |visit| {
        coroutine_local!(static LEFT: RefCell<Option<Visit>> = const { RefCell::new(None) });
        LEFT.set(Some(visit.on_drop()));
    }),
    ("the destructor of a capture of one that never ran", |visit| {
        let visit = visit.on_drop();
        let task = spawn(move || drop(visit));
        task.kill();
        assert!(task.join().is_err());
    }),
    ("the destructor of a result that nobody wants", |visit| drop(spawn(|| visit.on_drop()))),
    ("the destructor of a payload that nobody wants", |visit| {
        let wish = Wish::new(visit);
        drop(spawn(move || panic::resume_unwind(Box::new(wish))));
    }),
    ("a closure that is called at a coroutine's end", |visit| {
        spawn(|| ()).on_exit(move |_| visit.wait());
    }),
    ("a comparison of items", |visit| {
        let (queue, visit) = (PriorityQueue::unbounded(), Rc::new(visit));
        (0..3).for_each(|number| queue.put(Odd(number, Rc::clone(&visit))).unwrap());
        assert_eq!(queue.get().unwrap().0, 0);
    }),
    ("a clone of an item", |visit| {
        let queue = PriorityQueue::unbounded();
        queue.put(Odd(1, Rc::new(visit))).unwrap();
        assert_eq!(queue.peek().unwrap().0, 1);
    }),
    ("the poll of a future", |visit| block_on(Polled(visit))),
    ("a borrow of a thread-local", |visit| {
        thread_local!(static HELD: Cell<u32> = const { Cell::new(7) });
        HELD.with(|held| {
            visit.wait();
            assert_eq!(held.get(), 7);
        });
    }),
];

thread_local! {
    static LENT: RefCell<Option<Visit>> = const { RefCell::new(None) };
}

fn lend(visit: Visit) {
    LENT.set(Some(visit));
}

/// A call that is made once, and what is known of it.
struct Visit {
    call: Call,
    state: Rc<Cell<State>>,
    at_drop: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Outside,
    Begun,
    Over(bool),
}

impl Visit {
    /// Makes the call, the first time.
    fn wait(&self) {
        if self.state.get() == State::Outside {
            self.state.set(State::Begun);
            self.state.set(State::Over((self.call)().is_ok()));
        }
    }

    fn on_drop(mut self) -> Visit {
        self.at_drop = true;
        self
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.at_drop {
            self.wait();
        }
    }
}

/// A payload has to be `Send`, and this one waits when it is dropped, on its own thread.
struct Wish(mpsc::Sender<()>);

impl Wish {
    fn new(visit: Visit) -> Wish {
        lend(visit);
        Wish(mpsc::channel().0)
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        let _ = self.0.send(());
        LENT.take().unwrap().wait();
    }
}

/// An item whose comparisons and clones wait.
struct Odd(u32, Rc<Visit>);

impl Ord for Odd {
    fn cmp(&self, other: &Odd) -> Ordering {
        self.1.wait();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Odd {
    fn partial_cmp(&self, other: &Odd) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Odd {
    fn eq(&self, other: &Odd) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Odd {}

impl Clone for Odd {
    fn clone(&self) -> Odd {
        self.1.wait();
        Odd(self.0, Rc::clone(&self.1))
    }
}

struct Polled(Visit);

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Polled>, _: &mut Context<'_>) -> Poll<()> {
        self.0.wait();
        Poll::Ready(())
    }
}

/// Whoever calls code of the user's, that code may wait.
#[test]
fn a_wait_works_wherever_a_coroutine_calls_the_users_code() {
    for (name, place) in PLACES {
        eprintln!("in {name}:");
        each("root", |case| {
            let state = Rc::new(Cell::new(State::Outside));
            let visit =
                Visit { call: Arc::clone(&case.call), state: Rc::clone(&state), at_drop: false };
            let task = spawn(move || place(visit));
            while state.get() == State::Outside {
                yield_now();
            }
            let act = Arc::clone(case.release.as_ref().unwrap());
            let other = spawn(move || {
                (0..3).for_each(|_| yield_now());
                act();
            });
            other.join().unwrap();
            task.join().unwrap();
            while state.get() == State::Begun {
                sleep(Duration::from_micros(10));
            }
            assert_eq!(state.get(), State::Over(true));
        });
    }
}

/// In the middle of a panic's message the hub may switch to nobody: the process is aborted, or
/// the call fails, if it can.
#[test]
fn a_wait_in_a_panic_hook_is_refused_by_name() {
    let mut aborted = 0;
    for (number, row) in rows().enumerate().filter(|(_, row)| !row.has_not("root")) {
        let mut command = child_command("contexts::child_waits_in_its_panic_hook");
        let output = command.env("COROVENT_TEST_ROW", number.to_string()).output().unwrap();
        let (text, what) = (String::from_utf8_lossy(&output.stderr), row.functions);
        if output.status.success() {
            assert!(text.contains("it is refused: the coroutine is unwinding"), "{what:?}: {text}");
        } else {
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{what:?}: {text}");
            assert!(text.contains("a panic hook waits"), "{what:?}: {text}");
            aborted += 1;
        }
    }
    assert!(aborted > 30, "only {aborted} rows");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_in_its_panic_hook() {
    let number: usize = env::var("COROVENT_TEST_ROW").unwrap().parse().unwrap();
    // Before there is a hub: one that is set later replaces the one that watches over it.
    let call: Arc<OnceLock<Call>> = Arc::default();
    let lent = Arc::clone(&call);
    panic::set_hook(Box::new(move |_| match lent.get().unwrap()() {
        Ok(()) => eprintln!("it has waited"),
        Err(error) => eprintln!("it is refused: {error}"),
    }));
    let case = (rows().nth(number).unwrap().make)();
    call.get_or_init(|| Arc::clone(&case.call));
    let _ = spawn(|| panic!("the hook waits")).join();
}

/// A place to which another crate's coroutine has switched from one of ours: the hub takes it
/// for the other.
#[test]
fn a_wait_that_was_reached_by_a_foreign_switch_panics() {
    let unknown = "code waits that was reached by a switch which the hub knows not of";
    let mut tried = 0;
    each("root", |case| {
        let mut foreign = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            scope(|scope| {
                scope.spawn(|| yielder.suspend(()));
                yield_now();
            });
        });
        assert!(matches!(foreign.resume(()), CoroutineResult::Yield(())));
        match panic::catch_unwind(AssertUnwindSafe(|| (case.call)())) {
            Err(payload) => {
                assert!(is_message(&*payload, unknown), "{:?}", payload.downcast_ref::<String>());
                tried += 1;
            }
            Ok(result) => assert!(case.fails && result.is_err(), "it has waited"),
        }
        assert!(matches!(foreign.resume(()), CoroutineResult::Return(())));
        // Helpers of the call may wait still.
        if !case.is_personal {
            case.release.as_ref().unwrap()();
        }
    });
    assert!(tried > 50, "only {tried} rows");
}

/// At the end of a thread, before its hub has ended and after: it stops, as a thread without
/// coroutines, or is told that it gets none.
#[test]
fn a_wait_in_a_thread_locals_destructor_stops_the_thread() {
    let mut worked = 0;
    each("threads", |case| {
        for is_early in [false, true] {
            let (sender, receiver) = mpsc::channel();
            let last = Last { call: Arc::clone(&case.call), sender };
            let thread = os::spawn(move || {
                if is_early {
                    LAST.set(Some(last));
                    spawn(|| ()).join().unwrap();
                } else {
                    spawn(|| ()).join().unwrap();
                    LAST.set(Some(last));
                }
            });
            let act = Arc::clone(case.release.as_ref().unwrap());
            let mut ended = None;
            if case.consumes || !is_early {
                // One that has its release waits for no more; a refused one leaves it.
                spawn(move || act()).join().unwrap();
            }
            while ended.is_none() {
                ended = receiver.try_recv().ok();
                sleep(Duration::from_micros(100));
            }
            thread.join().unwrap();
            match ended.unwrap() {
                Ok(()) => worked += 1,
                Err(text) => {
                    assert!(text.contains("the thread is ending: it gets no hub"), "{text}")
                }
            }
        }
    });
    assert!(worked > 50, "only {worked} waits");
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// Waits when its thread ends.
struct Last {
    call: Call,
    sender: mpsc::Sender<Result<(), String>>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let result = panic::catch_unwind(AssertUnwindSafe(|| (self.call)()));
        let told = match result {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(payload) => Err(payload.downcast_ref::<String>().unwrap().clone()),
        };
        self.sender.send(told).unwrap();
    }
}
