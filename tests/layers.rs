//! Imports look down only: the modules of each crate lie in layers, and one uses only what
//! lies below it.
//!
//! The order is the data of this test. Modules of one layer know nothing of each other;
//! `name/*` is a directory whose files make up one thing and may use each other.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use crate::sources::Source;
use crate::sources::code;
use crate::sources::files;
use crate::sources::is_word;
use crate::sources::without_tests;

mod sources;

/// A crate of ours: its modules, the lowest first.
struct House {
    name: &'static str,
    directory: &'static str,
    /// The crates of ours that it may use.
    below: &'static [&'static str],
    layers: &'static [&'static [&'static str]],
}

const HOUSES: [House; 3] = [
    House {
        name: "corovent_runtime",
        directory: "runtime/src/",
        below: &[],
        layers: &[
            // The kernel and the machine, as safe functions.
            &[
                "sys",
                "sys::atomic",
                "sys::blocks",
                "sys::cache",
                "sys::frames",
                "sys::modules",
                "sys::registers",
            ],
            &["sys::clock", "sys::memory", "sys::origin", "sys::records", "sys::single_threaded"],
            &[
                "sys::epoll",
                "sys::file",
                "sys::futex",
                "sys::pages",
                "sys::pidfd",
                "sys::sigaction",
            ],
            &["sys::threads"],
            &["sys::lock"],
            &["sys::fork", "sys::pipe"],
            &["sys::process"],
            // Parts that know nothing of the hub.
            &["error", "interrupt", "order", "symbols"],
            &["poller", "stack/*", "storage", "timers"],
            &["overflow"],
            &["coroutine/*"],
            &["scheduler/*"],
            &["readiness"],
            // The loop, and the two things that wait on it.
            &["hub/*"],
            &["fd/*", "local", "wait_queue/*"],
            // What users hold.
            &["packet/*"],
            &["join"],
            &["task"],
            &["time"],
            &["select"],
            &["exit", "later", "remote", "run", "scope", "thread"],
            &["sync/*"],
            &["queue/*"],
            &["block_on", "both", "group/*", "selectors/*", "signal/*", "testing"],
            &["threadpool/*"],
            // It looks at all that is below.
            &["debug/*"],
            // Files and streams.
            &["transfer/*"],
            &["fs/*", "stdio/*"],
            &["pipe"],
            &["process/*"],
            // Programs for the fuzzer and the tests.
            &["fuzzing/*"],
        ],
    },
    House {
        name: "corovent_net",
        directory: "net/src/",
        below: &["corovent_runtime"],
        layers: &[
            &["resolve", "sys/*"],
            &["acceptor", "addr", "socket/*"],
            &["tcp/*", "udp", "unix/*"],
            &["copy", "server/*"],
        ],
    },
    House {
        name: "corovent",
        directory: "src/",
        below: &["corovent_runtime", "corovent_net"],
        layers: &[
            // A file for each of std's modules that has a mirror.
            &["debug", "fs", "group", "io", "local", "net", "os", "process", "queue", "select"],
            &["selectors", "server", "signal", "sync", "task", "testing", "thread", "threadpool"],
            &["time"],
            // The macros, which are the crate's.
            &["print"],
        ],
    },
];

impl House {
    /// The entry for a path such as `sys::clock::Deadline`, with the number of its layer.
    fn entry(&self, path: &str) -> Option<(usize, &'static str)> {
        let entries = self.layers.iter().enumerate();
        let entries = entries.flat_map(|(n, layer)| layer.iter().map(move |entry| (n, *entry)));
        let covers = |entry: &str| {
            let module = entry.trim_end_matches("/*");
            path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        entries.filter(|(_, entry)| covers(entry)).max_by_key(|(_, entry)| entry.len())
    }

    /// What is wrong with the imports of one of its files.
    fn check(&self, file: &Source) -> Vec<String> {
        let own = module_of(file.path.strip_prefix(self.directory).unwrap());
        let code = without_tests(&code(&file.text));
        let mut wrong = Vec::new();
        for (line, path) in paths(&code) {
            if let Err(why) = self.check_path(&own, &path) {
                wrong.push(format!("{}:{line}: {path}: {why}", file.path));
            }
        }
        if !own.is_empty() && !self.entry(&own).is_some_and(|(_, entry)| is_entry_of(entry, &own)) {
            wrong.push(format!(
                "{}: the module {own} has no place: add it to `layers` of {} in tests/layers.rs, \
                 above everything that it imports",
                file.path, self.name
            ));
        }
        wrong
    }

    fn check_path(&self, own: &str, path: &str) -> Result<(), String> {
        let (root, rest) = path.split_once("::").unwrap();
        if root == "super" {
            return Err("imports are written from `crate` on".to_owned());
        }
        if root != "crate" {
            let allowed = self.below.contains(&root);
            return if allowed { Ok(()) } else { Err(format!("{root} is above {}", self.name)) };
        }
        if rest.is_empty() {
            return Err("one import is one line".to_owned());
        }
        // The crate's root re-exports; it imports from everywhere.
        let Some((own_layer, own_entry)) = self.entry(own) else {
            return Ok(());
        };
        let Some((layer, entry)) = self.entry(rest) else {
            return Err(format!("{own} imports through the crate's root"));
        };
        if layer < own_layer || entry == own_entry {
            Ok(())
        } else {
            Err(format!("{entry} is not below {own_entry}"))
        }
    }
}

/// Whether a module is named by an entry itself, not only by the one around it.
fn is_entry_of(entry: &str, module: &str) -> bool {
    entry == module || entry.ends_with("/*")
}

/// The module of a file: `sys/clock.rs` is `sys::clock`. The crate's root is empty.
fn module_of(file: &str) -> String {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if module == "lib" { String::new() } else { module.replace('/', "::") }
}

/// The paths of blanked code that begin in a crate of ours, each with its line.
fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in code.lines().enumerate() {
        let mut from = 0;
        while let Some(at) = line[from..].find("::").map(|at| from + at) {
            let start = line[..at].rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
            let end = at + path_len(&line[at..]);
            from = end.max(at + 2);
            let root = &line[start..at];
            let is_ours = root == "crate" || root == "super" || root.starts_with("corovent");
            // `pub(in crate::hub)` says who may look in, and imports nothing; `$crate` is a path
            // in the code of whoever uses a macro.
            if is_ours && !line[..start].ends_with("(in ") && !line[..start].ends_with('$') {
                found.push((n + 1, line[start..end].to_owned()));
            }
        }
    }
    found
}

