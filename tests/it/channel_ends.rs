//! How waits for channels end otherwise: by kills, timeouts, deadlocks, destructors, and hubs
//! that end; and that nothing is lost by it.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc as std_mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Deadlock;
use corovent::JoinHandle;
use corovent::debug;
use corovent::shield;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::RecvError;
use corovent::sync::mpsc::RecvTimeoutError;
use corovent::sync::mpsc::TryRecvError;
use corovent::sync::mpsc::TrySendError;
use corovent::sync::mpsc::channel;
use corovent::sync::mpsc::sync_channel;
use corovent::timeout;
use corovent::yield_now;

use crate::channels::Either;
use crate::channels::SHORT;
use crate::channels::World;
use crate::channels::any_channel;
use crate::support::Log;
use crate::support::on_drop;
use crate::support::passes;
use crate::support::run;
use crate::support::was_killed;

const LONG: Duration = Duration::from_secs(60);

/// Spawns a coroutine that receives once and logs it, and lets it run up to its wait.
fn receiving(receiver: &Rc<Receiver<u32>>, name: &str, log: &Log) -> JoinHandle<()> {
    let (receiver, name, log) = (Rc::clone(receiver), name.to_owned(), log.clone());
    let task = spawn(move || {
        let value = receiver.recv();
        log.add(format!("{name}{}", value.unwrap()));
    });
    yield_now();
    task
}

/// Lets every coroutine of the thread go on as far as it can.
fn settle() {
    (0..10).for_each(|_| yield_now());
}

