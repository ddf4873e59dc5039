//! Starting and ending: spawn and join one by one, in waves and 100,000 at once; kills; a scope
//! that borrows; skynet, in which 1,000,000 come from one.
//!
//! In skynet each spawns 10 that spawn 10 each, and adds up the numbers that they give back; the
//! 111,111 that have children are alive at once. It is <https://github.com/atemerev/skynet>.

// may's kill is unsafe.
#![allow(unsafe_code)]

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use smol::LocalExecutor;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_may;
use crate::peers::on_smol;
use crate::peers::on_tokio;

/// How many are alive at once in a wave.
const WAVE: usize = 100;
/// How many children each of skynet and of a scope has.
const CHILDREN: usize = 10;
const LEAVES: usize = 1_000_000;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        // may and threads have no room for 100,000 at once.
        spawned("one by one", 300_000, |_| 1).mark(60.0),
        spawned("waves of 100", 300_000, |_| WAVE),
        at_once().mark(150.0),
        Case::new("kill", "parked", 200_000, 1_000)
            .who("corovent", corovent_kills)
            .who("tokio", tokio_kills)
            .who("smol", smol_kills)
            .slow_who("may", 10, may_kills),
        Case::new("scope", "10 children", 300_000, 1_000)
            .who("corovent", corovent_scopes)
            .slow_who("may", 10, may_scopes)
            .slow_who("threads", 100, thread_scopes),
        skynet("1000000", 0),
        // The memory that the first time has touched for the first time is there.
        skynet("1000000 again", 1),
    ]
}

/// The time after so many others in the same process.
fn skynet(name: &str, others: usize) -> Case {
    let last = move |f: fn(usize), leaves| {
        (0..others).for_each(|_| f(leaves));
        ns_each(1, || f(leaves)) / 1e6
    };
    Case::new("skynet", name, LEAVES, 1_000)
        .unit("ms")
        .mark(400.0)
        .cold()
        .who("corovent", move |leaves| last(corovent_skynet, leaves))
        .who("tokio", move |leaves| last(tokio_skynet, leaves))
        .who("smol", move |leaves| last(smol_skynet, leaves))
}

fn spawned(name: &str, count: usize, wave: fn(usize) -> usize) -> Case {
    Case::new("spawn", name, count, 1_000)
        .who("corovent", move |count| corovent_spawns(count, wave(count)))
        .who("tokio", move |count| tokio_spawns(count, wave(count)))
        .who("smol", move |count| smol_spawns(count, wave(count)))
        .slow_who("may", 10, move |count| may_spawns(count, wave(count)))
        .slow_who("threads", 100, move |count| thread_spawns(count, wave(count)))
}

fn at_once() -> Case {
    Case::new("spawn", "100000 at once", 100_000, 1_000)
        .cold()
        .who("corovent", |count| corovent_spawns(count, count))
        .who("tokio", |count| tokio_spawns(count, count))
        .who("smol", |count| smol_spawns(count, count))
}

fn corovent_spawns(total: usize, wave: usize) -> f64 {
    let mut handles = Vec::with_capacity(wave);
    ns_each(total, || {
        for first in (0..total).step_by(wave) {
            let numbers = first..first + wave;
            handles.extend(numbers.map(|n| corovent::spawn(move || black_box(n))));
            for (n, handle) in (first..).zip(handles.drain(..)) {
                assert_eq!(handle.join().expect("it does not panic"), n);
            }
        }
    })
}

fn tokio_spawns(total: usize, wave: usize) -> f64 {
    let mut handles = Vec::with_capacity(wave);
    on_tokio(async {
        let start = Instant::now();
        for first in (0..total).step_by(wave) {
            let numbers = first..first + wave;
            handles.extend(numbers.map(|n| tokio::spawn(async move { black_box(n) })));
            for (n, handle) in (first..).zip(handles.drain(..)) {
                assert_eq!(handle.await.expect("it does not panic"), n);
            }
        }
        ns_since(start, total)
    })
}

fn smol_spawns(total: usize, wave: usize) -> f64 {
    let mut handles = Vec::with_capacity(wave);
    on_smol(async |executor| {
        let start = Instant::now();
        for first in (0..total).step_by(wave) {
            let numbers = first..first + wave;
            handles.extend(numbers.map(|n| executor.spawn(async move { black_box(n) })));
            for (n, handle) in (first..).zip(handles.drain(..)) {
                assert_eq!(handle.await, n);
            }
        }
        ns_since(start, total)
    })
}

fn may_spawns(total: usize, wave: usize) -> f64 {
    on_may(move || {
        let mut handles = Vec::with_capacity(wave);
        ns_each(total, || {
            for first in (0..total).step_by(wave) {
                handles.extend((first..first + wave).map(|n| may::go!(move || black_box(n))));
                for (n, handle) in (first..).zip(handles.drain(..)) {
                    assert_eq!(handle.join().expect("it does not panic"), n);
                }
            }
        })
    })
}

fn thread_spawns(total: usize, wave: usize) -> f64 {
    let mut handles = Vec::with_capacity(wave);
    ns_each(total, || {
        for first in (0..total).step_by(wave) {
            let numbers = first..first + wave;
            handles.extend(numbers.map(|n| thread::spawn(move || black_box(n))));
            for (n, handle) in (first..).zip(handles.drain(..)) {
                assert_eq!(handle.join().expect("it does not panic"), n);
            }
        }
    })
}

