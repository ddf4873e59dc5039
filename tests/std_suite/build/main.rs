//! Takes std's tests, and the examples of its documentation, from the toolchain's sources and
//! writes them out once for each world, with the paths that begin at `std` led to that world.

mod examples;
mod paths;
mod suites;
mod tests;

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::suites::SUITES;

/// The worlds, each with the first of its ports.
const WORLDS: [(&str, u16); 3] = [("plain", 19600), ("green", 21600), ("threads", 23600)];

fn main() {
    println!("cargo::rerun-if-changed=build");
    let library = library();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for (world, ports) in WORLDS {
        let mut text: String =
            SUITES.iter().map(|suite| tests::module(&library, suite, world, ports)).collect();
        text += &examples::module(&library, world);
        fs::write(out.join(format!("{world}.rs")), text).expect("the directory is cargo's");
    }
}

/// The directory of std's sources.
fn library() -> PathBuf {
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8(sysroot.stdout).expect("a path of text");
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std");
    assert!(library.exists(), "std's sources are missing: rustup component add rust-src");
    library
}
