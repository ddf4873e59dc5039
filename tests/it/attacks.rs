//! What safe code can do to get at memory that is gone: forget, leak, re-enter, come too late.
//! None of it may be more than a surprise.

use std::any::Any;
use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread as os;
use std::time::Duration;

use corosensei::Coroutine;
use corosensei::Yielder;
use corovent::Builder;
use corovent::JoinHandle;
use corovent::debug;
use corovent::group::Group;
use corovent::group::Pool;
use corovent::queue::Queue;
use corovent::remote;
use corovent::scope;
use corovent::selectors::Events;
use corovent::selectors::Selector;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::AsyncResult;
use corovent::sync::Event;
use corovent::sync::LazyLock;
use corovent::sync::Mutex;
use corovent::sync::ReentrantMutex;
use corovent::sync::RwLock;
use corovent::sync::Semaphore;
use corovent::task::block_on;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::Log;
use crate::support::child;
use crate::support::is_message;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(1);

// ---- Leaks: what a coroutine has lent stays where it is, for ever.

/// Coroutines that are lost in the middle of a `std::thread::scope` have lent their frames to
/// threads that go on. Ten thousand others then run on every stack that there is.
#[test]
fn a_coroutine_that_is_lost_keeps_what_it_has_lent() {
    passes("attacks::child_loses_coroutines_that_lend");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_loses_coroutines_that_lend() {
    let (stop, sound) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let lend = |stop: Arc<AtomicBool>, sound: Arc<AtomicUsize>| {
        move || {
            let lent = [0x5a5a_5a5a_u32; 1024];
            os::scope(|threads| {
                let reader = || {
                    while !stop.load(Ordering::SeqCst) {
                        assert!(lent.iter().all(|word| *word == 0x5a5a_5a5a), "overwritten");
                        os::sleep(SHORT);
                    }
                    sound.fetch_add(1, Ordering::SeqCst);
                };
                threads.spawn(reader);
                loop {
                    // It swallows all kills, and is given up.
                    let _ = panic::catch_unwind(park);
                }
            });
        }
    };
    for is_given_up in [false, true] {
        let (stop, sound) = (Arc::clone(&stop), Arc::clone(&sound));
        let lose = move || {
            let body = || {
                for _ in 0..4 {
                    drop(spawn(lend(Arc::clone(&stop), Arc::clone(&sound))));
                }
                yield_now();
            };
            if is_given_up {
                corovent::run(body)
            } else {
                body()
            }
            // On the same hub, or on one that has ended since.
            scribble();
        };
        os::spawn(lose).join().unwrap();
    }
    os::spawn(scribble).join().unwrap();
    stop.store(true, Ordering::SeqCst);
    while sound.load(Ordering::SeqCst) < 8 {
        os::sleep(SHORT);
    }
}

/// Writes to ten thousand stacks, a hundred at a time.
fn scribble() {
    for _ in 0..100 {
        let tasks: Vec<JoinHandle<u8>> = (0..100).map(|_| spawn(write_much)).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == 0xee));
    }
}

fn write_much() -> u8 {
    let much = std::hint::black_box([0xee_u8; 48 * 1024]);
    yield_now();
    much[much.len() / 2]
}

/// What is locked, taken or promised by one that is lost stays so, and belongs to nobody else.
#[test]
fn what_a_lost_coroutine_holds_is_taken_for_ever() {
    let mutex = Arc::new(Mutex::new(1));
    let shared = Arc::new(RwLock::new(2));
    let permits = Arc::new(Semaphore::new(1));
    let (first, second, third) = (Arc::clone(&mutex), Arc::clone(&shared), Arc::clone(&permits));
    os::spawn(move || {
        drop(spawn(move || {
            let _guards = (first.lock(), second.write(), third.acquire());
            park();
        }));
        yield_now();
    })
    .join()
    .unwrap();
    run(|| {
        assert!(mutex.try_lock().is_err() && timeout(SHORT, || drop(mutex.lock())).is_err());
        assert!(shared.try_read().is_err() && timeout(SHORT, || drop(shared.read())).is_err());
        assert!(permits.try_acquire().is_none() && permits.acquire_timeout(SHORT).is_none());
    });
}

