//! Every call that waits × every event × every state of the waiter, in many orders.
//!
//! A cell is a row of the table, something that happens, and where the victim stands then. A
//! bystander waits beside the victim wherever two can. Each cell is run under seeds, each run on
//! a hub of its own that draws the order of everything (`testing::with_seed`). In every cell:
//! what the victim gets is right; what was meant for one that left goes to the bystander, or is
//! there for the next call; and nothing is left behind on the hub.
//!
//! Each row is run with 100 seeds, or as many as `COROVENT_SEEDS` says (fewer where `FEWER` says
//! why), which go round through its cells: about three for each. `.ci/run all` takes 1,000. The
//! ignored `every_cell_in_every_order` runs every cell with all of them. A failure names the cell
//! and the seed, and how to run these alone.

use std::env;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::thread;
use std::thread::JoinHandle;

use crate::case::Row;
use crate::rows::rows;
use crate::seeded::game::play;
use crate::seeded::planted::PLANTED;
use crate::seeded::square::Event;
use crate::seeded::square::Square;
use crate::seeded::square::State;
use crate::seeded::square::squares;
use crate::support::child_with;
use crate::support::has_passed;

mod game;
mod planted;
mod square;

/// For each row, unless `COROVENT_SEEDS` says how many.
const SEEDS: u64 = 100;

/// Rows that are run with fewer seeds, by the beginning of their names.
const FEWER: &[(&str, u64, &str)] = &[
    ("TcpStream::connect", 16, "a full queue has to be made, of connections that time out"),
    ("TcpStream::w", 200, "its buffers have to be filled"),
    ("Child", 80, "it starts a program"),
    ("Command", 80, "it starts programs"),
];

/// So many processes share the runs: most wait, for connections and programs.
const PROCESSES: u64 = 4;

/// Which of them this one is. One that is not told has all runs.
const PART: &str = "COROVENT_PART";

/// Begins the line by which is known where a process has ended or hangs.
const RUNNING: &str = "seed ";

/// Runs one cell with one seed; whether it fails.
#[allow(clippy::print_stdout)] // Apart from what the cells write to stderr.
fn fails(square: &Square, seed: u64) -> bool {
    println!("{RUNNING}{seed} of '{square}'");
    let result = catch_unwind(AssertUnwindSafe(|| play(square, seed)));
    if result.is_err() {
        eprintln!("the cell '{square}' fails with seed {seed}; these alone:");
        eprintln!(
            "COROVENT_SEED={seed} COROVENT_CELL='{square}' cargo test --test blocking seeded::every"
        );
    }
    result.is_err()
}

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect("it is a number"))
}

/// What the environment asks for: a cell, a seed, how many seeds for each row.
fn asked() -> (Option<String>, Option<u64>, u64) {
    let seeds = number("COROVENT_SEEDS").unwrap_or(SEEDS);
    (env::var("COROVENT_CELL").ok(), number("COROVENT_SEED"), seeds)
}

/// Which cells of a row a seed is for: those after each other, or all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    InTurn,
    All,
}

