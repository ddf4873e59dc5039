//! The line in which a figure is written: one JSON object, as `benches/README.md` describes.

use serde::Deserialize;
use serde::Serialize;

/// One figure of one program in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What is measured, such as `yield`.
    pub bench: String,
    /// In which way, such as with `1000` coroutines.
    pub case: String,
    /// Whose figure it is, such as `corovent` or `tokio`.
    pub who: String,
    /// The program writes 0; the runner counts from 1 on.
    #[serde(default)]
    pub round: u32,
    pub value: f64,
    /// Such as `ns`, `ms` or `B`.
    pub unit: String,
    /// What the design demands of it, if it demands something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<f64>,
    /// If the mark is one of the ratio to somebody, who that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    #[serde(default, skip_serializing_if = "Better::is_less")]
    pub better: Better,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    #[default]
    Less,
    More,
}

impl Line {
    /// Makes a line without a mark, of which less is better.
    pub fn new(bench: &str, case: &str, who: &str, value: f64, unit: &str) -> Line {
        let (bench, case, who) = (bench.to_owned(), case.to_owned(), who.to_owned());
        let unit = unit.to_owned();
        Line { bench, case, who, round: 0, value, unit, mark: None, of: None, better: Better::Less }
    }

    /// Prints it, for the runner.
    pub fn print(&self) {
        println!("{}", serde_json::to_string(self).expect("it holds text and numbers"));
    }
}

impl Better {
    fn is_less(&self) -> bool {
        *self == Better::Less
    }
}

#[cfg(test)]
mod tests {
    use super::Better;
    use super::Line;

    #[test]
    fn a_line_is_written_and_read() {
        let mut line = Line::new("yield", "1000", "corovent", 12.5, "ns");
        let text = r#"{"bench":"yield","case":"1000","who":"corovent","round":0,"value":12.5,"#;
        let text = format!("{text}\"unit\":\"ns\"}}");
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        line.mark = Some(25.0);
        line.of = Some("std".to_owned());
        line.better = Better::More;
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.ends_with(r#""mark":25.0,"of":"std","better":"more"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }

    #[test]
    fn a_line_without_a_round_can_be_read() {
        let text = r#"{"bench":"b","case":"c","who":"w","value":1,"unit":"ns"}"#;
        assert_eq!(
            serde_json::from_str::<Line>(text).unwrap(),
            Line::new("b", "c", "w", 1.0, "ns")
        );
    }
}