/// A scope, a parent of a scope and an unwinding may all be parked when their thread ends.
#[test]
fn a_thread_may_end_in_the_middle_of_anything() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    os::spawn(move || {
        let counts = || {
            let count = Arc::clone(&count);
            on_drop(move || _ = count.fetch_add(1, Ordering::SeqCst))
        };
        let (first, second, third) = (counts(), counts(), counts());
        drop(spawn(move || {
            let lent = [first];
            scope(|scope| {
                scope.spawn(|| {
                    park();
                    assert_eq!(lent.len(), 1);
                });
            });
        }));
        drop(spawn(move || {
            let _waits = on_drop(park);
            let _held = second;
            panic!("it waits in the middle of this");
        }));
        drop(spawn(move || {
            let lazy = LazyLock::new(park);
            let _held = third;
            LazyLock::force(&lazy);
        }));
        (0..3).for_each(|_| yield_now());
        assert!(os::panicking(), "std counts by thread");
    })
    .join()
    .unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the held one of the panic is dropped first");
}

// ---- The end: what is kept in thread-locals is used when the thread is no more.

type Kept = Vec<Box<dyn FnOnce()>>;

thread_local! {
    static EARLY: Uses = const { Uses(RefCell::new(Vec::new())) };
    static LATE: Uses = const { Uses(RefCell::new(Vec::new())) };
}

/// Calls closures when its thread ends.
struct Uses(RefCell<Kept>);

impl Drop for Uses {
    fn drop(&mut self) {
        for use_it in self.0.take() {
            use_it();
        }
        eprintln!("all was used");
    }
}

