//! Waiting for one of several things: what is there first, and that nothing is lost by it.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc as std_mpsc;
use std::thread as os;
use std::time::Duration;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::catch_unwind;
use corovent::queue::Channel;
use corovent::queue::PutError;
use corovent::queue::Queue;
use corovent::queue::TryGetError;
use corovent::scope;
use corovent::select;
use corovent::select::Selectable;
use corovent::select::select;
use corovent::select::select_timeout;
use corovent::select::try_select;
use corovent::spawn;
use corovent::sync::AsyncResult;
use corovent::sync::Event;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::TryRecvError;
use corovent::sync::mpsc::channel;
use corovent::sync::mpsc::sync_channel;
use corovent::thread::park;
use corovent::timeout;
use corovent::yield_now;

use crate::support::is_message;
use crate::support::run;
use crate::support::until_quiet;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn what_is_there_first_ends_the_wait() {
    run(|| {
        let (first, second) = (channel(), sync_channel(1));
        let task = spawn(park);
        let things: [&dyn Selectable; 3] = [&first.1, &second.1, &task];
        assert_eq!(try_select(&things), None);
        assert_eq!(select_timeout(&things, SHORT), None);
        let sender = second.0.clone();
        spawn(move || sender.send(7).unwrap());
        assert_eq!(select(&things), 1);
        assert_eq!(try_select(&things), Some(1), "nothing was taken");
        assert_eq!(second.1.recv(), Ok(7));
        let sender = first.0.clone();
        spawn(move || sender.send('a').unwrap());
        assert_eq!(select_timeout(&things, LONG), Some(0));
        assert_eq!(first.1.recv(), Ok('a'));
        task.thread().unpark();
        assert_eq!(select(&things), 2);
        task.join().unwrap();
    });
}

#[test]
fn an_end_is_ready() {
    run(|| {
        let (sender, receiver) = channel::<()>();
        spawn(move || drop(sender));
        assert_eq!(select(&[&receiver]), 0);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        // Also of one that was killed, or panicked, and of one in a scope.
        let task = spawn(park);
        until_quiet();
        task.kill();
        assert_eq!(select(&[&task]), 0);
        assert!(was_killed(task));
        scope(|scope| {
            let task = scope.spawn(|| 5);
            assert_eq!(select(&[&task]), 0);
            assert_eq!(task.join().unwrap(), 5);
        });
    });
}

#[test]
fn of_several_that_are_ready_none_is_always_the_first() {
    run(|| {
        let channels: Vec<_> = (0..3).map(|_| channel()).collect();
        channels.iter().for_each(|(sender, _)| sender.send(()).unwrap());
        let things: Vec<&dyn Selectable> =
            channels.iter().map(|(_, receiver)| receiver as &dyn Selectable).collect();
        let mut counts = [0; 3];
        (0..600).for_each(|_| counts[select(&things)] += 1);
        assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
    });
}

#[test]
fn a_select_that_is_always_ready_lets_others_run() {
    run(|| {
        let (sender, receiver) = channel();
        sender.send(()).unwrap();
        let other = spawn(|| ());
        while !other.is_finished() {
            assert_eq!(select(&[&receiver]), 0);
        }
        other.join().unwrap();
    });
}

#[test]
fn one_that_is_killed_passes_its_wake_on() {
    run(|| {
        for sends_first in [false, true] {
            let (sender, receiver) = channel();
            let other: (_, Receiver<()>) = channel();
            scope(|scope| {
                let selecting = scope.spawn(|| select(&[&other.1, &receiver]));
                let behind = scope.spawn(|| {
                    assert_eq!(select(&[&receiver]), 0);
                    receiver.recv()
                });
                until_quiet();
                if sends_first {
                    sender.send(7).unwrap();
                }
                selecting.kill();
                if !sends_first {
                    sender.send(7).unwrap();
                }
                assert_eq!(behind.join().unwrap(), Ok(7));
                let result = selecting.join();
                assert_eq!(result.is_ok(), sends_first, "who is ready is not interrupted");
            });
            assert_eq!(try_select(&[&receiver]), None);
        }
    });
}