/// Kills a hundred that are parked, joins them, and starts again; the kills and joins count.
fn corovent_kills(count: usize) -> f64 {
    let mut ns = 0.0;
    for _ in 0..count / WAVE {
        let handles: Vec<_> = (0..WAVE).map(|_| corovent::spawn(corovent::thread::park)).collect();
        corovent::yield_now();
        ns += ns_each(count, || {
            for handle in handles {
                handle.kill();
                let ended = handle.join();
                assert!(ended.is_err_and(|payload| payload.is::<corovent::Killed>()));
            }
        });
    }
    ns
}

fn tokio_kills(count: usize) -> f64 {
    on_tokio(async {
        let mut ns = 0.0;
        for _ in 0..count / WAVE {
            let pending = |_| tokio::spawn(std::future::pending::<()>());
            let handles: Vec<_> = (0..WAVE).map(pending).collect();
            // It polls 61 tasks, and then this future again.
            for _ in 0..=WAVE / 61 {
                tokio::task::yield_now().await;
            }
            let start = Instant::now();
            for handle in handles {
                handle.abort();
                assert!(handle.await.is_err_and(|error| error.is_cancelled()));
            }
            ns += ns_since(start, count);
        }
        ns
    })
}

fn smol_kills(count: usize) -> f64 {
    on_smol(async |executor| {
        let mut ns = 0.0;
        for _ in 0..count / WAVE {
            let pending = |_| executor.spawn(std::future::pending::<()>());
            let handles: Vec<_> = (0..WAVE).map(pending).collect();
            smol::future::yield_now().await;
            let start = Instant::now();
            for handle in handles {
                assert_eq!(handle.cancel().await, None);
            }
            ns += ns_since(start, count);
        }
        ns
    })
}

fn may_kills(count: usize) -> f64 {
    on_may(move || {
        let mut ns = 0.0;
        for _ in 0..count / WAVE {
            let started = Arc::new(may::sync::Semphore::new(0));
            let spawn = |_| {
                let started = Arc::clone(&started);
                may::go!(move || {
                    started.post();
                    may::coroutine::park();
                })
            };
            let handles: Vec<_> = (0..WAVE).map(spawn).collect();
            // Not by yielding: new ones start when nobody else is ready.
            (0..WAVE).for_each(|_| started.wait());
            ns += ns_each(count, || {
                for handle in handles {
                    // SAFETY: it is parked; what it holds is dropped as it unwinds.
                    unsafe { handle.coroutine().cancel() };
                    assert!(handle.join().is_err());
                }
            });
        }
        ns
    })
}

fn corovent_scopes(count: usize) -> f64 {
    let numbers: [usize; CHILDREN] = black_box([1; CHILDREN]);
    ns_each(count, || {
        for _ in 0..count / CHILDREN {
            corovent::scope(|scope| {
                for number in &numbers {
                    scope.spawn(|| black_box(*number));
                }
            });
        }
    })
}

fn may_scopes(count: usize) -> f64 {
    on_may(move || {
        let numbers: [usize; CHILDREN] = black_box([1; CHILDREN]);
        ns_each(count, || {
            for _ in 0..count / CHILDREN {
                may::coroutine::scope(|scope| {
                    for number in &numbers {
                        may::go!(scope, || black_box(*number));
                    }
                });
            }
        })
    })
}

fn thread_scopes(count: usize) -> f64 {
    let numbers: [usize; CHILDREN] = black_box([1; CHILDREN]);
    ns_each(count, || {
        for _ in 0..count / CHILDREN {
            thread::scope(|scope| {
                for number in &numbers {
                    scope.spawn(|| black_box(*number));
                }
            });
        }
    })
}

fn corovent_skynet(leaves: usize) {
    fn sum(first: usize, leaves: usize) -> usize {
        if leaves == 1 {
            return first;
        }
        let each = leaves / CHILDREN;
        let child = |n| corovent::spawn(move || sum(first + n * each, each));
        let children: [_; CHILDREN] = std::array::from_fn(child);
        children.into_iter().map(|child| child.join().expect("it does not panic")).sum()
    }
    let total = corovent::spawn(move || sum(0, leaves)).join().expect("it does not panic");
    assert_eq!(total, leaves * (leaves - 1) / 2);
}

fn tokio_skynet(leaves: usize) {
    /// A future that contains itself has to be boxed.
    type Sum = Pin<Box<dyn Future<Output = usize> + Send>>;

    fn sum(first: usize, leaves: usize) -> Sum {
        Box::pin(async move {
            if leaves == 1 {
                return first;
            }
            let each = leaves / CHILDREN;
            let child = |n| tokio::spawn(sum(first + n * each, each));
            let children: [_; CHILDREN] = std::array::from_fn(child);
            let mut total = 0;
            for child in children {
                total += child.await.expect("it does not panic");
            }
            total
        })
    }
    assert_eq!(on_tokio(sum(0, leaves)), leaves * (leaves - 1) / 2);
}

fn smol_skynet(leaves: usize) {
    type Sum = Pin<Box<dyn Future<Output = usize>>>;

    fn sum(executor: Rc<LocalExecutor<'static>>, first: usize, leaves: usize) -> Sum {
        Box::pin(async move {
            if leaves == 1 {
                return first;
            }
            let each = leaves / CHILDREN;
            let child = |n| executor.spawn(sum(Rc::clone(&executor), first + n * each, each));
            let children: [_; CHILDREN] = std::array::from_fn(child);
            let mut total = 0;
            for child in children {
                total += child.await;
            }
            total
        })
    }
    let total = on_smol(|executor| sum(executor, 0, leaves));
    assert_eq!(total, leaves * (leaves - 1) / 2);
}