/// Handles, guards and the rest, kept in thread-locals that are destroyed before the hub ends
/// and after.
#[test]
fn what_is_kept_in_thread_locals_is_used_at_their_end() {
    let text = passes("attacks::child_keeps_all");
    assert_eq!(text.matches("all was used").count(), 2, "{text}");
    let refused = text.matches("a timeout needs the thread's hub: the thread is ending");
    assert_eq!((refused.count(), text.matches("panicked").count()), (2, 2), "{text}");

    let output = child("attacks::child_keeps_all_and_exits");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{:?} {text}", output.status);
    assert_eq!(text.matches("all was used").count(), 2, "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_keeps_all() {
    os::spawn(keep_all).join().unwrap();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_keeps_all_and_exits() {
    os::spawn(|| {
        keep_all();
        std::process::exit(7);
    })
    .join()
    .unwrap();
}

fn keep_all() {
    EARLY.with(|early| early.0.borrow_mut().push(Box::new(|| ())));
    spawn(|| ()).join().unwrap();
    EARLY.with(|early| early.0.borrow_mut().extend(kept()));
    LATE.with(|late| late.0.borrow_mut().extend(kept()));
}

fn kept() -> Kept {
    let ended = spawn(|| Rc::new(1));
    let joined = spawn(|| 2);
    yield_now();
    let (parked, killed, left) = (spawn(park), spawn(park), spawn(|| Rc::new(3)));
    let hooked = spawn(park).on_exit(|_| ());
    let thread = parked.thread().clone();
    let hub = remote();
    let (group, pool) = (Group::new(), Pool::new(1));
    group.spawn(park);
    pool.spawn(park);
    let mutex: &Mutex<i32> = Box::leak(Box::new(Mutex::new(0)));
    let reentrant: &ReentrantMutex<i32> = Box::leak(Box::new(ReentrantMutex::new(0)));
    let (guard, again) = (mutex.lock().unwrap(), reentrant.lock());
    let permit = Arc::new(Semaphore::new(1)).acquire_owned();
    let event = Event::new();
    let result = Arc::new(AsyncResult::<i32>::new());
    let setter = result.setter();
    let (sender, receiver) = corovent::sync::mpsc::channel();
    let queue = Queue::bounded(1);
    let (stream, peer) = corovent::os::unix::net::UnixStream::pair().unwrap();
    let selector = Selector::new().unwrap();
    selector.register(peer.try_clone().unwrap(), Events::READ, ()).unwrap();
    vec![
        Box::new(move || assert_eq!(*ended.join().unwrap(), 1)),
        Box::new(move || assert_eq!(joined.join().unwrap(), 2)),
        Box::new(move || _ = (parked.is_finished(), parked.kill(), thread.unpark())),
        Box::new(move || _ = (killed.kill_timeout(SHORT), killed.join_timeout(SHORT).is_ok())),
        Box::new(move || drop(left)),
        Box::new(move || _ = hooked.cancel()),
        Box::new(move || _ = (hub.clone(), hub.spawn(|| 3), hub)),
        Box::new(move || _ = (group.kill(), group.join_timeout(SHORT), group)),
        Box::new(move || _ = (pool.is_full(), pool.kill(), pool)),
        Box::new(move || _ = (guard, again)),
        Box::new(move || _ = (mutex.lock().is_ok(), *reentrant.lock())),
        Box::new(move || drop(permit)),
        Box::new(move || _ = (event.set(), event.wait_timeout(SHORT))),
        Box::new(move || _ = (setter.set(4), result.get().is_ok())),
        Box::new(move || assert_eq!((sender.send(5).is_ok(), receiver.recv()), (true, Ok(5)))),
        Box::new(move || assert_eq!((queue.put(6).is_ok(), queue.get().ok()), (true, Some(6)))),
        Box::new(move || _ = (selector.select(Some(SHORT)).is_ok(), selector)),
        Box::new(move || {
            use std::io::Read;
            use std::io::Write;

            let (mut stream, mut peer, mut byte) = (stream, peer, [0]);
            assert_eq!((stream.write(&[7]).unwrap(), peer.read(&mut byte).unwrap()), (1, 1));
        }),
        Box::new(|| block_on(async {})),
        Box::new(|| _ = (debug::dump().to_string(), debug::counters(), corovent::current())),
        // The two that cannot do without a hub. `process::exit` leaves it to the first.
        Box::new(|| _ = panic::catch_unwind(|| timeout(SHORT, || 8))),
        Box::new(|| _ = Builder::new().spawn(|| ())),
    ]
}

/// `process::exit` in the deepest corners: the destructors of thread-locals then run on the
/// stack of whoever has called it.
#[test]
fn the_process_may_exit_from_anywhere() {
    for corner in 0..CORNERS.len() {
        let mut command = crate::support::child_command("attacks::child_exits_in_a_corner");
        let output = command.env("COROVENT_TEST_CORNER", corner.to_string()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "corner {corner}: {:?} {text}", output.status);
        assert!(!text.contains("was resumed"), "corner {corner}: {text}");
    }
}

const CORNERS: [fn(); 8] = [
    || drop(on_drop(exit)),
    || {
        let _guard = on_drop(exit);
        panic!("it exits while it unwinds");
    },
    || {
        let lazy = LazyLock::new(exit);
        LazyLock::force(&lazy);
    },
    || scope(|outer| drop(outer.spawn(|| scope(|inner| drop(inner.spawn(exit)))))),
    || _ = timeout(SHORT, || shield(exit)),
    || {
        let mut foreign = Coroutine::new(|_: &Yielder<(), ()>, ()| exit());
        foreign.resume(());
    },
    || block_on(async { exit() }),
    || {
        let queue = corovent::queue::PriorityQueue::unbounded();
        (0..2).for_each(|number| queue.put(Exits(number)).unwrap());
        let _ = queue.get();
    },
];

fn exit() {
    std::process::exit(7)
}

struct Exits(u32);

impl PartialEq for Exits {
    fn eq(&self, other: &Exits) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Exits {}

impl PartialOrd for Exits {
    fn partial_cmp(&self, other: &Exits) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exits {
    fn cmp(&self, other: &Exits) -> std::cmp::Ordering {
        exit();
        self.0.cmp(&other.0)
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_exits_in_a_corner() {
    let corner: usize = std::env::var("COROVENT_TEST_CORNER").unwrap().parse().unwrap();
    EARLY.with(|early| early.0.borrow_mut().push(Box::new(|| ())));
    drop(spawn(|| {
        let _resumed = on_drop(|| eprintln!("a coroutine was resumed and unwound"));
        park();
    }));
    let ended = spawn(|| Rc::new(1));
    yield_now();
    EARLY.with(|early| early.0.borrow_mut().push(Box::new(move || drop(ended))));
    let _ = spawn(CORNERS[corner]).join();
}

// ---- Re-entrancy: code of the user's that is called by ours calls us again.

/// A panic hook may do all that does not wait.
#[test]
fn a_panic_hook_may_call_what_never_waits() {
    let text = passes("attacks::child_calls_us_in_its_panic_hook");
    assert_eq!(text.matches("the hook has done all").count(), 2, "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_calls_us_in_its_panic_hook() {
    let (event, queue) = (Arc::new(Event::new()), Arc::new(Queue::bounded(9)));
    let (theirs, items) = (Arc::clone(&event), Arc::clone(&queue));
    let hub: Arc<os::JoinHandle<()>> = Arc::new(os::spawn(|| ()));
    panic::set_hook(Box::new(move |_| {
        let task = spawn(|| 4);
        assert!(task.kill() && !task.is_finished());
        drop(task.on_exit(|_| ()));
        drop(task);
        drop(spawn(|| ()));
        drop((debug::dump().to_string(), debug::counters(), remote(), hub.is_finished()));
        theirs.set();
        items.try_put(1).unwrap();
        corovent::current().unpark();
        drop(Mutex::new(1).try_lock());
        eprintln!("the hook has done all");
    }));
    run(|| {
        let waiting = spawn(move || event.wait());
        yield_now();
        assert!(spawn(|| panic!("the first")).join().is_err());
        waiting.join().unwrap();
        let caught = panic::catch_unwind(|| panic!("the second, on the root"));
        assert!(caught.is_err());
        assert_eq!((queue.get(), queue.get()), (Ok(1), Ok(1)));
        (0..3).for_each(|_| yield_now());
    });
}

/// A hook that was set after the first hub was made hides from it that it is a hook. Then it
/// may wait: std keeps others from panicking and from changing the hook meanwhile.
#[test]
fn a_hook_that_has_replaced_ours_may_wait() {
    passes("attacks::child_waits_in_a_later_hook");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_in_a_later_hook() {
    run(|| {
        let others = Log::new();
        let log = others.clone();
        let other = spawn(move || {
            for _ in 0..3 {
                log.add("ran");
                yield_now();
            }
        });
        panic::set_hook(Box::new(|_| (0..5).for_each(|_| yield_now())));
        let payload = spawn(|| panic!("told late")).join().unwrap_err();
        assert!(is_message(&*payload, "told late"));
        other.join().unwrap();
        assert_eq!(others.text(), "ran ran ran");
    });
}

/// What `Debug` prints may come back to what it is printed for.
#[test]
fn a_debug_output_may_come_back() {
    thread_local!(static MUTEX: RefCell<Option<Rc<Mutex<Curious>>>> =
        const { RefCell::new(None) });

    /// Whether the mutex is free while it is shown.
    struct Curious(bool);

    impl fmt::Debug for Curious {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            yield_now();
            let mutex = MUTEX.with_borrow(|mutex| mutex.clone().unwrap());
            assert!(mutex.try_lock().is_ok() == self.0);
            assert_eq!(spawn(|| 1).join().unwrap(), 1);
            write!(f, "curious, {:?}", debug::counters().coroutines)
        }
    }

    run(|| {
        let mutex = Rc::new(Mutex::new(Curious(false)));
        MUTEX.set(Some(Rc::clone(&mutex)));
        let text =
            spawn(move || format!("{mutex:?} {:?}", RwLock::new(Curious(true)))).join().unwrap();
        assert_eq!(text.matches("curious, 1").count(), 2, "{text}");
        MUTEX.set(None);
    });
}

/// Payloads whose destructors wait, panic, and throw payloads that do the same, wherever they
/// are dropped.
#[test]
fn a_payload_may_do_what_it_likes_when_it_is_dropped() {
    struct Payload(Arc<AtomicUsize>, u32);

    impl Drop for Payload {
        fn drop(&mut self) {
            if corovent::is_coroutine() || !os::panicking() {
                yield_now();
            }
            self.0.fetch_add(1, Ordering::SeqCst);
            if self.1 > 0 {
                panic::panic_any(Payload(Arc::clone(&self.0), self.1 - 1));
            }
        }
    }

    run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let throw = |depth: u32| {
            let count = Arc::clone(&count);
            move || panic::resume_unwind(Box::new(Payload(count, depth)))
        };
        let caught = |f: &mut dyn FnMut()| panic::catch_unwind(AssertUnwindSafe(f)).err();
        let nth =
            |payload: Option<Box<dyn Any + Send>>| payload.is_some_and(|it| it.is::<Payload>());

        // Nobody joins: it is dropped in its coroutine, and what comes of that is forgotten.
        drop::<JoinHandle<()>>(spawn(throw(0)));
        drop::<JoinHandle<()>>(spawn(throw(2)));
        (0..9).for_each(|_| yield_now());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        // The handle has it: it is dropped where that is, which panics.
        let task: JoinHandle<()> = spawn(throw(1));
        yield_now();
        let mut task = Some(task);
        let payload = caught(&mut || drop(task.take()));
        assert!(nth(payload));
        // The joiner has it.
        let mut payload = spawn(throw(1)).join().err();
        let second = caught(&mut || drop(payload.take()));
        assert!(nth(second));
        // In a scope it is replaced by the message of the scope.
        let scoped = caught(&mut || scope(|scope| drop(scope.spawn(throw(2)))));
        assert!(scoped.is_some());
        // Killed, with a destructor that throws one.
        let thrown = throw(0);
        let task = spawn(move || {
            let _guard = on_drop(move || drop(panic::catch_unwind(AssertUnwindSafe(thrown))));
            park();
        });
        yield_now();
        task.kill();
        assert!(was_killed(task));
    });
}

// ---- Unwinding through what others have written.

/// An unwinding that passes a scope of std's waits there for its threads: they may borrow.
#[test]
fn a_kill_that_passes_a_scope_of_stds_waits_for_its_threads() {
    run(|| {
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (seen, sum) = mpsc::channel();
        let task = spawn(move || {
            let lent = vec![1, 2, 3];
            os::scope(|threads| {
                let lent = &lent;
                threads.spawn(move || {
                    may_go_on.recv().unwrap();
                    os::sleep(Duration::from_millis(20));
                    seen.send(lent.iter().sum::<i32>()).unwrap();
                });
                park();
            });
        });
        yield_now();
        task.kill();
        go_on.send(()).unwrap();
        assert!(was_killed(task));
        assert_eq!(sum.try_recv(), Ok(6), "the thread has ended before what it borrows");
    });
}

/// Scopes of coroutines, of threads, and of coroutines on these: each level borrows from all
/// above.
#[test]
fn scopes_of_both_kinds_nest() {
    run(|| {
        let first = [1, 2];
        let sum = AtomicUsize::new(0);
        scope(|outer| {
            for _ in 0..3 {
                outer.spawn(|| {
                    let second = [3, 4];
                    os::scope(|threads| {
                        for _ in 0..2 {
                            threads.spawn(|| {
                                let third = [5, 6];
                                scope(|inner| {
                                    for index in 0..2 {
                                        let (first, second, third) = (&first, &second, &third);
                                        let sum = &sum;
                                        inner.spawn(move || {
                                            yield_now();
                                            let all = first[index] + second[index] + third[index];
                                            sum.fetch_add(all, Ordering::SeqCst);
                                        });
                                    }
                                });
                            });
                        }
                    });
                });
            }
        });
        assert_eq!(sum.into_inner(), 3 * 2 * (1 + 3 + 5 + 2 + 4 + 6));
    });
}

/// The hook hears of panics, and of nothing that we throw.
#[test]
fn a_kill_is_no_news_for_the_panic_hook() {
    passes("attacks::child_counts_what_its_hook_hears");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_counts_what_its_hook_hears() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);

    panic::set_hook(Box::new(|_| _ = HEARD.fetch_add(1, Ordering::SeqCst)));
    run(|| {
        let task = spawn(park);
        yield_now();
        task.kill();
        assert!(was_killed(task));
        assert!(timeout(SHORT, park).is_err());
        assert_eq!(HEARD.load(Ordering::SeqCst), 0);
        assert!(spawn(|| panic!("news")).join().is_err());
        assert_eq!(HEARD.load(Ordering::SeqCst), 1);
    });
}

/// No destructor of ours panics: in the middle of a panic that would abort the process.
#[test]
fn handles_are_dropped_in_the_middle_of_a_panic() {
    let caught = panic::catch_unwind(|| {
        let _kept = (kept(), kept());
        panic!("all of them are dropped by this");
    });
    assert!(is_message(&*caught.unwrap_err(), "all of them are dropped by this"));
    // What they have left parked, and the hub.
    os::spawn(|| ()).join().unwrap();
}

// ---- What others of the thread see.

/// The same thread, the same thread-locals, whoever wakes it.
#[test]
fn a_coroutine_stays_on_its_thread() {
    run(|| {
        thread_local!(static MARK: Cell<u32> = const { Cell::new(0) });

        MARK.set(9);
        let own = os::current().id();
        let tasks: Vec<JoinHandle<()>> = (0..20)
            .map(|_| {
                spawn(move || {
                    let thread = corovent::current();
                    os::spawn(move || thread.unpark());
                    park();
                    corovent::threadpool::blocking(|| ());
                    assert_eq!((os::current().id(), MARK.get()), (own, 9));
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A borrow that is held across a wait is seen by the others, and given back by an unwinding.
#[test]
fn a_borrow_across_a_wait_is_a_borrow() {
    run(|| {
        thread_local!(static CELL: RefCell<u32> = const { RefCell::new(0) });

        let holder = spawn(|| CELL.with_borrow_mut(|_| park()));
        yield_now();
        assert!(CELL.with(|cell| cell.try_borrow().is_err()));
        assert!(spawn(|| CELL.with_borrow(|value| *value)).join().is_err(), "it panics");
        holder.kill();
        assert!(was_killed(holder));
        assert_eq!(CELL.take(), 0);
    });
}

/// A lock of std's is poisoned if its thread panics when it is given back, though another
/// coroutine does: a matter of logic, not of memory. Ours knows who it was.
#[test]
fn a_lock_of_stds_takes_the_thread_for_one() {
    run(|| {
        let locks = Rc::new((std::sync::Mutex::new(1), Mutex::new(1)));
        let own = Rc::clone(&locks);
        let holder = spawn(move || {
            let _guards = (own.0.lock(), own.1.lock());
            park();
        });
        let unwinding = spawn(|| {
            let _waits = on_drop(park);
            panic!("it waits in the middle of this");
        });
        (0..2).for_each(|_| yield_now());
        holder.thread().unpark();
        holder.join().unwrap();
        assert_eq!((locks.0.is_poisoned(), locks.1.is_poisoned()), (true, false));
        unwinding.thread().unpark();
        assert!(unwinding.join().is_err());
    });
}

/// A thread that std has not made has no stack for handlers until it has a hub.
#[test]
fn an_overflow_on_a_thread_of_cs_is_reported() {
    let output = child("attacks::child_overflows_on_a_thread_of_cs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("has overflowed its"), "{:?} {text}", output.status);
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_overflows_on_a_thread_of_cs() {
    extern "C" fn body(_: *mut libc::c_void) -> *mut libc::c_void {
        let _ = spawn(|| overflow(1)).join();
        std::ptr::null_mut()
    }

    fn overflow(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        if depth == u64::MAX { 0 } else { overflow(frame[7] + 1) + frame[9] }
    }

    let mut thread = std::mem::MaybeUninit::uninit();
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the function is one for a thread, and wants nothing.
    let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), none.cast(), body, none) };
    assert_eq!(error, 0);
    // SAFETY: it was just made.
    let thread = unsafe { thread.assume_init() };
    // SAFETY: it is waited for once.
    unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
}

/// The limits of the process are not ours to change.
#[test]
fn a_hub_leaves_the_limits_of_the_process_alone() {
    passes("attacks::child_compares_limits");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_compares_limits() {
    let limits = || std::fs::read_to_string("/proc/self/limits").unwrap();
    let before = limits();
    run(|| spawn(|| sleep(SHORT)).join().unwrap());
    assert_eq!(limits(), before);
}
