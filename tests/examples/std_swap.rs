//! `std_swap_std` and `std_swap_green`: one program, once with std's imports and once with ours.

use std::fs;
use std::path::Path;

use crate::process::run;

fn source(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_sources_differ_in_their_imports_alone() {
    let (std, green) = (source("std_swap_std.rs"), source("std_swap_green.rs"));
    assert_eq!(std.len(), green.len());
    let mut swapped = 0;
    for (theirs, ours) in std.iter().zip(&green) {
        if theirs != ours {
            assert_eq!(theirs.replacen("use std::", "use corovent::", 1), *ours);
            swapped += 1;
        }
    }
    assert!(swapped > 20, "only {swapped} imports differ");
}

#[test]
fn the_outputs_are_the_same() {
    let (std, green) = (run("std_swap_std", &[]), run("std_swap_green", &[]));
    std.assert_done();
    green.assert_done();
    assert!(std.stdout.len() > 20, "{std:?}");
    assert_eq!(std.stdout, green.stdout);
}