/// The length of `::a::b` at the start of a text.
fn path_len(text: &str) -> usize {
    let mut len = 0;
    while let Some(rest) = text[len..].strip_prefix("::") {
        len += 2 + rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    }
    len
}

fn house_of(file: &Source) -> Option<&'static House> {
    HOUSES.iter().find(|house| file.path.starts_with(house.directory))
}

#[test]
fn imports_look_down_only() {
    let mut files = files(".rs");
    files.retain(|file| file.is_shipped() && house_of(file).is_some());
    assert!(files.len() > 50, "only {} files were found", files.len());
    let wrong: Vec<String> =
        files.iter().flat_map(|file| house_of(file).unwrap().check(file)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Every name of the order is a module; else the order says nothing.
#[test]
fn the_order_names_no_module_that_is_gone() {
    let files = files(".rs");
    for house in &HOUSES {
        let own = files.iter().filter_map(|file| file.path.strip_prefix(house.directory));
        let modules: BTreeSet<String> = own.map(module_of).collect();
        for entry in house.layers.iter().flat_map(|layer| layer.iter()) {
            let module = entry.trim_end_matches("/*");
            assert!(modules.contains(module), "{} has no module {entry}", house.name);
        }
    }
}

#[test]
fn a_bad_import_is_found() {
    #[track_caller]
    fn check(path: &str, text: &str, expected: &str) {
        let file = Source::new(path, text);
        let found = house_of(&file).unwrap().check(&file);
        let is_right = match expected {
            "" => found.is_empty(),
            _ => found.len() == 1 && found[0].contains(expected),
        };
        assert!(is_right, "{path}: {text}: {found:?}");
    }

    let timers = "runtime/src/timers.rs";
    check(timers, "use crate::hub::Hub;", "hub/* is not below timers");
    check(timers, "use std::fmt;\nuse crate::hub::Hub;", "timers.rs:2: crate::hub::Hub");
    check(timers, "fn f() { crate::hub::current(); }", "hub/* is not below timers");
    check(timers, "use crate::stack::Stack;", "stack/* is not below timers");
    check(timers, "use crate::Hub;", "through the crate's root");
    check(timers, "use crate::{fd, hub};", "one import is one line");
    check(timers, "use super::hub::Hub;", "from `crate` on");
    check(timers, "use corovent_net::TcpStream;", "corovent_net is above corovent_runtime");
    check(timers, "use crate::sys::clock::Deadline;", "");
    check(timers, "use crate::timers::Due;", "");
    check(timers, "macro_rules! m { () => { $crate::local!() } }", "");
    check(timers, "// use crate::hub::Hub;\nconst A: &str = \"crate::hub\";", "");
    check(timers, "#[cfg(test)]\nmod tests { use crate::hub::Hub; }", "");
    check(timers, "#[cfg(all(test, not(miri)))]\nmod tests { use super::*; }", "");
    check(timers, "#[cfg(not(test))]\nuse crate::hub::Hub;", "hub/* is not below timers");
    check("runtime/src/sys/clock.rs", "use crate::sys::lock::Lock;", "sys::lock is not below");
    check("runtime/src/hub/wait.rs", "use crate::hub::turn::run;", "");
    check("runtime/src/hub/wait.rs", "use crate::fd::Source;", "fd/* is not below hub/*");
    check("runtime/src/lib.rs", "pub use crate::scope::scope;", "");
    check("runtime/src/hub/new.rs", "", "");
    check("runtime/src/new.rs", "", "tests/layers.rs, above everything that it imports");
    check("runtime/src/sys/new.rs", "", "the module sys::new has no place");
    check("net/src/sys.rs", "use corovent_runtime::fd::Source;", "");
    check("net/src/sys.rs", "use corovent::spawn;", "corovent is above corovent_net");
    check("net/src/addr.rs", "use crate::tcp::TcpStream;", "tcp/* is not below addr");
    check("src/lib.rs", "pub use corovent_runtime::*;", "");
}
