//! Everything at once, for as long as you like, and every byte accounted for.
//!
//! ```text
//! cargo run --release --example soak -- --minutes 30 --seed 1
//! ```
//!
//! One process holds the servers and their clients: an echo over TCP and Unix sockets, a chat,
//! timers, queues, locks, pool jobs, processes, files. Meanwhile coroutines are killed at random,
//! handlers panic, peers reset, half-close or stop reading, descriptors run out, signals storm.
//! Who is cut short may lose what was on its way and nothing else: what arrived is the beginning
//! of what was sent, and all of it if the stream came to its end.
//!
//! Every now and then there is a lull: all work ends, by itself, by kills, or by the end of `run`,
//! and descriptors, coroutines, timers, threads, processes, mappings and memory must be back at
//! the base line: memory is what is allocated, which may be twice what it was at the first lull and
//! 256 KiB, however long it goes on, and what is mapped beside the heap, 4 MiB more than then. At
//! the end comes a table, as Markdown. `main.rs` is the plan and the periods; `world.rs` what all
//! share; the work is a file for each kind.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::env;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use corovent::run;
use corovent::signal;
use corovent::sleep;
use corovent::threadpool;

use crate::base_line::BaseLine;
use crate::base_line::Measured;
use crate::dice::Dice;
use crate::world::World;

mod bargain;
mod base_line;
mod chat;
mod crew;
mod dice;
mod echo;
mod faults;
mod files;
mod heap;
mod jobs;
mod ledger;
mod processes;
mod sleepers;
mod tally;
mod wire;
mod world;

const HELP: &str = "\
Everything at once, for as long as you like, and every byte accounted for.

Usage: soak [--minutes N | --seconds N] [--seed N] [--connections N] [--lull N]

  --minutes N      how long (default 1)
  --seconds N      the same in seconds
  --seed N         what the work and the faults are drawn from (default: the time)
  --connections N  echo connections at once; the rest is in proportion (default 100)
  --lull N         seconds from one lull to the next (default 60, or a third of the whole)

The exit code is 1 if anything was lost, mixed up or left behind; the seed is told.";

/// So many lulls even a short run has.
const LULLS_MIN: u32 = 3;
const LULL_EVERY: Duration = Duration::from_secs(60);
const REPORT_EVERY: Duration = Duration::from_secs(10);
const NUMBER_MAX: u64 = 1_000_000;
/// Work that is to end by itself has so long for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match Plan::from_args(env::args().skip(1)) {
        Ok(Some(plan)) => soak(&plan),
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("soak: {message} (see --help)");
            ExitCode::FAILURE
        }
    }
}

struct Plan {
    length: Duration,
    seed: u64,
    connections: usize,
    lull: Duration,
}

impl Plan {
    /// `None` if the help was asked for.
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Option<Plan>, String> {
        let (mut length, mut seed, mut connections, mut lull) = (60, None, 100, None);
        while let Some(arg) = args.next() {
            if arg == "--help" || arg == "-h" {
                return Ok(None);
            }
            let names = ["--minutes", "--seconds", "--seed", "--connections", "--lull"];
            if !names.contains(&arg.as_str()) {
                return Err(format!("unexpected argument '{arg}'"));
            }
            let text = args.next().ok_or(format!("{arg} needs a number"))?;
            let number: Option<u64> = text.parse().ok();
            if arg == "--seed" {
                seed = Some(number.ok_or(format!("--seed needs a number, not '{text}'"))?);
                continue;
            }
            let number = number.filter(|number| (1..=NUMBER_MAX).contains(number));
            let why = || format!("{arg} needs a number from 1 to {NUMBER_MAX}, not '{text}'");
            let number = number.ok_or_else(why)?;
            match arg.as_str() {
                "--minutes" => length = number * 60,
                "--seconds" => length = number,
                "--connections" => connections = number as usize,
                _ => lull = Some(Duration::from_secs(number)),
            }
        }
        let length = Duration::from_secs(length);
        let lull = lull.unwrap_or_else(|| LULL_EVERY.min(length / LULLS_MIN));
        let seed = seed.unwrap_or_else(dice::seed_of_the_time);
        Ok(Some(Plan { length, seed, connections, lull }))
    }
}

