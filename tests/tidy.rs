//! The house rules that neither the compiler nor rustfmt nor clippy knows.
//!
//! Each rule is a function from a file to what is wrong with it, and each has to find what
//! is wrong with a bad snippet before its silence about the project counts.

// A test that cannot go on says so by a panic.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::sources::Source;
use crate::sources::code;
use crate::sources::files;
use crate::sources::functions;
use crate::sources::lines_without_tests;
use crate::sources::without_tests;
use crate::sources::words;

mod sources;

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Files that another includes in its middle, where `//!` is not allowed.
const INCLUDED: [&str; 2] = ["examples/coroutine_vs_threads/server.rs", "tests/parity/programs.rs"];

/// Whoever calls one of these waits, and has to say so.
const WAITS: [&str; 6] = [".block(", ".wait(", ".wait_until(", "yield_now(", "sleep(", ".join("];

/// Says what is wrong with a file: in which line, from 1 on, and why.
type Rule = fn(&Source, &mut Vec<(usize, String)>);

const RULES: [Rule; 9] = [
    header,
    columns,
    file_length,
    function_length,
    unfinished_code,
    unsafe_files,
    unsafe_blocks,
    unsafe_functions,
    waiting_functions,
];

/// Every file says first what it holds.
fn header(file: &Source, wrong: &mut Vec<(usize, String)>) {
    let start = if INCLUDED.contains(&file.path.as_str()) { "// " } else { "//! " };
    if is_rust(file) && !file.text.starts_with(start) {
        wrong.push((1, format!("the file does not begin with `{start}`")));
    }
}

/// Tables and links cannot be wrapped.
fn columns(file: &Source, wrong: &mut Vec<(usize, String)>) {
    for (n, line) in file.text.lines().enumerate() {
        let is_free = !is_rust(file) && (line.starts_with('|') || line.contains("://"));
        if line.chars().count() > COLUMNS_MAX && !is_free {
            wrong.push((n + 1, format!("more than {COLUMNS_MAX} columns")));
        }
    }
}

/// Tests do not count, neither inside a file nor as a file.
fn file_length(file: &Source, wrong: &mut Vec<(usize, String)>) {
    let count =
        if is_rust(file) && !file.is_test() { lines_without_tests(&code(&file.text)) } else { 0 };
    if count > FILE_LINES_MAX {
        wrong.push((1, format!("{count} lines without tests, more than {FILE_LINES_MAX}")));
    }
}

fn function_length(file: &Source, wrong: &mut Vec<(usize, String)>) {
    for function in functions(&rust_code(file)) {
        let count = function.last_line - function.line + 1;
        if count > FUNCTION_LINES_MAX {
            let name = function.name;
            let why = format!("{name} has {count} lines, more than {FUNCTION_LINES_MAX}");
            wrong.push((function.line, why));
        }
    }
}

fn unfinished_code(file: &Source, wrong: &mut Vec<(usize, String)>) {
    for (n, line) in rust_code(file).lines().enumerate() {
        for name in ["todo!", "unimplemented!", "dbg!"] {
            if line.contains(name) {
                wrong.push((n + 1, format!("{name} is left")));
            }
        }
    }
}

/// A file that needs unsafe code says in its first lines why, and no other may have any.
fn unsafe_files(file: &Source, wrong: &mut Vec<(usize, String)>) {
    let code = rust_code(file);
    if file.is_test() || !words(&code).any(|word| word == "unsafe") {
        // One file of a test binary asks for all of them.
        if !file.is_test() && code.contains("allow(unsafe_code)") {
            wrong.push((1, "the file asks for unsafe code and has none".to_owned()));
        }
        return;
    }
    let lines: Vec<&str> = file.text.lines().collect();
    match lines.iter().position(|line| *line == "#![allow(unsafe_code)]") {
        None => wrong.push((1, "the file has unsafe code and does not ask for it".to_owned())),
        Some(at) if !lines[at - 1].starts_with("// ") => {
            wrong.push((at + 1, "no comment says why the file needs unsafe code".to_owned()));
        }
        Some(_) => {}
    }
}

