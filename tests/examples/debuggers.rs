//! `runtime/gdb/corovent.py`: gdb finds every coroutine and its frames, in a process and in a
//! core file, whatever the memory holds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use tempfile::TempDir;

use crate::process::Process;
use crate::process::path_of;
use crate::support;

const PROGRAM: &str = "debugger_parked";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runtime/gdb/corovent.py");
const LOOK: [&str; 2] = ["corovent list", "corovent bt all"];

/// What the child's coroutines are called, what each waits for, and the function it does so in.
const WAITS: [(&str, &str, &str); 6] = [
    ("dozer", "sleep", "doze"),
    ("parker", "unpark", "park_here"),
    ("listener", "read (fd ", "listen_here"),
    ("locker", "lock", "lock_here"),
    ("receiver", "channel receive", "receive_here"),
    ("elsewhere", "unpark", "park_elsewhere"),
];

fn parked(variables: &[(&str, &str)]) -> Process {
    let child = Process::start_with(PROGRAM, &[], variables);
    assert_eq!(child.line(), "ready");
    child
}

/// Runs gdb with the script; `None` if it cannot be run here, which was said then.
fn gdb(target: &[&str], commands: &[&str]) -> Option<String> {
    let gdb = support::tool("gdb")?;
    let mut command = Command::new(gdb);
    command.args(["-q", "-batch", "-nx", "-iex", "set auto-load no"]).args(target);
    command.args(["-ex", "set width 0", "-ex", &format!("source {SCRIPT}")]);
    command.args(commands.iter().flat_map(|command| ["-ex", command]));
    let Output { stdout, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if text.contains("Operation not permitted") {
        support::skip("gdb may not look into processes here");
        return None;
    }
    assert!(!text.contains("Traceback") && !text.contains("Python Exception"), "{text}");
    Some(text)
}

fn attach(child: &Process, commands: &[&str]) -> Option<String> {
    gdb(&["-p", &child.pid().as_raw_pid().to_string()], commands)
}

fn open_core(core: &str, commands: &[&str]) -> Option<String> {
    gdb(&[path_of(PROGRAM).to_str().unwrap(), core], commands)
}

/// Checks that all coroutines of the child are told of, with their functions.
#[track_caller]
fn assert_tells_all(text: &str) {
    assert_eq!(text.matches("Hub of thread ").count(), 2, "{text}");
    for (name, wait, function) in WAITS {
        let label = format!("'{name}' (#");
        let listed = text.lines().find(|line| line.starts_with("  '") && line.contains(&label));
        let listed = listed.unwrap_or_else(|| panic!("{name} is not listed: {text}"));
        assert!(listed.contains(&format!(": blocked on {wait}")), "{listed}");
        assert!(listed.contains("spawned at tests/debugger/parked.rs:"), "{listed}");
        // The head of a backtrace begins the line.
        let rest = text.lines().skip_while(|line| !line.starts_with(&label)).skip(1);
        let mut frames = rest.take_while(|line| line.starts_with("  #"));
        let function = format!(" in {PROGRAM}::{function} at ");
        assert!(frames.any(|line| line.contains(&function)), "{name}, {function}: {text}");
    }
    // The root's own stack; and nothing of who resumed a coroutine.
    assert!(text.contains(&format!(" in {PROGRAM}::main at ")), "{text}");
    assert!(!text.contains("stack_init_trampoline"), "{text}");
    assert_eq!(text.matches(&format!(" in {PROGRAM}::main at ")).count(), 1, "{text}");
}

#[test]
fn gdb_tells_of_all_coroutines_of_a_process() {
    let child = parked(&[]);
    let Some(text) = attach(&child, &LOOK) else { return };
    assert_tells_all(&text);
}

#[test]
fn gdb_tells_of_one_coroutine_and_of_none() {
    let child = parked(&[]);
    let Some(text) = attach(&child, &LOOK[..1]) else { return };
    let line = text.lines().find(|line| line.contains("'dozer' (#")).unwrap();
    let number = line.split(['#', ')']).nth(1).unwrap();
    let command = format!("corovent bt {number} 123456789");
    // Each error ends a batch.
    let text = attach(&child, &[&command, "corovent bt x"]).unwrap();
    assert!(text.contains(" in debugger_parked::doze at "), "{text}");
    assert!(!text.contains("park_here"), "{text}");
    assert!(text.contains("There is no coroutine #123456789."), "{text}");
    assert!(text.contains("corovent bt takes numbers of coroutines, or 'all'"), "{text}");
}

#[test]
fn gdb_tells_of_all_coroutines_of_its_own_core_file() {
    let here = TempDir::new().unwrap();
    let core = here.path().join("core.parked");
    // It cannot read past guards that are no mappings.
    let child = parked(&[("COROVENT_STACK_GUARD", "mprotect")]);
    let save = format!("generate-core-file {}", core.display());
    if attach(&child, &[&save]).is_none() {
        return;
    }
    drop(child);
    assert_tells_all(&open_core(core.to_str().unwrap(), &LOOK).unwrap());
}

#[test]
fn gdb_tells_of_all_coroutines_of_a_core_file_of_the_kernel() {
    let here = TempDir::new().unwrap();
    let child = Process::start(PROGRAM, &[here.path().to_str().unwrap()]);
    assert_eq!(child.end().code, None);
    let files = fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.collect();
    let [core] = &files[..] else {
        // That is the choice of the machine, and no tool that is missing.
        eprintln!("SKIPPED: the kernel does not leave core files in the directory");
        return;
    };
    let Some(text) = open_core(core.to_str().unwrap(), &LOOK[..1]) else { return };
    assert!(text.contains("'dozer' (#") && text.contains("'elsewhere' (#"), "{text}");
    let text = open_core(core.to_str().unwrap(), &LOOK[1..]).unwrap();
    assert!(text.contains(" in debugger_parked::lock_here at "), "{text}");
}

/// What is overwritten in the last task of the first hub, in the words of the script; by what;
/// and what is said of it.
const SPOILT: [(&str, &str, &str); 10] = [
    ("task + lay.at_coroutine", "16", "cannot be read: cannot read"),
    ("task + lay.at_coroutine", "entries", "cannot be read: its stack at"),
    ("task + lay.at_spawned_at", "1", "cannot be read: cannot read"),
    ("task + lay.at_reason", "0xffff", "blocked on ?"),
    ("hub.table", "0x10", "cannot read 1 bytes at"),
    ("hub.table + 8", "1 << 40", "a table of 1099511627776 tasks"),
    ("record + lay.at_name + 8", "1 << 30", "a text of 1073741824 bytes"),
    ("saved", "0", "'"),
    ("saved + 16", "0x1234", "'"),
    ("record + lay.at_top", "0", "its stack is not where its record is"),
];

#[test]
fn gdb_survives_memory_that_is_not_as_it_should_be() {
    let child = parked(&[]);
    let mut commands = vec![
        "python hub = hubs()[0]; lay = hub.layout; last = list(hub.tasks())[-1]".to_owned(),
        "python entries = word(hub.table); saved = last.stack_pointer()".to_owned(),
        "python record = last.coroutine; memory = gdb.selected_inferior()".to_owned(),
        "python task = entries + last.slot * lay.at_entry_size + lay.at_task".to_owned(),
    ];
    for (n, (place, value, _)) in SPOILT.iter().enumerate() {
        commands.extend([
            format!("echo SPOILT {n}\\n"),
            format!("python before = word({place})"),
            format!("python memory.write_memory({place}, struct.pack('<Q', {value}))"),
            LOOK[0].to_owned(),
            LOOK[1].to_owned(),
            format!("python memory.write_memory({place}, struct.pack('<Q', before))"),
        ]);
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let Some(text) = attach(&child, &commands) else { return };
    let parts: Vec<&str> = text.split("SPOILT ").skip(1).collect();
    assert_eq!(parts.len(), SPOILT.len(), "{text}");
    for ((place, value, said), part) in SPOILT.iter().zip(parts) {
        assert!(part.contains(said), "{place} = {value}: {part}");
        // The other hub's are told of all the same.
        assert_eq!(part.matches("Hub of thread ").count(), 2, "{place} = {value}: {part}");
        let told = part.contains("'dozer'") || part.contains("'elsewhere'");
        assert!(told, "{place} = {value}: {part}");
    }
}

#[test]
fn a_program_brings_the_script_along() {
    let Some(gdb) = support::tool("gdb") else { return };
    let program = path_of(PROGRAM);
    let allow = format!("add-auto-load-safe-path {}", program.display());
    let mut command = Command::new(gdb);
    command.args(["-q", "-batch", "-nx", "-iex", &allow]).arg(program);
    let output = command.args(["-ex", "help corovent"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("corovent bt --") && text.contains("corovent list --"), "{output:?}");
}

#[test]
fn gdb_says_that_there_is_nothing_to_see() {
    let Some(text) = gdb(&[path_of(PROGRAM).to_str().unwrap()], &LOOK[..1]) else { return };
    assert!(text.contains("there is no process and no core file"), "{text}");
}
