//! What was measured, in the order in which it was: benches, their cases, who, round by round.

use std::error::Error;

use support::Better;
use support::Line;

use crate::header::Header;
use crate::statistics::Spread;
use crate::statistics::values_of;

/// Whose figures the others are compared with.
pub(crate) const OWN: &str = "corovent";
/// The floor of an operation is nobody's rival, and a control neither.
const NO_RIVALS: [&str; 5] = ["corosensei", "raw", "raw again", "raw level", "raw of 64"];
/// The bench whose figures are ratios to `raw`, which the control is a measure of.
pub(crate) const RACE: &str = "echo ratio";
/// The same program as `raw` once more: by how much it differs from 1 is what a run cannot tell.
const CONTROL: &str = "raw again";

#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) header: Header,
    pub(crate) benches: Vec<Bench>,
}

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    pub(crate) cases: Vec<Case>,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) entries: Vec<Entry>,
}

/// Somebody's figures in one case.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) who: String,
    /// By round.
    pub(crate) values: Vec<(u32, f64)>,
    pub(crate) mark: Option<f64>,
    /// Whom the mark is a ratio to.
    pub(crate) of: Option<String>,
}

impl Results {
    /// Reads the lines of a results file.
    pub(crate) fn parse(text: &str) -> Result<Results, Box<dyn Error>> {
        let mut results = Results::default();
        for (n, line) in text.lines().enumerate() {
            match Header::parse(line) {
                Some(header) => results.header = header,
                None => {
                    let line = serde_json::from_str(line);
                    results.add(line.map_err(|error| format!("line {}: {error}", n + 1))?);
                }
            }
        }
        Ok(results)
    }

    pub(crate) fn bench(&self, name: &str) -> Option<&Bench> {
        self.benches.iter().find(|bench| bench.name == name)
    }

    fn add(&mut self, line: Line) {
        let Line { bench, case, who, round, value, unit, mark, of, better } = line;
        let benches = &mut self.benches;
        let bench = find_or_add(
            benches,
            |known| known.name == bench,
            || Bench { name: bench.clone(), unit, better, cases: Vec::new() },
        );
        let case = find_or_add(
            &mut bench.cases,
            |known| known.name == case,
            || Case { name: case.clone(), entries: Vec::new() },
        );
        let entry = find_or_add(
            &mut case.entries,
            |known| known.who == who,
            || Entry { who: who.clone(), values: Vec::new(), mark, of },
        );
        entry.values.push((round, value));
    }
}

fn find_or_add<T>(
    list: &mut Vec<T>,
    is_it: impl Fn(&T) -> bool,
    make: impl FnOnce() -> T,
) -> &mut T {
    let at = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    });
    &mut list[at]
}

impl Bench {
    pub(crate) fn case(&self, name: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.name == name)
    }

    /// Everybody who is in one of its cases: corovent first, then as they come.
    pub(crate) fn everybody(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for entry in self.cases.iter().flat_map(|case| &case.entries) {
            if !names.contains(&entry.who.as_str()) {
                names.push(&entry.who);
            }
        }
        names.sort_by_key(|who| (*who != OWN, !who.starts_with(OWN)));
        names
    }
}

impl Case {
    pub(crate) fn entry(&self, who: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.who == who)
    }

    /// How far the control is from what it is a copy of; nothing if there is none.
    pub(crate) fn control_spread(&self) -> f64 {
        self.entry(CONTROL).map_or(0.0, |control| (control.spread().median - 1.0).abs())
    }
}

impl Entry {
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(values_of(&self.values))
    }

    pub(crate) fn ratio_to(&self, other: &Entry) -> Spread {
        Spread::of_ratios(&self.values, &other.values)
    }

    /// Whether it is another runtime, and better than `own` in nine rounds of ten.
    pub(crate) fn is_ahead_of(&self, own: &Entry, better: Better) -> bool {
        let ratio = self.ratio_to(own);
        let is_rival = !NO_RIVALS.contains(&self.who.as_str()) && !self.who.starts_with(OWN);
        is_rival
            && match better {
                Better::Less => ratio.p90 < 1.0,
                Better::More => ratio.p10 > 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use support::Better;

    use super::Results;

    fn line(who: &str, round: u32, value: f64) -> String {
        let line = support::Line::new("yield", "2", who, value, "ns");
        serde_json::to_string(&support::Line { round, ..line }).unwrap()
    }

    fn results(lines: &[(&str, u32, f64)]) -> Results {
        let lines: Vec<String> =
            lines.iter().map(|(who, round, value)| line(who, *round, *value)).collect();
        Results::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn rounds_of_one_are_together() {
        let results = results(&[("tokio", 1, 5.0), ("corovent", 1, 2.0), ("tokio", 2, 7.0)]);
        let bench = &results.benches[0];
        assert_eq!(bench.everybody(), ["corovent", "tokio"]);
        assert_eq!(bench.cases[0].entry("tokio").unwrap().values, [(1, 5.0), (2, 7.0)]);
    }

    #[test]
    fn ahead_is_who_is_better_in_nearly_all_rounds() {
        let is_ahead = |who: &str, values: [f64; 3], better| {
            let mut lines = Vec::new();
            for (round, value) in (1..).zip(values) {
                lines.extend([("corovent", round, 10.0), (who, round, value)]);
            }
            let results = results(&lines);
            let case = &results.benches[0].cases[0];
            case.entry(who).unwrap().is_ahead_of(case.entry("corovent").unwrap(), better)
        };
        assert!(is_ahead("tokio", [9.0, 8.0, 9.5], Better::Less));
        assert!(!is_ahead("tokio", [9.0, 8.0, 11.0], Better::Less));
        assert!(!is_ahead("tokio", [9.0, 8.0, 9.5], Better::More));
        assert!(is_ahead("tokio", [11.0, 12.0, 10.5], Better::More));
        assert!(!is_ahead("corosensei", [1.0, 1.0, 1.0], Better::Less));
        assert!(!is_ahead("corovent on a thread", [1.0, 1.0, 1.0], Better::Less));
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = Results::parse(&format!("{}\nnothing", line("tokio", 1, 1.0))).unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }

    #[test]
    fn the_control_tells_what_a_run_cannot() {
        let results = results(&[("raw", 1, 1.0), ("raw again", 1, 0.98)]);
        assert!((results.benches[0].cases[0].control_spread() - 0.02).abs() < 1e-9);
    }
}
