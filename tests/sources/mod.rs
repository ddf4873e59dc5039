//! The project's own text files, for tests that read them.
//!
//! Rust is not parsed: comments and the insides of literals are blanked, after which braces
//! and words can be trusted. Lines and columns stay where they were.

// Each test that uses this module needs only a part of it.
#![allow(dead_code)]

use std::fs;
use std::ops::Range;
use std::path::Path;

/// A text file of the project.
pub(crate) struct Source {
    /// Below the project's directory.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether it holds tests alone: in `tests/`, or as the test module of a source file.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }

    /// Whether it is Rust that users run, not a test, an example or a benchmark.
    pub(crate) fn is_shipped(&self) -> bool {
        let crates = ["src/", "runtime/src/", "net/src/"];
        let is_in_crate = crates.iter().any(|start| self.path.starts_with(start));
        self.path.ends_with(".rs") && is_in_crate && !self.is_test()
    }
}

/// Every file whose name ends so, but for what is built or hidden.
pub(crate) fn files(ending: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    add_files(root, root, ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn add_files(root: &Path, directory: &Path, ending: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            add_files(root, &path, ending, found);
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source::new(&path.strip_prefix(root).unwrap().to_string_lossy(), &text));
        }
    }
}

/// The code alone: comments and the insides of literals are blanks.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (len, kept) = token(&chars, at);
        for (n, &c) in chars[at..at + len].iter().enumerate() {
            let is_edge = kept == Kept::Edges && (n == 0 || n == len - 1);
            code.push(if c == '\n' || kept == Kept::All || is_edge { c } else { ' ' });
        }
        at += len;
    }
    code
}

/// How much of a piece of text is code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    All,
    /// The first and the last sign: the quotes.
    Edges,
    Nothing,
}

/// How long the piece is that begins here, and what of it is code.
fn token(chars: &[char], at: usize) -> (usize, Kept) {
    let rest = &chars[at..];
    let starts = |text: &str| rest.iter().take(text.chars().count()).copied().eq(text.chars());
    let after_word = at > 0 && is_word(chars[at - 1]);
    if starts("//") {
        (rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()), Kept::Nothing)
    } else if starts("/*") {
        (block_comment(rest), Kept::Nothing)
    } else if rest[0] == '"' {
        (quoted(rest, '"'), Kept::Edges)
    } else if let Some(len) = raw_string(rest).filter(|_| !after_word) {
        (len, Kept::Edges)
    } else if rest[0] == '\'' && (rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'')) {
        // Any other of these begins a lifetime.
        (quoted(rest, '\''), Kept::Edges)
    } else {
        (1, Kept::All)
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of `r"…"` or `r#"…"#`, if that is what begins here.
fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest.strip_prefix(&['r'])?.iter().take_while(|&&c| c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = ['"'].into_iter().chain(vec!['#'; hashes]).collect();
    let inside = &rest[2 + hashes..];
    let len = inside.windows(end.len()).position(|window| window == end);
    len.map_or(Some(rest.len()), |len| Some(2 + hashes + len + end.len()))
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The same code with blanks for every item that exists in tests only.
pub(crate) fn without_tests(code: &str) -> String {
    let mut left: Vec<char> = code.chars().collect();
    for item in test_items(&left) {
        left[item].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
    }
    left.into_iter().collect()
}

/// How many lines blanked code has besides the items that exist in tests only.
pub(crate) fn lines_without_tests(code: &str) -> usize {
    let chars: Vec<char> = code.chars().collect();
    let lines_of = |item: Range<usize>| 1 + chars[item].iter().filter(|&&c| c == '\n').count();
    code.lines().count() - test_items(&chars).into_iter().map(lines_of).sum::<usize>()
}

/// Where the items are that exist in tests only, each with its condition.
fn test_items(code: &[char]) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(start) = find(code, "#[cfg(", from) {
        let condition_end = find(code, ")]", start).unwrap_or(code.len());
        let condition: String = code[start..condition_end].iter().collect();
        from = condition_end;
        if words(&condition).any(|word| word == "test") && !condition.contains("not(test") {
            from = item_end(code, condition_end + 2);
            items.push(start..from);
        }
    }
    items
}

/// Where an item ends: behind its braces, or its semicolon.
fn item_end(code: &[char], from: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code.iter().enumerate().skip(from) {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, '}' | ';') {
            return at + 1;
        }
    }
    code.len()
}

fn find(code: &[char], text: &str, from: usize) -> Option<usize> {
    let text: Vec<char> = text.chars().collect();
    let windows = code.get(from..)?.windows(text.len());
    Some(from + windows.into_iter().position(|window| window == text)?)
}

/// The words of a piece of code.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// A function that has a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Where `fn` stands; the first line is 1.
    pub(crate) line: usize,
    /// Where the last brace stands.
    pub(crate) last_line: usize,
    pub(crate) body: String,
}

/// The functions of blanked code.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let chars: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = find(&chars, "fn ", from) {
        from = at + 3;
        let name: String = chars[from..].iter().copied().take_while(|&c| is_word(c)).collect();
        let end = item_end(&chars, from);
        // A declaration ends with a semicolon; `fn` inside a longer word is no function.
        if name.is_empty() || chars[end - 1] != '}' || at > 0 && is_word(chars[at - 1]) {
            continue;
        }
        let line_of = |at: usize| 1 + chars[..at].iter().filter(|&&c| c == '\n').count();
        let body: String = chars[from..end].iter().collect();
        let body = body.split_once('{').map_or(String::new(), |(_, body)| body.to_owned());
        found.push(Function { name, line: line_of(at), last_line: line_of(end - 1), body });
    }
    found
}