/// One that selects does not take, so the next in line has to be told as well.
#[test]
fn what_a_select_leaves_another_takes() {
    run(|| {
        let (sender, receiver) = channel();
        scope(|scope| {
            let selecting = scope.spawn(|| select(&[&receiver]));
            let second = scope.spawn(|| select(&[&receiver]));
            until_quiet();
            sender.send(()).unwrap();
            assert_eq!(selecting.join().unwrap(), 0);
            assert_eq!(second.join().unwrap(), 0);
        });
        let second: (_, Receiver<()>) = channel();
        scope(|scope| {
            receiver.recv().unwrap();
            let selecting = scope.spawn(|| select(&[&receiver, &second.1]));
            let receiving = scope.spawn(|| receiver.recv().unwrap());
            until_quiet();
            // Both lists wake it, and it can leave with one only.
            sender.send(()).unwrap();
            second.0.send(()).unwrap();
            selecting.join().unwrap();
            receiving.join().unwrap();
        });
    });
}

#[test]
fn a_timeout_around_it_is_not_lost_and_leaves_nothing() {
    run(|| {
        let (sender, receiver) = sync_channel(0);
        let task = spawn(park);
        assert_eq!(timeout(SHORT, || select(&[&receiver, &task])), Err(Elapsed));
        assert_eq!(timeout(SHORT, || select_timeout(&[&receiver, &task], LONG)), Err(Elapsed));
        assert_eq!(timeout(LONG, || select_timeout(&[&receiver, &task], SHORT)), Ok(None));
        let sending = spawn(move || sender.send(1));
        until_quiet();
        assert_eq!(receiver.recv(), Ok(1));
        sending.join().unwrap().unwrap();
        task.thread().unpark();
        task.join().unwrap();
    });
}

#[test]
fn at_a_rendezvous_the_sender_waits_until_it_is_taken() {
    run(|| {
        let (sender, receiver) = sync_channel(0);
        let sent = spawn(move || sender.send(3));
        assert_eq!(select(&[&receiver]), 0);
        assert!(!sent.is_finished());
        assert_eq!(receiver.try_recv(), Ok(3));
        sent.join().unwrap().unwrap();
        // It comes while the select waits.
        let (sender, receiver) = sync_channel(0);
        let sent = spawn(move || {
            assert!(sender.try_send(4).is_err(), "a select is no receiver");
            sender.send(4)
        });
        assert_eq!(select(&[&receiver]), 0);
        assert_eq!(receiver.try_recv(), Ok(4));
        sent.join().unwrap().unwrap();
    });
}

#[test]
fn what_can_never_be_is_refused() {
    run(|| {
        let (sender, receiver) = channel();
        let task = spawn(move || {
            let own: JoinHandle<()> = receiver.recv().unwrap();
            let payload = catch_unwind(AssertUnwindSafe(|| select(&[&own]))).unwrap_err();
            assert!(is_message(&*payload, "a coroutine cannot wait for its own end"));
        });
        sender.send(task).unwrap();
        until_quiet();
        let payload = catch_unwind(|| select(&[])).unwrap_err();
        assert!(is_message(&*payload, "a select of nothing would never end"));
        assert_eq!(select_timeout(&[], SHORT), None);
    });
}

#[test]
fn a_thread_without_a_hub_selects() {
    run(|| {
        let (sender, receiver) = channel();
        let task = spawn(park);
        let thread = task.thread().clone();
        let (told, is_told) = std_mpsc::channel();
        let other = os::spawn(move || {
            assert_eq!(select_timeout(&[&task, &receiver], SHORT), None);
            told.send(()).unwrap();
            assert_eq!(select(&[&task, &receiver]), 1);
            assert_eq!(receiver.recv(), Ok(5));
            told.send(()).unwrap();
            assert_eq!(select(&[&task, &receiver]), 0);
            task.join().unwrap();
        });
        is_told.recv().unwrap();
        sender.send(5).unwrap();
        is_told.recv().unwrap();
        thread.unpark();
        while !other.is_finished() {
            yield_now();
        }
        other.join().unwrap();
    });
}

/// Two channels whose senders are other threads, and every message arrives.
#[test]
fn threads_send_into_a_select() {
    const EACH: usize = 2000;

    run(|| {
        let received = AtomicUsize::new(0);
        for bound in [0, 1, 64] {
            let channels: Vec<_> = (0..2).map(|_| sync_channel::<usize>(bound)).collect();
            let mut threads = Vec::new();
            for (sender, _) in &channels {
                for _ in 0..2 {
                    let sender = sender.clone();
                    let send = move || (0..EACH).for_each(|n| sender.send(n).unwrap());
                    threads.push(os::spawn(send));
                }
            }
            let receivers: Vec<_> = channels.into_iter().map(|(_, receiver)| receiver).collect();
            let things: Vec<&dyn Selectable> =
                receivers.iter().map(|receiver| receiver as &dyn Selectable).collect();
            scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let mut ends = [false; 2];
                        while ends.contains(&false) {
                            let index = select(&things);
                            match receivers[index].try_recv() {
                                Ok(_) => drop(received.fetch_add(1, Ordering::Relaxed)),
                                Err(TryRecvError::Empty) => {}
                                Err(TryRecvError::Disconnected) => ends[index] = true,
                            }
                        }
                    });
                }
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(received.swap(0, Ordering::Relaxed), 4 * EACH, "bound {bound}");
        }
    });
}

