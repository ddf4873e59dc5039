//! What is measured by itself, and beside other runtimes as well.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use corovent::JoinHandle;
use corovent::queue::Channel;
use corovent::queue::PriorityQueue;
use corovent::queue::Queue;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::Mutex;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::channel;
use corovent::sync::mpsc::sync_channel;
use corovent::thread::park;
use corovent::yield_now;

use super::ns_each;

/// How long the sleepers sleep at most.
pub(crate) const LONGEST: Duration = Duration::from_millis(100);
/// How many children each coroutine of skynet has.
pub(crate) const CHILDREN: usize = 10;

/// Gives the nanoseconds of one yield.
pub(crate) fn yields(coroutines: usize, switches: usize) -> f64 {
    let each = switches / coroutines;
    let body = move || (0..each).for_each(|_| yield_now());
    let handles: Vec<_> = (0..coroutines).map(|_| spawn(body)).collect();
    ns_each(coroutines * each, || join_all(handles))
}

/// Spawns `total` coroutines, `wave` of them before it joins those; gives the nanoseconds of
/// one.
pub(crate) fn spawn_and_join(total: usize, wave: usize) -> f64 {
    let mut handles = Vec::with_capacity(wave);
    ns_each(total, || {
        for first in (0..total).step_by(wave) {
            handles.extend((first..first + wave).map(|n| spawn(move || black_box(n))));
            for (n, handle) in (first..).zip(handles.drain(..)) {
                assert_eq!(handle.join().expect("it does not panic"), n);
            }
        }
    })
}

/// How many coroutines want one lock.
pub(crate) const COROUTINES_AT_A_LOCK: usize = 100;

/// Gives the nanoseconds of one turn at a lock that all want and each holds over a yield.
pub(crate) fn contended_locks(total: usize) -> f64 {
    let each = total / COROUTINES_AT_A_LOCK;
    let lock = Arc::new(Mutex::new(0));
    let body = || {
        let lock = Arc::clone(&lock);
        move || {
            for _ in 0..each {
                let mut total = lock.lock().expect("nobody panics");
                yield_now();
                *total += 1;
            }
        }
    };
    let handles: Vec<_> = (0..COROUTINES_AT_A_LOCK).map(|_| spawn(body())).collect();
    let ns = ns_each(COROUTINES_AT_A_LOCK * each, || join_all(handles));
    assert_eq!(*lock.lock().expect("nobody panics"), COROUTINES_AT_A_LOCK * each);
    ns
}

/// Gives by how many milliseconds the sleepers take longer than the longest sleep, from the
/// first spawn on.
pub(crate) fn sleepers_overrun_ms(sleepers: usize) -> f64 {
    let start = Instant::now();
    let spawn_one = |n| spawn(move || sleep(sleep_of(n, sleepers)));
    let handles: Vec<_> = (0..sleepers).map(spawn_one).collect();
    join_all(handles);
    overrun_ms(start)
}

/// The same, from when all have touched their stacks.
pub(crate) fn warm_sleepers_overrun_ms(sleepers: usize) -> f64 {
    let spawn_one = |n| {
        spawn(move || {
            park();
            sleep(sleep_of(n, sleepers));
        })
    };
    let handles: Vec<_> = (0..sleepers).map(spawn_one).collect();
    // All reach their `park`: those that are ready run before the root does again.
    yield_now();
    let start = Instant::now();
    handles.iter().for_each(|handle| handle.thread().unpark());
    join_all(handles);
    overrun_ms(start)
}

/// Gives how long a sleeper sleeps. Short and long ones are mixed: 7919 is prime, so every
/// length comes up once.
pub(crate) fn sleep_of(n: usize, sleepers: usize) -> Duration {
    LONGEST * (n * 7919 % sleepers) as u32 / (sleepers - 1) as u32
}

/// Gives by how many milliseconds it took longer than the longest sleep.
pub(crate) fn overrun_ms(start: Instant) -> f64 {
    let overrun = start.elapsed().checked_sub(LONGEST).expect("nothing wakes early");
    overrun.as_secs_f64() * 1000.0
}

/// Has so many coroutines give their numbers back through their parents.
pub(crate) fn skynet(leaves: usize) {
    let sum = spawn(move || sum_of(0, leaves)).join().expect("it does not panic");
    assert_eq!(sum, leaves * (leaves - 1) / 2);
}

