//! `soak`: what it says of its options, and that nothing is lost or left behind in a short one.

use crate::process::run;

const PROGRAM: &str = "soak";

#[test]
fn the_help_names_the_options() {
    let ending = run(PROGRAM, &["--help"]);
    ending.assert_done();
    let text = ending.stdout.join("\n");
    for part in ["Usage: soak", "--minutes N", "--seed N", "--connections N", "--lull N"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn bad_arguments_are_refused_in_one_line() {
    let check = |args: &[&str], why: &str| run(PROGRAM, args).assert_gave_up(PROGRAM, why);
    check(&["--colour"], "unexpected argument '--colour'");
    check(&["--seconds"], "--seconds needs a number");
    check(&["--minutes", "0"], "--minutes needs a number from 1 to 1000000, not '0'");
    check(&["--connections", "some"], "not 'some'");
    check(&["--seed", "-1"], "--seed needs a number, not '-1'");
}

/// Soaks with a seed, and checks that all was well, and that the faults were not left out.
fn soak(seed: &str, args: &[&str]) {
    let ending = run(PROGRAM, &[&["--seed", seed], args].concat());
    ending.assert_done();
    let count = |what: &str| -> u64 {
        let row = format!("| {what} |");
        let line = ending.stdout.iter().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("no row '{what}': {ending:?}"));
        let number = line[row.len()..].trim_end_matches('|').trim();
        number.parse().unwrap()
    };
    for what in ["lulls", "connections opened", "bytes received and compared", "fault: kills"] {
        assert!(count(what) > 0, "{what}: {ending:?}");
    }
    assert!(count("bytes received and compared") <= count("bytes sent"));
    let storms = "fault: storms of signals";
    assert!(count(storms) > 0, "{ending:?}");
}

#[test]
fn two_seeds() {
    soak("1", &["--seconds", "2"]);
    soak("2", &["--seconds", "2"]);
}

#[test]
#[ignore = "takes ten minutes"]
fn ten_minutes_of_many_connections() {
    soak("3", &["--minutes", "10", "--connections", "500"]);
}
