//! What somebody reads who looks on: a table for each cell, and the ratios of all at the end.

use std::collections::BTreeMap;

use crate::peers::CONTROL;
use crate::race::median;

/// The figures of all servers with one size of messages and one number of connections.
pub(crate) struct Cell {
    pub(crate) case: String,
    pub(crate) rows: Vec<Row>,
}

/// The medians of one server.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cpu_us: f64,
    /// To the raw loop, round by round.
    pub(crate) ratios: Vec<f64>,
    /// The part of the time that the server has used a processor.
    pub(crate) busy: f64,
    pub(crate) per_second: f64,
    /// Half of the requests, all but one of 100 and all but one of 1,000 took no longer.
    pub(crate) latencies_us: [f64; 3],
}

impl Row {
    pub(crate) fn ratio(&self) -> f64 {
        median(self.ratios.clone())
    }
}

impl Cell {
    /// By how much the raw loop is off from itself.
    fn error(&self) -> Option<f64> {
        let control = self.rows.iter().find(|row| row.name == CONTROL)?;
        Some((control.ratio() - 1.0).abs())
    }

    pub(crate) fn print(&self) {
        eprintln!(
            "\n{:<20} {:>8} {:>6} {:>13} {:>5} {:>9} {:>8} {:>8} {:>8}",
            self.case, "cpu us", "ratio", "least…most", "busy", "req/s", "p50 us", "p99", "p99.9"
        );
        for row in &self.rows {
            let least = row.ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let most = row.ratios.iter().copied().fold(0.0, f64::max);
            let [p50, p99, p999] = row.latencies_us;
            eprintln!(
                "{:<20} {:>8.3} {:>6.3} {least:>6.3}…{most:<6.3} {:>4.0}% {:>9.0} {p50:>8.0} \
                 {p99:>8.0} {p999:>8.0}",
                row.name,
                row.cpu_us,
                row.ratio(),
                row.busy * 100.0,
                row.per_second,
            );
        }
        if let Some(error) = self.error() {
            eprintln!("the raw loop is {:.1} % off from itself: so is this table", error * 100.0);
        }
    }
}

/// All cells, for one look at the end.
#[derive(Default)]
pub(crate) struct Tables {
    /// By the size of the message, then in the order of the connections.
    cells: BTreeMap<usize, Vec<(usize, Cell)>>,
}

impl Tables {
    pub(crate) fn add(&mut self, cell: Cell, bytes: usize, connections: usize) {
        cell.print();
        self.cells.entry(bytes).or_default().push((connections, cell));
    }

    /// Prints the ratios to the raw loop, a column for each number of connections.
    pub(crate) fn print(&self) {
        for (bytes, cells) in &self.cells {
            eprint!("\n{:<20}", format!("{bytes} B, ratio to raw"));
            cells.iter().for_each(|(connections, _)| eprint!(" {connections:>8}"));
            eprintln!();
            let mut names: Vec<&str> = Vec::new();
            for row in cells.iter().flat_map(|(_, cell)| &cell.rows) {
                if !names.contains(&row.name.as_str()) {
                    names.push(&row.name);
                }
            }
            for name in names {
                eprint!("{name:<20}");
                for (_, cell) in cells {
                    match cell.rows.iter().find(|row| row.name == name) {
                        Some(row) => eprint!(" {:>8.3}", row.ratio()),
                        None => eprint!(" {:>8}", "-"),
                    }
                }
                eprintln!();
            }
            let most = cells.iter().filter_map(|(_, cell)| cell.error()).fold(0.0, f64::max);
            eprintln!(
                "error of this run: the raw loop is up to {:.1} % off from itself",
                most * 100.0
            );
        }
    }
}
