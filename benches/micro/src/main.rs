//! Measures one operation of one runtime, in a process that does nothing else.
//!
//! ```text
//! micro --list                                   BENCH/CASE, WHO, perhaps `heavy`, with tabs
//! micro BENCH[/CASE] WHO [--count N] [--quick]   prints a line of JSON for each figure
//! ```
//!
//! `--count` says how often the operation is done; `--quick` does it so rarely that the figures
//! mean nothing.

mod blocking;
mod channels;
mod crews;
mod dump;
mod hubs;
mod locks;
mod memory;
mod operation;
mod peers;
mod readiness;
mod selects;
mod spawns;
mod switches;
mod timers;
mod wakes;

use std::env;
use std::process::ExitCode;

use crate::operation::Case;

const USAGE: &str = "usage: micro --list | BENCH[/CASE] WHO [--count N] [--quick]";

fn main() -> ExitCode {
    support::clients::become_clients();
    support::host_memory::become_toucher();
    let args: Vec<String> = env::args().skip(1).collect();
    let cases = cases();
    if args == ["--list"] {
        list(&cases);
        return ExitCode::SUCCESS;
    }
    match Wanted::parse(&args) {
        Some(wanted) => measure(&cases, &wanted),
        None => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn cases() -> Vec<Case> {
    let families = [
        switches::cases,
        spawns::cases,
        timers::cases,
        wakes::cases,
        readiness::cases,
        blocking::cases,
        locks::cases,
        channels::cases,
        selects::cases,
        memory::cases,
        dump::cases,
        hubs::cases,
    ];
    families.iter().flat_map(|family| family()).collect()
}

fn list(cases: &[Case]) {
    for case in cases {
        for entry in &case.entries {
            let heavy = if case.is_heavy { "\theavy" } else { "" };
            println!("{}/{}\t{}{heavy}", case.bench, case.name, entry.who);
        }
    }
}

/// What the arguments ask for.
struct Wanted {
    bench: String,
    /// All if there is none.
    case: Option<String>,
    who: String,
    count: Option<usize>,
    is_quick: bool,
}

impl Wanted {
    fn parse(args: &[String]) -> Option<Wanted> {
        let [what, who, options @ ..] = args else { return None };
        let (bench, case) = match what.split_once('/') {
            Some((bench, case)) => (bench, Some(case.to_owned())),
            None => (what.as_str(), None),
        };
        let (bench, who) = (bench.to_owned(), who.clone());
        let mut wanted = Wanted { bench, case, who, count: None, is_quick: false };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match option.as_str() {
                "--quick" => wanted.is_quick = true,
                "--count" => wanted.count = Some(options.next()?.parse().ok()?),
                _ => return None,
            }
        }
        Some(wanted)
    }

    fn means(&self, case: &Case) -> bool {
        self.bench == case.bench && self.case.as_ref().is_none_or(|name| *name == case.name)
    }
}

fn measure(cases: &[Case], wanted: &Wanted) -> ExitCode {
    let mut found = false;
    for case in cases.iter().filter(|case| wanted.means(case)) {
        for entry in case.entries.iter().filter(|entry| entry.who == wanted.who) {
            found = true;
            if !case.needs_cores {
                // Threads that this one starts are where it is. Where it is refused, it varies.
                let _ = support::cpu::pin(support::cpu::measured());
            }
            match case.run(entry, wanted.count, wanted.is_quick) {
                Ok(lines) => lines.iter().for_each(support::Line::print),
                Err(why) => {
                    eprintln!("skipped: {}/{} {}: {why}", case.bench, case.name, entry.who);
                }
            }
        }
    }
    if !found {
        eprintln!("micro: nothing is called that: `micro --list` names all there is");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