#[test]
fn a_value_goes_past_a_receiver_that_was_killed() {
    run(|| {
        for bound in [None, Some(0), Some(1)] {
            let (sender, receiver) = any_channel(bound);
            let (receiver, log) = (Rc::new(receiver), Log::new());
            let killed = receiving(&receiver, "a", &log);
            let next = receiving(&receiver, "b", &log);
            killed.kill();
            assert!(was_killed(killed));
            sender.send(1).unwrap();
            next.join().unwrap();
            assert_eq!(log.text(), "b1");
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

/// It is killed, but has not left yet when the value comes: the next one gets it, or, at a
/// rendezvous, whose sender was told that it is received, the one that was called.
#[test]
fn a_value_that_meets_a_kill_is_not_lost() {
    run(|| {
        for bound in [None, Some(0), Some(1)] {
            let (sender, receiver) = any_channel(bound);
            let (receiver, log) = (Rc::new(receiver), Log::new());
            let killed = receiving(&receiver, "a", &log);
            let next = receiving(&receiver, "b", &log);
            killed.kill();
            sender.send(1).unwrap();
            settle();
            let _ = killed.join();
            let expected = if bound == Some(0) { "a1" } else { "b1" };
            assert_eq!(log.text(), expected, "{bound:?}");
            if bound == Some(0) {
                sender.send(2).unwrap();
            }
            next.join().unwrap();
        }
    });
}

/// It was woken for the value and is killed before it runs: it gets the value.
#[test]
fn a_receiver_that_is_ready_gets_what_it_waited_for() {
    run(|| {
        for bound in [None, Some(0), Some(1)] {
            let (sender, receiver) = any_channel(bound);
            let (receiver, log) = (Rc::new(receiver), Log::new());
            let task = receiving(&receiver, "a", &log);
            sender.send(1).unwrap();
            task.kill();
            task.join().unwrap();
            assert_eq!(log.text(), "a1");
        }
    });
}

#[test]
fn receivers_that_share_a_channel_are_served_in_the_order_of_their_waits() {
    run(|| {
        for bound in [None, Some(0), Some(1), Some(3)] {
            let (sender, receiver) = any_channel(bound);
            let (receiver, log) = (Rc::new(receiver), Log::new());
            let tasks = ["a", "b", "c", "d"].map(|name| receiving(&receiver, name, &log));
            (0..4).for_each(|n| sender.send(n).unwrap());
            tasks.into_iter().for_each(|task| task.join().unwrap());
            assert_eq!(log.text(), "a0 b1 c2 d3", "{bound:?}");
        }
    });
}

/// Spawns a coroutine that sends a value and logs how that ended, and lets it run.
fn sending<T: 'static>(sender: &Either<T>, value: T, name: &str, log: &Log) -> JoinHandle<()> {
    let (sender, name, log) = (sender.clone(), name.to_owned(), log.clone());
    let task = spawn(move || {
        let sent = sender.send(value);
        log.add(format!("{name}{}", if sent.is_ok() { "+" } else { "-" }));
    });
    yield_now();
    task
}

#[test]
fn a_killed_sender_has_not_sent_and_the_others_keep_their_order() {
    run(|| {
        for bound in [0, 1, 2] {
            let (sender, receiver) = any_channel(Some(bound));
            let log = Log::new();
            let value = |n: u32| (n, log.on_drop(&n.to_string()));
            let first: Vec<_> =
                (0..bound as u32).map(|n| sending(&sender, value(90 + n), "f", &log)).collect();
            let [a, b, c] = [1, 2, 3].map(|n| sending(&sender, value(n), &n.to_string(), &log));
            b.kill();
            assert!(was_killed(b));
            assert!(log.text().ends_with('2'), "its value is dropped: {}", log.text());
            drop(sender);
            let received: Vec<_> = receiver.iter().map(|(n, _)| n).filter(|n| *n < 90).collect();
            assert_eq!(received, [1, 3], "{bound}");
            first.into_iter().chain([a, c]).for_each(|task| task.join().unwrap());
            assert!(log.text().contains("1+") && log.text().contains("3+"), "{}", log.text());
        }
    });
}

/// The value was taken before the kill was: the send returns.
#[test]
fn a_sender_whose_value_was_taken_has_sent() {
    run(|| {
        for bound in [0, 1] {
            let (sender, receiver) = any_channel(Some(bound));
            let log = Log::new();
            (0..bound).for_each(|_| sender.send(0).unwrap());
            let task = sending(&sender, 1, "a", &log);
            task.kill();
            assert_eq!(receiver.recv(), Ok(u32::from(bound == 0)));
            task.join().unwrap();
            assert_eq!(log.text(), "a+");
            if bound == 1 {
                assert_eq!(receiver.try_recv(), Ok(1));
            }
        }
    });
}

#[test]
fn an_outer_timeout_is_not_lost_and_takes_nothing_along() {
    World::each(|world| {
        for bound in [None, Some(0), Some(1)] {
            let (sender, receiver) = any_channel(bound);
            assert!(timeout(SHORT, || receiver.recv()).is_err());
            assert!(timeout(SHORT, || receiver.recv_timeout(LONG)).is_err());
            assert!(timeout(SHORT, || receiver.iter().next()).is_err());
            let inner = timeout(LONG, || receiver.recv_timeout(SHORT));
            assert_eq!(inner.unwrap(), Err(RecvTimeoutError::Timeout));
            if let Some(bound) = bound {
                (0..bound).for_each(|_| sender.send(0).unwrap());
                let dropped = Rc::new(Cell::new(false));
                let timed_out = timeout(SHORT, || {
                    let _value = on_drop(|| dropped.set(true));
                    sender.send(1)
                });
                assert!(timed_out.is_err() && dropped.get());
                assert!(receiver.try_iter().eq((0..bound).map(|_| 0)), "no ghost");
            }
            let sending = world.spawn(move || sender.send(2));
            assert_eq!(receiver.recv(), Ok(2));
            sending.join().unwrap();
            assert_eq!(receiver.recv(), Err(RecvError));
        }
    });
}

#[test]
fn a_shield_holds_a_kill_off() {
    run(|| {
        let (sender, receiver) = channel();
        let task = spawn(move || shield(|| receiver.recv().unwrap()));
        yield_now();
        task.kill();
        settle();
        assert!(!task.is_finished());
        sender.send(5).unwrap();
        assert_eq!(task.join().unwrap(), 5);
    });
}

/// A destructor of a coroutine that unwinds waits for a channel as any code does.
#[test]
fn a_channel_works_while_the_coroutine_unwinds() {
    run(|| {
        let ((sender, receiver), (answer, answers)) = (sync_channel(0), channel());
        let task = spawn(move || {
            let _last = on_drop(move || {
                answer.send(receiver.recv().unwrap()).unwrap();
            });
            sleep(LONG);
        });
        yield_now();
        task.kill();
        settle();
        sender.send("last words").unwrap();
        assert_eq!(answers.recv(), Ok("last words"));
        assert!(was_killed(task));
    });
}

#[test]
fn what_never_waits_lets_the_others_run() {
    run(|| {
        for bound in [None, Some(1_000)] {
            let (sender, receiver) = any_channel(bound);
            let others = Rc::new(Cell::new(0));
            let other = spawn({
                let others = Rc::clone(&others);
                move || {
                    loop {
                        others.set(others.get() + 1);
                        yield_now();
                    }
                }
            });
            let at_work = spawn({
                let others = Rc::clone(&others);
                move || {
                    (0..900).for_each(|n| sender.send(n).unwrap());
                    assert!((6..9).contains(&others.get()), "{}", others.get());
                    assert!(receiver.iter().take(900).eq(0..900));
                    assert!((13..17).contains(&others.get()), "{}", others.get());
                    let before = others.get();
                    if let Either::Bounded(sender) = &sender {
                        (0..900).for_each(|n| sender.try_send(n).unwrap());
                    }
                    assert_eq!(receiver.try_iter().count(), if bound.is_some() { 900 } else { 0 });
                    assert_eq!(others.get(), before, "`try_` never waits");
                }
            });
            at_work.join().unwrap();
            other.kill();
            assert!(was_killed(other));
        }
    });
}

/// The kill comes with the yield, before the value is put in.
#[test]
fn a_kill_reaches_a_sender_that_never_has_to_wait() {
    run(|| {
        let (sender, receiver) = channel();
        let task = spawn(move || {
            for n in 0.. {
                sender.send(n).unwrap();
            }
        });
        yield_now();
        task.kill();
        assert!(was_killed(task));
        let received: Vec<i32> = receiver.into_iter().collect();
        assert!(received.len() < 1_000 && received.into_iter().zip(0..).all(|(a, b)| a == b));
    });
}

#[test]
fn a_deadlock_names_the_channel() {
    run(|| {
        debug::deadlock(debug::Scope::Hub);
        for bound in [None, Some(0), Some(1)] {
            corovent::run(|| {
                let (sender, receiver) = any_channel(bound);
                let stuck = spawn({
                    let sender = sender.clone();
                    move || (0..).try_for_each(|n| sender.send(n))
                });
                if bound.is_none() {
                    stuck.kill();
                }
                let _ = receiver.try_recv();
                yield_now();
                let (sending, receiving) = (sync_channel(0), channel::<()>());
                let other = spawn(move || sending.0.send(sending.1.try_recv().is_ok()));
                let payload = catch_unwind(AssertUnwindSafe(|| receiving.1.recv())).unwrap_err();
                let report = payload.downcast::<Deadlock>().unwrap().to_string();
                assert!(report.contains("channel receive"), "{report}");
                assert!(report.contains("channel send"), "{report}");
                // The hub and the channels go on.
                receiving.0.send(()).unwrap();
                assert_eq!(receiving.1.recv(), Ok(()));
                other.kill();
            });
        }
    });
}

/// A destructor may use the channel that it is dropped from, wait, and panic: the rest is
/// dropped all the same.
#[test]
fn destructors_of_values_do_as_they_like() {
    struct Value {
        sender: Either<Value>,
        dropped: Rc<Cell<u32>>,
        panics: bool,
    }

    impl Drop for Value {
        fn drop(&mut self) {
            self.dropped.set(self.dropped.get() + 1);
            yield_now();
            if self.dropped.get() < 10 {
                let Value { sender, dropped, .. } = self;
                let (sender, dropped) = (sender.clone(), Rc::clone(dropped));
                let another = Value { sender: sender.clone(), dropped, panics: false };
                assert!(sender.send(another).is_err());
            }
            assert!(!self.panics, "as it was asked to");
        }
    }

    run(|| {
        for bound in [None, Some(4)] {
            let (sender, receiver) = any_channel(bound);
            let dropped = Rc::new(Cell::new(0));
            for n in 0..4 {
                let (sender, dropped) = (sender.clone(), Rc::clone(&dropped));
                let value = Value { sender: sender.clone(), dropped, panics: n == 1 };
                assert!(sender.send(value).is_ok());
            }
            let task = spawn(move || drop(receiver));
            assert!(task.join().is_err());
            assert!(dropped.get() >= 4, "{}", dropped.get());
            assert_eq!(Rc::strong_count(&dropped), 1, "all are gone");
        }
    });
}

/// The first panic goes on, and the others do not abort the process.
#[test]
fn several_destructors_of_values_may_panic() {
    struct Value(Rc<Cell<u32>>);

    impl Drop for Value {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            panic!("value {} is dropped", self.0.get());
        }
    }

    for bound in [None, Some(4)] {
        let (sender, receiver) = any_channel(bound);
        let dropped = Rc::new(Cell::new(0));
        for _ in 0..4 {
            assert!(sender.send(Value(Rc::clone(&dropped))).is_ok());
        }
        let payload = catch_unwind(AssertUnwindSafe(|| drop(receiver))).unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().unwrap(), "value 1 is dropped");
        assert_eq!((dropped.get(), Rc::strong_count(&dropped)), (4, 1));
    }
}

/// A thread ends while its coroutines wait to send; what they have is not received.
#[test]
fn a_sender_whose_hub_has_ended_is_passed_over() {
    run(|| {
        for bound in [0, 1] {
            let (sender, receiver) = sync_channel(bound);
            (0..bound).for_each(|_| sender.send(7).unwrap());
            os::spawn({
                let sender = sender.clone();
                move || {
                    for n in [1, 2] {
                        let sender = sender.clone();
                        spawn(move || sender.send(n));
                    }
                    yield_now();
                    assert_eq!(debug::counters().coroutines, 2);
                }
            })
            .join()
            .unwrap();
            let log = Log::new();
            let alive = sending(&Either::Bounded(sender.clone()), 3, "alive", &log);
            if bound == 1 {
                assert_eq!(receiver.recv(), Ok(7));
            }
            assert_eq!(receiver.recv(), Ok(3));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "{bound}");
            alive.join().unwrap();
            let expected = if bound == 0 { Err(TrySendError::Full(4)) } else { Ok(()) };
            assert_eq!(sender.try_send(4), expected);
        }
    });
}

