//! Writes the examples of std's documentation for a world.

use std::fs;
use std::path::Path;

use quote::ToTokens;

use crate::paths::lead;
use crate::suites::EXAMPLES;
use crate::suites::EXAMPLES_LEFT_OUT;
use crate::suites::LeftOut;

/// The examples of all files, as a module's text.
pub fn module(library: &Path, world: &str) -> String {
    let mut text = String::new();
    let left_out = EXAMPLES_LEFT_OUT.iter();
    let left_out = left_out.filter(|one| one.world.is_empty() || one.world == world);
    let mut left_out: Vec<&LeftOut> = left_out.collect();
    for file in EXAMPLES {
        let path = library.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        let source = fs::read_to_string(&path).expect("a file of std");
        for example in examples(&source) {
            let is_named = |one: &&LeftOut| one.file == *file && example.code.contains(one.part);
            match left_out.iter().position(is_named) {
                Some(at) => {
                    left_out.remove(at);
                }
                None => text += &example.module(file, world),
            }
        }
    }
    for LeftOut { file, part, reason, .. } in left_out {
        panic!("{file} has no example with {part}, which was left out because {reason}");
    }
    format!("pub mod examples {{\n{text}\n}}\n")
}

struct Example {
    line: usize,
    /// What stands behind the fence.
    info: String,
    code: String,
}

/// The examples in the documentation of a file that can be compiled on stable.
fn examples(source: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let mut open: Option<Example> = None;
    for (line, text) in source.lines().enumerate() {
        let text = text.trim_start();
        let Some(text) = text.strip_prefix("///").or_else(|| text.strip_prefix("//!")) else {
            // The comment is over.
            open = None;
            continue;
        };
        let text = text.strip_prefix(' ').unwrap_or(text);
        if let Some(info) = text.trim_start().strip_prefix("```") {
            match open.take() {
                Some(example) => found.push(example),
                None => {
                    let info = info.to_owned();
                    open = Some(Example { line: line + 1, info, code: String::new() });
                }
            }
        } else if let Some(example) = &mut open {
            // Hidden lines begin with one hash.
            let text = match text.trim_start() {
                "#" => "",
                hidden if hidden.starts_with("# ") => &hidden[2..],
                _ => text,
            };
            example.code.push_str(text);
            example.code.push('\n');
        }
    }
    found.retain(|example| {
        let info = &example.info;
        !["ignore", "compile_fail", "text", "console", "ps1"].iter().any(|word| info.contains(word))
            && !example.code.contains("#![feature")
    });
    found
}

impl Example {
    /// A module with the example as a test, or as a function if it is not to be run.
    fn module(&self, file: &str, world: &str) -> String {
        let attributes = if self.info.contains("no_run") {
            ""
        } else if self.info.contains("should_panic") {
            "#[test] #[should_panic]"
        } else {
            "#[test]"
        };
        let code: String = self
            .code
            .lines()
            .filter(|line| !line.starts_with("#!["))
            .flat_map(|line| [line, "\n"])
            .collect();
        // The name is in the prelude, so those who swap imports add one.
        let is_implied = code.contains("thread_local!") && !code.contains("std::thread_local");
        let import = if is_implied { "use std::thread_local;\n" } else { "" };
        let items = if code.contains("fn main()") {
            code
        } else if code.trim_end().ends_with("(())") {
            format!("fn main() -> Result<(), impl ::std::fmt::Debug> {{ {code} }}")
        } else {
            format!("fn main() {{ {code} }}")
        };
        let text = format!(
            "{import}{items}\n{attributes} fn example() {{ crate::Outcome::check(main()); }}"
        );
        let at = self.line;
        let parsed = syn::parse_str::<syn::File>(&text);
        let parsed = parsed.unwrap_or_else(|error| panic!("{file}:{at}: {error}\n{text}"));
        let tokens = lead(parsed.to_token_stream(), "", world);
        let text = prettyplease::unparse(&syn::parse2(tokens).expect("Rust"));
        let name = file.trim_end_matches(".rs").replace(['/', '.'], "_");
        format!("pub mod {name}_{at} {{ {text} }}\n")
    }
}
