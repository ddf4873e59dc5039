//! Writes the runtime's own files out for the model checker: what has to be known at compile
//! time there is made at run time, and each use of an ordering gets a number by which a
//! control can weaken it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The files, below `runtime/src`.
const FILES: [&str; 27] = [
    "error.rs",
    "hub/identity.rs",
    "hub/reason.rs",
    "hub/shared.rs",
    "hub/wake.rs",
    "join.rs",
    "packet/body.rs",
    "packet/extras.rs",
    "packet/links.rs",
    "packet/mod.rs",
    "sync/line.rs",
    "sync/mpsc/blocks.rs",
    "sync/mpsc/channel.rs",
    "sync/mpsc/receiving.rs",
    "sync/mpsc/ring.rs",
    "sync/mpsc/sending.rs",
    "sync/once.rs",
    "sync/permits.rs",
    "sync/poison.rs",
    "sync/raw_lock.rs",
    "sync/raw_lock/waiting.rs",
    "sys/blocks.rs",
    "sys/clock.rs",
    "sys/lock.rs",
    "sys/records.rs",
    "wait_queue.rs",
    "wait_queue/list.rs",
];

/// What is another number here, since each turn of a loop multiplies the interleavings, or is
/// written another way. Each stands in its file exactly once.
const CHANGES: [(&str, &str, &str); 14] = [
    // A use of what was freed is to be seen.
    ("sys/blocks.rs", "if cfg!(any(miri, feature = \"sanitizer\")) { 0 } else { 1024 }", "0"),
    ("sys/lock.rs", "SPINS_MAX: u32 = 100", "SPINS_MAX: u32 = 1"),
    // A sleep with a limit is one more loop, so here no sleeper is missed.
    ("sys/lock.rs", "Deadline::after(SLEEP_MAX)", "Deadline::NEVER"),
    (
        "sys/lock.rs",
        "load(Ordering::Relaxed) == CONTENDED;
        self.lock.word.store(FREE, Ordering::Release);",
        "swap(FREE, Ordering::Release) == CONTENDED;",
    ),
    ("hub/wake.rs", "PAUSES: u32 = 7", "PAUSES: u32 = 0"),
    // Threads race for who makes a box, and for what is in it.
    ("packet/mod.rs", "use once_cell::race::OnceBox;", "use crate::once_box::OnceBox;"),
    ("packet/extras.rs", "use once_cell::race::OnceBox;", "use crate::once_box::OnceBox;"),
    ("packet/extras.rs", "use std::cell::UnsafeCell;", "use crate::models::tracked::UnsafeCell;"),
    ("sync/mpsc/blocks.rs", "SLOTS: usize = 32", "SLOTS: usize = 2"),
    // The checker's atomics give no `&mut`.
    (
        "sync/mpsc/blocks.rs",
        "*block.next.get_mut() = ptr::null_mut();",
        "block.next = AtomicPtr::new(ptr::null_mut());",
    ),
    // Nor do its thread-locals have the shorter form.
    ("hub/identity.rs", "if ID.get()", "if ID.with(Cell::get)"),
    ("hub/identity.rs", "ID.set(unhubbed_id())", "ID.with(|id| id.set(unhubbed_id()))"),
    ("hub/identity.rs", "    ID.get()\n}", "    ID.with(Cell::get)\n}"),
    ("sync/once.rs", "pub const ONCE_INIT: Once = Once::new();", "const _: () = ();"),
];

fn main() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/src");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut sites = Vec::new();
    for file in FILES {
        let path = runtime.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        let mut text = fs::read_to_string(&path).expect("the file is there");
        for (_, from, to) in CHANGES.iter().filter(|(of, ..)| *of == file) {
            assert_eq!(text.matches(from).count(), 1, "{file}: {from}");
            text = text.replace(from, to);
        }
        let to = out.join(file);
        fs::create_dir_all(to.parent().expect("it has a name")).expect("the directory is cargo's");
        fs::write(to, translate(file, &text, &mut sites)).expect("the directory is cargo's");
    }
    let mut table = format!("[(&str, &str, &str); {}] = [\n", sites.len());
    for (file, function, line) in sites {
        writeln!(table, "    ({file:?}, {function:?}, {line:?}),").expect("memory suffices");
    }
    let table = format!("pub(crate) const SITES: {table}];\n");
    fs::write(out.join("sites.rs"), table).expect("the directory is cargo's");
}

/// A file of the runtime as one that the checker can run.
fn translate(file: &str, text: &str, sites: &mut Vec<(String, String, String)>) -> String {
    let mut out = String::new();
    let mut function = String::new();
    let mut is_test = false;
    for line in text.lines() {
        // What follows is not compiled, and has nothing to weaken.
        is_test |= line == "mod tests {";
        let code = line.trim_start();
        let is_child = line.ends_with(';') && words(line).any(|word| word == "mod");
        let is_child = is_child && !line.ends_with("mod tests;");
        if code.starts_with("//") || code.starts_with("#![") || is_child {
            // An empty line, so that the numbers stay.
            out.push('\n');
            continue;
        }
        if let Some((_, name)) = code.split_once("fn ") {
            function = words(name).next().unwrap_or("").to_owned();
        }
        let mut line = line.replace("const fn ", "fn ").replace("#[cfg(test)]", "#[cfg(any())]");
        line = line.replace("#[cfg(all(test", "#[cfg(all(any()");
        line = line.replace("thread_local!", "loom::thread_local!").replace("= const {", "= {");
        // The models stand beside the modules, not in them.
        line = line.replace("pub(super)", "pub(crate)");
        let is_shared = line.contains("Atomic") || line.contains("Records::new()");
        if code_is_static(code) && is_shared {
            line =
                format!("{} }}", line.replacen("static ", "loom::lazy_static! { static ref ", 1));
            line = line.replacen(
                "pub(crate) loom::lazy_static! {",
                "loom::lazy_static! { pub(crate)",
                1,
            );
        }
        if !code.starts_with("use ") && !is_test {
            line = number(file, &function, &line, sites);
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

fn code_is_static(code: &str) -> bool {
    let code = code.strip_prefix("pub(super) ").unwrap_or(code);
    code.starts_with("static ") && code.ends_with(';')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Numbers the orderings of a line that can be weakened.
fn number(
    file: &str,
    function: &str,
    line: &str,
    sites: &mut Vec<(String, String, String)>,
) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("Ordering::") {
        let order: &str = words(&rest[at + "Ordering::".len()..]).next().expect("an ordering");
        let end = at + "Ordering::".len() + order.len();
        out.push_str(&rest[..at]);
        if order == "Relaxed" {
            out.push_str(&rest[at..end]);
        } else {
            write!(out, "crate::sites::at({}, {})", sites.len(), &rest[at..end])
                .expect("memory suffices");
            sites.push((file.to_owned(), function.to_owned(), line.trim().to_owned()));
        }
        rest = &rest[end..];
    }
    out + rest
}
