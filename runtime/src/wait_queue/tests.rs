//! The list, and threads without a hub that wait in it. All of it runs under Miri; tasks that
//! wait are tested in `hub::wake`.

use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::*;
use crate::hub::wake::WakeRef;

/// Held shared by tests that may make all who wait in the process try again, and exclusively by
/// those that see who is served first.
pub(crate) static OTHERS: RwLock<()> = RwLock::new(());

const LONG: Duration = Duration::from_secs(60);

/// Takes one permit.
fn acquire(queue: &WaitQueue<usize>, deadline: Deadline) -> Result<(), Outcome> {
    queue.wait(deadline, What::Work, Mode::Plain, |permits| {
        *permits = permits.checked_sub(1)?;
        Some(())
    })
}

fn release(queue: &WaitQueue<usize>) {
    queue.lock().state += 1;
    queue.wake_one();
}

fn permits_and_waiters(queue: &WaitQueue<usize>) -> (usize, usize) {
    let permits = queue.lock().state;
    (permits, queue.waiting())
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// Names that nobody waits under, told apart by their numbers.
fn name(number: u32) -> WakeRef {
    match Place::current().wake_ref() {
        WakeRef::Thread { parker, .. } => WakeRef::Thread { parker, number },
        WakeRef::Task { .. } => unreachable!("the test's thread has no hub"),
    }
}

fn number(wake: WakeRef) -> u32 {
    match wake {
        WakeRef::Thread { number, .. } => number,
        WakeRef::Task { .. } => unreachable!("the test's thread has no hub"),
    }
}

fn drain(list: &mut List) -> Vec<u32> {
    std::iter::from_fn(|| list.take_first()).map(number).collect()
}

/// Links some nodes, unlinks others, and checks who is left, and in which order.
fn check(linked: &[(usize, bool)], unlinked: &[usize], expected: &[u32]) {
    let nodes: [Pin<Box<Node>>; 5] = std::array::from_fn(|_| Box::pin(Node::new(0)));
    let node = |index: usize| nodes[index].as_ref();
    let mut list = List::new();
    for &(index, at_front) in linked {
        list.link_named(node(index), |cell| cell.set(Some(name(index as u32))), at_front);
    }
    for &index in unlinked {
        assert!(list.unlink(node(index)));
        assert!(!list.unlink(node(index)), "once");
    }
    assert_eq!(drain(&mut list), expected, "{linked:?} without {unlinked:?}");
    assert!((0..5).all(|index| !list.unlink(node(index))), "all have been taken");
    assert_eq!(list.len(), 0);
    // It can be used again.
    list.link_named(node(0), |cell| cell.set(Some(name(9))), false);
    assert_eq!(drain(&mut list), [9]);
}

#[test]
fn nodes_leave_in_the_order_in_which_they_came() {
    let in_order = [(0, false), (1, false), (2, false), (3, false)];
    check(&[], &[], &[]);
    check(&in_order[..1], &[], &[0]);
    check(&in_order, &[], &[0, 1, 2, 3]);
    // One that lost a race keeps its place: it goes to the front.
    check(&[(0, false), (1, false), (2, true)], &[], &[2, 0, 1]);
    check(&[(0, true), (1, true), (2, false)], &[], &[1, 0, 2]);
}

#[test]
fn a_node_can_leave_from_anywhere() {
    let in_order = [(0, false), (1, false), (2, false), (3, false)];
    check(&in_order[..1], &[0], &[]);
    check(&in_order, &[0], &[1, 2, 3]);
    check(&in_order, &[1], &[0, 2, 3]);
    check(&in_order, &[3], &[0, 1, 2]);
    check(&in_order, &[3, 0], &[1, 2]);
    check(&in_order, &[1, 2, 0, 3], &[]);
    check(&[(0, false), (1, false), (2, true)], &[2, 1], &[0]);
}

#[test]
fn what_is_there_is_taken_without_a_wait() {
    let queue = WaitQueue::new(2);
    assert_eq!(acquire(&queue, Deadline::after(Duration::ZERO)), Ok(()));
    assert_eq!(acquire(&queue, Deadline::NEVER), Ok(()));
    assert_eq!(queue.waiting(), 0);
    let late = Deadline::after(Duration::from_millis(2));
    assert_eq!(acquire(&queue, late), Err(Outcome::TimedOut));
    assert!(Deadline::now() >= late, "never early");
    assert_eq!(queue.waiting(), 0, "who leaves takes its node along");
    assert!(!queue.wake_one(), "nobody waits");
}

#[test]
fn threads_are_served_in_the_order_in_which_they_came() {
    let _alone = OTHERS.write().unwrap_or_else(PoisonError::into_inner);
    let queue = WaitQueue::new(0);
    let order = Lock::new(Vec::with_capacity(4));
    thread::scope(|scope| {
        for turn in 0..4 {
            let (queue, order) = (&queue, &order);
            scope.spawn(move || {
                acquire(queue, Deadline::NEVER).unwrap();
                order.lock().push(turn);
            });
            until(|| queue.waiting() == turn + 1);
        }
        for served in 1..5 {
            release(&queue);
            until(|| order.lock().len() == served);
        }
    });
    assert_eq!(*order.lock(), [0, 1, 2, 3]);
}

#[test]
fn wake_all_makes_everybody_look() {
    let queue = WaitQueue::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let opened = |open: &mut bool| open.then_some(());
                queue.wait(Deadline::NEVER, What::Work, Mode::Plain, opened).unwrap();
            });
        }
        until(|| queue.waiting() == 3);
        // A wake without a change: all look, and wait on.
        queue.wake_all();
        until(|| queue.waiting() == 3);
        queue.lock().state = true;
        queue.wake_all();
    });
    assert_eq!(queue.waiting(), 0);
}

