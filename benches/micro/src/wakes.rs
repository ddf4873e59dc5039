//! A wake there and one back between two: by `park` and `unpark`, by a notification, by a
//! condition variable.

use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;
use std::time::Instant;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_tokio;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("wake", "park and unpark", 500_000, 1_000)
            .ours(corovent_parks)
            .slow_who("may", 4, may_parks)
            .slow_who("threads", 20, thread_parks),
        Case::new("wake", "notification", 500_000, 1_000)
            .ours(corovent_events)
            .who("tokio", tokio_notifications),
        Case::new("wake", "condition", 500_000, 1_000)
            .ours(corovent_conditions)
            .slow_who("may", 4, may_conditions)
            .slow_who("threads", 20, thread_conditions),
    ]
}

/// Two that unpark each other in turns. A macro, as it is the same text on all three.
macro_rules! parks {
    ($count:expr, $spawn:expr, $thread:path, $thread_of:expr, $park:path) => {{
        let count = $count;
        let both: Arc<OnceLock<[$thread; 2]>> = Arc::default();
        let play = |own: usize| {
            let both = Arc::clone(&both);
            $spawn(move || {
                let partner = &both.wait()[1 - own];
                for _ in 0..count {
                    if own == 0 {
                        partner.unpark();
                        $park();
                    } else {
                        $park();
                        partner.unpark();
                    }
                }
            })
        };
        let players = [play(0), play(1)];
        let threads = [$thread_of(&players[0]), $thread_of(&players[1])];
        both.set(threads).expect("nobody else sets it");
        ns_each(count, || {
            for player in players {
                player.join().expect("it does not panic");
            }
        })
    }};
}

fn corovent_parks(count: usize) -> f64 {
    let thread_of = |player: &corovent::JoinHandle<()>| player.thread().clone();
    parks!(count, corovent::spawn, corovent::thread::Thread, thread_of, corovent::thread::park)
}

fn may_parks(count: usize) -> f64 {
    let thread_of = |player: &may::coroutine::JoinHandle<()>| player.coroutine().clone();
    let spawn = |f| may::go!(f);
    on_may(move || parks!(count, spawn, may::coroutine::Coroutine, thread_of, may::coroutine::park))
}

fn thread_parks(count: usize) -> f64 {
    let thread_of = |player: &thread::JoinHandle<()>| player.thread().clone();
    parks!(count, thread::spawn, thread::Thread, thread_of, thread::park)
}

/// Two coroutines that wait for each other's event in turns.
fn corovent_events(count: usize) -> f64 {
    let events = Arc::new([corovent::sync::Event::new(), corovent::sync::Event::new()]);
    let play = |own: usize| {
        let events = Arc::clone(&events);
        corovent::spawn(move || {
            for _ in 0..count {
                events[own].wait();
                events[own].clear();
                events[1 - own].set();
            }
        })
    };
    let players = [play(0), play(1)];
    ns_each(count, || {
        events[0].set();
        for player in players {
            player.join().expect("it does not panic");
        }
    })
}

fn tokio_notifications(count: usize) -> f64 {
    on_tokio(async {
        let signals = Arc::new([tokio::sync::Notify::new(), tokio::sync::Notify::new()]);
        let play = |own: usize| {
            let signals = Arc::clone(&signals);
            tokio::spawn(async move {
                for _ in 0..count {
                    signals[own].notified().await;
                    signals[1 - own].notify_one();
                }
            })
        };
        let players = [play(0), play(1)];
        let start = Instant::now();
        signals[0].notify_one();
        for player in players {
            player.await.expect("it does not panic");
        }
        ns_since(start, count)
    })
}

/// Two that wait for their turn, under one lock.
macro_rules! conditions {
    ($count:expr, $spawn:expr, $sync:ident::$module:ident) => {{
        let count = $count;
        let pair = Arc::new(($sync::$module::Mutex::new(0), $sync::$module::Condvar::new()));
        let play = |own: usize| {
            let pair = Arc::clone(&pair);
            $spawn(move || {
                let mut turn = pair.0.lock().expect("nobody panics");
                for _ in 0..count {
                    while *turn != own {
                        turn = pair.1.wait(turn).expect("nobody panics");
                    }
                    *turn = 1 - own;
                    pair.1.notify_one();
                }
            })
        };
        let players = [play(0), play(1)];
        ns_each(count, || {
            for player in players {
                player.join().expect("it does not panic");
            }
        })
    }};
}

fn corovent_conditions(count: usize) -> f64 {
    conditions!(count, corovent::spawn, corovent::sync)
}

fn may_conditions(count: usize) -> f64 {
    let spawn = |f| may::go!(f);
    on_may(move || conditions!(count, spawn, may::sync))
}

fn thread_conditions(count: usize) -> f64 {
    conditions!(count, thread::spawn, std::sync)
}