fn unsafe_blocks(file: &Source, wrong: &mut Vec<(usize, String)>) {
    let code = rust_code(file);
    let lines: Vec<(&str, &str)> = file.text.lines().zip(code.lines()).collect();
    for (n, (_, line)) in lines.iter().enumerate() {
        let is_unsafe = line.contains("unsafe {") || line.contains("unsafe impl");
        if is_unsafe && file.is_shipped() && !has_reason(&lines[..n]) {
            wrong.push((n + 1, "no `// SAFETY:` is above it".to_owned()));
        }
    }
}

/// Whether a comment above says why the statement is sound that the next line belongs to.
/// Each line is there as it is and as code alone.
fn has_reason(above: &[(&str, &str)]) -> bool {
    for (line, code) in above.iter().rev() {
        let code = code.trim();
        if line.trim().starts_with("// SAFETY: ") {
            return true;
        }
        let is_comment = line.trim().starts_with("//");
        if !is_comment && (code.is_empty() || code.ends_with([';', '{', '}'])) {
            return false;
        }
    }
    false
}

fn unsafe_functions(file: &Source, wrong: &mut Vec<(usize, String)>) {
    let code = rust_code(file);
    let lines: Vec<&str> = file.text.lines().collect();
    for (n, line) in code.lines().enumerate() {
        let Some((before, name)) = line.split_once("unsafe fn ") else {
            continue;
        };
        // An implementation has the documentation of its trait.
        let is_own = !is_in_trait_impl(&code, n) && words(name).next().is_some();
        if is_own && !before.contains("type ") && !documentation(&lines, n).contains("# Safety") {
            wrong.push((n + 1, "its documentation has no `# Safety`".to_owned()));
        }
    }
}

/// Whether a line of blanked code belongs to `impl Trait for Type`.
fn is_in_trait_impl(code: &str, line: usize) -> bool {
    let above: Vec<&str> = code.lines().take(line).collect();
    let outer = above.iter().rev().find(|line| {
        let is_item = line.starts_with("impl") || line.starts_with("unsafe impl");
        is_item || line.starts_with('}') || line.starts_with("pub trait")
    });
    outer.is_some_and(|line| line.contains("impl") && line.contains(" for "))
}

/// Users have to know where others may run.
fn waiting_functions(file: &Source, wrong: &mut Vec<(usize, String)>) {
    if !file.is_shipped() {
        return;
    }
    let code = without_tests(&code(&file.text));
    let lines: Vec<&str> = file.text.lines().collect();
    for function in functions(&code) {
        let is_public = lines[function.line - 1].trim_start().starts_with("pub ");
        let waits = WAITS.iter().any(|wait| function.body.contains(wait));
        let is_meant = is_public && (waits || file.path.starts_with("net/"));
        if is_meant && !documentation(&lines, function.line - 1).contains("# Suspends") {
            let why = format!("the documentation of {} has no `# Suspends`", function.name);
            wrong.push((function.line, why));
        }
    }
}

/// The documentation above a line.
fn documentation(lines: &[&str], line: usize) -> String {
    let above = lines[..line].iter().rev().map(|line| line.trim());
    let is_about = |line: &&str| line.starts_with("///") || line.starts_with("#[");
    above.take_while(is_about).collect::<Vec<_>>().join("\n")
}

fn is_rust(file: &Source) -> bool {
    file.path.ends_with(".rs")
}

/// The code of a file, nothing if it is not Rust.
fn rust_code(file: &Source) -> String {
    if is_rust(file) { code(&file.text) } else { String::new() }
}

/// What is wrong with a file, a line for each.
fn check(file: &Source, rules: &[Rule]) -> Vec<String> {
    let mut wrong = Vec::new();
    rules.iter().for_each(|rule| rule(file, &mut wrong));
    wrong.iter().map(|(line, why)| format!("{}:{line}: {why}", file.path)).collect()
}

