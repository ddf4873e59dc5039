//! The marks in nanoseconds once more, as ratios: what the machine on which they were set took for
//! the same work says how much faster or slower it was than this one.

use std::fmt::Write;

use support::Better;

use crate::numbers::number;
use crate::results::Case;
use crate::results::OWN;
use crate::results::Results;

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

/// Writes the table; nothing if none of its cases was measured.
pub(crate) fn table(results: &Results) -> String {
    let rows: Vec<(String, bool)> = ELSEWHERE.iter().filter_map(|set| row(results, set)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## The same as ratios\n\n\
         A mark in nanoseconds is one of the machine on which it was set. What a peer took there\n\
         makes a ratio of it, which holds on any: medians of the ratios of one round.\n\n\
         | what | mark | a peer there | to reach | corovent | p10…p90 | |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    rows.iter().for_each(|(row, _)| text.push_str(row));
    let reached = rows.iter().filter(|(_, is_reached)| *is_reached).count();
    writeln!(text, "\n{reached} of {} are reached.", rows.len()).expect("a text takes everything");
    text
}

/// Gives a row, and whether the mark is reached; `None` if not both were measured.
fn row(results: &Results, set: &Elsewhere) -> Option<(String, bool)> {
    let bench = results.benches.iter().find(|bench| bench.name == set.bench)?;
    debug_assert_eq!(bench.better, Better::Less);
    let case: &Case = bench.cases.iter().find(|case| case.name == set.case)?;
    let (own, peer) = (case.entry(OWN)?, case.entry(set.peer)?);
    let mark = own.mark?;
    let allowed = mark / set.took;
    let ratio = own.ratio_to(peer);
    let is_reached = ratio.median <= allowed;
    let row = format!(
        "| {}, {} | {mark} {} | {} {} | ≤ {} | {} | {}…{} | {} |\n",
        bench.name,
        case.name,
        bench.unit,
        set.peer,
        set.took,
        number(allowed),
        number(ratio.median),
        number(ratio.p10),
        number(ratio.p90),
        if is_reached { "reached" } else { "**not reached**" },
    );
    Some((row, is_reached))
}

#[cfg(test)]
mod tests {
    use support::Line;

    use super::Results;
    use super::table;

    fn page(own: &[f64], peer: &[f64]) -> String {
        let mut line = Line::new("spawn", "one by one", "corovent", 0.0, "ns");
        line.mark = Some(60.0);
        let tokio = Line::new("spawn", "one by one", "tokio", 0.0, "ns");
        let mut lines = Vec::new();
        for (line, values) in [(line, own), (tokio, peer)] {
            for (round, value) in (1..).zip(values) {
                let line = Line { round, value: *value, ..line.clone() };
                lines.push(serde_json::to_string(&line).unwrap());
            }
        }
        table(&Results::parse(&lines.join("\n")).unwrap())
    }

    #[test]
    fn on_a_machine_that_is_half_as_fast_the_mark_is_twice_as_much() {
        let text = page(&[100.0, 104.0, 120.0], &[400.0, 400.0, 400.0]);
        let row = "| spawn, one by one | 60 ns | tokio 182 | ≤ 0.33 | 0.26 | 0.25…0.29 | reached |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("\n1 of 1 are reached"), "{text}");
        let text = page(&[50.0, 59.0, 59.0], &[100.0, 100.0, 100.0]);
        assert!(text.contains("| 0.59 | 0.52…0.59 | **not reached** |"), "{text}");
        assert!(text.contains("\n0 of 1 are reached"), "{text}");
    }

    #[test]
    fn without_the_peer_there_is_no_ratio() {
        assert_eq!(page(&[50.0], &[]), "");
    }
}
