//! The orderings of the real files, each of which a control can weaken.

use std::env;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

real!("sites.rs");

/// Names the places whose orderings are to be relaxed: their numbers, for the child of a control.
pub(crate) const WEAK: &str = "COROVENT_LOOM_WEAK";

/// The ordering at a place, unless the control of this process has weakened it.
pub(crate) fn at(number: usize, ordering: Ordering) -> Ordering {
    static WEAKENED: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let numbers = env::var(WEAK).unwrap_or_default();
        numbers.split_terminator(',').map(|number| number.parse().expect("a number")).collect()
    });

    if WEAKENED.contains(&number) { Ordering::Relaxed } else { ordering }
}
