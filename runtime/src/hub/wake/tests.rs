//! What is handed to a waiter that never runs again, or that leaves, reaches the next.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;

use super::*;
use crate::hub::reason::What;
use crate::join::JoinHandle;
use crate::run::run;
use crate::task::spawn;
use crate::task::yield_now;
use crate::time::sleep;
use crate::wait_queue::WaitQueue;
use crate::wait_queue::tests::OTHERS;

type Gate = WaitQueue<usize>;
type Waiting = fn(&Gate) -> Result<(), Outcome>;

const LONG: Duration = Duration::from_secs(60);

/// Takes one permit; throws what interrupts the wait.
fn acquire(gate: &Gate, deadline: Deadline) -> Result<(), Outcome> {
    let taken = gate.wait(deadline, What::Work, Mode::Plain, |permits| {
        *permits = permits.checked_sub(1)?;
        Some(())
    });
    if taken == Err(Outcome::Interrupted) {
        crate::join::interrupted();
    }
    taken
}

fn release(gate: &Gate) {
    gate.lock().state += 1;
    gate.wake_one();
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        os::yield_now();
    }
}

/// Those who come after the one that is lost.
const NEXT: [(&str, Waiting); 3] = [
    ("a thread", |gate| acquire(gate, Deadline::after(LONG))),
    ("a root", |gate| {
        spawn(|| ()).join().unwrap();
        acquire(gate, Deadline::after(LONG))
    }),
    ("a coroutine", |gate| {
        crate::scope::scope(|scope| {
            scope.spawn(|| acquire(gate, Deadline::after(LONG))).join().unwrap()
        })
    }),
];

/// Has somebody wait behind the first waiter, who is on a thread of its own that does
/// `lose_it` with the permit: the next gets it.
fn check(first: impl Fn(&Arc<Gate>) + Copy + Send + 'static, lose_it: fn(&Gate)) {
    for (name, wait) in NEXT {
        let gate = Arc::new(Gate::new(0));
        let (behind, gone) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let thread = os::spawn({
            let (gate, behind, gone) = (Arc::clone(&gate), Arc::clone(&behind), Arc::clone(&gone));
            move || {
                first(&gate);
                assert_eq!(gate.waiting(), 1);
                behind.wait();
                gone.wait();
                lose_it(&gate);
            }
        });
        behind.wait();
        let next = os::spawn({
            let gate = Arc::clone(&gate);
            move || wait(&gate)
        });
        until(|| gate.waiting() == 2);
        gone.wait();
        thread.join().unwrap();
        assert_eq!(next.join().unwrap(), Ok(()), "{name} got nothing");
        let permits = gate.lock().state;
        assert_eq!(permits, 0);
    }
}

/// A coroutine that waits in the queue.
fn park_one(gate: &Arc<Gate>) {
    let gate = Arc::clone(gate);
    drop(spawn(move || acquire(&gate, Deadline::NEVER)));
    yield_now();
}

/// One that cannot be killed, and so is given up by `run`.
fn give_one_up(gate: &Arc<Gate>) {
    run(|| {
        let gate = Arc::clone(gate);
        drop(spawn(move || {
            let wait = || acquire(&gate, Deadline::NEVER);
            while catch_unwind(AssertUnwindSafe(wait)).is_err() {}
        }));
        yield_now();
    });
}

#[test]
fn a_wake_in_the_inbox_of_a_thread_that_ends_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    check(park_one, |gate| {
        // From another thread, so that it is a message; nobody reads it.
        os::scope(|scope| {
            scope.spawn(|| release(gate));
        });
    });
}

#[test]
fn a_wake_of_a_task_whose_thread_ends_before_it_runs_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    check(park_one, release);
}

#[test]
fn a_wake_of_one_whose_thread_has_ended_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    // The release comes when the hub is gone.
    let gate = Arc::new(Gate::new(0));
    os::spawn({
        let gate = Arc::clone(&gate);
        move || park_one(&gate)
    })
    .join()
    .unwrap();
    assert_eq!(gate.waiting(), 1, "what is left of it");
    for (name, wait) in NEXT {
        let next = os::spawn({
            let gate = Arc::clone(&gate);
            move || wait(&gate)
        });
        until(|| gate.waiting() > 0);
        release(&gate);
        assert_eq!(next.join().unwrap(), Ok(()), "{name}");
    }
}

