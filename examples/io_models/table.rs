//! The figures as a table, a line for each model. It can be put into a page of Markdown as
//! it is.

use crate::compare::Figures;

const WIDTHS: [usize; 13] = [13, 9, 6, 7, 6, 6, 8, 7, 6, 7, 8, 9, 6];

pub(crate) fn print_head(connections: usize) {
    let one_of = format!("1/{connections} us");
    print_line(&[
        "model",
        "answers/s",
        "CPU us",
        "p99 ms",
        "served",
        "wasted",
        "switches",
        "threads",
        "MiB",
        "alone/s",
        "alone us",
        &one_of,
        "idle %",
    ]);
    print_line(&WIDTHS.map(|width| "-".repeat(width)).each_ref().map(String::as_str));
}

pub(crate) fn print_row(figures: &Figures) {
    let Figures { model, alone, idle, one_of_many, many, wasted, .. } = figures;
    // The star: counted by strace, in another run.
    let star = if model.counts_calls { "" } else { "*" };
    let fields = [
        model.name.to_owned(),
        format!("{:.0}", many.requests_per_second()),
        format!("{:.2}", many.cpu_us()),
        format!("{:.2}", many.p99_ms),
        many.served.to_string(),
        wasted.map_or("-".to_owned(), |wasted| format!("{wasted:.2}{star}")),
        format!("{:.2}", figures.switches()),
        many.usage.threads.to_string(),
        format!("{:.1}", figures.resident_mib()),
        format!("{:.0}", alone.requests_per_second()),
        format!("{:.2}", alone.cpu_us()),
        format!("{:.2}", one_of_many.cpu_us()),
        format!("{:.1}", idle * 100.0),
    ];
    print_line(&fields.each_ref().map(String::as_str));
}

pub(crate) fn print_legend(connections: usize) {
    println!(
        "
answers/s: of {connections} clients, each sending its next 64 bytes when the last are answered.
CPU us: processor time of the server alone, in microseconds for each request. p99 ms: latency.
served: clients that had an answer. wasted: calls of the server that found nothing to do, for
each request (*: counted by strace in a run of its own; -: by nobody). switches: how often a
thread of the server left the processor, for each request. threads: without the one that waits
for the signal to stop. MiB: resident. alone: one client and no other. 1/{connections}: one that
talks while the others are connected and silent. idle: processor time while all are silent."
    );
}

/// Names on the left, numbers on the right.
fn print_line(fields: &[&str; WIDTHS.len()]) {
    let padded = fields.iter().zip(WIDTHS).enumerate().map(|(at, (field, width))| {
        if at == 0 { format!("{field:<width$}") } else { format!("{field:>width$}") }
    });
    println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
}
