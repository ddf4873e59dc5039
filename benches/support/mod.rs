//! What the benches share: their arguments, rounds that take turns, and the figures of them.
//!
//! Whatever is compared is measured in turns, round by round, so that a machine whose speed
//! drifts harms all alike. What is printed is the median of the rounds, and beside it the
//! least and the most of them.

// Each bench uses a part of it.
#![allow(dead_code)]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

pub(crate) mod clients;
pub(crate) mod memory;
pub(crate) mod workloads;

use std::env;
use std::fmt;
use std::time::Instant;

/// Whether one short round is enough: cargo passes `--bench` when it is asked to measure,
/// and not when it tests.
pub(crate) fn is_quick() -> bool {
    let has = |wanted: &str| env::args().any(|arg| arg == wanted);
    has("--quick") || !has("--bench")
}

/// Gives `full`, or `quick` when that is wanted.
pub(crate) fn scale(full: usize, quick: usize) -> usize {
    if is_quick() { quick } else { full }
}

/// What one entry of a [`Race`] costs, from several rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Figure {
    pub(crate) fn of(values: &[f64]) -> Figure {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (least, most) = (values[0], values[values.len() - 1]);
        Figure { median: values[values.len() / 2], least, most }
    }

    /// Takes away what is not the subject, such as the reading of a clock.
    pub(crate) fn less(self, by: f64) -> Figure {
        let Figure { median, least, most } = self;
        Figure { median: median - by, least: least - by, most: most - by }
    }
}

/// Measurements that take turns.
#[derive(Default)]
pub(crate) struct Race<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: String,
    measure: Box<dyn FnMut() -> f64 + 'a>,
    rounds: Vec<f64>,
}

impl<'a> Race<'a> {
    /// Adds a measurement; its result is the cost of one operation.
    pub(crate) fn add(&mut self, name: &str, measure: impl FnMut() -> f64 + 'a) {
        let measure = Box::new(measure);
        self.entries.push(Entry { name: name.to_owned(), measure, rounds: Vec::new() });
    }

    /// Runs all in turn, so many times; the first time is for warming up.
    pub(crate) fn run(mut self, rounds: usize) -> Vec<(String, Figure)> {
        if rounds > 1 {
            self.entries.iter_mut().for_each(|entry| {
                (entry.measure)();
            });
        }
        for _ in 0..rounds {
            for entry in &mut self.entries {
                entry.rounds.push((entry.measure)());
            }
        }
        let figures = self.entries.into_iter();
        figures.map(|entry| (entry.name, Figure::of(&entry.rounds))).collect()
    }
}

/// Prints the first line of a table; `what` says what is counted. The figures of a quick run
/// mean nothing: it only shows that it runs.
pub(crate) fn print_head(what: &str) {
    let what = if is_quick() { format!("{what} (QUICK)") } else { what.to_owned() };
    println!("{what:<44} {:>10} {:>21}  reach", "median", "least…most");
}

/// Prints one figure, and what it should reach if anything is demanded of it.
pub(crate) fn print_figure(name: &str, figure: Figure, reach: Option<f64>) {
    let Figure { median, least, most } = figure;
    println!("  {name:<42} {median:>10.1} {least:>10.1}…{most:<10.1}{}", Reach(reach));
}

/// Prints one value that was measured once.
pub(crate) fn print_value(name: &str, value: f64, reach: Option<f64>) {
    println!("  {name:<42} {value:>10.1} {:>21}{}", "", Reach(reach));
}

/// A limit as the last column shows it.
struct Reach(Option<f64>);

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => write!(f, "  ≤ {limit}"),
            None => Ok(()),
        }
    }
}

/// Gives how many milliseconds `f` takes.
pub(crate) fn elapsed_ms(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64() * 1000.0
}

/// Gives how many nanoseconds each of `count` operations took that `f` does together.
pub(crate) fn ns_each(count: usize, f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_nanos() as f64 / count as f64
}