/// Those who look in vain and wait on do so once, however fast they are: else they could keep
/// the one who wakes them from ever coming to an end.
#[test]
fn wake_all_wakes_nobody_twice() {
    let _alone = OTHERS.write().unwrap_or_else(PoisonError::into_inner);
    let (threads, rounds) = if cfg!(miri) { (2, 5) } else { (4, 500) };
    let (queue, looks) = (WaitQueue::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let opened = |open: &mut bool| {
                    looks.fetch_add(1, Ordering::Relaxed);
                    open.then_some(())
                };
                queue.wait(Deadline::NEVER, What::Work, Mode::Plain, opened).unwrap();
            });
        }
        // Before they block they look twice.
        let mut expected = 2 * threads;
        for _ in 0..rounds {
            until(|| queue.waiting() == threads && looks.load(Ordering::Relaxed) >= expected);
            queue.wake_all();
            expected += threads;
        }
        until(|| queue.waiting() == threads && looks.load(Ordering::Relaxed) >= expected);
        queue.lock().state = true;
        queue.wake_all();
    });
    assert_eq!(looks.into_inner(), threads * (rounds + 3));
}

/// The wake and the deadline meet: whoever leaves without a permit has passed the wake on.
#[test]
fn a_wake_that_meets_a_deadline_is_not_lost() {
    let rounds = if cfg!(miri) { 10 } else { 300 };
    for round in 0..rounds {
        let queue = WaitQueue::new(0);
        let hasty = Duration::from_nanos(round * 300);
        thread::scope(|scope| {
            let hasty = scope.spawn(|| acquire(&queue, Deadline::after(hasty)));
            let patient = scope.spawn(|| acquire(&queue, Deadline::after(LONG)));
            release(&queue);
            if hasty.join().unwrap().is_ok() {
                release(&queue);
            }
            assert_eq!(patient.join().unwrap(), Ok(()));
        });
        assert_eq!(permits_and_waiters(&queue), (0, 0));
    }
}

#[test]
fn one_permit_is_held_by_one_thread_at_a_time() {
    let rounds = if cfg!(miri) { 5 } else { 1_000 };
    let queue = WaitQueue::new(1);
    let (inside, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..4_u64 {
            let (queue, inside, lost) = (&queue, &inside, &lost);
            scope.spawn(move || {
                for round in 0..rounds {
                    let limit = match (round + seed) % 3 {
                        0 => Duration::from_micros(round % 20),
                        _ => LONG,
                    };
                    if acquire(queue, Deadline::after(limit)).is_ok() {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        release(queue);
                    } else if limit == LONG {
                        lost.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(lost.into_inner(), 0);
    assert_eq!(permits_and_waiters(&queue), (1, 0));
}

/// A wake that is for everybody who waits at an address takes nobody's place.
#[test]
fn one_that_is_woken_for_nothing_keeps_its_place() {
    let queue = WaitQueue::new(0);
    let (first, second) = (pin!(Node::new(0)), pin!(Node::new(0)));
    let place = Place::current();
    queue.lock().list.link(first.as_ref(), &place, false);
    queue.lock().list.link(second.as_ref(), &place, false);
    // As it does when it has looked in vain.
    queue.lock().list.link(second.as_ref(), &place, true);
    assert_eq!(queue.waiting(), 2);
    release(&queue);
    assert!(!queue.lock().list.unlink(first.as_ref()), "it was called");
    assert!(queue.lock().list.unlink(second.as_ref()), "it was not");
}