#[test]
fn the_house_is_tidy() {
    let (rust, text) = (files(".rs"), files(".md"));
    assert!(rust.len() > 80, "only {} files were found", rust.len());
    let files = rust.iter().chain(&text).filter(|file| !is_written(file));
    let wrong: Vec<String> = files.flat_map(|file| check(file, &RULES)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Whether it is written by `.ci/api`.
fn is_written(file: &Source) -> bool {
    file.path.starts_with("tests/parity/") && file.path.ends_with("_api.rs")
}

/// The pages that name tests, and how many they name at least.
const NAMING: [(&str, usize); 4] = [
    ("docs/semantics.md", 500),
    ("docs/faults.md", 60),
    ("docs/hazards.md", 150),
    ("UNSAFE.md", 100),
];

/// The tests, jobs and doctests that the pages name are there.
#[test]
fn the_tests_that_the_pages_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut existing = tests_existing(&files(".rs"));
    for script in [".ci/run", ".ci/sanitize"] {
        let text = fs::read_to_string(root.join(script)).unwrap();
        existing.extend(jobs(&text).map(|job| format!("{script} {job}")));
    }
    let with_doctests = files(".rs").into_iter().filter(|file| file.text.contains("/// ```"));
    existing.extend(with_doctests.map(|file| format!("doctest {}", file.path)));
    for (page, least) in NAMING {
        let named = tests_named(&fs::read_to_string(root.join(page)).unwrap());
        assert!(named.len() > least, "only {} tests are named in {page}", named.len());
        let gone: Vec<&String> = named.iter().filter(|name| !existing.contains(*name)).collect();
        assert!(gone.is_empty(), "{page} names tests that are not there: {gone:?}");
    }
}

/// What is named in the paragraphs that begin with `Tests:`, and in the last column of tables:
/// tests as `module::name`, jobs, and files with doctests.
fn tests_named(page: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut is_about_tests = false;
    for line in page.lines() {
        let start = line.trim_start_matches(['*', '_', '-', ' ']);
        is_about_tests = start.starts_with("Tests:") || (is_about_tests && !line.trim().is_empty());
        let row = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |"));
        let names =
            if is_about_tests { Some(line) } else { row.and_then(|row| row.rsplit(" | ").next()) };
        for name in names.into_iter().flat_map(|text| text.split('`').skip(1).step_by(2)) {
            if name.starts_with(".ci/") || name.starts_with("doctest ") {
                named.insert(name.to_owned());
            } else if name.contains("::") {
                named.insert(last_two(name));
            }
        }
    }
    named
}

/// What a script of `.ci` can be asked for: the functions that it defines, and what its `case`
/// calls by another name.
fn jobs(script: &str) -> impl Iterator<Item = &str> {
    let functions = script.lines().filter_map(|line| line.strip_suffix("() {"));
    let functions = functions.map(|name| name.strip_prefix("job_").unwrap_or(name));
    let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let cases = script.lines().filter_map(|line| line.trim().split_once(") "));
    let cases = cases.map(|(name, _)| name).filter(is_name);
    functions.chain(cases)
}

/// `a::b::c` is `b::c`: the module and the test.
fn last_two(name: &str) -> String {
    let parts: Vec<&str> = name.split("::").collect();
    parts[parts.len().saturating_sub(2)..].join("::")
}

/// All functions below a `#[test]`, each with the name of its file, or of its directory.
fn tests_existing(files: &[Source]) -> BTreeSet<String> {
    let mut existing = BTreeSet::new();
    for file in files {
        let module = file.path.trim_end_matches(".rs");
        let module = ["/main", "/mod", "/tests"]
            .iter()
            .fold(module, |module, file| module.strip_suffix(file).unwrap_or(module));
        let module = module.rsplit('/').next().unwrap();
        let lines: Vec<&str> = file.text.lines().collect();
        for function in functions(&code(&file.text)) {
            if documentation(&lines, function.line - 1).contains("#[test]") {
                existing.insert(format!("{module}::{}", function.name));
            }
        }
    }
    existing
}

/// Every file of the libraries with unsafe code is in `UNSAFE.md`, with the number of its blocks
/// and implementations, so that who adds one has to read there what is promised.
#[test]
fn every_unsafe_block_is_accounted_for() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("UNSAFE.md");
    let listed = unsafe_listed(&fs::read_to_string(path).unwrap());
    let found: BTreeMap<String, usize> = files(".rs")
        .iter()
        .filter(|file| file.is_shipped() && !file.is_test())
        .map(|file| (file.path.clone(), unsafe_count(&file.text)))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert!(found.len() > 40, "only {} files were found", found.len());
    let added: Vec<_> =
        found.iter().filter(|(path, count)| listed.get(*path) != Some(count)).collect();
    assert!(added.is_empty(), "UNSAFE.md does not know, or with other numbers: {added:?}");
    let gone: Vec<_> = listed.keys().filter(|path| !found.contains_key(*path)).collect();
    assert!(gone.is_empty(), "UNSAFE.md lists files without unsafe code: {gone:?}");
}

