//! Channels as std has them: the cases of std's own tests (library/std/tests/sync/mpsc.rs and
//! mpsc_sync.rs of Rust 1.95), written anew, between coroutines, OS threads without a hub, and
//! the hubs of two threads.

use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::rc::Rc;
use std::sync::mpsc as std_mpsc;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::JoinHandle;
use corovent::spawn;
use corovent::sync::mpsc::Receiver;
use corovent::sync::mpsc::RecvError;
use corovent::sync::mpsc::RecvTimeoutError;
use corovent::sync::mpsc::SendError;
use corovent::sync::mpsc::Sender;
use corovent::sync::mpsc::SyncSender;
use corovent::sync::mpsc::TryRecvError;
use corovent::sync::mpsc::TrySendError;
use corovent::sync::mpsc::channel;
use corovent::sync::mpsc::sync_channel;

use crate::support::Log;
use crate::support::passes;
use crate::support::resident_bytes;
use crate::support::run;

pub(crate) const SHORT: Duration = Duration::from_millis(3);
/// No bound, and those that matter.
const BOUNDS: [Option<usize>; 4] = [None, Some(0), Some(1), Some(3)];

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum World {
    /// Coroutines of the test's thread.
    Coroutines,
    /// OS threads without a hub.
    Threads,
    /// Coroutines of other threads.
    Hubs,
}

pub(crate) enum Handle<T> {
    Coroutine(JoinHandle<T>),
    Thread(os::JoinHandle<T>),
}

impl World {
    /// Runs a case in each world; the caller is a root, in the second one without a hub.
    pub(crate) fn each(case: fn(World)) {
        run(|| case(World::Coroutines));
        os::spawn(move || run(|| case(World::Threads))).join().unwrap();
        run(|| {
            spawn(|| ()).join().unwrap();
            case(World::Hubs);
        });
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Handle<T> {
        match self {
            World::Coroutines => Handle::Coroutine(spawn(f)),
            World::Threads => Handle::Thread(os::spawn(f)),
            World::Hubs => Handle::Thread(os::spawn(|| spawn(f).join().unwrap())),
        }
    }
}

impl<T> Handle<T> {
    pub(crate) fn join(self) -> T {
        match self {
            Handle::Coroutine(handle) => handle.join().unwrap(),
            Handle::Thread(handle) => handle.join().unwrap(),
        }
    }
}

/// A sender of either kind.
pub(crate) enum Either<T> {
    Unbounded(Sender<T>),
    Bounded(SyncSender<T>),
}

impl<T> Clone for Either<T> {
    fn clone(&self) -> Either<T> {
        match self {
            Either::Unbounded(sender) => Either::Unbounded(sender.clone()),
            Either::Bounded(sender) => Either::Bounded(sender.clone()),
        }
    }
}

impl<T> Either<T> {
    pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self {
            Either::Unbounded(sender) => sender.send(value),
            Either::Bounded(sender) => sender.send(value),
        }
    }
}

pub(crate) fn any_channel<T>(bound: Option<usize>) -> (Either<T>, Receiver<T>) {
    if let Some(bound) = bound {
        let (sender, receiver) = sync_channel(bound);
        return (Either::Bounded(sender), receiver);
    }
    let (sender, receiver) = channel();
    (Either::Unbounded(sender), receiver)
}

#[test]
fn values_of_each_sender_arrive_in_order() {
    const EACH: usize = 300;

    World::each(|world| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel(bound);
            let senders = (0..4).map(|id| {
                let sender = sender.clone();
                world.spawn(move || (0..EACH).for_each(|n| sender.send((id, n)).unwrap()))
            });
            let senders: Vec<_> = senders.collect();
            drop(sender);
            let mut next = [0; 4];
            for (id, n) in &receiver {
                assert_eq!(next[id], n, "{world:?} {bound:?}");
                next[id] += 1;
            }
            assert_eq!(next, [EACH; 4]);
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
            senders.into_iter().for_each(Handle::join);
        }
    });
}

#[test]
fn the_receiver_may_be_the_other() {
    World::each(|world| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel(bound);
            let received = world.spawn(move || receiver.into_iter().collect::<Vec<_>>());
            (0..100).for_each(|n| sender.send(Box::new(n)).unwrap());
            drop(sender);
            assert!(received.join().into_iter().map(|n| *n).eq(0..100));
        }
    });
}

