//! Channels: nanoseconds for a message from one or four to one, from four to four, and for a round
//! trip; between coroutines or tasks of one thread, and between threads.
//!
//! `corovent on threads` is corovent's channel between threads without a hub. tokio has no channel
//! with several receivers, so its users take async-channel, which is smol's; neither has a
//! rendezvous. may's are unbounded.

mod awaiting;
mod blocking;
mod queues;

use crate::crews::Coroutines;
use crate::crews::MayCoroutines;
use crate::crews::Threads;
use crate::operation::Case;
use crate::peers::on_may;

use self::blocking::Crossbeam;
use self::blocking::May;
use self::blocking::MayMany;
use self::blocking::Ours;
use self::blocking::OursMany;
use self::blocking::Std;
use self::blocking::messages;
use self::blocking::round_trips;

/// The bound, how many send, and what the design demands.
const MESSAGES: [(Option<usize>, usize, Option<f64>); 6] = [
    (None, 1, Some(25.0)),
    (None, 4, None),
    (Some(0), 1, None),
    (Some(1), 1, None),
    (Some(128), 1, Some(25.0)),
    (Some(128), 4, None),
];
/// How many send and receive where there are many of both.
const MANY: usize = 4;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![trips(None), trips(Some(1))];
    cases.extend(MESSAGES.map(|(bound, senders, mark)| to_one(bound, senders, mark)));
    cases.extend([None, Some(128)].map(to_many));
    cases.extend(queues::cases());
    cases
}

fn label(bound: Option<usize>) -> String {
    match bound {
        None => "unbounded".to_owned(),
        Some(0) => "rendezvous".to_owned(),
        Some(bound) => format!("bounded {bound}"),
    }
}

fn trips(bound: Option<usize>) -> Case {
    let case = Case::new("round trip", &label(bound), 500_000, 1_000)
        .mark(80.0)
        .ours(move |count| round_trips::<Ours, Coroutines>(bound, count))
        .slow_who("tokio", 4, move |count| awaiting::tokio_round_trips(bound, count))
        .slow_who("smol", 4, move |count| awaiting::smol_round_trips(bound, count))
        .slow_who("threads", 20, move |count| round_trips::<Std, Threads>(bound, count))
        .slow_who("crossbeam", 20, move |count| round_trips::<Crossbeam, Threads>(bound, count));
    if bound.is_some() {
        return case;
    }
    case.slow_who("may", 10, move |count| {
        on_may(move || round_trips::<May, MayCoroutines>(bound, count))
    })
}

fn to_one(bound: Option<usize>, senders: usize, mark: Option<f64>) -> Case {
    let many = if senders == 1 { String::new() } else { format!(", {senders} senders") };
    let case = Case::new("channel", &format!("{}{many}", label(bound)), 1_000_000, 1_000);
    let case = if let Some(mark) = mark { case.mark(mark) } else { case };
    // Threads sleep between any two messages where there is no room.
    let part = if bound.is_some_and(|bound| bound < 2) { 50 } else { 4 };
    let case = case
        .ours(move |count| messages::<Ours, Coroutines>(bound, senders, 1, count))
        .slow_who("corovent on threads", part, move |count| {
            messages::<Ours, Threads>(bound, senders, 1, count)
        })
        .slow_who("threads", part, move |count| messages::<Std, Threads>(bound, senders, 1, count))
        .slow_who("crossbeam", part, move |count| {
            messages::<Crossbeam, Threads>(bound, senders, 1, count)
        });
    if bound == Some(0) {
        return case;
    }
    let case = case
        .slow_who("tokio", 2, move |count| awaiting::tokio_messages(bound, senders, count))
        .slow_who("smol", 2, move |count| awaiting::smol_messages(bound, senders, 1, count));
    if bound.is_some() {
        return case;
    }
    case.slow_who("may", 4, move |count| {
        on_may(move || messages::<May, MayCoroutines>(bound, senders, 1, count))
    })
}

fn to_many(bound: Option<usize>) -> Case {
    let case = Case::new("channel", &format!("{}, 4 to 4", label(bound)), 1_000_000, 1_000)
        .who("corovent", move |count| messages::<OursMany, Coroutines>(bound, MANY, MANY, count))
        .slow_who("corovent on threads", 4, move |count| {
            messages::<OursMany, Threads>(bound, MANY, MANY, count)
        })
        .slow_who("crossbeam", 4, move |count| {
            messages::<Crossbeam, Threads>(bound, MANY, MANY, count)
        })
        .slow_who("tokio", 2, move |count| awaiting::tokio_to_many(bound, MANY, count))
        .slow_who("smol", 2, move |count| awaiting::smol_messages(bound, MANY, MANY, count));
    if bound.is_some() {
        return case;
    }
    case.slow_who("may", 4, move |count| {
        on_may(move || messages::<MayMany, MayCoroutines>(bound, MANY, MANY, count))
    })
}
