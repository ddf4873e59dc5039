//! The charts: a curve for everybody where the cases are numbers that grow, else bars.
//!
//! Both have logarithmic scales, as some are a hundred times as dear as others.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::Pos;
use plotters::style::text_anchor::VPos;

use crate::numbers::number;
use crate::results::Bench;
use crate::results::Case;
use crate::results::OWN;

const WIDTH: u32 = 900;
/// Of a bar with the gap below it.
const BAR_HEIGHT: i32 = 18;
const TITLE_HEIGHT: i32 = 40;
const CASE_HEIGHT: i32 = 24;
const CURVES_HEIGHT: u32 = 480;
/// Where bars begin and end; left of it are names, right of it is room for a figure.
const BARS: Range<i32> = 190..800;
/// Cases that are as many numbers make a curve.
const POINTS_MIN: usize = 3;
/// For everybody but corovent, in the order in which they come.
const COLORS: [RGBColor; 8] = [
    RGBColor(230, 126, 34),
    RGBColor(39, 174, 96),
    RGBColor(142, 68, 173),
    RGBColor(127, 140, 141),
    RGBColor(22, 160, 133),
    RGBColor(211, 84, 0),
    RGBColor(149, 117, 205),
    RGBColor(121, 85, 72),
];
const OWN_COLOR: RGBColor = RGBColor(41, 98, 255);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Whether there is something to compare.
pub(crate) fn is_drawn(bench: &Bench) -> bool {
    let is_positive = |case: &Case| case.entries.iter().all(|entry| entry.spread().median > 0.0);
    bench.everybody().len() > 1 && bench.cases.iter().all(is_positive)
}

pub(crate) fn file_name(bench: &Bench) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = bench.name.to_lowercase().chars().map(letter).collect();
    format!("{name}.svg")
}

/// Gives an image, if there is something to compare.
pub(crate) fn draw(bench: &Bench) -> Result<Option<String>, Box<dyn Error>> {
    if !is_drawn(bench) {
        return Ok(None);
    }
    let mut image = String::new();
    match curves(bench) {
        Some(curves) => draw_curves(bench, &curves, &mut image)?,
        None => draw_bars(bench, &mut image)?,
    }
    Ok(Some(image))
}

fn color(bench: &Bench, who: &str) -> RGBColor {
    if who == OWN {
        return OWN_COLOR;
    }
    let others = bench.everybody().into_iter().filter(|who| *who != OWN);
    let place = others.into_iter().position(|other| other == who).unwrap_or(0);
    COLORS[place % COLORS.len()]
}

fn title(bench: &Bench) -> String {
    let unit = if bench.unit.is_empty() { "ratio" } else { &bench.unit };
    format!("{}, {unit} (logarithmic)", bench.name)
}

/// The least and the most of all figures.
fn bounds(bench: &Bench) -> (f64, f64) {
    let entries = bench.cases.iter().flat_map(|case| &case.entries);
    let medians = entries.map(|entry| entry.spread().median);
    medians.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)))
}

fn draw_bars(bench: &Bench, image: &mut String) -> Result<(), Box<dyn Error>> {
    let bars: usize = bench.cases.iter().map(|case| case.entries.len()).sum();
    let height =
        TITLE_HEIGHT + bars as i32 * BAR_HEIGHT + bench.cases.len() as i32 * CASE_HEIGHT + 12;
    let area = SVGBackend::with_string(image, (WIDTH, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let title_style = ("sans-serif", 18).into_font().color(&BLACK);
    area.draw(&Text::new(title(bench), (12, 12), title_style))?;
    // The least has a short bar.
    let (least, most) = bounds(bench);
    let origin = (least / 2.0).ln();
    let scale = f64::from(BARS.end - BARS.start) / (most.ln() - origin);
    let mut y = TITLE_HEIGHT;
    for case in &bench.cases {
        let style = ("sans-serif", 14).into_font().color(&BLACK);
        area.draw(&Text::new(case.name.clone(), (12, y + 6), style))?;
        y += CASE_HEIGHT;
        let mut entries: Vec<_> = case.entries.iter().collect();
        entries.sort_by(|a, b| a.spread().median.total_cmp(&b.spread().median));
        for entry in entries {
            let value = entry.spread().median;
            let right = BARS.start + ((value.ln() - origin) * scale) as i32;
            draw_bar(
                &area,
                &entry.who,
                value,
                y..y + BAR_HEIGHT - 4,
                right,
                color(bench, &entry.who),
            )?;
            y += BAR_HEIGHT;
        }
    }
    area.present()?;
    Ok(())
}

fn draw_bar(
    area: &Area<'_>,
    who: &str,
    value: f64,
    y: Range<i32>,
    right: i32,
    color: RGBColor,
) -> Result<(), Box<dyn Error>> {
    let middle = (y.start + y.end) / 2;
    let style = ("sans-serif", 12).into_font().color(&BLACK);
    let left_of = style.pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(who.to_owned(), (BARS.start - 6, middle), left_of))?;
    area.draw(&Rectangle::new([(BARS.start, y.start), (right, y.end)], color.filled()))?;
    let style = ("sans-serif", 12).into_font().color(&BLACK);
    let right_of = style.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(number(value), (right + 6, middle), right_of))?;
    Ok(())
}