#[test]
fn a_wake_of_one_that_was_given_up_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    check(give_one_up, release);
}

#[test]
fn a_message_for_one_that_was_given_up_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    // Read by the hub as it waits for the thread that comes next.
    check(give_one_up, |gate| {
        os::scope(|scope| {
            scope.spawn(|| release(gate));
        });
        sleep(Duration::from_millis(1));
    });
    // And unread.
    check(give_one_up, |gate| {
        os::scope(|scope| {
            scope.spawn(|| release(gate));
        });
    });
}

/// Its time was up, so that it is ready, and its place in the queue is still there.
#[test]
fn a_wake_of_one_that_was_given_up_after_its_deadline_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let gate = Arc::new(Gate::new(0));
    park_one(&gate);
    let hub = crate::hub::current().expect("a coroutine was spawned");
    let (slot, _) = hub.coroutines()[0];
    let ticket = hub.state().scheduler.ticket(slot);
    assert!(hub.state().scheduler.wake(ticket, Outcome::TimedOut));
    crate::hub::give_up::give_up(hub, slot);
    assert_eq!(gate.waiting(), 1, "what is left of it");
    let next = os::spawn({
        let gate = Arc::clone(&gate);
        move || acquire(&gate, Deadline::after(LONG))
    });
    until(|| gate.waiting() == 2);
    release(&gate);
    assert_eq!(next.join().unwrap(), Ok(()));
}

/// It was woken after it had swallowed its last kill, in the same turn.
#[test]
fn a_wake_of_one_that_is_given_up_before_it_runs_goes_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    struct Releases {
        gate: Arc<Gate>,
        behind: Arc<Barrier>,
    }
    impl Drop for Releases {
        fn drop(&mut self) {
            assert_eq!(self.gate.waiting(), 1, "the stubborn one waits for the last time");
            self.behind.wait();
            until(|| self.gate.waiting() == 2);
            release(&self.gate);
        }
    }

    let gate = Arc::new(Gate::new(0));
    let behind = Arc::new(Barrier::new(2));
    let releases = Releases { gate: Arc::clone(&gate), behind: Arc::clone(&behind) };
    let thread = os::spawn(move || {
        run(|| {
            let stubborn = Arc::clone(&releases.gate);
            drop(spawn(move || {
                let wait = || acquire(&stubborn, Deadline::NEVER);
                while catch_unwind(AssertUnwindSafe(wait)).is_err() {}
            }));
            drop(spawn(move || {
                let _killed_after_it = releases;
                crate::thread::park();
            }));
            yield_now();
        });
    });
    behind.wait();
    assert_eq!(acquire(&gate, Deadline::after(LONG)), Ok(()));
    thread.join().unwrap();
}

/// On one hub: the first of two is killed, or its time is up, and then the permit comes
/// before it has run.
#[test]
fn one_that_leaves_after_its_wake_passes_it_on() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let spawn_waiter = |gate: &Arc<Gate>, deadline| -> JoinHandle<Result<(), Outcome>> {
        let gate = Arc::clone(gate);
        spawn(move || acquire(&gate, deadline))
    };

    let gate = Arc::new(Gate::new(0));
    let first = spawn_waiter(&gate, Deadline::NEVER);
    let second = spawn_waiter(&gate, Deadline::NEVER);
    yield_now();
    assert!(first.kill());
    release(&gate);
    assert!(first.join().is_err());
    assert_eq!(second.join().unwrap(), Ok(()));

    // The one that releases has the earlier deadline, and both are over.
    let releaser = spawn({
        let gate = Arc::clone(&gate);
        move || {
            sleep(Duration::from_millis(1));
            assert_eq!(gate.waiting(), 2);
            release(&gate);
        }
    });
    yield_now();
    let first = spawn_waiter(&gate, Deadline::after(Duration::from_millis(2)));
    let second = spawn_waiter(&gate, Deadline::NEVER);
    yield_now();
    os::sleep(Duration::from_millis(5));
    releaser.join().unwrap();
    assert_eq!(first.join().unwrap(), Err(Outcome::TimedOut));
    assert_eq!(second.join().unwrap(), Ok(()));
    assert_eq!(gate.waiting(), 0);
}

