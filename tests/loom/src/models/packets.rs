//! The two sides of a packet: who sees the result, who drops it, and who frees the packet.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use loom::thread;

use crate::error::Abandoned;
use crate::hub::Hub;
use crate::hub::task::Body;
use crate::join::JoinHandle;
use crate::join::wait_for_fate;
use crate::models::explore;
use crate::models::tracked::Tracked;
use crate::packet::Birth;
use crate::packet::Outcome;
use crate::packet::links::Chain;
use crate::packet::links::Link;
use crate::packet::new_packet;
use crate::sys::clock::Deadline;

/// A coroutine of this thread's hub that returns a value, and the handle of it.
fn coroutine(hub: &Hub) -> (Body, JoinHandle<Tracked>) {
    let given = Tracked::new(1);
    coroutine_of(hub, move || Tracked::new(given.read() + 1))
}

/// The same with a closure of its own.
fn coroutine_of<T>(hub: &Hub, closure: impl FnOnce() -> T) -> (Body, JoinHandle<T>) {
    let (shared, number) = (hub.shared(), hub.shared().first_ticket());
    let birth = Birth { id: 1, name: None, hub: shared, hub_number: number, observer: None };
    // SAFETY: nothing is borrowed.
    let (body, side) = unsafe { new_packet(birth, closure) };
    // SAFETY: the task has not run.
    unsafe { (body.calls.placed)(body.data, 0) };
    (body, JoinHandle { side })
}

/// What the hub does with a coroutine, from its first run to its end.
fn run(body: Body) {
    // SAFETY: it is run once, and not used afterwards.
    unsafe { (body.calls.run)(body.data, 0, false) };
}

#[test]
fn a_result_is_seen_by_who_joins() {
    explore(5, 70, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let joiner = thread::spawn(move || handle.join().unwrap().read());
        run(body);
        assert_eq!(joiner.join().unwrap(), 2);
        hub.end(None);
    });
}

#[test]
fn a_result_of_a_dropped_handle_is_dropped_once() {
    explore(5, 5, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let dropper = thread::spawn(move || drop(handle));
        run(body);
        dropper.join().unwrap();
        hub.end(None);
    });
}

#[test]
fn a_join_that_gives_up_meets_the_end() {
    explore(5, 200, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let joiner = thread::spawn(move || match handle.join_timeout(Duration::ZERO) {
            Ok(result) => assert_eq!(result.unwrap().read(), 2),
            Err(handle) => drop(handle),
        });
        run(body);
        joiner.join().unwrap();
        hub.end(None);
    });
}

#[test]
fn a_joiner_learns_that_the_hub_has_ended() {
    explore(5, 150, || {
        let hub = Hub::open();
        // The closure is leaked, so it has nothing of ours.
        let (body, handle) = coroutine_of(hub, || ());
        let joiner = thread::spawn(move || {
            assert!(handle.join().is_err_and(|payload| payload.is::<Abandoned>()));
        });
        // SAFETY: the task never goes on, and its body is not used afterwards.
        unsafe { (body.calls.abandon)(body.data) };
        hub.end(None);
        joiner.join().unwrap();
    });
}

/// A kill from another thread meets the moment at which the task gets its slot.
#[test]
fn an_early_kill_is_not_lost() {
    explore(5, 150, || {
        let hub = Hub::open();
        let given = Tracked::new(1);
        let (shared, number) = (hub.shared(), hub.shared().first_ticket());
        let birth = Birth { id: 1, name: None, hub: shared, hub_number: number, observer: None };
        // SAFETY: nothing is borrowed.
        let (body, side) = unsafe { new_packet(birth, move || drop(given)) };
        let killer = thread::spawn(move || assert!(JoinHandle { side }.kill()));
        // SAFETY: the task has not run.
        unsafe { (body.calls.placed)(body.data, 0) };
        while hub.kills() == 0 {
            hub.sleep_once();
        }
        killer.join().unwrap();
        run(body);
        hub.end(None);
    });
}

