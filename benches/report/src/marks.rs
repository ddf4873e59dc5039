//! What the design demands: once as limits, those in nanoseconds for the machine on which they were
//! set; and once as ratios to a peer who was measured there, which hold on any machine.

use std::fmt::Write;

use support::Better;

use crate::numbers::number;
use crate::results::Bench;
use crate::results::Case;
use crate::results::Entry;
use crate::results::OWN;
use crate::results::RACE;
use crate::results::Results;
use crate::statistics::Spread;

/// What a peer took where the mark was set, in the unit of the case.
struct Elsewhere {
    bench: &'static str,
    case: &'static str,
    peer: &'static str,
    took: f64,
}

/// Cases whose marks were set beside a figure of a peer. A bare pair of stacks is the floor of a
/// switch; tokio stands for the speed of the memory and the allocator.
const ELSEWHERE: [Elsewhere; 10] = [
    Elsewhere { bench: "yield", case: "2", peer: "corosensei", took: 2.3 },
    Elsewhere { bench: "yield", case: "1000", peer: "corosensei", took: 8.0 },
    Elsewhere { bench: "spawn", case: "one by one", peer: "tokio", took: 182.0 },
    Elsewhere { bench: "spawn", case: "100000 at once", peer: "tokio", took: 294.0 },
    Elsewhere { bench: "skynet", case: "1000000", peer: "tokio", took: 403.0 },
    Elsewhere { bench: "sleepers", case: "100000", peer: "tokio", took: 48.0 },
    Elsewhere { bench: "mutex", case: "wanted by 100", peer: "tokio", took: 300.0 },
    Elsewhere { bench: "round trip", case: "unbounded", peer: "tokio", took: 232.0 },
    Elsewhere { bench: "round trip", case: "bounded 1", peer: "tokio", took: 232.0 },
    Elsewhere { bench: "channel", case: "bounded 128", peer: "tokio", took: 65.0 },
];

/// Writes what is demanded, and whether it is reached.
pub(crate) fn limits(results: &Results) -> String {
    let mut rows = Vec::new();
    for bench in &results.benches {
        for case in &bench.cases {
            rows.extend(case.entries.iter().filter_map(|entry| limit(bench, case, entry)));
        }
    }
    format!(
        "\n## What the design demands\n\n\
         | what | to reach | corovent | p10…p90 | |\n| --- | --- | --- | --- | --- |\n{}",
        body(&rows)
    )
}

/// Writes the same as ratios; nothing if none of these cases was measured.
pub(crate) fn ratios(results: &Results) -> String {
    let rows: Vec<Row> = ELSEWHERE.iter().filter_map(|set| ratio(results, set)).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n## The same as ratios\n\n\
         A mark in nanoseconds is one of the machine on which it was set. What a peer took there\n\
         makes a ratio of it, which holds on any: medians of the ratios of one round.\n\n\
         | what | mark | a peer there | to reach | corovent | p10…p90 | |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n{}",
        body(&rows)
    )
}

/// A row of either table.
struct Row {
    text: String,
    is_reached: bool,
}

impl Row {
    /// That of a figure, behind what is `demanded`, of which `allowed` is the limit.
    fn new(demanded: &str, better: Better, spread: Spread, allowed: f64) -> Row {
        let is_reached = match better {
            Better::Less => spread.median <= allowed,
            Better::More => spread.median >= allowed,
        };
        let text = format!(
            "| {demanded} | {} | {}…{} | {} |\n",
            number(spread.median),
            number(spread.p10),
            number(spread.p90),
            if is_reached { "reached" } else { "**not reached**" },
        );
        Row { text, is_reached }
    }
}

/// The rows of a table, and how many of the marks are reached.
fn body(rows: &[Row]) -> String {
    let mut text: String = rows.iter().map(|row| row.text.as_str()).collect();
    let reached = rows.iter().filter(|row| row.is_reached).count();
    writeln!(text, "\n{reached} of {} are reached.", rows.len()).expect("a text takes everything");
    text
}

fn sign(better: Better) -> &'static str {
    match better {
        Better::Less => "≤",
        Better::More => "≥",
    }
}

/// Gives a row for a figure with a mark.
fn limit(bench: &Bench, case: &Case, entry: &Entry) -> Option<Row> {
    let mark = entry.mark?;
    let (spread, unit) = match &entry.of {
        None => (entry.spread(), bench.unit.clone()),
        Some(of) => (entry.ratio_to(case.entry(of)?), format!("of {of}")),
    };
    let allowed = if bench.name == RACE { mark + case.control_spread() } else { mark };
    let who = if entry.who == OWN { String::new() } else { format!(", {}", entry.who) };
    let control = if allowed == mark { String::new() } else { format!(" + {:.3}", allowed - mark) };
    let sign = sign(bench.better);
    let demanded = format!("{}, {}{who} | {sign} {mark}{control} {unit}", bench.name, case.name);
    Some(Row::new(&demanded, bench.better, spread, allowed))
}

