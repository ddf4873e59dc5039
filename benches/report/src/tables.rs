//! The tables that people read, in Markdown: first what the design demands, then everything.

use std::fmt::Write;

use support::Better;

use crate::charts;
use crate::marks;
use crate::numbers::number;
use crate::results::Bench;
use crate::results::Case;
use crate::results::Entry;
use crate::results::OWN;
use crate::results::RACE;
use crate::results::Results;

/// The cells of the race over connections that are added up, as the design demands.
const SUM_CASES: [&str; 3] = ["64 B × 50", "64 B × 1000", "64 B × 5000"];

/// Writes the page.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::from(
        "# Results\n\n\
         Written by `benches/run` from `results.json`, beside it; nothing here is typed.\n",
    );
    text.push_str(&about(results));
    text.push_str(&marks::limits(results));
    text.push_str(&marks::ratios(results));
    text.push_str(&sums(results));
    text.push_str(
        "\n## Everything\n\n\
         Medians of the rounds. Behind a peer's figure is its ratio to corovent's, taken round by\n\
         round: above 1 it is dearer. **Bold** is who was better than corovent in nine of ten\n\
         rounds. Where \"more is better\" stands, that is below 1, and bold above.\n",
    );
    for bench in &results.benches {
        text.push_str(&table(bench));
    }
    text
}

fn about(results: &Results) -> String {
    let mut text = String::from("\n| measured with | |\n| --- | --- |\n");
    for (name, value) in &results.header.about {
        writeln!(text, "| {name} | {value} |").expect("a text takes everything");
    }
    for (name, value) in &results.header.peers {
        writeln!(text, "| {name} | {value} |").expect("a text takes everything");
    }
    if results.header.about.get("counts").is_some_and(|counts| counts == "quick") {
        text.push_str(
            "\n**A quick run: it shows that everything runs. The figures mean nothing.**\n",
        );
    }
    text
}

/// The cells of the race against a raw loop, and their sum, for everybody who has all of them.
fn sums(results: &Results) -> String {
    let Some(bench) = results.bench(RACE) else { return String::new() };
    let cells: Vec<&Case> = SUM_CASES.iter().filter_map(|name| bench.case(name)).collect();
    let mut text =
        String::from("\n## Echo of 64 bytes: processor time as a ratio to a raw loop\n\n| |");
    cells.iter().for_each(|case| text.push_str(&format!(" {} |", case.name)));
    text.push_str(" sum |\n| --- |");
    text.push_str(&" --- |".repeat(cells.len() + 1));
    text.push('\n');
    for who in bench.everybody() {
        let ratio = |case: &&Case| case.entry(who).map(|entry| entry.spread().median);
        let Some(ratios) = cells.iter().map(ratio).collect::<Option<Vec<f64>>>() else { continue };
        let columns: String = ratios.iter().map(|ratio| format!(" {ratio:.3} |")).collect();
        writeln!(text, "| {who} |{columns} {:.3} |", ratios.iter().sum::<f64>())
            .expect("a text takes everything");
    }
    text
}

/// A row for each case, a column for everybody.
fn table(bench: &Bench) -> String {
    let everybody = bench.everybody();
    let mut text = format!("\n### {}\n\n|", heading(bench));
    everybody.iter().for_each(|who| text.push_str(&format!(" | {who}")));
    text.push_str(" |\n| --- |");
    text.push_str(&" --- |".repeat(everybody.len()));
    text.push('\n');
    for case in &bench.cases {
        text.push_str(&format!("| {} |", case.name));
        for who in &everybody {
            match case.entry(who) {
                Some(entry) => text.push_str(&format!(" {} |", cell(bench, case, entry))),
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    if charts::is_drawn(bench) {
        text.push_str(&format!("\n![{}]({})\n", bench.name, charts::file_name(bench)));
    }
    text
}

fn heading(bench: &Bench) -> String {
    let unit = if bench.unit.is_empty() { String::new() } else { format!(", {}", bench.unit) };
    let more = if bench.better == Better::More { " (more is better)" } else { "" };
    format!("{}{unit}{more}", bench.name)
}

fn cell(bench: &Bench, case: &Case, entry: &Entry) -> String {
    let median = number(entry.spread().median);
    let Some(own) = case.entry(OWN).filter(|own| own.who != entry.who) else { return median };
    let ratio = entry.ratio_to(own).median;
    if ratio.is_nan() {
        // Both are nothing.
        return median;
    }
    let text = format!("{median} ({ratio:.2}×)");
    if entry.is_ahead_of(own, bench.better) { format!("**{text}**") } else { text }
}

#[cfg(test)]
mod tests {
    use support::Line;

    use super::markdown;
    use crate::testing::results;
    use crate::testing::rounds;

    fn page(lines: &[Line]) -> String {
        markdown(&results(lines))
    }

    #[test]
    fn who_is_ahead_stands_out() {
        let line = |who| Line::new("yield", "2", who, 0.0, "ns");
        let mut lines = rounds(&line("corovent"), &[10.0, 20.0, 10.0]);
        lines.extend(rounds(&line("tokio"), &[30.0, 61.0, 30.0]));
        lines.extend(rounds(&line("may"), &[9.0, 18.0, 9.0]));
        lines.push(Line::new("yield", "1000", "corovent", 11.0, "ns"));
        let text = page(&lines);
        assert!(text.contains("| | corovent | tokio | may |"), "{text}");
        assert!(text.contains("| 2 | 10.0 | 30.0 (3.00×) | **9.00 (0.90×)** |"), "{text}");
        assert!(text.contains("| 1000 | 11.0 | | |"), "{text}");
    }

    #[test]
    fn cells_of_the_race_are_added_up() {
        let mut lines = Vec::new();
        for case in super::SUM_CASES {
            lines.push(Line::new("echo ratio", case, "corovent", 1.05, ""));
            lines.push(Line::new("echo ratio", case, "tokio", 1.1, ""));
        }
        lines.push(Line::new("echo ratio", super::SUM_CASES[0], "gone", 1.1, ""));
        let text = page(&lines);
        assert!(text.contains("| corovent | 1.050 | 1.050 | 1.050 | 3.150 |"), "{text}");
        assert!(text.contains("| tokio | 1.100 | 1.100 | 1.100 | 3.300 |"), "{text}");
        assert!(!text.contains("| gone | 1.100 | "), "{text}");
    }
}
