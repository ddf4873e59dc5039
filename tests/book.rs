//! The pages of `docs/` as a book: each is in its table of contents and among the doctests, and
//! no link in them leads nowhere.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Pages below the others, which have no examples, so they are not compiled.
const DEEPER: [&str; 2] = ["performance/results.md", "performance/notes.md"];

/// The names of the pages that people write, without the table of contents.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(root().join("docs")).expect("the folder is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    names.sort();
    names
}

/// Where the links of a page lead: `[text](target)` and `[name]: target`.
fn targets(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let named = text.lines().filter(|line| line.starts_with('['));
    let named = named.filter_map(|line| line.split_once("]: ")).map(|(_, target)| target);
    inline.chain(named).collect()
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let summary = read(&root().join("docs/SUMMARY.md"));
    let mut listed = targets(&summary);
    listed.sort_unstable();
    let mut pages = pages();
    pages.extend(DEEPER.map(str::to_owned));
    pages.sort_unstable();
    assert_eq!(listed, pages);
}

#[test]
fn every_page_is_compiled() {
    let facade = read(&root().join("src/lib.rs"));
    for page in pages() {
        let include = format!("include_str!(\"../docs/{page}\")");
        assert!(facade.contains(&include), "{page} is not among the doctests");
    }
}

#[test]
fn no_link_leads_nowhere() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&root().join("docs").join(&page));
        for target in targets(&text) {
            let target = target.split('#').next().expect("there is a first part");
            if target.is_empty() || target.starts_with("http") || target.starts_with("crate::") {
                continue;
            }
            seen += 1;
            assert!(root().join("docs").join(target).exists(), "{page} links to {target}");
        }
    }
    assert!(seen >= 10, "the links were not found");
}

#[test]
fn no_example_is_left_out() {
    for page in pages() {
        let text = read(&root().join("docs").join(&page));
        let fences = text.lines().filter_map(|line| line.strip_prefix("```"));
        let opened = fences.step_by(2);
        for language in opened {
            let known = ["rust", "rust,no_run", "text", "toml", "sh", "console", "python"];
            // With the code of the error, which the nightly compiler looks at.
            let refused = language.strip_prefix("rust,compile_fail");
            let is_known = known.contains(&language)
                || refused.is_some_and(|code| code.is_empty() || code.starts_with(",E0"));
            assert!(is_known, "{page} has a block of '{language}'");
        }
    }
}