/// Who waits for a kill, through a shared handle, sees the end.
#[test]
fn a_watcher_sees_the_end() {
    explore(3, 2000, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let handle = Arc::new(handle);
        let watcher = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || {
                handle.kill_timeout(Duration::MAX);
                assert!(handle.is_finished());
            })
        };
        run(body);
        watcher.join().unwrap();
        let handle = Arc::into_inner(handle).unwrap();
        assert_eq!(handle.join().unwrap().read(), 2);
        hub.end(None);
    });
}

/// Who waits for a kill learns that it was swallowed: the box that it waits in is made before or
/// after the one who swallows looks for it.
#[test]
fn a_watcher_learns_that_a_kill_was_swallowed() {
    explore(4, 100, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let watcher = thread::spawn(move || {
            assert!(!handle.kill_timeout(Duration::MAX));
            handle
        });
        while hub.kills() == 0 {
            hub.sleep_once();
        }
        // SAFETY: the task has not ended.
        unsafe { (body.calls.kill_ignored)(body.data) };
        let handle = watcher.join().unwrap();
        run(body);
        assert_eq!(handle.join().unwrap().read(), 2);
        hub.end(None);
    });
}

/// Two that share a handle make the box that both wait in, and both see the end.
#[test]
fn watchers_that_come_at_once_see_the_end() {
    explore(2, 1000, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let handle = Arc::new(handle);
        let watchers = [(); 2].map(|()| {
            let handle = Arc::clone(&handle);
            thread::spawn(move || {
                assert!(wait_for_fate(handle.side.head(), Deadline::NEVER));
                ptr::from_ref(handle.thread()).addr()
            })
        });
        run(body);
        let [one, other] = watchers.map(|watcher| watcher.join().unwrap());
        assert_eq!(one, other);
        let handle = Arc::into_inner(handle).unwrap();
        assert_eq!(handle.join().unwrap().read(), 2);
        hub.end(None);
    });
}

/// A handle is joined in vain on one thread, and then on another, while the coroutine ends.
#[test]
fn a_join_that_gives_up_is_followed_by_one_of_another_thread() {
    explore(5, 80, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        let first = thread::spawn(move || match handle.join_timeout(Duration::ZERO) {
            Ok(result) => assert_eq!(result.unwrap().read(), 2),
            Err(handle) => {
                let second = thread::spawn(move || handle.join().unwrap().read());
                assert_eq!(second.join().unwrap(), 2);
            }
        });
        run(body);
        first.join().unwrap();
        hub.end(None);
    });
}

/// A link that comes while the coroutine ends is told once, or given back.
#[test]
fn a_link_meets_the_end() {
    struct Told {
        next: Chain,
        value: Tracked,
        told: Arc<AtomicU32>,
    }

    impl Link for Told {
        fn next(&mut self) -> &mut Chain {
            &mut self.next
        }

        fn peek_next(&self) -> &Chain {
            &self.next
        }

        fn ended(self: Box<Self>, outcome: Outcome) {
            assert_eq!(outcome, Outcome::Returned);
            self.value.add();
            self.told.fetch_add(1, Ordering::Relaxed);
        }

        fn owner(&self) -> usize {
            1
        }
    }

    explore(5, 100, || {
        let hub = Hub::open();
        let (body, handle) = coroutine(hub);
        // The checker knows nothing of it, or it would order what it counts.
        let told = Arc::new(AtomicU32::new(0));
        let link = Told { next: None, value: Tracked::new(5), told: Arc::clone(&told) };
        let linker = thread::spawn(move || {
            let given_back = handle.side.head().add_link(Box::new(link)).is_err();
            assert_eq!(handle.join().unwrap().read(), 2);
            given_back
        });
        run(body);
        let given_back = linker.join().unwrap();
        assert_eq!(told.load(Ordering::Relaxed), u32::from(!given_back));
        hub.end(None);
    });
}