/// Runs what is asked for, or each row with its seeds; this process's part of it. Of a cell that
/// fails the other seeds are left out. Gives how many runs there were, and the cells that fail.
fn check_rows(rows: &[(usize, &'static Row)], share: Share) -> (u64, Vec<String>) {
    let (cell, seed, seeds) = asked();
    let part = number(PART);
    let (mut met, mut runs, mut failed) = (0, 0, Vec::new());
    for (index, row) in rows.iter().filter(|(_, row)| !row.has_not("seeds")) {
        let squares = squares(*index, row);
        let fewer = FEWER.iter().find(|(name, _, _)| row.functions[0].starts_with(name));
        let seeds = fewer.map_or(seeds, |(_, fewer, _)| seeds.min(*fewer));
        for seed in seed.map_or(0..seeds, |seed| seed..seed + 1) {
            for (nth, square) in squares.iter().enumerate() {
                let is_in_turn = share == Share::All || seed % squares.len() as u64 == nth as u64;
                let name = square.to_string();
                let is_meant = cell.as_ref().map_or(is_in_turn, |cell| *cell == name);
                met += u64::from(is_meant);
                let is_mine = is_meant && part.is_none_or(|part| met % PROCESSES == part);
                if is_mine && !failed.contains(&name) {
                    runs += 1;
                    if fails(square, seed) {
                        failed.push(name);
                    }
                }
            }
        }
    }
    (runs, failed)
}

#[track_caller]
fn check_table(share: Share) {
    let rows: Vec<_> = rows().enumerate().collect();
    let (runs, failed) = check_rows(&rows, share);
    assert!(failed.is_empty(), "these fail: {failed:#?}");
    assert!(runs > 0 || number(PART).is_some(), "there is no such cell");
    eprintln!("{runs} runs");
}

/// Runs one process's part. Gives how many runs there were.
fn runs_of_child(part: u64) -> u64 {
    let test = "seeded::child_runs_every_cell";
    let output = child_with(test, &[(PART, &part.to_string())]);
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().rfind(|line| line.starts_with(RUNNING));
        eprintln!("it ended in {}", last.unwrap_or("none"));
    }
    let text = has_passed(test, &output);
    let runs = text.lines().find_map(|line| line.strip_suffix(" runs"));
    runs.and_then(|runs| runs.parse().ok()).unwrap_or_else(|| panic!("it says {text}"))
}

#[test]
fn every_cell_in_many_orders() {
    let children: Vec<_> =
        (0..PROCESSES).map(|part| thread::spawn(move || runs_of_child(part))).collect();
    let ended: Vec<_> = children.into_iter().map(JoinHandle::join).collect();
    let runs: u64 = ended.into_iter().map(|runs| runs.expect("no part fails")).sum();
    assert!(runs > 0, "there is no such cell");
    // In a line of its own: the harness has begun one.
    eprintln!("\n{runs} runs");
}

/// Descriptors are closed, whose numbers other tests would take.
#[test]
#[ignore = "runs in a process of its own"]
fn child_runs_every_cell() {
    // Each run of a cell has its own limit; all together may take long.
    // SAFETY: alarm(2) has no preconditions.
    unsafe { libc::alarm(0) };
    check_table(Share::InTurn);
}

/// With `COROVENT_SEEDS=1000` this takes hours.
#[test]
#[ignore = "takes long"]
fn every_cell_in_every_order() {
    check_table(Share::All);
}

/// The control: what the table must find, and find again.
#[test]
fn a_planted_fault_is_found_and_replayed() {
    let failure = |variables: &[(&str, &str)]| {
        let output = child_with("seeded::the_planted_fault", variables);
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().filter(|line| line.starts_with("the cell ")).map(str::to_owned).collect()
    };
    let found: Vec<String> = failure(&[("COROVENT_SEEDS", "400")]);
    let line = found.iter().find(|line| line.contains("Kill Racing")).expect("it is found");
    let (cell, seed) = line
        .strip_prefix("the cell '")
        .and_then(|rest| rest.split_once("' fails with seed "))
        .expect("it is such a line");
    let seed = seed.split(';').next().unwrap();
    let again: Vec<String> = failure(&[("COROVENT_SEED", seed), ("COROVENT_CELL", cell)]);
    assert_eq!(&again, std::slice::from_ref(line));
}

#[test]
#[ignore = "fails: run by `a_planted_fault_is_found_and_replayed`"]
fn the_planted_fault() {
    let (_, failed) = check_rows(&[(0, &PLANTED)], Share::InTurn);
    assert!(failed.is_empty(), "these fail: {failed:#?}");
}

/// Which seeds fail is the same each time.
#[test]
fn a_seed_decides() {
    let row = &PLANTED;
    let square = Square { index: 0, row, event: Event::Kill, state: State::Racing };
    let failing = || (0..60).filter(|seed| fails(&square, *seed)).collect::<Vec<u64>>();
    let once = failing();
    assert!(once.len() > 2 && once.len() < 58, "{once:?}");
    assert_eq!(once, failing());
}