/// A curve: who, and points whose first part is the number in the case's name.
struct Curve<'a> {
    who: &'a str,
    points: Vec<(f64, f64)>,
}

/// The text around the last number in a case's name, and the number; 1 for 0, which no
/// logarithmic scale has.
fn numbered(name: &str) -> Option<(String, f64)> {
    let end = name.rfind(|letter: char| letter.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|letter: char| !letter.is_ascii_digit())
        .map_or(0, |at| at + name[at..].chars().next().map_or(0, char::len_utf8));
    let number: f64 = name[start..end].parse().ok()?;
    Some((format!("{}#{}", &name[..start], &name[end..]), number.max(1.0)))
}

/// The curves, if the cases make some: of those with the same text around the number, the first.
fn curves(bench: &Bench) -> Option<Vec<Curve<'_>>> {
    let (wanted, _) = numbered(&bench.cases.first()?.name)?;
    let mut along: Vec<(f64, &Case)> = Vec::new();
    for case in &bench.cases {
        if let Some((around, number)) = numbered(&case.name)
            && around == wanted
        {
            along.push((number, case));
        }
    }
    along.sort_by(|a, b| a.0.total_cmp(&b.0));
    if along.len() < POINTS_MIN {
        return None;
    }
    let curve = |who| {
        let point = |(x, case): &(f64, &Case)| Some((*x, case.entry(who)?.spread().median));
        Curve { who, points: along.iter().filter_map(point).collect() }
    };
    Some(bench.everybody().into_iter().map(curve).collect())
}

fn draw_curves(
    bench: &Bench,
    curves: &[Curve<'_>],
    image: &mut String,
) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(image, (WIDTH, CURVES_HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let range = |values: &mut dyn Iterator<Item = f64>, room: f64| {
        let (least, most) = values
            .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        least / room..most * room
    };
    let x = range(&mut all().map(|point| point.0), 1.1);
    let y = range(&mut all().map(|point| point.1), 1.5);
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .caption(title(bench), ("sans-serif", 18))
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    let (around, _) = numbered(&bench.cases[0].name).ok_or("the cases are numbers")?;
    let write = |value: &f64| number(*value);
    chart
        .configure_mesh()
        .x_desc(around.replace('#', "N"))
        .x_label_formatter(&write)
        .y_label_formatter(&write)
        .light_line_style(WHITE)
        .draw()?;
    for curve in curves {
        let color = color(bench, curve.who);
        let width = if curve.who == OWN { 3 } else { 1 };
        chart
            .draw_series(
                LineSeries::new(curve.points.clone(), color.stroke_width(width)).point_size(3),
            )?
            .label(curve.who)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use support::Line;

    use super::curves;
    use super::draw;
    use super::file_name;
    use super::numbered;
    use crate::results::Results;

    fn results(lines: &[Line]) -> Results {
        let lines: Vec<String> =
            lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        Results::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn the_number_is_the_last_one_in_the_name() {
        assert_eq!(numbered("1000"), Some(("#".to_owned(), 1000.0)));
        assert_eq!(numbered("0 pending"), Some(("# pending".to_owned(), 1.0)));
        assert_eq!(numbered("64 B × 50"), Some(("64 B × #".to_owned(), 50.0)));
        assert_eq!(numbered("free"), None);
    }

    #[test]
    fn cases_that_grow_make_a_curve() {
        let line = |case, who, value| Line::new("parked", case, who, value, "B");
        let mut lines = vec![line("10", "corovent", 1.0), line("100", "corovent", 2.0)];
        assert!(curves(&results(&lines).benches[0]).is_none());
        lines.extend([line("1000", "corovent", 3.0), line("100", "tokio", 9.0)]);
        let results = results(&lines);
        let curves = curves(&results.benches[0]).unwrap();
        assert_eq!(curves[0].points, [(10.0, 1.0), (100.0, 2.0), (1000.0, 3.0)]);
        assert_eq!((curves[1].who, curves[1].points.as_slice()), ("tokio", &[(100.0, 9.0)][..]));
        let image = draw(&results.benches[0]).unwrap().unwrap();
        assert!(image.contains("<svg") && image.contains("tokio"), "{image}");
    }

    #[test]
    fn others_make_bars() {
        let lines = [
            Line::new("a b", "free", "corovent", 4.0, "ns"),
            Line::new("a b", "free", "tokio", 1234.0, "ns"),
        ];
        let results = results(&lines);
        let image = draw(&results.benches[0]).unwrap().unwrap();
        assert!(image.contains("1234") && image.contains("corovent"), "{image}");
        assert_eq!(file_name(&results.benches[0]), "a_b.svg");
    }

    #[test]
    fn one_alone_is_not_drawn() {
        let results = results(&[Line::new("a", "free", "corovent", 4.0, "ns")]);
        assert_eq!(draw(&results.benches[0]).unwrap(), None);
    }
}
