//! A job of no work in the pool of threads, there and back.

use std::hint::black_box;
use std::time::Instant;

use crate::operation::Case;
use crate::operation::ns_each;
use crate::operation::ns_since;
use crate::peers::on_smol;
use crate::peers::on_tokio;

pub(crate) fn cases() -> Vec<Case> {
    // The pool's thread is another's, so it may have a processor of its own.
    let case = |name| Case::new("blocking", name, 20_000, 200);
    let add = |case: Case| case.who("corovent", corovent).who("tokio", tokio).who("smol", smol);
    vec![add(case("one processor")), add(case("two processors").cores())]
}

fn corovent(count: usize) -> f64 {
    let caller = corovent::spawn(move || {
        ns_each(count, || {
            for n in 0..count {
                assert_eq!(corovent::threadpool::blocking(move || black_box(n)), n);
            }
        })
    });
    caller.join().expect("it does not panic")
}

fn tokio(count: usize) -> f64 {
    on_tokio(async {
        let caller = tokio::spawn(async move {
            let start = Instant::now();
            for n in 0..count {
                let job = tokio::task::spawn_blocking(move || black_box(n));
                assert_eq!(job.await.expect("it does not panic"), n);
            }
            ns_since(start, count)
        });
        caller.await.expect("it does not panic")
    })
}

fn smol(count: usize) -> f64 {
    on_smol(async |executor| {
        let caller = executor.spawn(async move {
            let start = Instant::now();
            for n in 0..count {
                assert_eq!(smol::unblock(move || black_box(n)).await, n);
            }
            ns_since(start, count)
        });
        caller.await
    })
}