/// Many rounds on a warm pair, back and forth.
#[test]
fn two_play_ping_pong() {
    World::each(|world| {
        for bound in BOUNDS {
            let ((ask, asked), (answer, answered)) = (any_channel(bound), any_channel(bound));
            let echo = world.spawn(move || {
                for n in asked {
                    answer.send(n).unwrap();
                }
            });
            for n in 0..500 {
                ask.send(n).unwrap();
                assert_eq!(answered.recv(), Ok(n));
            }
            drop(ask);
            echo.join();
        }
    });
}

#[test]
fn a_receiver_that_is_gone_gives_values_back() {
    World::each(|_| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel(bound);
            drop(receiver);
            assert_eq!(sender.clone().send("value"), Err(SendError("value")));
        }
        let (sender, receiver) = sync_channel(1);
        sender.send(1).unwrap();
        drop(receiver);
        assert_eq!(sender.try_send(2), Err(TrySendError::Disconnected(2)));
    });
}

#[test]
fn a_receiver_that_goes_wakes_blocked_senders_with_their_values() {
    World::each(|world| {
        for bound in [0, 1] {
            let (sender, receiver) = sync_channel(bound);
            (0..bound).for_each(|_| sender.send(Box::new(9)).unwrap());
            let (started, starts) = std_mpsc::channel();
            let blocked = [1, 2, 3].map(|n| {
                let (sender, started) = (sender.clone(), started.clone());
                world.spawn(move || {
                    started.send(()).unwrap();
                    sender.send(Box::new(n))
                })
            });
            if let World::Coroutines = world {
                corovent::yield_now();
            }
            (0..3).for_each(|_| starts.recv().unwrap());
            drop(receiver);
            let back = blocked.map(|sender| sender.join().unwrap_err().0);
            assert_eq!(back.map(|n| *n), [1, 2, 3]);
        }
    });
}

#[test]
fn the_last_sender_that_goes_ends_the_channel() {
    World::each(|world| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel::<u8>(bound);
            let other = sender.clone();
            drop(sender);
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            let last = world.spawn(move || drop(other));
            assert_eq!(receiver.recv(), Err(RecvError));
            last.join();
            assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Disconnected));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
            assert_eq!(receiver.iter().next(), None);
            assert_eq!(receiver.try_iter().next(), None);
        }
    });
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    World::each(|_| {
        for bound in [None, Some(3)] {
            let (sender, receiver) = any_channel(bound);
            (0..3).for_each(|n| sender.send(n).unwrap());
            drop(sender);
            assert_eq!(receiver.recv(), Ok(0));
            assert_eq!(receiver.recv_timeout(SHORT), Ok(1));
            assert_eq!(receiver.try_recv(), Ok(2));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        }
    });
}

#[test]
fn try_send_never_exceeds_the_bound() {
    World::each(|_| {
        for bound in [1, 2, 5] {
            let (sender, receiver) = sync_channel(bound);
            for round in 0..3 {
                (0..bound).for_each(|n| sender.try_send(n).unwrap());
                assert_eq!(sender.try_send(99), Err(TrySendError::Full(99)), "round {round}");
                assert_eq!(receiver.try_recv(), Ok(0));
                sender.try_send(bound).unwrap();
                assert!(receiver.try_iter().eq(1..=bound));
            }
        }
        let (sender, receiver) = sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)), "nobody waits");
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

/// The receiver of a rendezvous waits; a `try_send` finds it sooner or later.
#[test]
fn try_send_meets_a_receiver_that_waits() {
    World::each(|world| {
        let (sender, receiver) = sync_channel(0);
        let waits = world.spawn(move || (receiver.recv(), receiver.recv()));
        for n in [1, 2] {
            while sender.try_send(n).is_err() {
                corovent::yield_now();
            }
        }
        assert_eq!(waits.join(), (Ok(1), Ok(2)));
    });
}

