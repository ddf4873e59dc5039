//! The programs that the checker runs over the real files, and the controls that show that it
//! would find a weakness in them.

mod controls;
mod inbox;
mod locks;
mod packets;
mod quarantine;
mod queues;
pub(crate) mod tracked;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Runs a program under all interleavings with at most `preemptions` switches that the running
/// thread did not ask for. There must be at least `least`, or the program shows nothing.
fn explore(preemptions: usize, least: usize, program: impl Fn() + Send + Sync + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(preemptions);
    checker.max_branches = 10_000;
    let counted = Arc::clone(&count);
    checker.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        tracked::begin();
        program();
        tracked::check_end();
    });
    let count = count.load(Ordering::Relaxed);
    println!("{count} interleavings");
    assert!(count >= least, "only {count} interleavings, not {least}");
}
