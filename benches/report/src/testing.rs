//! Lines of a results file, for tests.

use support::Line;

use crate::results::Results;

/// Reads lines as those of a file.
pub(crate) fn results(lines: &[Line]) -> Results {
    let lines: Vec<String> =
        lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    Results::parse(&lines.join("\n")).unwrap()
}

/// A line for each value, of rounds that follow one another.
pub(crate) fn rounds(line: &Line, values: &[f64]) -> Vec<Line> {
    let line = |(round, value): (u32, &f64)| Line { round, value: *value, ..line.clone() };
    (1..).zip(values).map(line).collect()
}