/// gevent's scenario of a rendezvous: a send returns after the value is received only.
#[test]
fn a_rendezvous_returns_when_the_value_is_received() {
    World::each(|world| {
        let (sender, receiver) = sync_channel(0);
        let (sent, sends) = std_mpsc::channel();
        let sending = world.spawn(move || {
            for n in 0..3 {
                sender.send(n).unwrap();
                sent.send(n).unwrap();
            }
        });
        for n in 0..3 {
            for _ in 0..10 {
                corovent::yield_now();
            }
            assert!(sends.try_iter().all(|sent| sent < n), "{n} was not received yet");
            assert_eq!(receiver.recv(), Ok(n));
        }
        sending.join();
    });
}

#[test]
fn recv_timeout_is_never_early_and_gives_what_is_there() {
    World::each(|world| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel(bound);
            let start = Instant::now();
            assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            assert!(start.elapsed() >= SHORT);
            assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            let sending = world.spawn(move || sender.send(1));
            assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(1));
            sending.join().unwrap();
        }
    });
}

/// std's stress_recv_timeout_two_threads and its kin.
#[test]
fn short_timeouts_lose_nothing() {
    World::each(|world| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel(bound);
            let senders = [0, 1].map(|_| {
                let sender = sender.clone();
                world.spawn(move || (0..500).for_each(|n| sender.send(n).unwrap()))
            });
            drop(sender);
            let mut sum = 0;
            loop {
                match receiver.recv_timeout(Duration::from_micros(20)) {
                    Ok(n) => sum += n,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            assert_eq!(sum, 2 * (0..500).sum::<u64>());
            senders.into_iter().for_each(Handle::join);
        }
    });
}

#[test]
fn iterators_end_with_the_channel_or_with_the_break() {
    World::each(|world| {
        let (sender, receiver) = channel();
        let (result, results) = channel();
        let adding = world.spawn(move || {
            let mut sum = 0;
            for n in &receiver {
                sum += n;
                if sum == 6 {
                    break;
                }
            }
            result.send(sum).unwrap();
            result.send(receiver.iter().sum()).unwrap();
        });
        [1, 2, 3, 10, 20].iter().for_each(|n| sender.send(*n).unwrap());
        drop(sender);
        assert_eq!(results.into_iter().collect::<Vec<i32>>(), [6, 30]);
        adding.join();

        // std's test of `try_iter`: it takes what is there, and comes back for more.
        let (request, requests) = channel();
        let (response, responses) = channel();
        let answering = world.spawn(move || {
            while requests.recv() == Ok(()) {
                if response.send(2).is_err() {
                    return;
                }
            }
        });
        request.send(()).unwrap();
        let mut sum = 0;
        while sum < 6 {
            for n in responses.try_iter() {
                sum += n;
                request.send(()).unwrap();
                if sum == 6 {
                    break;
                }
            }
            corovent::yield_now();
        }
        assert_eq!(sum, 6);
        drop((request, responses));
        answering.join();
    });
}

#[test]
fn a_channel_for_each_value_is_as_good_as_one() {
    World::each(|world| {
        let count = 100;
        let (sender, receiver) = sync_channel(0);
        let senders: Vec<_> = (0..count)
            .map(|n| {
                let sender = sender.clone();
                world.spawn(move || sender.send(n).unwrap())
            })
            .collect();
        let mut got: Vec<_> = (0..count).map(|_| receiver.recv().unwrap()).collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..count));
        senders.into_iter().for_each(Handle::join);
    });
}

#[test]
fn ends_that_go_at_once_harm_nobody() {
    World::each(|world| {
        for bound in BOUNDS {
            for _ in 0..20 {
                let (sender, receiver) = any_channel(bound);
                let gone = world.spawn(move || drop(receiver));
                let sent = world.spawn(move || sender.send(Box::new(1)));
                gone.join();
                if let Err(SendError(value)) = sent.join() {
                    assert_eq!(*value, 1);
                }
                let (sender, receiver) = any_channel::<u8>(bound);
                let received = world.spawn(move || receiver.recv());
                drop(sender);
                assert_eq!(received.join(), Err(RecvError));
            }
        }
    });
}

