//! `timeouts`: it says the same each time, and checks itself.

use crate::process::run;

const LINES: [&str; 15] = [
    "in time: the value of the block",
    "too late: Elapsed",
    "no time at all: what needs no wait is given",
    "nested: the inner time ends the inner block",
    "nested: the outer time passes through the inner block",
    "one read: WouldBlock",
    "the next read: what came meanwhile",
    "a slow client: given up as a whole",
    "a slow client: finds the connection closed",
    "what the block owned: closed",
    "a join: the handle back, and the worker goes on",
    "a join: the value, later",
    "a kill: what was held is dropped, and the joiner gets Killed",
    "a shield: the kill has to wait",
    "a shield: the step is done, and nothing after it",
];

#[test]
fn the_tour_ends_and_says_what_it_shows() {
    for _ in 0..3 {
        let ending = run("timeouts", &[]);
        ending.assert_done();
        assert_eq!(ending.stdout, LINES);
    }
}
