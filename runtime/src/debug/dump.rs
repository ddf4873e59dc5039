//! The table of a thread's coroutines, for programs and for people.
//!
//! `hub/table.rs` copies it, `hub/inspect.rs` finds out where each stands; here it is given to
//! users, with names for the addresses.

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::RawFd;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crate::debug::folded;
use crate::debug::groups;
use crate::debug::json;
use crate::hub;
use crate::hub::Hub;
use crate::hub::inspect::Trace;
use crate::hub::reason::Reason;
use crate::hub::shared;
use crate::hub::shared::Message;
use crate::hub::table;
use crate::hub::table::Row;
use crate::symbols::Call;
use crate::symbols::Symbols;
use crate::sys::clock::Deadline;
use crate::sys::process::print_error;

/// The coroutines of a thread as they were at one moment.
///
/// It displays as a table, in which like coroutines are one line: those in the same state, that
/// wait for the same kind of thing, at the same place. With backtraces, `{}` shows of each those
/// frames that lead to the user's own call, and `{:#}` all.
#[derive(Clone, Debug)]
pub struct Dump {
    pub(super) rows: Vec<Row>,
    /// Looked up when they are first asked for.
    symbols: Arc<OnceLock<Symbols>>,
}

/// One coroutine of a [`Dump`], or the root.
#[derive(Clone, Copy, Debug)]
pub struct TaskInfo<'a> {
    pub(super) row: &'a Row,
    dump: &'a Dump,
}

/// One frame of the backtrace of a [`TaskInfo`].
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    call: &'a Call,
}

/// Copies the table of this thread's coroutines, without backtraces.
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
    let Some(hub) = hub::current() else { return Dump::of(Vec::new()) };
    hub.settle_fork();
    Dump::of(rows(hub))
}

/// Copies the table of this thread's coroutines with the backtrace of each.
///
/// Nothing is changed for those that are looked at: they neither run nor lose their place or a
/// wake, whatever they are in the middle of. A coroutine that has not run has no backtrace, nor
/// has one whose stack is used up but for 2 KiB: see [`TaskInfo::lacks_frames`]. If a coroutine
/// asks, the root's backtrace is that of the loop that runs it.
///
/// Functions and lines need the feature `backtrace`, which is on by default, and what the
/// compiler leaves in the program: `debug = "line-tables-only"` of a profile is enough. They are
/// looked up when the dump is first written or asked for a frame, on a thread of its own while
/// this one waits: some 100 ms the first time, in a large program without optimisation seconds.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{debug, spawn, thread, yield_now};
///
/// let tasks: Vec<_> = (0..20).map(|_| spawn(thread::park)).collect();
/// yield_now();
/// let dump = debug::dump_with_backtraces();
/// assert!(dump.to_string().contains("20 coroutines"), "{dump}");
/// let parked = dump.tasks().find(|task| !task.is_root()).unwrap();
/// assert!(parked.frames().count() > 3);
/// # tasks.iter().for_each(|task| { task.kill(); });
/// ```
pub fn dump_with_backtraces() -> Dump {
    let mut dump = dump();
    if let Some(hub) = hub::current() {
        hub.trace_all(&mut dump.rows);
    }
    dump
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
        hub.post(hub.first_ticket(), Message::Call(print_table));
    });
}

/// The same with the backtrace of each coroutine.
///
/// A thread of its own looks up the functions and prints, while the hub goes on.
///
/// # Suspends
///
/// Never.
pub fn print_all_with_backtraces() {
    shared::for_each(|hub| {
        hub.post(hub.first_ticket(), Message::Call(print_with_backtraces));
    });
}

/// Prints the table of tasks without std's locks, since another thread wants to know why
/// nothing moves.
fn print_table(hub: &Hub) {
    print_error(table::render(&rows(hub)).as_bytes());
}

/// The same with backtraces.
fn print_with_backtraces(hub: &Hub) {
    let mut dump = Dump::of(rows(hub));
    hub.trace_all(&mut dump.rows);
    let dump = Arc::new(dump);
    let owner = thread::current().name().unwrap_or("without a name").to_owned();
    let printer = thread::Builder::new().name("corovent dump".to_owned());
    let printed = Arc::clone(&dump);
    let print = move || {
        _ = printed.symbols.set(Symbols::look_up(printed.addresses()));
        print_error(format!("corovent: the hub of thread '{owner}': {printed}").as_bytes());
    };
    if printer.spawn(print).is_err() {
        print_error(table::render(&dump.rows).as_bytes());
    }
}

/// Copies a hub's table.
fn rows(hub: &Hub) -> Vec<Row> {
    table::snapshot(&mut hub.state(), Deadline::now())
}

impl Dump {
    fn of(rows: Vec<Row>) -> Dump {
        Dump { rows, symbols: Arc::default() }
    }