/// Adds up the numbers of the `leaves` coroutines from `first` on.
fn sum_of(first: usize, leaves: usize) -> usize {
    if leaves == 1 {
        return first;
    }
    let each = leaves / CHILDREN;
    let child = |n| spawn(move || sum_of(first + n * each, each));
    let children: [_; CHILDREN] = std::array::from_fn(child);
    children.into_iter().map(|child| child.join().expect("it does not panic")).sum()
}

/// Gives the nanoseconds of a round trip: one coroutine sends, another answers.
pub(crate) fn round_trips(rounds: usize) -> f64 {
    let ((ask, asked), (answer, answered)) = (channel(), channel());
    let echo = spawn(move || asked.iter().try_for_each(|n: usize| answer.send(n)));
    let caller = spawn(move || {
        for n in 0..rounds {
            ask.send(n).expect("the other end is there");
            assert_eq!(answered.recv(), Ok(n));
        }
    });
    ns_each(rounds, || {
        caller.join().expect("it does not panic");
        echo.join().expect("it does not panic").expect("the other end is there");
    })
}

/// The same over channels that hold one value.
pub(crate) fn bounded_round_trips(rounds: usize) -> f64 {
    let ((ask, asked), (answer, answered)) = (sync_channel(1), sync_channel(1));
    let echo = spawn(move || asked.iter().try_for_each(|n: usize| answer.send(n)));
    let caller = spawn(move || {
        for n in 0..rounds {
            ask.send(n).expect("the other end is there");
            assert_eq!(answered.recv(), Ok(n));
        }
    });
    ns_each(rounds, || {
        caller.join().expect("it does not panic");
        echo.join().expect("it does not panic").expect("the other end is there");
    })
}

/// Gives the nanoseconds of a message that coroutines send through a bounded channel to one.
pub(crate) fn bounded_messages(bound: usize, senders: usize, count: usize) -> f64 {
    let (sender, receiver) = sync_channel(bound);
    let each = count / senders;
    for _ in 0..senders {
        let sender = sender.clone();
        spawn(move || (0..each).try_for_each(|n| sender.send(n)));
    }
    drop(sender);
    receive_all(receiver, each * senders)
}

/// The same through an unbounded channel.
pub(crate) fn unbounded_messages(senders: usize, count: usize) -> f64 {
    let (sender, receiver) = channel();
    let each = count / senders;
    for _ in 0..senders {
        let sender = sender.clone();
        spawn(move || (0..each).try_for_each(|n| sender.send(n)));
    }
    drop(sender);
    receive_all(receiver, each * senders)
}

/// The same through a queue; `None` is no bound, 0 a channel without room.
pub(crate) fn queue_messages(bound: Option<usize>, putters: usize, count: usize) -> f64 {
    macro_rules! pass {
        ($queue:expr) => {{
            let (queue, each) = (Rc::new($queue), count / putters);
            for _ in 0..putters {
                let queue = Rc::clone(&queue);
                spawn(move || (0..each).try_for_each(|n| queue.put(n)));
            }
            let total = each * putters;
            let getting = spawn(move || (0..total).all(|_| black_box(queue.get()).is_ok()));
            ns_each(total, || assert!(getting.join().expect("it does not panic")))
        }};
    }
    match bound {
        None => pass!(Queue::unbounded()),
        Some(0) => pass!(Channel::new()),
        Some(bound) => pass!(Queue::bounded(bound)),
    }
}

/// The same through a bounded queue that gives the smallest item first.
pub(crate) fn priority_messages(bound: usize, count: usize) -> f64 {
    let queue = Rc::new(PriorityQueue::bounded(bound));
    let putting = Rc::clone(&queue);
    spawn(move || (0..count).try_for_each(|n| putting.put(n)));
    let getting = spawn(move || (0..count).all(|_| black_box(queue.get()).is_ok()));
    ns_each(count, || assert!(getting.join().expect("it does not panic")))
}

fn receive_all(receiver: Receiver<usize>, count: usize) -> f64 {
    let receiving = spawn(move || receiver.iter().map(black_box).count());
    ns_each(count, || assert_eq!(receiving.join().expect("it does not panic"), count))
}

fn join_all(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        handle.join().expect("it does not panic");
    }
}
