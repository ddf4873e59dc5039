//! What other threads may touch of a hub: its inbox, its sleep, its end and its record's next
//! owner; and the tokens of `park`.

use std::sync::Arc;

use loom::thread;

use crate::hub;
use crate::hub::Hub;
use crate::hub::Mode;
use crate::hub::identity;
use crate::hub::identity::Thread;
use crate::hub::reason::Reason;
use crate::hub::shared::Message;
use crate::hub::task::NewTask;
use crate::models::explore;
use crate::models::tracked::Tracked;
use crate::scheduler::Outcome;
use crate::sys::clock::Deadline;

/// Waits for one wake, and reads what was sent.
fn receive(hub: &Hub) -> u32 {
    loop {
        if let Some(NewTask(value)) = hub.take_sent() {
            return value.read();
        }
        assert_eq!(hub.block(Deadline::NEVER, Reason::Park, Mode::Plain), Outcome::Woken);
    }
}

#[test]
fn a_hub_that_falls_asleep_hears_of_a_message() {
    explore(5, 30, || {
        let own = Hub::open();
        let (shared, first) = (own.shared(), own.shared().first_ticket());
        let sender = thread::spawn(move || {
            assert!(shared.post(first, Message::Spawn(NewTask(Tracked::new(7)))));
        });
        assert_eq!(receive(own), 7);
        sender.join().unwrap();
        own.end(None);
    });
}

#[test]
fn each_of_two_wakes_ends_a_sleep() {
    explore(2, 800, || {
        let own = Hub::open();
        let (shared, first) = (own.shared(), own.shared().first_ticket());
        let senders: Vec<_> = (0..2)
            .map(|_| {
                thread::spawn(move || {
                    assert!(shared.post(first, Message::Kill { slot: 0, id: 1 }));
                })
            })
            .collect();
        while own.kills() < 2 {
            own.block(Deadline::NEVER, Reason::Park, Mode::Plain);
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        own.end(None);
    });
}

/// What is sent to a hub that ends is read by it or refused, and dropped once in either case.
#[test]
fn a_message_meets_the_end_of_the_hub() {
    explore(5, 40, || {
        let own = Hub::open();
        let (shared, first) = (own.shared(), own.shared().first_ticket());
        let sender = thread::spawn(move || {
            let post = || shared.post(first, Message::Spawn(NewTask(Tracked::new(7))));
            let (before, after) = (post(), post());
            assert!(before || !after, "it was refused, and then it was not");
        });
        own.end(None);
        sender.join().unwrap();
        assert!(!shared.post(first, Message::Look), "it has ended");
    });
}

/// A late wake, for a hub that has ended, does not wake the one that has its record next.
#[test]
fn the_next_hub_of_a_record_is_not_woken_for_the_one_before() {
    explore(5, 40, || {
        let first = Hub::open();
        let (shared, late) = (first.shared(), first.ticket());
        let waker = thread::spawn(move || shared.post_wake(late));
        first.end(None);
        let second = Hub::open();
        assert!(std::ptr::eq(second.shared(), shared), "the record is used again");
        let outcome = second.block(Deadline::after(Default::default()), Reason::Park, Mode::Plain);
        assert_eq!(outcome, Outcome::TimedOut, "nobody has woken this one");
        waker.join().unwrap();
        second.end(None);
    });
}

/// Holders are counted, and the last makes the hub look.
#[test]
fn the_last_holder_to_go_wakes_the_hub() {
    explore(3, 200, || {
        let own = Hub::open();
        let (shared, first) = (own.shared(), own.shared().first_ticket());
        shared.add_holder(first);
        shared.add_holder(first);
        let holders: Vec<_> =
            (0..2).map(|_| thread::spawn(move || shared.remove_holder(first))).collect();
        // As the loop, which goes to sleep only while somebody could wake it.
        while shared.holders() > 0 {
            own.sleep_once();
        }
        holders.into_iter().for_each(|holder| holder.join().unwrap());
        own.end(None);
    });
}

/// Another thread, which changes a value and then unparks the one that waits.
fn unparker(own: &Thread, value: &Arc<Tracked>) -> thread::JoinHandle<()> {
    let (own, value) = (own.clone(), Arc::clone(value));
    thread::spawn(move || {
        value.add();
        own.unpark();
        drop(value);
    })
}

#[test]
fn a_token_carries_what_came_before() {
    explore(3, 70, || {
        let value = Arc::new(Tracked::new(0));
        let own = identity::current();
        let unparker = unparker(&own, &value);
        own.park(Deadline::NEVER);
        assert_eq!(value.read(), 1);
        unparker.join().unwrap();
    });
}

/// A token that meets the deadline of a park is used up by it, with all that it carries, or
/// kept for the next.
#[test]
fn a_token_meets_a_deadline() {
    explore(3, 800, || {
        let value = Arc::new(Tracked::new(0));
        let own = identity::current();
        let unparker = unparker(&own, &value);
        if own.park(Deadline::after(Default::default())) == Outcome::TimedOut {
            own.park(Deadline::after(Default::default()));
        }
        unparker.join().unwrap();
        assert_eq!(value.read(), 1);
    });
}

/// The same for the task of a hub, which is woken by a message.
#[test]
fn a_token_wakes_a_task() {
    explore(3, 20, || {
        let value = Arc::new(Tracked::new(0));
        let hub = Hub::open();
        let own = identity::current();
        let unparker = {
            let (own, value) = (own.clone(), Arc::clone(&value));
            thread::spawn(move || {
                assert!(hub::current().is_none());
                value.add();
                own.unpark();
                drop(value);
            })
        };
        own.park(Deadline::NEVER);
        assert_eq!(value.read(), 1);
        unparker.join().unwrap();
        hub.end(None);
    });
}
