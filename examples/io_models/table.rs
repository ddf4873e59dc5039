//! The figures as a table, a line for each model.

use crate::compare::Figures;

pub(crate) fn print_head(connections: usize) {
    println!(
        "{:<13} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>7} {:>7} | {:>9} {:>7} | {:>7} | {:>6}",
        "",
        "answers/s",
        "CPU us",
        "p99 ms",
        "served",
        "wasted",
        "switches",
        "threads",
        "MiB",
        "alone",
        "CPU us",
        "CPU us",
        "idle",
    );
    println!(
        "{:<13} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8} {:>7} {:>7} | {:>9} {:>7} | {:>7} | {:>6}",
        "model",
        format!("of {connections}"),
        "each",
        "",
        "",
        "each",
        "each",
        "",
        "",
        "answers/s",
        "each",
        format!("1 of {connections}"),
        "CPU %",
    );
}

pub(crate) fn print_row(figures: &Figures) {
    let Figures { model, alone, idle, one_of_many, many, wasted, .. } = figures;
    let wasted = wasted.map_or("-".to_owned(), |wasted| {
        // Counted by strace, in another run.
        format!("{wasted:.2}{}", if model.counts_calls { "" } else { "*" })
    });
    println!(
        "{:<13} {:>9.0} {:>7.2} {:>7.2} {:>8} {:>8} {:>8.2} {:>7} {:>7.1} \
         | {:>9.0} {:>7.2} | {:>7.2} | {:>6.1}",
        model.name,
        many.requests_per_second(),
        many.cpu_us(),
        many.p99_ms,
        many.served,
        wasted,
        figures.switches(),
        many.usage.threads,
        figures.resident_mib(),
        alone.requests_per_second(),
        alone.cpu_us(),
        one_of_many.cpu_us(),
        idle * 100.0,
    );
}

pub(crate) fn print_legend(connections: usize) {
    println!(
        "
of {connections}: {connections} clients, each sending its next 64 bytes when the last are answered.
alone: one client and no other. 1 of {connections}: one that talks while the others say nothing.
idle: all connected, nobody says a thing. CPU us each: processor time of the server, alone, in
microseconds for each request. served: clients that had an answer. wasted each: calls of the
server that found nothing to do, for each request (*: counted by strace in a run of its own;
-: by nobody). switches each: how often a thread of the server left the processor. threads:
without the one that waits for the signal to stop. MiB: resident."
    );
}
