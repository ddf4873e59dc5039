//! The table of a thread's coroutines, for programs and for people.
//!
//! `hub/table.rs` copies and renders it; here it is given to users.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::hub;
use crate::hub::shared;
use crate::hub::shared::Message;
use crate::hub::table;
use crate::hub::table::Row;
use crate::sys::clock::Deadline;

/// The coroutines of a thread as they were at one moment.
///
/// It displays as a table, in which like coroutines are one line.
#[derive(Clone, Debug)]
pub struct Dump {
    rows: Vec<Row>,
}

/// One coroutine of a [`Dump`], or the root.
#[derive(Clone, Copy, Debug)]
pub struct TaskInfo<'a> {
    row: &'a Row,
}

/// Copies the table of this thread's coroutines.
///
/// A thread without coroutines gives an empty one. gevent's name is
/// `gevent.util.print_run_info`.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{Builder, debug, thread, yield_now};
///
/// let task = Builder::new().name("idle".to_owned()).spawn(thread::park)?;
/// yield_now();
/// let dump = debug::dump();
/// let idle = dump.tasks().find(|task| task.name() == Some("idle")).unwrap();
/// assert_eq!(idle.state(), "blocked");
/// assert_eq!(idle.waits_for().as_deref(), Some("unpark"));
/// assert!(dump.to_string().contains("'idle'"));
/// # task.kill();
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump() -> Dump {
    let rows = match hub::current() {
        Some(hub) => {
            hub.settle_fork();
            table::snapshot(&mut hub.state(), Deadline::now())
        }
        None => Vec::new(),
    };
    Dump { rows }
}

/// Asks every hub of the process to print its table to stderr, from any thread.
///
/// Each does so when its loop comes round next: one that computes without a wait does not.
/// It is what a watchdog prints when a test hangs.
///
/// # Suspends
///
/// Never.
pub fn print_all() {
    shared::for_each(|hub| {
        hub.post(hub.first_ticket(), Message::Dump);
    });
}

impl Dump {
    /// The coroutines, and the root.
    pub fn tasks(&self) -> impl Iterator<Item = TaskInfo<'_>> {
        self.rows.iter().map(|row| TaskInfo { row })
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::render(&self.rows))
    }
}

impl<'a> TaskInfo<'a> {
    /// The number, unique in the process.
    pub fn id(&self) -> u64 {
        self.row.id
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        (!self.row.name.is_empty()).then_some(self.row.name.as_str())
    }

    /// Whether it is the thread's own stack, and not a coroutine.
    pub fn is_root(&self) -> bool {
        self.row.is_root
    }

    /// `ready`, `running` or `blocked`.
    pub fn state(&self) -> &'static str {
        self.row.state
    }

    /// What it waits for; `None` unless it is blocked.
    pub fn waits_for(&self) -> Option<String> {
        self.row.reason.map(|reason| reason.to_string())
    }

    /// How long it has waited, in milliseconds from the last poll before the wait began; zero
    /// unless it is blocked.
    pub fn waiting(&self) -> Duration {
        self.row.waiting
    }

    /// Where it was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.row.spawned_at
    }

    /// The usable bytes of its stack; zero for the root.
    pub fn stack_bytes(&self) -> usize {
        self.row.stack_bytes
    }

    /// How many of them were ever touched, in whole pages. A stack is used by one coroutine
    /// after the other, so an earlier one may have touched them.
    pub fn stack_used_bytes(&self) -> usize {
        self.row.stack_used_bytes
    }
}
