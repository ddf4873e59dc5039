//! The table of tasks, for people: who waits for what, since when, and from where.

// The stacks of suspended coroutines are looked at.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt::Write;
use std::panic::Location;
use std::time::Duration;

use crate::hub::ROOT;
use crate::hub::State;
use crate::hub::inspect::Trace;
use crate::hub::reason::Reason;
use crate::scheduler::State as TaskState;
use crate::sys::clock::Deadline;

/// One task as it was at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) slot: u32,
    pub(crate) id: u64,
    /// Empty for none.
    pub(crate) name: String,
    pub(crate) is_root: bool,
    pub(crate) state: &'static str,
    /// `None` unless it is blocked.
    pub(crate) reason: Option<Reason>,
    /// How long it has been waiting.
    pub(crate) waiting: Duration,
    /// How long until the wait ends of itself; `None` if it does not.
    pub(crate) remaining: Option<Duration>,
    pub(crate) spawned_at: &'static Location<'static>,
    /// Usable bytes; zero for the root, whose stack is the thread's.
    pub(crate) stack_bytes: usize,
    /// Of those, how many were ever touched; zero before the first run.
    pub(crate) stack_used_bytes: usize,
    pub(crate) trace: Trace,
}

/// Groups with more members than this are shown as a group.
const LISTED_MAX: usize = 8;

/// Copies the table.
pub(crate) fn snapshot(state: &mut State, now: Deadline) -> Vec<Row> {
    let now_ms = state.turn.ms_at(now.as_ns());
    let deadlines = deadlines(state);
    let State { scheduler, stacks, .. } = state;
    let mut usages = stacks.usages();
    let rows = scheduler.iter().map(|(slot, task_state, task)| {
        let is_root = slot == ROOT;
        // SAFETY: a coroutine in the table has not ended.
        let span = task.coroutine.map(|coroutine| unsafe { coroutine.span() });
        let (stack_bytes, stack_used_bytes) = match span {
            Some(span) => usages.of(&span),
            None if is_root => (0, 0),
            None => (task.class.usable_bytes(), 0),
        };
        let blocked = task_state == TaskState::Blocked;
        let deadline = deadlines.get(&slot).filter(|_| blocked);
        Row {
            slot,
            id: task.id,
            name: task.name().to_owned(),
            is_root,
            state: match task_state {
                TaskState::Ready => "ready",
                TaskState::Running => "running",
                TaskState::Blocked => "blocked",
            },
            reason: blocked.then_some(task.reason),
            waiting: match blocked {
                true => Duration::from_millis(now_ms.wrapping_sub(task.since_ms).into()),
                false => Duration::ZERO,
            },
            remaining: deadline.map(|deadline| Deadline::from_ns(*deadline).since(now)),
            spawned_at: task.spawned_at,
            stack_bytes,
            stack_used_bytes,
            trace: Trace::Unasked,
        }
    });
    rows.collect()
}

/// When the waits of tasks end of themselves: by their own deadlines, or those of the `timeout`
/// blocks around them.
fn deadlines(state: &State) -> HashMap<u32, u64> {
    let mut soonest = HashMap::with_capacity(state.timers.len());
    state.timers.for_each(|deadline, alarm| {
        let known = soonest.entry(alarm.slot()).or_insert(deadline);
        *known = deadline.min(*known);
    });
    soonest
}

/// Writes the table: like tasks as a group, few ones by name.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut groups: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let place = (row.spawned_at.file(), row.spawned_at.line(), row.spawned_at.column());
        let kind = row.reason.map_or("", Reason::kind);
        groups.entry((!row.is_root, row.state, kind, place)).or_default().push(row);
    }
    let coroutines = rows.iter().filter(|row| !row.is_root).count();
    let mut text = format!("{coroutines} coroutines and the root\n");
    for members in groups.values() {
        if members.len() > LISTED_MAX {
            render_group(&mut text, members);
        } else {
            members.iter().for_each(|row| render_row(&mut text, row));
        }
    }
    text
}

/// How a task is called in messages.
pub(crate) fn label(id: u64, name: &str) -> String {
    if name.is_empty() { format!("#{id}") } else { format!("'{name}' (#{id})") }
}

/// The report of a deadlock.
pub(crate) fn deadlock_report(state: &mut State, now: Deadline) -> String {
    let table = render(&snapshot(state, now));
    format!("deadlock: the root waits, and nothing can wake it\n{table}")
}

fn render_row(text: &mut String, row: &Row) {
    let who = if row.is_root { "root".to_owned() } else { label(row.id, &row.name) };
    let _ = write!(text, "  {who}: {}", row.state);
    if let Some(reason) = row.reason {
        let _ = write!(text, " on {reason} for {:.1?}", row.waiting);
    }
    if !row.is_root {
        let used = row.stack_used_bytes / 1024;
        let _ = write!(text, ", stack {used} of {} KiB", row.stack_bytes / 1024);
        let _ = write!(text, ", spawned at {}", row.spawned_at);
    }
    text.push('\n');
}

fn render_group(text: &mut String, members: &[&Row]) {
    let first = members[0];
    let _ = write!(text, "  {} coroutines: {}", members.len(), first.state);
    if let Some(reason) = first.reason {
        let waits = || members.iter().map(|row| row.waiting);
        let shortest = waits().min().unwrap_or_default();
        let longest = waits().max().unwrap_or_default();
        let _ = write!(text, " on {} for {shortest:.1?} to {longest:.1?}", reason.kind());
    }
    let deepest = members.iter().map(|row| row.stack_used_bytes).max().unwrap_or_default();
    let usable = first.stack_bytes / 1024;
    let _ = write!(text, ", stack at most {} of {usable} KiB", deepest / 1024);
    let _ = writeln!(text, ", spawned at {}", first.spawned_at);
}