/// Values that are no `Send` stay on their thread, as the ends do.
#[test]
fn the_receiver_drops_what_is_left_at_once_and_in_order() {
    run(|| {
        for bound in [None, Some(3)] {
            let (sender, receiver) = any_channel(bound);
            let log = Log::new();
            for word in ["a", "b", "c"] {
                assert!(sender.send(log.on_drop(word)).is_ok());
            }
            drop(receiver.recv().unwrap());
            drop(receiver);
            assert_eq!(log.text(), "a b c");
            drop(sender.send(log.on_drop("d")));
            assert_eq!(log.text(), "a b c d");

            let (sender, receiver) = any_channel(bound);
            let value = Rc::new(());
            sender.send(Rc::clone(&value)).unwrap();
            drop(sender);
            assert_eq!(Rc::strong_count(&value), 2, "the receiver is there");
            drop(receiver);
            assert_eq!(Rc::strong_count(&value), 1);
        }
    });
}

#[test]
fn large_and_empty_values_pass() {
    World::each(|world| {
        for bound in BOUNDS {
            let (sender, receiver) = any_channel(bound);
            let sending =
                world.spawn(move || (0..100).for_each(|n| sender.send([n; 500]).unwrap()));
            assert!(receiver.iter().zip(0..).all(|(value, n)| value == [n; 500]));
            sending.join();
            let (sender, receiver) = any_channel(bound);
            let sending = world.spawn(move || (0..100).for_each(|_| sender.send(()).unwrap()));
            assert_eq!(receiver.iter().count(), 100);
            sending.join();
        }
    });
    // It takes no room, so there is enough.
    let (sender, receiver) = sync_channel(usize::MAX);
    sender.try_send(()).unwrap();
    assert_eq!(receiver.try_recv(), Ok(()));
}

#[test]
#[should_panic(expected = "capacity overflow")]
fn a_bound_beyond_all_memory_is_refused() {
    let _ = sync_channel::<u64>(usize::MAX);
}

#[test]
fn a_million_values_give_their_memory_back() {
    passes("channels::child_gives_the_memory_of_a_million_values_back");
}

#[test]
#[ignore = "runs in a process of its own, whose memory nobody else uses"]
fn child_gives_the_memory_of_a_million_values_back() {
    run(|| {
        let (sender, receiver) = channel();
        let before = resident_bytes();
        for n in 0..1_000_000_u64 {
            sender.send([n; 8]).unwrap();
        }
        assert!(resident_bytes() > before + 60_000_000);
        assert!(receiver.try_iter().zip(0..).all(|(value, n)| value == [n; 8]));
        // The allocator keeps what is free between what is not.
        // SAFETY: it has no preconditions.
        unsafe { libc::malloc_trim(0) };
        assert!(resident_bytes() < before + 30_000_000, "the channel keeps two blocks");
        sender.send([7; 8]).unwrap();
        assert_eq!(receiver.recv(), Ok([7; 8]));
    });
}

#[test]
fn the_ends_say_and_are_what_stds_are() {
    fn can<T: Unpin + UnwindSafe + RefUnwindSafe>(_: &T) {}
    fn can_be_sent<T: Send>(_: &T) {}
    fn can_be_shared<T: Sync>(_: &T) {}

    let (ours, stds) = (channel::<Vec<u8>>(), std_mpsc::channel::<Vec<u8>>());
    let (bounded, stds_bounded) =
        (sync_channel::<Vec<u8>>(1), std_mpsc::sync_channel::<Vec<u8>>(1));
    assert_eq!(format!("{:?} {:#?}", ours.0, ours.1), format!("{:?} {:#?}", stds.0, stds.1));
    assert_eq!(format!("{:?}", bounded.0), format!("{:?}", stds_bounded.0));
    assert_eq!(format!("{:?}", ours.1.iter()), format!("{:?}", stds.1.iter()));
    can_be_sent(&ours);
    can_be_sent(&bounded);
    can_be_shared(&ours.0);
    can_be_shared(&bounded.0);
    can(&channel::<Rc<std::cell::Cell<u8>>>());
    can(&sync_channel::<Rc<std::cell::Cell<u8>>>(1));
    // The errors are std's, so they convert as std's.
    assert_eq!(TryRecvError::from(RecvError), std_mpsc::TryRecvError::Disconnected);
}