/// The rows that begin with a file and a number.
fn unsafe_listed(page: &str) -> BTreeMap<String, usize> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let entries = rows.filter_map(|row| {
        let (path, rest) = row.split_once("` | ")?;
        Some((path.to_owned(), rest.split_once(" | ")?.0.parse().ok()?))
    });
    entries.collect()
}

/// How many blocks, implementations and attributes of a file are unsafe, without its tests.
fn unsafe_count(text: &str) -> usize {
    let code = without_tests(&code(text));
    let words: Vec<&str> = code.split_whitespace().collect();
    let is_meant = |pair: &&[&str]| {
        pair[0].ends_with("unsafe") && (pair[1].starts_with('{') || pair[1].starts_with("impl"))
    };
    let attributes = words.iter().filter(|word| word.contains("[unsafe(")).count();
    words.windows(2).filter(is_meant).count() + attributes
}

/// Checks that one rule finds what `expected` says in a snippet, or nothing if that is empty.
#[track_caller]
fn finds(rule: Rule, path: &str, text: &str, expected: &str) {
    let found = check(&Source::new(path, text), &[rule]);
    let is_right = match expected {
        "" => found.is_empty(),
        _ => found.len() == 1 && found[0].contains(expected),
    };
    assert!(is_right, "{path}: {text}\nfound {found:?}, not {expected:?}");
}

#[test]
fn bad_files_are_found() {
    finds(header, "src/a.rs", "use std::fmt;", "src/a.rs:1: the file does not begin");
    finds(header, "tests/a.rs", "// A comment.", "does not begin");
    finds(header, "src/a.rs", "//! A file.", "");
    finds(header, "README.md", "# Title", "");

    let wide = "x".repeat(COLUMNS_MAX + 1);
    finds(columns, "src/a.rs", &format!("\n// {wide}"), "src/a.rs:2: more than 100 columns");
    finds(columns, "a.md", &wide, "more than 100 columns");
    finds(columns, "a.md", &format!("| {wide} |"), "");
    finds(columns, "a.md", &format!("[a](https://{wide})"), "");
    finds(columns, "a.rs", &"…".repeat(COLUMNS_MAX), "");

    let lines = |count: usize| "fn f() {}\n".repeat(count);
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n";
    finds(file_length, "src/a.rs", &lines(501), "501 lines without tests");
    finds(file_length, "src/a.rs", &(lines(501) + tests), "501 lines without tests");
    finds(file_length, "src/a.rs", &(lines(500) + tests), "");
    finds(file_length, "tests/it/a.rs", &lines(501), "");
    finds(file_length, "src/a/tests.rs", &lines(501), "");

    let function = |count: usize| format!("fn long() {{\n{}}}\n", "    f(\"}\");\n".repeat(count));
    finds(function_length, "src/a.rs", &function(69), "long has 71 lines");
    finds(function_length, "src/a.rs", &function(68), "");
}