#[test]
fn a_line_may_name_anything_or_nothing() {
    run(|| {
        let queue = Arc::new(Queue::unbounded());
        let (sender, receiver) = channel();
        queue.put(1).unwrap();
        let got = select! {
            mut item = get(&*queue) => {
                item = item.map(|item| item + 1);
                item
            }
            recv(&receiver) => Ok(0),
        };
        assert_eq!(got, Ok(2));
        sender.send((3, 4)).unwrap();
        let got = select! {
            get(&*queue) => 0,
            pair @ (Ok(_) | Err(_)) = recv(&receiver) => pair.map_or(0, |(a, b)| a + b),
        };
        assert_eq!(got, 7);
    });
}

#[test]
fn the_macro_does_one_of_its_branches() {
    run(|| {
        let (queue, meeting) = (Queue::bounded(1), Channel::<char>::new());
        let (sender, receiver) = channel();
        let task = spawn(park);
        let mut item = Some(1);
        let word = select! {
            _ = get(&meeting) => "get",
            result = put(&queue, &mut item) => {
                result.unwrap();
                "put"
            }
            value = recv(&receiver) => { value.unwrap() }
            join(&task) => "join",
            after(LONG) => "after",
        };
        assert_eq!((word, item, queue.get()), ("put", None, Ok(1)));
        queue.put(2).unwrap();
        sender.send("recv").unwrap();
        for expected in ["recv", "default"] {
            let mut item = Some(3);
            let word = select! {
                _ = get(&meeting) => "get",
                result = put(&queue, &mut item) => result.map_or("", |()| "put"),
                value = recv(&receiver) => value.unwrap(),
                join(&task) => "join",
                default => "default"
            };
            assert_eq!((word, item), (expected, Some(3)));
        }
        let short = select! {
            _ = get(&meeting) => false,
            join(&task) => false,
            after(SHORT) => true,
        };
        assert!(short);
        task.thread().unpark();
        select! { join(&task) => {} }
        task.join().unwrap();
        queue.close();
        let mut item = Some(4);
        let closed = select! { result = put(&queue, &mut item) => result };
        assert_eq!((closed, item), (Err(PutError(4)), None));
    });
}

/// Both sides of a channel may select, also at once, and also those that offer several items.
#[test]
fn selects_meet_in_channels() {
    run(|| {
        let (first, second) = (Channel::new(), Channel::new());
        let silent = Channel::<()>::new();
        for getter_is_first in [false, true] {
            scope(|scope| {
                let put = || {
                    let (mut a, mut b) = (Some('a'), Some('b'));
                    select! {
                        result = put(&first, &mut a) => result.unwrap(),
                        result = put(&second, &mut b) => result.unwrap(),
                        _ = get(&silent) => unreachable!("nobody puts"),
                    }
                    assert!(a.is_some() != b.is_some(), "one of them was taken");
                    a.is_none()
                };
                let get = || {
                    select! {
                        item = get(&first) => assert_eq!(item, Ok('a')),
                        item = get(&second) => assert_eq!(item, Ok('b')),
                        _ = get(&silent) => unreachable!("nobody puts"),
                    }
                };
                let earlier = getter_is_first.then(|| scope.spawn(get));
                until_quiet();
                let putter = scope.spawn(put);
                until_quiet();
                let later = (!getter_is_first).then(|| scope.spawn(get));
                putter.join().unwrap();
                earlier.or(later).unwrap().join().unwrap();
            });
            assert_eq!((first.try_get(), second.try_get()), (EMPTY, EMPTY));
        }
    });
}

const EMPTY: Result<char, TryGetError> = Err(TryGetError::Empty);