/// The receiver is left by a thread that ends: senders to it are as to one that never looks.
#[test]
fn a_receiver_whose_hub_has_ended_takes_nothing() {
    run(|| {
        let (sender, receiver) = sync_channel(1);
        os::spawn(move || {
            spawn(move || receiver.recv());
            yield_now();
        })
        .join()
        .unwrap();
        sender.send(1).unwrap();
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        assert!(timeout(SHORT, || sender.send(3)).is_err());
    });
}

/// One that waits was given up and never comes back: what was for it goes to the next.
#[test]
fn a_receiver_that_was_given_up_takes_nothing() {
    passes("channel_ends::child_gives_a_receiver_up");
}

#[test]
#[ignore = "gives coroutines up; run by the test above"]
fn child_gives_a_receiver_up() {
    for bound in [None, Some(0), Some(1)] {
        for from_elsewhere in [false, true] {
            let (sender, receiver) = any_channel::<i32>(bound);
            let receiver = Rc::new(receiver);
            corovent::run(|| {
                let receiver = Rc::clone(&receiver);
                spawn(move || {
                    loop {
                        let _ = catch_unwind(AssertUnwindSafe(|| receiver.recv()));
                    }
                });
                yield_now();
            });
            let log = Log::new();
            let next = spawn({
                let (receiver, log) = (Rc::clone(&receiver), log.clone());
                move || log.add(receiver.recv().unwrap().to_string())
            });
            yield_now();
            let send = move || sender.send(5).unwrap();
            if from_elsewhere {
                os::spawn(send).join().unwrap();
            } else {
                send();
            }
            next.join().unwrap();
            assert_eq!(log.text(), "5", "{bound:?}");
        }
    }
}