    /// The coroutines, and the root.
    pub fn tasks(&self) -> impl Iterator<Item = TaskInfo<'_>> {
        self.rows.iter().map(|row| TaskInfo { row, dump: self })
    }

    /// Writes it as JSON, for programs.
    ///
    /// An object: `tasks` has one for each coroutine and the root, `backtraces` the distinct
    /// backtraces, innermost frame first, that those name by position. What is not known is null.
    ///
    /// ```json
    /// {
    ///   "tasks": [{
    ///     "id": 3, "name": null, "is_root": false, "state": "blocked", "waits_for": "read",
    ///     "fd": 7, "task": null, "process": null, "waiting_ms": 1200, "remaining_ms": null,
    ///     "spawned_at": {"file": "src/server.rs", "line": 20, "column": 9},
    ///     "stack_bytes": 196608, "stack_used_bytes": 8192,
    ///     "backtrace": 0, "lacks_frames": null
    ///   }],
    ///   "backtraces": [[
    ///     {"address": "0x55d0c3a1b2c4", "function": "server::serve", "file": "src/server.rs",
    ///      "line": 88, "column": 30, "is_machinery": false}
    ///   ]]
    /// }
    /// ```
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Writes the time spent waiting as folded stacks, for flamegraph.pl and inferno.
    ///
    /// A line has the functions of the user's, outermost first, what was waited for, and
    /// microseconds: the sum of all that wait there. A task that has no backtrace counts where it
    /// was spawned.
    pub fn to_folded(&self) -> String {
        folded::write(self)
    }

    pub(super) fn symbols(&self) -> &Symbols {
        self.symbols.get_or_init(|| Symbols::of(self.addresses()))
    }

    fn addresses(&self) -> BTreeSet<usize> {
        self.rows.iter().flat_map(|row| row.trace.addresses()).copied().collect()
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.iter().all(|row| row.trace == Trace::Unasked) {
            return f.write_str(&table::render(&self.rows));
        }
        f.write_str(&groups::write(self, f.alternate()))
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

    /// The descriptor that it waits for, if it does for one.
    pub fn fd(&self) -> Option<RawFd> {
        match self.row.reason? {
            Reason::Readable(fd) | Reason::Writable(fd) | Reason::Descriptors(fd) => Some(fd),
            _ => None,
        }
    }

    /// The number of the coroutine whose end it waits for, if it does for one.
    pub fn joins(&self) -> Option<u64> {
        match self.row.reason? {
            Reason::Join(id) => Some(id),
            _ => None,
        }
    }

    /// The number of the process whose end it waits for, if it does for one.
    pub fn process(&self) -> Option<u32> {
        match self.row.reason? {
            Reason::Process(pid) => Some(pid),
            _ => None,
        }
    }

    /// How long it has waited, in milliseconds from the last poll before the wait began; zero
    /// unless it is blocked.
    pub fn waiting(&self) -> Duration {
        self.row.waiting
    }

    /// How long until its wait ends of itself, by its own deadline or that of a `timeout` around
    /// it; `None` if it does not, or it is not blocked.
    pub fn remaining(&self) -> Option<Duration> {
        self.row.remaining
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

    /// The frames of its backtrace, innermost first; none in a dump without backtraces.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'a>> + use<'a> {
        let addresses = self.row.trace.addresses();
        let symbols = (!addresses.is_empty()).then(|| self.dump.symbols());
        let calls = symbols.into_iter().flat_map(move |symbols| symbols.calls(addresses));
        calls.map(|call| Frame { call })
    }

    /// The innermost frame that is the user's: where its code waits.
    pub fn place(&self) -> Option<Frame<'a>> {
        self.frames().find(|frame| !frame.is_machinery())
    }

    /// Why frames are missing from its backtrace, in words; `None` if none are.
    pub fn lacks_frames(&self) -> Option<&'static str> {
        match &self.row.trace {
            Trace::Whole(_) => None,
            Trace::Unasked => Some("backtraces were not asked for"),
            Trace::Unstarted => Some("it has not run yet"),
            Trace::NoRoom => Some("its stack is used up"),
            Trace::Refused => Some("the code that asks was reached by another crate's switch"),
            Trace::Unreached => Some("its frames cannot be reached"),
            Trace::Part(_) => Some("the outer ones are too many, or have no unwind tables"),
        }
    }
}

impl<'a> Frame<'a> {
    /// Where the call returns to. Inlined calls have the address of their caller.
    pub fn address(&self) -> usize {
        self.call.address
    }

    /// The function, if it is known.
    pub fn function(&self) -> Option<&'a str> {
        self.call.function.as_deref()
    }

    /// Its source file, if that is known.
    pub fn file(&self) -> Option<&'a Path> {
        self.call.file.as_deref()
    }

    /// The line of the call, if that is known.
    pub fn line(&self) -> Option<u32> {
        self.call.line
    }

    /// The column of the call, if that is known.
    pub fn column(&self) -> Option<u32> {
        self.call.column
    }

    /// Whether the function belongs to the runtime or to std.
    pub fn is_machinery(&self) -> bool {
        self.call.is_machinery
    }
}