/// One that puts into a channel and takes from it is not its own partner.
#[test]
fn nobody_meets_himself() {
    run(|| {
        let channel = Channel::new();
        let both = || {
            let mut item = Some(1);
            select! {
                got = get(&channel) => Some(got.unwrap()),
                result = put(&channel, &mut item) => result.map(|()| None).unwrap(),
                after(SHORT) => Some(0),
            }
        };
        assert_eq!(both(), Some(0));
        // Two of them meet, and each has one role.
        scope(|scope| {
            let both = || {
                let mut item = Some(1);
                select! {
                    got = get(&channel) => got.unwrap(),
                    result = put(&channel, &mut item) => result.map(|()| 0).unwrap(),
                }
            };
            let (one, other) = (scope.spawn(both), scope.spawn(both));
            assert_eq!(one.join().unwrap() + other.join().unwrap(), 1);
        });
        scope(|scope| {
            let selecting = scope.spawn(both);
            until_quiet();
            channel.put(7).unwrap();
            assert_eq!(selecting.join().unwrap(), Some(7));
        });
    });
}

#[test]
fn what_is_not_put_in_stays_where_it_was() {
    run(|| {
        let queue = Queue::bounded(1);
        queue.put(0).unwrap();
        let item = std::cell::RefCell::new(Some(1));
        scope(|scope| {
            let putter = scope.spawn(|| {
                let mut item = item.borrow_mut();
                select! { result = put(&queue, &mut item) => result.unwrap() }
            });
            until_quiet();
            assert!(putter.kill());
            assert!(putter.join().is_err());
        });
        assert_eq!(item.take(), Some(1));
        let mut item = Some(2);
        select! {
            _ = put(&queue, &mut item) => unreachable!("there is no room"),
            after(SHORT) => {}
        }
        assert_eq!((item, queue.get(), queue.len()), (Some(2), Ok(0), 0));
        // It waits in line like others, and is killed when its item is in.
        queue.put(0).unwrap();
        scope(|scope| {
            let putter = scope.spawn(|| {
                let mut item = Some(3);
                select! { result = put(&queue, &mut item) => result.unwrap() }
                item
            });
            let behind = scope.spawn(|| queue.put(4));
            until_quiet();
            assert_eq!(queue.get(), Ok(0));
            putter.kill();
            assert_eq!(putter.join().unwrap(), None);
            assert!(queue.iter().take(2).eq([3, 4]));
            behind.join().unwrap().unwrap();
        });
    });
}

/// Two queues with little room, and those who put into and take from whichever lets them.
#[test]
fn selects_of_hubs_and_threads_lose_nothing() {
    const EACH: usize = 1500;

    run(|| {
        let channels = Arc::new((Channel::new(), Queue::bounded(2)));
        let total = Arc::new(AtomicUsize::new(0));
        let putters: Vec<_> = (0..4)
            .map(|id| {
                let channels = Arc::clone(&channels);
                let work = move || {
                    for n in 0..EACH {
                        let (mut one, mut other) = (Some(n), Some(n));
                        select! {
                            result = put(&channels.0, &mut one) => result.unwrap(),
                            result = put(&channels.1, &mut other) => result.unwrap(),
                        }
                        assert!(one.is_some() != other.is_some());
                    }
                };
                os::spawn(move || if id < 2 { work() } else { spawn(work).join().unwrap() })
            })
            .collect();
        let getters: Vec<_> = (0..4)
            .map(|id| {
                let (channels, total) = (Arc::clone(&channels), Arc::clone(&total));
                let work = move || loop {
                    let item = select! {
                        item = get(&channels.0) => item,
                        item = get(&channels.1) => item,
                    };
                    let Ok(item) = item else { break };
                    total.fetch_add(item + 1, Ordering::Relaxed);
                };
                os::spawn(move || if id < 2 { work() } else { spawn(work).join().unwrap() })
            })
            .collect();
        putters.into_iter().for_each(|thread| thread.join().unwrap());
        // What is left in the queue is taken first.
        while !channels.1.is_empty() {
            until_quiet();
        }
        channels.0.close();
        channels.1.close();
        getters.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(total.load(Ordering::Relaxed), 4 * EACH * (EACH + 1) / 2);
    });
}

/// A wake of one of several things was given to one whose thread has ended, or that was given up:
/// whoever waits for those things looks again.
#[test]
fn one_that_will_never_run_again_takes_no_wake_along() {
    run(|| {
        for _ in 0..20 {
            let things = Arc::new((Queue::<u8>::unbounded(), Channel::<u8>::new()));
            let lost = Arc::clone(&things);
            os::spawn(move || {
                let own = Arc::clone(&lost);
                drop(spawn(move || select(&[&own.1, &own.0])));
                until_quiet();
                // It is woken, and does not run.
                lost.0.put(1).unwrap();
            })
            .join()
            .unwrap();
            assert_eq!(select_timeout(&[&things.0, &things.1], LONG), Some(0));
            assert_eq!(things.0.get(), Ok(1));
            // It is in the lists still, or its thread ends after the wake was sent.
            let (lost, (told, is_told)) = (Arc::clone(&things), std_mpsc::channel());
            let thread = os::spawn(move || {
                drop(spawn(move || select(&[&lost.1, &lost.0])));
                until_quiet();
                told.send(()).unwrap();
            });
            is_told.recv().unwrap();
            let waiting = Arc::clone(&things);
            let task = spawn(move || {
                let item = select! {
                    item = get(&waiting.1) => item,
                    item = get(&waiting.0) => item,
                };
                item.unwrap()
            });
            until_quiet();
            things.0.put(2).unwrap();
            assert_eq!(task.join().unwrap(), 2);
            thread.join().unwrap();
        }
    });
}