#[test]
fn bad_code_is_found() {
    finds(unfinished_code, "src/a.rs", "fn f() {\n    todo!()\n}", "src/a.rs:2: todo! is left");
    finds(unfinished_code, "tests/a.rs", "fn f() { dbg!(1); }", "dbg! is left");
    finds(unfinished_code, "src/a.rs", "fn f() { unimplemented!() }", "unimplemented! is left");
    finds(unfinished_code, "src/a.rs", "// todo!\nconst A: &str = \"dbg!\";", "");

    let reason = "//! A.\n\n// Why.\n#![allow(unsafe_code)]\n";
    let silent = "//! A.\n\n#![allow(unsafe_code)]\n";
    let block = "fn f() { unsafe { g() } }";
    finds(unsafe_files, "src/a.rs", block, "does not ask for it");
    finds(unsafe_files, "src/a.rs", &format!("{silent}{block}"), "no comment says why");
    finds(unsafe_files, "src/a.rs", reason, "asks for unsafe code and has none");
    finds(unsafe_files, "src/a.rs", &format!("{reason}{block}"), "");
    finds(unsafe_files, "src/a.rs", "// unsafe { g() }", "");

    let inside = |text: &str| format!("fn f() {{\n{text}\n    unsafe {{ g() }}\n}}");
    finds(unsafe_blocks, "src/a.rs", &inside(""), "src/a.rs:3: no `// SAFETY:`");
    finds(unsafe_blocks, "src/a.rs", &inside("// It is fine."), "no `// SAFETY:`");
    finds(unsafe_blocks, "src/a.rs", &inside("// SAFETY: one.\nh();"), "no `// SAFETY:`");
    finds(unsafe_blocks, "src/a.rs", &inside("// SAFETY: a\n// b.\nlet a ="), "");
    finds(unsafe_blocks, "src/a.rs", "unsafe impl Send for A {}", "no `// SAFETY:`");
    finds(unsafe_blocks, "src/a.rs", "// SAFETY: one.\nunsafe impl Send for A {}", "");

    finds(unsafe_functions, "src/a.rs", "/// Does.\nunsafe fn f() {}", "no `# Safety`");
    finds(unsafe_functions, "src/a.rs", "/// # Safety\n#[inline]\nunsafe fn f() {}", "");
    finds(unsafe_functions, "src/a.rs", "impl A for B {\n    unsafe fn f() {}\n}", "");
    finds(unsafe_functions, "src/a.rs", "impl B {\n    unsafe fn f() {}\n}", "no `# Safety`");

    let waiting = "/// Waits.\npub fn f() {\n    hub.block(1);\n}";
    finds(waiting_functions, "runtime/src/a.rs", waiting, "of f has no `# Suspends`");
    finds(waiting_functions, "runtime/src/a.rs", "/// # Suspends\npub fn f() { x.wait(1) }", "");
    finds(waiting_functions, "runtime/src/a.rs", "pub(crate) fn f() { x.block(1) }", "");
    finds(waiting_functions, "runtime/src/a.rs", "pub fn f() {}", "");
    finds(waiting_functions, "net/src/a.rs", "pub fn f() {}", "of f has no `# Suspends`");
}

#[test]
fn unsafe_code_is_counted() {
    let text = "unsafe impl Send for A {}\n// unsafe { no }\n\
        fn f() { g(unsafe { \"unsafe {\" }) }\n\
        unsafe fn h() {\n    unsafe\n    { i() }\n}\n\
        #[unsafe(no_mangle)]\nfn k() {}\n\
        #[cfg(test)]\nmod tests {\n    unsafe { j() }\n}\n";
    assert_eq!(unsafe_count(text), 4);
    let page = "| `a.rs` | 3 | text | `b::c` |\n| `d` | e |\n| file | number |\n";
    assert_eq!(unsafe_listed(page), BTreeMap::from([("a.rs".to_owned(), 3)]));
}

#[test]
fn a_test_that_is_gone_is_found() {
    let page = "Text::of no_test.\n\nTests: `timers::fires`, `it::joining::joins`,\n\
        `gone::one`.\n\n`Other::text`.\n\n| a | `not::one` | text, `in::table`, `.ci/run job` |\n";
    let named: Vec<String> = tests_named(page).into_iter().collect();
    assert_eq!(named, [".ci/run job", "gone::one", "in::table", "joining::joins", "timers::fires"]);
    let script = "job() {\n}\ncase $name in\n    other) step it ;;\nesac\nno_job\n";
    assert_eq!(jobs(script).collect::<Vec<_>>(), ["job", "other"]);

    let text = "#[test]\nfn fires() {}\nfn helps() {}\n#[test]\n#[ignore]\nfn late() {}";
    let files = [Source::new("runtime/src/timers.rs", text), Source::new("a/fd/mod.rs", text)];
    let existing: Vec<String> = tests_existing(&files).into_iter().collect();
    assert_eq!(existing, ["fd::fires", "fd::late", "timers::fires", "timers::late"]);
}
