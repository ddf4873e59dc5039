//! The futex call, made of the checker's locks: a sleeper is woken by a wake of its own word,
//! in the order in which they came, and by nothing else.
//!
//! The kernel looks at the word and enqueues the sleeper in one step, under a lock that a wake
//! takes as well. That lock orders more than a program may rely on; the paths on which a
//! thread does not sleep show whether it does.

use std::collections::VecDeque;
use std::sync::Arc;

use loom::sync::Condvar;
use loom::sync::Mutex;

use crate::sys::atomic::AtomicU32;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;

/// Those who sleep, by the addresses of their words.
#[derive(Default)]
struct Sleepers(VecDeque<(usize, Arc<Sleeper>)>);

struct Sleeper {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

loom::lazy_static! {
    static ref SLEEPERS: Mutex<Sleepers> = Mutex::new(Sleepers::default());
}

/// Blocks while `word` holds `expected`, until a wake. A deadline may come at any time, so a
/// wait that has one may be over at once.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    if !deadline.is_never() {
        return loom::thread::yield_now();
    }
    let mut sleepers = SLEEPERS.lock().unwrap();
    if word.load(Ordering::Relaxed) != expected {
        return;
    }
    let own = Arc::new(Sleeper { is_woken: Mutex::new(false), woken: Condvar::new() });
    sleepers.0.push_back((address(word), Arc::clone(&own)));
    drop(sleepers);
    let mut is_woken = own.is_woken.lock().unwrap();
    while !*is_woken {
        is_woken = own.woken.wait(is_woken).unwrap();
    }
}

/// Wakes at most `count` that sleep on `word`.
pub(crate) fn wake(word: &AtomicU32, count: i32) {
    let mut sleepers = SLEEPERS.lock().unwrap();
    for _ in 0..count {
        let position = sleepers.0.iter().position(|(at, _)| *at == address(word));
        let Some((_, sleeper)) = position.and_then(|position| sleepers.0.remove(position)) else {
            return;
        };
        *sleeper.is_woken.lock().unwrap() = true;
        sleeper.woken.notify_one();
    }
}

fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word).addr()
}