#[test]
fn an_event_that_was_set_has_happened() {
    run(|| {
        let (event, result) = (Event::new(), AsyncResult::<u8>::new());
        let silent = Channel::<()>::new();
        scope(|scope| {
            let known = scope.spawn(|| select(&[&silent, &event]));
            let taken = scope.spawn(|| {
                select! {
                    _ = get(&silent) => "nobody",
                    wait(&event) => "event",
                    wait(&result) => "result",
                }
            });
            until_quiet();
            // Taken back before they run.
            event.set();
            event.clear();
            assert_eq!((known.join().unwrap(), taken.join().unwrap()), (1, "event"));
            assert_eq!(try_select(&[&event, &result]), None);
            let later = scope.spawn(|| select(&[&event, &result]));
            until_quiet();
            result.set(3).unwrap();
            assert_eq!(later.join().unwrap(), 1);
            assert_eq!(result.try_get().unwrap().unwrap(), &3);
        });
    });
}

/// An item may be taken while its owner, who was woken for something else in vain, is about to
/// wait again.
#[test]
fn an_offer_may_be_taken_between_two_waits() {
    const EACH: usize = 2000;

    run(|| {
        let things = Arc::new((Channel::new(), Queue::unbounded()));
        let (own, count) = (Arc::clone(&things), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&count);
        let putter = os::spawn(move || {
            spawn(move || {
                for n in 0..EACH {
                    let mut item = Some(n);
                    while item.is_some() {
                        select! {
                            result = put(&own.0, &mut item) => result.unwrap(),
                            _ = get(&own.1) => {}
                        }
                    }
                    counter.store(n + 1, Ordering::Relaxed);
                }
            })
            .join()
            .unwrap();
        });
        let mut round = 0;
        for taken in 0..EACH {
            // Nobody wakes it once its item is taken, but for that.
            while count.load(Ordering::Relaxed) < taken {
                os::yield_now();
            }
            'rounds: loop {
                round += 1;
                things.1.put(()).unwrap();
                let _ = things.1.try_get();
                for _ in 0..round % 64 {
                    if let Ok(item) = things.0.try_get() {
                        assert_eq!(item, taken);
                        break 'rounds;
                    }
                }
            }
        }
        putter.join().unwrap();
    });
}

/// One that offers an item to a channel and takes from it sees those who stand behind it.
#[test]
fn an_offer_hides_nobody() {
    const EACH: usize = 3000;

    run(|| {
        let channel = Arc::new(Channel::new());
        let other = Arc::clone(&channel);
        let putter = os::spawn(move || (0..EACH).for_each(|n| other.put(n).unwrap()));
        for n in 0..EACH {
            let mut item = Some(n);
            select! {
                _ = put(&*channel, &mut item) => unreachable!("nobody gets"),
                item = get(&*channel) => assert_eq!(item, Ok(n)),
            }
        }
        putter.join().unwrap();
    });
}

#[test]
fn what_the_macro_is_given_lives_until_the_wait_is_over() {
    run(|| {
        let queue = RefCell::new(Queue::from_iter(1..=3));
        let got = select! { item = get(&*queue.borrow()) => item };
        assert_eq!(got, Ok(1));
        // and no longer.
        select! {
            item = get(&*queue.borrow()) => *queue.borrow_mut() = Queue::from_iter([item.unwrap()]),
            after(Duration::ZERO) => unreachable!("it is ready"),
        }
        assert_eq!(queue.borrow().get(), Ok(2));
    });
}

#[test]
fn one_without_patience_lets_others_run() {
    run(|| {
        let silent = Channel::<()>::new();
        let task = spawn(|| ());
        let mut rounds = 0;
        while !task.is_finished() {
            select! {
                _ = get(&silent) => unreachable!("nobody puts"),
                after(Duration::ZERO) => rounds += 1,
            }
            assert!(rounds < 10_000);
        }
        task.join().unwrap();
    });
}
