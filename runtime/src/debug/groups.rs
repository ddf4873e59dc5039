//! A dump with backtraces for people: like tasks as one paragraph, the largest first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;
use std::panic::Location;

use crate::debug::dump::Dump;
use crate::debug::dump::TaskInfo;
use crate::hub::reason::Reason;
use crate::hub::table::label;
use crate::symbols::Call;
use crate::symbols::users;

/// In larger groups the members are not named.
const NAMED_MAX: usize = 8;

/// What members of a group have in common.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    is_root: bool,
    state: &'static str,
    kind: &'static str,
    addresses: &'a [usize],
    lacks_frames: Option<&'static str>,
    /// `None` if there is a backtrace.
    spawned_at: Option<&'static Location<'static>>,
}

/// Writes the groups: with the frames between the user's outermost and innermost one, or with
/// all.
pub(super) fn write(dump: &Dump, all_frames: bool) -> String {
    let mut alike: HashMap<Key<'_>, Vec<TaskInfo<'_>>> = HashMap::new();
    for task in dump.tasks() {
        alike.entry(key(&task)).or_default().push(task);
    }
    // Optimised code may have several copies of one call, which are one place to people.
    let mut groups: HashMap<(Key<'_>, String), Vec<TaskInfo<'_>>> = HashMap::new();
    for (key, mut members) in alike {
        let frames = frames(dump, key.addresses, all_frames);
        let addresses = if frames.is_empty() { key.addresses } else { &[] };
        groups.entry((Key { addresses, ..key }, frames)).or_default().append(&mut members);
    }
    let mut groups: Vec<_> =
        groups.into_iter().map(|((_, frames), members)| (frames, members)).collect();
    for (_, members) in &mut groups {
        members.sort_unstable_by_key(TaskInfo::id);
    }
    groups.sort_by_key(|(_, members)| (Reverse(members.len()), members[0].id()));
    let coroutines = dump.rows.iter().filter(|row| !row.is_root).count();
    let mut text = format!("{coroutines} coroutines and the root\n");
    for (frames, members) in groups {
        write_group(&mut text, dump, &members, &frames);
    }
    text
}

fn key<'a>(task: &TaskInfo<'a>) -> Key<'a> {
    let row = task.row;
    let addresses = row.trace.addresses();
    Key {
        is_root: row.is_root,
        state: row.state,
        kind: row.reason.map_or("", Reason::kind),
        addresses,
        lacks_frames: task.lacks_frames(),
        spawned_at: addresses.is_empty().then_some(row.spawned_at),
    }
}

/// The lines of the frames that are shown.
fn frames(dump: &Dump, addresses: &[usize], all_frames: bool) -> String {
    let calls: Vec<&Call> = dump.symbols().calls(addresses).collect();
    let mut text = String::new();
    for call in if all_frames { &calls[..] } else { users(&calls) } {
        call.write(&mut text, all_frames);
    }
    text
}

fn write_group(text: &mut String, dump: &Dump, members: &[TaskInfo<'_>], frames: &str) {
    let first = members[0];
    text.push('\n');
    text.push_str(&who(members));
    let mut calls = dump.symbols().calls(first.row.trace.addresses());
    if let Some(place) = calls.find(|call| !call.is_machinery).and_then(Call::place) {
        let _ = write!(text, " at {place}");
    }
    let _ = write!(text, " {}", doing(&first, members.len()));
    write_waiting(text, members);
    if !first.is_root() {
        let deepest = members.iter().map(TaskInfo::stack_used_bytes).max().unwrap_or_default();
        let usable = first.stack_bytes() / 1024;
        let _ = write!(text, ", stack at most {} of {usable} KiB", deepest / 1024);
        let _ = write!(text, ", spawned at {}", first.spawned_at());
        if members.iter().any(|task| task.spawned_at() != first.spawned_at()) {
            text.push_str(" and elsewhere");
        }
    }
    text.push('\n');
    if (2..=NAMED_MAX).contains(&members.len()) {
        let names: Vec<String> = members.iter().map(name).collect();
        let _ = writeln!(text, "    They are {}.", names.join(", "));
    }
    text.push_str(frames);
    if let Some(why) = first.lacks_frames() {
        let _ = writeln!(text, "    Frames are missing: {why}.");
    }
}

/// Whom the paragraph is about.
fn who(members: &[TaskInfo<'_>]) -> String {
    match members {
        [task] if task.is_root() => "The root".to_owned(),
        [task] => format!("Coroutine {}", label(task.id(), &task.row.name)),
        _ => format!("{} coroutines", members.len()),
    }
}

/// One of several.
fn name(task: &TaskInfo<'_>) -> String {
    let label = label(task.id(), &task.row.name);
    match task.fd() {
        Some(fd) => format!("{label} with fd {fd}"),
        None => label,
    }
}

/// What they do, as a verb.
fn doing(task: &TaskInfo<'_>, count: usize) -> String {
    let (s, is) = if count == 1 { ("s", "is") } else { ("", "are") };
    let alone = count == 1;
    match (task.row.reason, task.state()) {
        (Some(Reason::Readable(fd)), _) if alone => format!("waits to read (fd {fd})"),
        (Some(Reason::Writable(fd)), _) if alone => format!("waits to write (fd {fd})"),
        (Some(Reason::Readable(_)), _) => "wait to read".to_owned(),
        (Some(Reason::Writable(_)), _) => "wait to write".to_owned(),
        (Some(Reason::Sleep), _) => format!("sleep{s}"),
        (Some(reason), _) if alone => format!("waits for {reason}"),
        (Some(reason), _) => format!("wait for {}", reason.kind()),
        (None, "running") => format!("run{s}"),
        (None, state) => format!("{is} {state}"),
    }
}

fn write_waiting(text: &mut String, members: &[TaskInfo<'_>]) {
    if members[0].row.reason.is_none() {
        return;
    }
    let waits = || members.iter().map(TaskInfo::waiting);
    let shortest = waits().min().unwrap_or_default();
    let longest = waits().max().unwrap_or_default();
    let _ = write!(text, ", for {shortest:.1?}");
    if shortest != longest {
        let _ = write!(text, " to {longest:.1?}");
    }
    if let Some(soonest) = members.iter().filter_map(TaskInfo::remaining).min() {
        let _ = write!(text, ", at most {soonest:.1?} more");
    }
}
