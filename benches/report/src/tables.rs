//! The tables that people read, in Markdown: first what the design demands, then everything.

use std::fmt::Write;

use support::Better;

use crate::charts;
use crate::elsewhere;
use crate::numbers::number;
use crate::results::Bench;
use crate::results::Case;
use crate::results::Entry;
use crate::results::OWN;
use crate::results::Results;

/// The cells of the race over connections that are added up, as the design demands.
const SUM_BENCH: &str = "echo ratio";
const SUM_CASES: [&str; 3] = ["64 B × 50", "64 B × 1000", "64 B × 5000"];

/// Writes the page.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::from(
        "# Results\n\n\
         Written by `benches/run` from `results.json`, beside it; nothing here is typed.\n",
    );
    text.push_str(&about(results));
    text.push_str(&marks(results));
    text.push_str(&elsewhere::table(results));
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

/// What is demanded, and whether it is reached.
fn marks(results: &Results) -> String {
    let mut text = String::from(
        "\n## What the design demands\n\n\
         | what | to reach | corovent | p10…p90 | |\n| --- | --- | --- | --- | --- |\n",
    );
    let (mut reached, mut all) = (0, 0);
    for bench in &results.benches {
        for case in &bench.cases {
            for entry in &case.entries {
                if let Some((row, is_reached)) = mark_row(bench, case, entry) {
                    text.push_str(&row);
                    reached += usize::from(is_reached);
                    all += 1;
                }
            }
        }
    }
    writeln!(text, "\n{reached} of {all} are reached.").expect("a text takes everything");
    text
}

/// Gives a row for a figure with a mark, and whether it is reached.
fn mark_row(bench: &Bench, case: &Case, entry: &Entry) -> Option<(String, bool)> {
    let mark = entry.mark?;
    let (spread, unit) = match &entry.of {
        None => (entry.spread(), bench.unit.clone()),
        Some(of) => (entry.ratio_to(case.entry(of)?), format!("of {of}")),
    };
    let allowed = if bench.name == SUM_BENCH { mark + case.control_spread() } else { mark };
    let (sign, is_reached) = match bench.better {
        Better::Less => ("≤", spread.median <= allowed),
        Better::More => ("≥", spread.median >= allowed),
    };
    let who = if entry.who == OWN { String::new() } else { format!(", {}", entry.who) };
    let control = if allowed == mark { String::new() } else { format!(" + {:.3}", allowed - mark) };
    let row = format!(
        "| {}, {}{who} | {sign} {mark}{control} {unit} | {} | {}…{} | {} |\n",
        bench.name,
        case.name,
        number(spread.median),
        number(spread.p10),
        number(spread.p90),
        if is_reached { "reached" } else { "**not reached**" },
    );
    Some((row, is_reached))
}

/// The cells of the race against a raw loop, and their sum, for everybody who has all of them.
fn sums(results: &Results) -> String {
    let Some(bench) = results.benches.iter().find(|bench| bench.name == SUM_BENCH) else {
        return String::new();
    };
    let cells: Vec<&Case> = SUM_CASES
        .iter()
        .filter_map(|name| bench.cases.iter().find(|case| case.name == *name))
        .collect();
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
    use support::Better;
    use support::Line;

    use super::Results;
    use super::markdown;

    fn page(lines: &[Line]) -> String {
        let lines: Vec<String> =
            lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        markdown(&Results::parse(&lines.join("\n")).unwrap())
    }

    fn rounds(line: &Line, values: &[f64]) -> Vec<Line> {
        let line = |(round, value): (u32, &f64)| Line { round, value: *value, ..line.clone() };
        (1..).zip(values).map(line).collect()
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
