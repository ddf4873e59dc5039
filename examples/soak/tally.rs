//! What was done and what was inflicted, counted.

use std::cell::Cell;
use std::fmt;

/// Declares the counters and their names, once.
macro_rules! counters {
    ($($field:ident: $name:literal,)*) => {
        #[derive(Default)]
        pub(crate) struct Tally {
            $(pub(crate) $field: Counter,)*
        }

        impl Tally {
            pub(crate) fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.count()),)*]
            }
        }
    };
}

counters! {
    coroutines: "coroutines spawned",
    connections: "connections opened",
    refused: "connections that failed to open",
    bytes_sent: "bytes sent",
    bytes_received: "bytes received and compared",
    whole: "streams that came whole to their end",
    cut: "streams that were cut",
    visitors: "chat visitors",
    lines: "chat lines delivered",
    dropped: "chat visitors dropped as they did not read",
    sleeps: "sleeps",
    items: "items through queues and channels",
    locked: "locks and permits taken",
    jobs: "pool jobs done",
    jobs_cancelled: "pool jobs cancelled",
    processes: "processes reaped",
    files: "files written and read back",
    remotes: "coroutines spawned from other threads",
    dumps: "dumps",
    bursts: "bursts of coroutines",
    kills: "fault: kills",
    timeouts: "fault: timeouts",
    panics: "fault: panics that nobody joins",
    joined_panics: "fault: panics in bursts",
    resets: "fault: resets",
    half_closes: "fault: half-closes",
    stalls: "fault: peers that stop reading",
    exhaustions: "fault: moments without descriptors",
    storms: "fault: storms of signals",
    signals: "signals in them",
    io_errors: "calls that failed for it",
}

/// One number that only grows.
#[derive(Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.set(self.0.get() + count);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let faults = rows.iter().filter(|(name, _)| name.starts_with("fault"));
        write!(
            f,
            "{} coroutines, {} connections, {} MB, {} lines, {} items, {} kills, {} faults",
            self.coroutines.count(),
            self.connections.count(),
            self.bytes_received.count() / 1_000_000,
            self.lines.count(),
            self.items.count(),
            self.kills.count(),
            faults.map(|(_, count)| count).sum::<u64>(),
        )
    }
}
