//! Whether the table has every function that suspends.

use std::collections::BTreeSet;

use crate::columns::COLUMNS;
use crate::rows::rows;
use crate::sources::code;
use crate::sources::files;

/// Functions that suspend and have no row, with the reason. A name that ends in `*` stands for all
/// that begin so.
const WITHOUT_ROW: &[(&str, &str)] = &[
    ("ToSocketAddrs::to_socket_addrs", "no name can be made to wait: tcp::a_lookup_is_given_up…"),
    ("TcpListener::bind", "waits for names only"),
    ("Builder::bind", "waits for names only"),
    ("assert_waits", "waits as what it calls does"),
    ("Workers::bind", "waits for names only"),
    ("StreamServer::bind", "waits for names only"),
    ("StreamServer::stop", "is `Handle::stop`"),
    ("DatagramBuilder::bind", "waits for names only"),
    ("DatagramServer::bind", "waits for names only"),
    ("DatagramServer::stop", "is `Handle::stop`"),
    ("UdpSocket::bind", "waits for names only"),
    ("UdpSocket::connect", "waits for names only"),
    ("UdpSocket::send", "loopback never says that there is no room"),
    ("UdpSocket::send_to", "loopback never says that there is no room"),
    ("run", "tests/it/running.rs: it is the whole of a thread"),
    ("shield", "a column"),
    ("timeout", "a column"),
    ("Sender::send", "lets others run now and then, and never blocks"),
    ("Flights::look_up", "inside of names' lookups"),
    ("File::copy_to", "inside of `copy`, which waits for its reader and its writer"),
    ("splice", "inside of `copy`"),
    ("copy", "waits for its reader and its writer"),
    ("copy_bidirectional", "waits for its streams"),
    ("both", "inside of `copy_bidirectional`"),
    ("take_place", "inside of servers, and of `Pool::spawn`"),
    ("Stdin::*", "standard streams are the process's: stdio.rs of tests/it runs children"),
    ("Stdout::*", "as above"),
    ("Stderr::*", "as above"),
    ("print_*", "as above"),
    ("close_now", "waits for a comparison only: queues::a_queue_is_closed_after_a_comparison"),
    ("JoinableQueue::close_now", "as above, for a clone"),
    ("call", "the pool's, for other modules"),
    ("lookup", "the pool's, for other modules"),
    ("LocalKey::*", "waits for what the user's closure waits for"),
    ("LazyLock::force_mut", "waits for what the user's closure waits for"),
];

/// Files whose functions wait for jobs of the pool, like `blocking`, which has a row; what is
/// special about one of them has a row of its own.
const POOLED: [&str; 5] = [
    "runtime/src/fs/dir.rs",
    "runtime/src/fs/file.rs",
    "runtime/src/fs/mod.rs",
    "runtime/src/fs/options.rs",
    "runtime/src/fs/unix.rs",
];

/// Files of the runtime that no user reaches: what is built on them has rows.
const INNER: [&str; 3] =
    ["runtime/src/fd/foreign.rs", "runtime/src/fd/mod.rs", "runtime/src/wait_queue.rs"];

#[test]
fn every_function_that_suspends_has_a_row() {
    let named: BTreeSet<&str> = rows().flat_map(|row| row.functions.iter().copied()).collect();
    let found: BTreeSet<String> = suspending();
    assert!(found.len() > 60, "only {} functions were found", found.len());
    let is_excused = |name: &str| {
        WITHOUT_ROW.iter().any(|(known, _)| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *known == name,
        })
    };
    let without: Vec<&String> =
        found.iter().filter(|name| !named.contains(name.as_str()) && !is_excused(name)).collect();
    assert!(without.is_empty(), "no row of tests/blocking/rows is about {without:?}");
}

#[test]
fn what_a_row_lacks_is_a_column() {
    for row in rows() {
        for (column, reason) in row.lacks {
            assert!(COLUMNS.contains(column), "{column} of {:?}", row.functions);
            assert!(!reason.is_empty());
        }
    }
}

/// The public functions whose `# Suspends` does not begin with "Never".
fn suspending() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files(".rs") {
        let path = file.path.as_str();
        if file.is_shipped() && !POOLED.contains(&path) && !INNER.contains(&path) {
            add(&file.text, &mut found);
        }
    }
    found
}

fn add(text: &str, found: &mut BTreeSet<String>) {
    let code = code(text);
    let (mut owner, mut documentation) = (String::new(), String::new());
    for (line, code) in text.lines().zip(code.lines()) {
        if let Some(name) = owner_of(code) {
            owner = name;
        } else if code == "}" {
            owner.clear();
        }
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            documentation += text.trim();
            documentation += "\n";
        } else if !line.starts_with("#[") {
            let suspends = documentation.split("# Suspends\n\n").nth(1);
            if let Some(name) = function(code)
                && suspends.is_some_and(|text| !text.starts_with("Never"))
            {
                let owner = if owner.is_empty() { String::new() } else { format!("{owner}::") };
                found.insert(format!("{owner}{name}"));
            }
            documentation.clear();
        }
    }
}

/// The type or trait of a block that begins here.
fn owner_of(line: &str) -> Option<String> {
    let is_start = line.starts_with("impl") || line.starts_with("pub trait");
    is_start.then(|| line_owner(line))
}

fn line_owner(line: &str) -> String {
    let mut rest = line.trim_start_matches("pub trait ");
    if let Some(generic) = rest.strip_prefix("impl<") {
        // The parameters may have angle brackets of their own.
        let (mut depth, mut last) = (1, ' ');
        let end = generic.find(|c| {
            let is_arrow = c == '>' && last == '-';
            last = c;
            depth += i32::from(c == '<') - i32::from(c == '>' && !is_arrow);
            depth == 0
        });
        rest = &generic[end.map_or(0, |end| end + 1)..];
    }
    let rest = rest.trim_start_matches("impl ").trim();
    let own = rest.split(" for ").last().unwrap_or(rest);
    own.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn function(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let is_public = before.trim_start().starts_with("pub ") || before.trim().is_empty();
    let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_');
    (is_public && !before.contains("pub(")).then(|| name.collect())
}