#[test]
fn blocked_senders_of_all_worlds_are_served() {
    run(|| {
        for bound in [0, 1, 2] {
            let (sender, receiver) = sync_channel(bound);
            let mut handles = Vec::new();
            for world in [World::Coroutines, World::Threads, World::Hubs, World::Threads] {
                for _ in 0..2 {
                    let sender = sender.clone();
                    let send = move || (0..50).for_each(|n| sender.send(n).unwrap());
                    handles.push(world.spawn(send));
                }
            }
            drop(sender);
            assert_eq!(receiver.iter().sum::<i32>(), 8 * (0..50).sum::<i32>());
            handles.into_iter().for_each(|handle| handle.join());
        }
    });
}

/// A value that counts how many there are.
struct Counted {
    sender: usize,
    number: usize,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(sender: usize, number: usize, alive: &Arc<AtomicUsize>) -> Counted {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted { sender, number, alive: Arc::clone(alive) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Xorshift: a seed gives the same numbers again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Threads with and without hubs send, are killed and time out; the receiver is killed, times
/// out and tries: exactly what was sent is received, each sender's in order, and all is dropped.
#[test]
fn random_senders_and_receivers_lose_nothing() {
    let rounds = std::env::var("COROVENT_RANDOM_ROUNDS").ok();
    for seed in 1..=rounds.map_or(12, |rounds| rounds.parse().unwrap()) {
        for bound in [None, Some(0), Some(1), Some(3)] {
            soak(seed, bound);
        }
    }
}

fn soak(seed: u64, bound: Option<usize>) {
    let (sender, receiver) = any_channel(bound);
    let alive = Arc::new(AtomicUsize::new(0));
    let (logs, sent) = std_mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|id| {
            let (sender, alive, log) = (sender.clone(), Arc::clone(&alive), logs.clone());
            let random =
                Random(((seed << 8) | (id as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            os::spawn(move || match id {
                0 | 1 => send_some(id, 150, &sender, &alive, &log, random),
                _ => send_from_a_hub(id, &sender, &alive, &log, random),
            })
        })
        .collect();
    drop((sender, logs));
    let received = run(|| receive_all(receiver, Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d))));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (mut sent, mut received): (Vec<_>, Vec<_>) = (sent.iter().collect(), received);
    let in_order = |all: &[(usize, usize)]| {
        let of = |id| all.iter().filter(move |(sender, _)| *sender == id).map(|(_, n)| *n);
        (0..60).all(|id| of(id).is_sorted())
    };
    assert!(in_order(&received), "seed {seed}, {bound:?}");
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(sent, received, "seed {seed}, {bound:?}");
    assert_eq!(alive.load(Ordering::Relaxed), 0, "seed {seed}, {bound:?}");
}

type Sent = std_mpsc::Sender<(usize, usize)>;

fn send_some(
    id: usize,
    count: usize,
    sender: &Either<Counted>,
    alive: &Arc<AtomicUsize>,
    log: &Sent,
    mut random: Random,
) {
    for number in 0..count {
        let value = Counted::new(id, number, alive);
        let is_sent = match sender {
            Either::Bounded(sender) if random.below(3) == 0 => sender.try_send(value).is_ok(),
            sender => sender.send(value).is_ok(),
        };
        if is_sent {
            log.send((id, number)).unwrap();
        }
        if random.below(8) == 0 {
            os::yield_now();
        }
    }
}

/// Coroutines that send, each in its own name; some are killed in the middle.
fn send_from_a_hub(
    id: usize,
    sender: &Either<Counted>,
    alive: &Arc<AtomicUsize>,
    log: &Sent,
    mut random: Random,
) {
    run(|| {
        for batch in 0..4 {
            let tasks = [0, 1, 2].map(|n| {
                let (sender, alive, log) = (sender.clone(), Arc::clone(alive), log.clone());
                let (name, seed) = (id + 4 * (3 * batch + n), random.below(u64::MAX) | 1);
                spawn(move || send_some(name, 20, &sender, &alive, &log, Random(seed)))
            });
            for task in tasks {
                if random.below(2) == 0 {
                    (0..random.below(5)).for_each(|_| yield_now());
                    task.kill();
                }
                let _ = task.join();
            }
        }
    });
}

fn receive_all(receiver: Receiver<Counted>, mut random: Random) -> Vec<(usize, usize)> {
    let receiver = Rc::new(receiver);
    let received = Rc::new(std::cell::RefCell::new(Vec::new()));
    let mut is_ended = false;
    while !is_ended {
        let task = spawn({
            let (receiver, received) = (Rc::clone(&receiver), Rc::clone(&received));
            let mut random = Random(random.below(u64::MAX) | 1);
            move || {
                for _ in 0..random.below(40) {
                    let limit = Duration::from_micros(random.below(50));
                    let value = match random.below(4) {
                        0 => receiver.try_recv().ok(),
                        1 => receiver.recv_timeout(limit).ok(),
                        2 => timeout(limit, || receiver.recv().ok()).ok().flatten(),
                        _ => receiver.recv().ok(),
                    };
                    // Nothing waits between the receipt and the note.
                    received.borrow_mut().extend(value.map(|value| (value.sender, value.number)));
                }
                receiver.try_recv().map(|value| {
                    received.borrow_mut().push((value.sender, value.number));
                })
            }
        });
        (0..random.below(4)).for_each(|_| yield_now());
        if random.below(2) == 0 {
            task.kill();
        }
        is_ended = task.join().is_ok_and(|last| last == Err(TryRecvError::Disconnected));
    }
    received.take()
}
