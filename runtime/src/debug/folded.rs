//! A dump as folded stacks: what flamegraph.pl and inferno read.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::debug::dump::Dump;
use crate::debug::dump::TaskInfo;
use crate::symbols::Call;
use crate::symbols::users;

/// Writes a line for each stack: who waits there, for how many microseconds in sum.
pub(super) fn write(dump: &Dump) -> String {
    let mut sums: BTreeMap<String, u128> = BTreeMap::new();
    for task in dump.tasks().filter(|task| task.row.reason.is_some()) {
        *sums.entry(stack_of(dump, &task)).or_default() += task.waiting().as_micros();
    }
    let mut text = String::new();
    for (stack, microseconds) in sums {
        let _ = writeln!(text, "{stack} {microseconds}");
    }
    text
}

fn stack_of(dump: &Dump, task: &TaskInfo<'_>) -> String {
    let calls: Vec<&Call> = dump.symbols().calls(task.row.trace.addresses()).collect();
    let users = users(&calls);
    let mut frames: Vec<String> = users.iter().rev().map(|call| call.name()).collect();
    match frames.is_empty() {
        true if task.is_root() => frames.push("root".to_owned()),
        true => frames.push(format!("spawned at {}", task.spawned_at())),
        false => {}
    }
    frames.push(format!("[{}]", task.row.reason.map_or("", |reason| reason.kind())));
    // The separator of frames, and that of lines.
    let clean = |frame: String| frame.replace(';', ",").replace('\n', " ");
    frames.into_iter().map(clean).collect::<Vec<_>>().join(";")
}
