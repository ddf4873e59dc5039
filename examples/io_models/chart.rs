//! The figures as a chart: for each model, what a request costs the server.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::compare::Comparison;
use crate::compare::Figures;

/// A part of the chart: a bar for each model.
struct Panel {
    title: String,
    color: RGBColor,
    value: fn(&Figures) -> f64,
}

const WIDTH: u32 = 900;
const PANEL_HEIGHT: u32 = 340;

pub(crate) fn write(comparison: &Comparison, path: &Path) -> Result<(), Box<dyn Error>> {
    let connections = comparison.connections;
    let panels = [
        Panel {
            title: format!("Answers a second, {connections} clients"),
            color: RGBColor(70, 120, 180),
            value: |figures| figures.many.requests_per_second(),
        },
        Panel {
            title: format!("Server CPU for a request, {connections} clients (us)"),
            color: RGBColor(200, 90, 60),
            value: |figures| figures.many.cpu_us(),
        },
        Panel {
            title: format!("The same, one client among {} silent (us)", connections - 1),
            color: RGBColor(110, 150, 70),
            value: |figures| figures.one_of_many.cpu_us(),
        },
    ];
    let size = (WIDTH, PANEL_HEIGHT * panels.len() as u32);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (panel, area) in panels.iter().zip(root.split_evenly((panels.len(), 1))) {
        panel.draw(comparison, &area)?;
    }
    root.present()?;
    Ok(())
}

impl Panel {
    fn draw<B: DrawingBackend>(
        &self,
        comparison: &Comparison,
        area: &DrawingArea<B, plotters::coord::Shift>,
    ) -> Result<(), Box<dyn Error>>
    where
        B::ErrorType: 'static,
    {
        let values: Vec<f64> = comparison.rows.iter().map(self.value).collect();
        let largest = values.iter().copied().fold(1.0, f64::max);
        // The axis grows upwards, and the first model is to be on top.
        let last = values.len() as i32 - 1;
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .caption(&self.title, ("sans-serif", 18))
            .x_label_area_size(24)
            .y_label_area_size(110)
            .build_cartesian_2d(0.0..largest * 1.12, (0..last).into_segmented())?;
        let name_of = |segment: &SegmentValue<i32>| match segment {
            SegmentValue::CenterOf(row) | SegmentValue::Exact(row) => {
                let row = usize::try_from(last - *row).ok();
                let figures = row.and_then(|row| comparison.rows.get(row));
                figures.map_or(String::new(), |figures| figures.model.name.to_owned())
            }
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(values.len() + 1)
            .y_label_formatter(&name_of)
            .x_labels(8)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .light_line_style(TRANSPARENT)
            .draw()?;
        chart.draw_series((0..).zip(&values).map(|(row, value)| {
            let row = last - row;
            let (start, end) = (SegmentValue::Exact(row), SegmentValue::Exact(row + 1));
            let mut bar = Rectangle::new([(0.0, start), (*value, end)], self.color.filled());
            bar.set_margin(3, 3, 0, 0);
            bar
        }))?;
        Ok(())
    }
}
