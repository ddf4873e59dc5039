//! `coroutine_vs_threads`: one table with both kinds, over few requests.

use crate::process::run;

const COMPARISON: &str = "coroutine_vs_threads";

#[test]
fn the_table_has_a_row_for_each_kind() {
    let ending = run(COMPARISON, &["--connections", "1,20", "--requests", "200"]);
    ending.assert_done();
    let rows: Vec<Vec<&str>> =
        ending.stdout.iter().map(|line| line.split_whitespace().collect()).collect();
    // The heading, two rows for each number of connections, and the verdict.
    assert_eq!(rows.len(), 6, "{ending:?}");
    assert_eq!(rows[0][..2], ["connections", "server"], "{ending:?}");
    for (row, (connections, kind)) in rows[1..].iter().zip([
        ("1", "threads"),
        ("1", "coroutines"),
        ("20", "threads"),
        ("20", "coroutines"),
    ]) {
        assert_eq!(row[..2], [connections, kind], "{ending:?}");
        assert_eq!(row.len(), 7, "a measured row has all columns: {ending:?}");
        assert!(row[2].parse::<f64>().unwrap() > 0.0, "requests/s: {ending:?}");
    }
    assert_eq!(rows[1][6], rows[2][6], "checksums: {ending:?}");
    // Twice 200 messages of 64 bytes.
    assert!(ending.stdout[5].contains("sent the same 25600 bytes"), "{ending:?}");
}

#[test]
fn the_help_and_bad_arguments() {
    let help = run(COMPARISON, &["--help"]);
    help.assert_done();
    assert!(help.stdout.join("\n").contains("--connections N,N,…"), "{help:?}");

    let check = |args: &[&str], why: &str| run(COMPARISON, args).assert_gave_up(COMPARISON, why);
    check(&["--connections", "0"], "--connections must not be zero");
    check(&["--requests", "many"], "--requests: not a number: many");
    check(&["--requests"], "unexpected argument '--requests'");
    check(&["--colour", "1"], "unexpected argument '--colour'");
}