/// A task that is ready has what it waited for; the kill comes later.
#[test]
fn one_that_was_woken_before_its_kill_takes_what_it_got() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let gate = Arc::new(Gate::new(0));
    let waiter = spawn({
        let gate = Arc::clone(&gate);
        move || acquire(&gate, Deadline::NEVER)
    });
    yield_now();
    release(&gate);
    assert!(waiter.kill());
    assert_eq!(waiter.join().unwrap(), Ok(()));
}

#[test]
fn coroutines_roots_and_threads_are_served_in_one_line() {
    let _alone = OTHERS.write().unwrap_or_else(PoisonError::into_inner);
    let gate = Arc::new(Gate::new(0));
    let served = Arc::new(Gate::new(0));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut threads = Vec::new();
    for turn in 0..9 {
        let (gate_there, order, served) =
            (Arc::clone(&gate), Arc::clone(&order), Arc::clone(&served));
        let (_, wait) = NEXT[turn % NEXT.len()];
        threads.push(os::spawn(move || {
            wait(&gate_there).unwrap();
            order.lock().unwrap().push(turn);
            release(&served);
        }));
        until(|| gate.waiting() == turn + 1);
    }
    for _ in 0..9 {
        release(&gate);
        acquire(&served, Deadline::after(LONG)).unwrap();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*order.lock().unwrap(), (0..9).collect::<Vec<_>>());
}

#[test]
fn wake_all_reaches_coroutines_and_threads() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let gate = Arc::new(Gate::new(0));
    let threads: Vec<_> = (0..6)
        .map(|turn| {
            let gate = Arc::clone(&gate);
            os::spawn(move || (NEXT[turn % NEXT.len()].1)(&gate))
        })
        .collect();
    until(|| gate.waiting() == 6);
    gate.lock().state = 6;
    gate.wake_all();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == Ok(())));
    assert_eq!(gate.waiting(), 0);
}

/// Four threads, two of them with hubs and coroutines, share one permit, while further
/// threads end with waiters that were woken, or will be.
#[test]
fn a_permit_is_never_lost() {
    let _others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 3_000 };

    fn hold(gate: &Gate, inside: &AtomicUsize, deadline: Deadline) {
        if acquire(gate, deadline).is_ok() {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            inside.fetch_sub(1, Ordering::SeqCst);
            release(gate);
        } else {
            assert!(deadline < Deadline::after(LONG / 2), "nothing came in all that time");
        }
    }
    fn limit(round: usize) -> Deadline {
        let micros = round as u64 % 40;
        Deadline::after(if micros < 20 { Duration::from_micros(micros) } else { LONG })
    }

    let gate = Arc::new(Gate::new(1));
    let inside = Arc::new(AtomicUsize::new(0));
    let plain = |seed: usize| {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        os::spawn(move || (0..ROUNDS).for_each(|round| hold(&gate, &inside, limit(round + seed))))
    };
    let green = |seed: usize| {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        os::spawn(move || {
            for round in 0..ROUNDS / 4 {
                let tasks: Vec<_> = (0..4)
                    .map(|n| {
                        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                        spawn(move || hold(&gate, &inside, limit(round * n + seed)))
                    })
                    .collect();
                if round % 3 == 0 {
                    yield_now();
                    tasks[round % 4].kill();
                }
                tasks.into_iter().for_each(|task| drop(task.join()));
            }
        })
    };
    let ending = || {
        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
        os::spawn(move || {
            for round in 0..ROUNDS / 10 {
                let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                let one = move || {
                    for _ in 0..3 {
                        let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                        drop(spawn(move || hold(&gate, &inside, Deadline::NEVER)));
                    }
                    (0..round % 3 + 1).for_each(|_| yield_now());
                };
                os::spawn(one).join().unwrap();
            }
        })
    };
    let threads = [plain(0), plain(7), green(3), green(11), ending()];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    hold(&gate, &inside, Deadline::after(LONG));
    let permits = gate.lock().state;
    assert_eq!(permits, 1);
}
