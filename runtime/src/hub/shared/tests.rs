//! The inbox and the record of a hub, without a hub: all of it runs under Miri.

use std::num::NonZeroU64;
use std::thread;

use super::*;

/// A record of its own list: other tests of this process have hubs that write to all.
pub(crate) fn open_alone() -> SharedRecord {
    static ALONE: Records<Shared> = Records::new();

    let record = ALONE.claim(Shared::new);
    record.inbox.top.store(ptr::null_mut(), Ordering::Release);
    record
}

fn ticket(number: u64) -> Ticket {
    Ticket { slot: 1, number: NonZeroU64::new(number).unwrap() }
}

fn note(fd: RawFd) -> Message {
    Message::Forget { fd, id: 0 }
}

fn numbers(messages: Messages) -> Vec<RawFd> {
    let number = |message| match message {
        Message::Forget { fd, .. } => fd,
        _ => unreachable!("only notes were sent"),
    };
    messages.map(number).collect()
}

#[test]
fn messages_are_read_in_the_order_in_which_they_came() {
    let hub = open_alone();
    let first_ticket = hub.first_ticket();
    assert!(!hub.has_messages());
    assert!((0..5).all(|n| hub.post(first_ticket, note(n))));
    assert!(hub.has_messages());
    assert_eq!(numbers(hub.take_messages()), [0, 1, 2, 3, 4]);
    assert!(!hub.has_messages());
    assert!(hub.post(first_ticket, note(5)));
    assert_eq!(numbers(hub.take_messages()), [5]);
    // Those that are dropped unread are freed: Miri and valgrind would tell.
    assert!(hub.post(first_ticket, note(6)));
    drop(hub.take_messages());
    assert_eq!(numbers(hub.close(first_ticket + 1)), []);
    hub.release();
}

#[test]
fn a_closed_inbox_refuses_and_gives_what_nobody_read() {
    let hub = open_alone();
    let first_ticket = hub.first_ticket();
    let late = ticket(first_ticket + 3);
    assert!(hub.post_wake(late));
    assert!(hub.post(first_ticket, note(1)));
    let unread: Vec<Message> = hub.close(first_ticket + 10).collect();
    assert!(matches!(unread[..], [Message::Wake(named), Message::Forget { .. }] if named == late));
    assert!(!hub.post(first_ticket, note(2)));
    assert!(!hub.post(hub.first_ticket(), note(3)), "nobody has the record");
    assert!(!hub.post_wake(late));
    assert!(!hub.has_messages() || hub.take_messages().next().is_none());
    hub.release();
}

#[test]
fn the_next_hub_in_a_record_gets_nothing_of_the_one_before() {
    let hub = open_alone();
    let first_ticket = hub.first_ticket();
    drop(hub.close(first_ticket + 10));
    // As `open` does it, for a hub that has the same record.
    hub.inbox.top.store(ptr::null_mut(), Ordering::Release);
    assert_eq!(hub.first_ticket(), first_ticket + 10);
    assert!(!hub.post(first_ticket, note(1)));
    assert!(!hub.post_wake(ticket(first_ticket + 9)));
    assert!(hub.post_wake(ticket(first_ticket + 10)));
    assert_eq!(hub.take_messages().count(), 1);
    drop(hub.close(first_ticket + 20));
    hub.release();
}

#[test]
fn holders_are_counted_for_their_own_hub() {
    let hub = open_alone();
    let first_ticket = hub.first_ticket();
    hub.add_holder(first_ticket);
    hub.add_holder(first_ticket);
    hub.remove_holder(first_ticket);
    assert_eq!(hub.holders(), 1);
    assert!(!hub.has_messages(), "it was not the last");
    // The hub ends with one that is still there, and another hub gets the record.
    drop(hub.close(first_ticket + 10));
    hub.inbox.top.store(ptr::null_mut(), Ordering::Release);
    let second = hub.first_ticket();
    hub.add_holder(first_ticket);
    assert_eq!(hub.holders(), 0, "a clone of a stale handle");
    hub.add_holder(second);
    hub.remove_holder(first_ticket);
    assert_eq!(hub.holders(), 1, "a stale handle was dropped");
    hub.remove_holder(second);
    assert!(matches!(hub.take_messages().next(), Some(Message::Look)), "it was the last");
    drop(hub.close(second + 10));
    hub.release();
}

#[test]
fn a_hub_with_messages_does_not_fall_asleep() {
    let hub = open_alone();
    let first_ticket = hub.first_ticket();
    assert!(hub.fall_asleep());
    hub.wake_up();
    assert!(hub.post(first_ticket, note(1)));
    assert!(!hub.fall_asleep());
    assert_eq!(numbers(hub.take_messages()), [1]);
    // Whoever writes to one that sleeps says so, once.
    assert!(hub.fall_asleep());
    assert!(hub.post(first_ticket, note(2)));
    assert_eq!(hub.sleep.load(Ordering::SeqCst), RUNG, "the alarm was rung");
    assert_eq!(numbers(hub.take_messages()), [2]);
    drop(hub.close(first_ticket + 1));
    hub.release();
}

/// Four threads write while one reads and then closes: each message is read in its sender's
/// order, or refused.
#[test]
fn no_message_is_lost_between_threads() {
    let each = if cfg!(miri) { 50 } else { 10_000 };
    let hub = open_alone();
    let first_ticket = hub.first_ticket();
    let mut read: [Vec<RawFd>; 4] = Default::default();
    let sent: Vec<RawFd> = thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let post = move |n: &RawFd| hub.post(first_ticket, note(n * 4 + sender));
                scope.spawn(move || (0..each).take_while(post).count() as RawFd)
            })
            .collect();
        let mut keep = |messages| {
            numbers(messages).into_iter().for_each(|n| read[n as usize % 4].push(n / 4));
        };
        for _ in 0..each / 10 {
            keep(hub.take_messages());
            thread::yield_now();
        }
        keep(hub.close(first_ticket + 1));
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    for (read, sent) in read.iter().zip(sent) {
        assert_eq!(*read, (0..sent).collect::<Vec<_>>());
    }
    hub.release();
}
