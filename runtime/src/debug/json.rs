//! A dump as JSON.
//!
//! Few kinds of values occur, so they are written here: the runtime needs no crate for it.

use std::collections::HashMap;
use std::fmt::Display;
use std::fmt::Write;

use crate::debug::dump::Dump;
use crate::debug::dump::Frame;
use crate::debug::dump::TaskInfo;

/// Writes a dump as an object.
pub(super) fn write(dump: &Dump) -> String {
    let mut backtraces = Backtraces::default();
    let mut text = String::from("{\"tasks\":[");
    for (n, task) in dump.tasks().enumerate() {
        if n > 0 {
            text.push(',');
        }
        write_task(&mut text, &task, backtraces.position_of(&task));
    }
    text.push_str("],\"backtraces\":[");
    for (n, task) in backtraces.examples.iter().enumerate() {
        text.push_str(if n > 0 { ",[" } else { "[" });
        for (n, frame) in task.frames().enumerate() {
            if n > 0 {
                text.push(',');
            }
            write_frame(&mut text, &frame);
        }
        text.push(']');
    }
    text.push_str("]}");
    text
}

/// The distinct backtraces.
#[derive(Default)]
struct Backtraces<'a> {
    positions: HashMap<&'a [usize], usize>,
    /// A task for each.
    examples: Vec<TaskInfo<'a>>,
}

impl<'a> Backtraces<'a> {
    fn position_of(&mut self, task: &TaskInfo<'a>) -> Option<usize> {
        let addresses = task.row.trace.addresses();
        if addresses.is_empty() {
            return None;
        }
        let next = self.examples.len();
        let position = *self.positions.entry(addresses).or_insert(next);
        if position == next {
            self.examples.push(*task);
        }
        Some(position)
    }
}

fn write_task(text: &mut String, task: &TaskInfo<'_>, backtrace: Option<usize>) {
    let _ = write!(text, "{{\"id\":{}", task.id());
    write_text(text, "name", task.name());
    let _ = write!(text, ",\"is_root\":{}", task.is_root());
    write_text(text, "state", Some(task.state()));
    write_text(text, "waits_for", task.row.reason.map(|reason| reason.kind()));
    write_number(text, "fd", task.fd());
    write_number(text, "task", task.joins());
    write_number(text, "process", task.process());
    write_number(text, "waiting_ms", Some(task.waiting().as_millis()));
    write_number(text, "remaining_ms", task.remaining().map(|time| time.as_millis()));
    let place = task.spawned_at();
    text.push_str(",\"spawned_at\":{\"file\":");
    write_string(text, place.file());
    let _ = write!(text, ",\"line\":{},\"column\":{}}}", place.line(), place.column());
    write_number(text, "stack_bytes", Some(task.stack_bytes()));
    write_number(text, "stack_used_bytes", Some(task.stack_used_bytes()));
    write_number(text, "backtrace", backtrace);
    write_text(text, "lacks_frames", task.lacks_frames());
    text.push('}');
}

fn write_frame(text: &mut String, frame: &Frame<'_>) {
    let _ = write!(text, "{{\"address\":\"{:#x}\"", frame.address());
    write_text(text, "function", frame.function());
    write_text(text, "file", frame.file().map(|file| file.to_string_lossy()).as_deref());
    write_number(text, "line", frame.line());
    write_number(text, "column", frame.column());
    let _ = write!(text, ",\"is_machinery\":{}}}", frame.is_machinery());
}

/// Writes a member that is not the first.
fn write_text(text: &mut String, name: &str, value: Option<&str>) {
    let _ = write!(text, ",\"{name}\":");
    match value {
        Some(value) => write_string(text, value),
        None => text.push_str("null"),
    }
}

/// The same for a number.
fn write_number(text: &mut String, name: &str, value: Option<impl Display>) {
    let _ = match value {
        Some(value) => write!(text, ",\"{name}\":{value}"),
        None => write!(text, ",\"{name}\":null"),
    };
}

/// Writes a string: with quotes, and without what may not be between them.
fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\0'..='\x1f' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}