/// How the work of a period comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing new is begun, and all is waited for.
    Waited,
    /// All are killed, and then waited for.
    Killed,
    /// All are left to the end of `run`, which kills them.
    Left,
}

const ENDS: [End; 3] = [End::Waited, End::Killed, End::Left];

fn soak(plan: &Plan) -> ExitCode {
    faults::raise_fd_limit();
    warm_up();
    faults::silence_panics_on_purpose();
    let watch = faults::Watch::start(plan.seed);
    println!(
        "soak: seed {}, {:?}, {} connections, a lull every {:?}",
        plan.seed, plan.length, plan.connections, plan.lull
    );
    let (world, mut line) = match World::new(plan.seed, plan.connections) {
        Ok(world) => (world, BaseLine::take()),
        Err(error) => {
            eprintln!("soak: cannot begin: {error}");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    let mut lulls = 0;
    while start.elapsed() < plan.length && world.is_sound() {
        let end = ENDS[lulls % ENDS.len()];
        let until = (start + plan.length).min(Instant::now() + plan.lull);
        run(|| period(&world, &watch, start, until, end));
        world.audit();
        lulls += 1;
        match line.wait_until_back() {
            Ok(measured) => println!("{:>6.0?} lull {lulls}, {end:?}: {measured}", start.elapsed()),
            Err(trouble) => world.trouble(trouble),
        }
    }
    print_table(&world, &line, lulls, start.elapsed());
    for trouble in world.troubles() {
        eprintln!("soak: seed {}: {trouble}", plan.seed);
    }
    if world.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes what a process has once and keeps: the hub, its hook for panics, the signals' descriptor,
/// the program's own symbols for dumps.
fn warm_up() {
    run(|| {
        let guard = signal::on(&[signal::SIGUSR2], |_| ());
        threadpool::blocking(|| ());
        sleep(Duration::from_millis(1));
        let _ = debug::dump().to_string();
        drop(guard);
    });
}

/// Keeps as much work and as many faults going as the plan says, and ends them.
fn period(world: &Rc<World>, watch: &faults::Watch, start: Instant, until: Instant, end: End) {
    let mut dice = Dice::new(world.draw());
    let mut report = Instant::now() + REPORT_EVERY;
    let servers = world.open();
    let mut faults = faults::Faults::new(world);
    while Instant::now() < until && world.is_sound() {
        watch.beat();
        servers.keep_open(world);
        world.fill_up(&mut dice);
        faults.inflict(world, &mut dice);
        if Instant::now() >= report {
            println!("{:>6.0?} {}", start.elapsed(), world.tally);
            report += REPORT_EVERY;
        }
        sleep(Duration::from_millis(dice.below(5)));
    }
    faults.end();
    match end {
        End::Waited => {
            let limit = Instant::now() + PATIENCE;
            while world.crew.working() > 0 && Instant::now() < limit {
                watch.beat();
                servers.keep_open(world);
                sleep(Duration::from_millis(5));
            }
            world.crew.check_ended(world, world.crew.working(), "by themselves");
            servers.close();
        }
        End::Killed => {
            servers.close();
            world.crew.kill_all();
            let limit = Instant::now() + PATIENCE;
            while world.crew.len() > 0 && Instant::now() < limit {
                sleep(Duration::from_millis(1));
            }
            world.crew.check_ended(world, world.crew.len(), "by kills");
        }
        End::Left => {}
    }
    watch.beat();
}

fn print_table(world: &World, line: &BaseLine, lulls: usize, elapsed: Duration) {
    println!("\n| what | how many |\n| --- | ---: |");
    println!("| seconds | {:.0} |\n| lulls | {lulls} |", elapsed.as_secs_f64());
    for (what, count) in world.tally.rows() {
        println!("| {what} | {count} |");
    }
    println!("\n| what is left | at first | after the first lull | at the end |");
    println!("| --- | ---: | ---: | ---: |");
    let [first, settled, last] = line.columns();
    for (n, what) in Measured::NAMES.iter().enumerate() {
        println!("| {what} | {} | {} | {} |", first[n], settled[n], last[n]);
    }
}