/// Gives a row for a mark that was set beside a peer; `None` if not both were measured.
fn ratio(results: &Results, set: &Elsewhere) -> Option<Row> {
    let bench = results.bench(set.bench)?;
    let case = bench.case(set.case)?;
    let (own, peer) = (case.entry(OWN)?, case.entry(set.peer)?);
    let mark = own.mark?;
    let allowed = mark / set.took;
    let sign = sign(bench.better);
    let demanded = format!(
        "{}, {} | {mark} {} | {} {} | {sign} {}",
        bench.name,
        case.name,
        bench.unit,
        set.peer,
        set.took,
        number(allowed),
    );
    Some(Row::new(&demanded, bench.better, own.ratio_to(peer), allowed))
}

#[cfg(test)]
mod tests {
    use support::Better;
    use support::Line;

    use super::limits;
    use super::ratios;
    use crate::testing::results;
    use crate::testing::rounds;

    fn page(lines: &[Line]) -> String {
        limits(&results(lines))
    }

    #[test]
    fn a_mark_is_reached_or_not() {
        let mut own = Line::new("yield", "2", "corovent", 0.0, "ns");
        own.mark = Some(15.0);
        let text = page(&rounds(&own, &[14.0, 12.0, 13.0]));
        assert!(text.contains("| yield, 2 | ≤ 15 ns | 13.0 | 12.2…13.8 | reached |"), "{text}");
        assert!(text.contains("1 of 1 are reached"), "{text}");
        let text = page(&rounds(&own, &[14.0, 16.0, 17.0]));
        assert!(text.contains("| 16.0 | 14.4…16.8 | **not reached** |"), "{text}");
        own.better = Better::More;
        let text = page(&rounds(&own, &[14.0, 16.0, 17.0]));
        assert!(text.contains("≥ 15 ns | 16.0 | 14.4…16.8 | reached |"), "{text}");
    }

    #[test]
    fn a_mark_may_be_one_of_a_ratio() {
        let mut own = Line::new("mutex", "free", "corovent", 0.0, "ns");
        (own.mark, own.of) = (Some(1.2), Some("threads".to_owned()));
        let mut lines = rounds(&own, &[12.0, 26.0, 13.0]);
        lines
            .extend(rounds(&Line::new("mutex", "free", "threads", 0.0, "ns"), &[10.0, 20.0, 10.0]));
        let text = page(&lines);
        assert!(text.contains("≤ 1.2 of threads | 1.30 | 1.22…1.30 | **not reached**"), "{text}");
    }

    #[test]
    fn the_control_widens_the_mark_of_a_ratio() {
        let mut own = Line::new("echo ratio", "64 B × 50", "corovent", 1.04, "");
        own.mark = Some(1.03);
        let control = Line::new("echo ratio", "64 B × 50", "raw again", 0.985, "");
        let text = page(&[own.clone(), control]);
        assert!(text.contains("≤ 1.03 + 0.015  | 1.04 | 1.04…1.04 | reached |"), "{text}");
        assert!(page(&[own]).contains("**not reached**"));
        // Of nothing else, though the control is there as well.
        let mut calls = Line::new("echo calls", "64 B × 50", "corovent", 2.2, "");
        calls.mark = Some(2.1);
        let control = Line::new("echo calls", "64 B × 50", "raw again", 2.0, "");
        assert!(page(&[calls, control]).contains("**not reached**"));
    }

    fn page_of_ratios(own: &[f64], peer: &[f64]) -> String {
        let mut line = Line::new("spawn", "one by one", "corovent", 0.0, "ns");
        line.mark = Some(60.0);
        let mut lines = rounds(&line, own);
        lines.extend(rounds(&Line::new("spawn", "one by one", "tokio", 0.0, "ns"), peer));
        ratios(&results(&lines))
    }

    #[test]
    fn on_a_machine_that_is_half_as_fast_the_mark_is_twice_as_much() {
        let text = page_of_ratios(&[100.0, 104.0, 120.0], &[400.0, 400.0, 400.0]);
        let row = "| spawn, one by one | 60 ns | tokio 182 | ≤ 0.33 | 0.26 | 0.25…0.29 | reached |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("\n1 of 1 are reached"), "{text}");
        let text = page_of_ratios(&[50.0, 59.0, 59.0], &[100.0, 100.0, 100.0]);
        assert!(text.contains("| 0.59 | 0.52…0.59 | **not reached** |"), "{text}");
        assert!(text.contains("\n0 of 1 are reached"), "{text}");
    }

    #[test]
    fn without_the_peer_there_is_no_ratio() {
        assert_eq!(page_of_ratios(&[50.0], &[]), "");
    }
}
