//! The measuring: servers take turns, slot by slot, so that a machine whose speed drifts harms all
//! alike.

use std::io;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use support::Better;
use support::Line;
use support::clients::raise_fd_limit;
use support::cpu;

use crate::peers;
use crate::peers::Peer;
use crate::peers::RAW;
use crate::peers::skip;
use crate::plan::Field;
use crate::plan::Plan;
use crate::server_process::Done;
use crate::server_process::LoadProcess;
use crate::server_process::Server;
use crate::server_process::run_on;
use crate::system_calls;
use crate::tables::Cell;
use crate::tables::Row;
use crate::tables::Tables;

/// What is echoed while memory, system calls and the cost of threads are measured.
const SHORT_BYTES: usize = 64;
/// With so many connections system calls are counted, and no more: `perf` needs descriptors.
const COUNTED_AT_MOST: usize = 1_000;
/// Calls are counted so often: a load that is kept waiting for its processor sends less at once,
/// and so makes the server poll more often.
const COUNTS_MAX: u32 = 3;

pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let limit = raise_fd_limit();
    let processors = cpu::allowed();
    let (load, server) = (processors[0], processors[processors.len() - 1]);
    if load == server {
        eprintln!("echo: servers and loads share one processor: these figures mean nothing");
    }
    let start = Instant::now();
    let mut tables = Tables::default();
    let all = peers::all(plan)?;
    for field in &plan.fields {
        let connections = field.connections;
        if connections + 100 > limit {
            skip(&format!("{connections} connections"), &format!("only {limit} descriptors"));
            continue;
        }
        eprintln!("{:>4} s: {connections} connections", start.elapsed().as_secs());
        let mut race = Race::start(&all, &[server], load, field, plan)?;
        for &bytes in &field.bytes {
            let case = case(bytes, connections);
            tables.add(race.measure(plan, bytes, &case)?, bytes, connections);
            if bytes == SHORT_BYTES && connections <= COUNTED_AT_MOST {
                race.count_calls(plan, bytes, &case);
            }
        }
    }
    eprintln!("{:>4} s: on two threads", start.elapsed().as_secs());
    on_two_threads(plan, &processors)?;
    tables.print();
    eprintln!("{:>4} s: done", start.elapsed().as_secs());
    Ok(())
}

/// Compares one thread that serves with two, each of which has a processor.
fn on_two_threads(plan: &Plan, processors: &[usize]) -> io::Result<()> {
    let two = &processors[processors.len().saturating_sub(2)..];
    let load = processors[0];
    let mut case = format!("{}, one or two threads", case(SHORT_BYTES, plan.threads_at));
    if two.contains(&load) {
        eprintln!("only {} processors: the second thread has the load beside it", two.len());
        case += ", the load beside them";
    }
    let field =
        Field { connections: plan.threads_at, bytes: vec![SHORT_BYTES], is_for_memory: false };
    let mut race = Race::start(&peers::on_threads(plan)?, two, load, &field, plan)?;
    race.measure(plan, SHORT_BYTES, &case)?.print();
    Ok(())
}

fn case(bytes: usize, connections: usize) -> String {
    let size = if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) };
    format!("{size} × {connections}")
}

/// Servers with the same number of connections each. The first is the raw one.
struct Race {
    connections: usize,
    runners: Vec<Runner>,
}

struct Runner {
    name: String,
    server: Server,
    load: LoadProcess,
    slots: Vec<Slot>,
    /// Why it takes part no longer.
    failure: Option<io::Error>,
}

/// What one server did in one round.
#[derive(Clone, Copy)]
struct Slot {
    done: Done,
    cpu_ns: f64,
}

impl Race {
    fn start(
        peers: &[Peer],
        servers: &[usize],
        load: usize,
        field: &Field,
        plan: &Plan,
    ) -> io::Result<Race> {
        // First all listeners: loads leave hardly a port free.
        run_on(servers)?;
        let started: Vec<_> = peers.iter().map(|peer| (peer, Server::start(peer))).collect();
        run_on(&[load])?;
        let mut runners = Vec::new();
        for (peer, server) in started {
            match server.and_then(|server| Runner::start(peer, server, field)) {
                Ok(runner) => runners.push(runner),
                Err(error) => gone(&peer.name, field.connections, &error)?,
            }
        }
        let race = Race { connections: field.connections, runners };
        if field.is_for_memory {
            race.watch_idle(plan)?;
        }
        Ok(race)
    }

    /// What servers do whose connections do nothing: all at once, since it should be nothing.
    fn watch_idle(&self, plan: &Plan) -> io::Result<()> {
        let case = format!("{} connections", self.connections);
        let used = || -> io::Result<Vec<u64>> {
            self.runners.iter().map(|runner| runner.server.cpu_ns()).collect()
        };
        let before = used()?;
        thread::sleep(plan.idle);
        for ((runner, before), after) in self.runners.iter().zip(before).zip(used()?) {
            let us = (after - before) as f64 / 1e3 / plan.idle.as_secs_f64();
            let mut line = Line::new("echo idle", &case, &runner.name, us, "us/s");
            if runner.is_corovent() {
                line.mark = Some(0.0);
            }
            line.print();
        }
        Ok(())
    }

    /// Measures one cell, prints the figures, and gives them for the tables.
    fn measure(&mut self, plan: &Plan, bytes: usize, case: &str) -> io::Result<Cell> {
        for runner in &mut self.runners {
            runner.slots.clear();
            // For warming up.
            runner.attempt(|runner| runner.slot(bytes, plan.slot / 4).map(drop));
        }
        for round in 0..plan.rounds as usize {
            for turn in self.order(round) {
                self.runners[turn].attempt(|runner| {
                    let slot = runner.slot(bytes, plan.slot)?;
                    runner.slots.push(slot);
                    Ok(())
                });
            }
        }
        self.drop_failed()?;
        let raw = self.runners[0].slots.clone();
        let rows = self.runners.iter().map(|runner| runner.report(&raw, case)).collect();
        Ok(Cell { case: case.to_owned(), rows })
    }

    /// Nobody always is the first, and nobody always comes after the same one.
    fn order(&self, round: usize) -> Vec<usize> {
        let count = self.runners.len();
        let mut order: Vec<usize> = (0..count).map(|turn| (turn + round) % count).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order
    }

    fn count_calls(&mut self, plan: &Plan, bytes: usize, case: &str) {
        let mut counted: Vec<Vec<f64>> = vec![Vec::new(); self.runners.len()];
        for round in 0..plan.rounds.min(COUNTS_MAX) as usize {
            for turn in self.order(round) {
                let Runner { server, load, name, .. } = &mut self.runners[turn];
                match system_calls::count(server.pid(), || load.run(bytes, plan.slot)) {
                    Ok((done, calls)) => counted[turn].push(calls / done.requests),
                    Err(error) => skip(&format!("calls of {name}, {case}"), &error.to_string()),
                }
            }
        }
        for (runner, counts) in self.runners.iter().zip(counted) {
            if counts.is_empty() {
                continue;
            }
            let mut line = Line::new("echo calls", case, &runner.name, median(counts), "");
            if runner.is_corovent() && self.connections >= 50 {
                line.mark = Some(2.1);
            }
            line.print();
        }
    }

    fn drop_failed(&mut self) -> io::Result<()> {
        for runner in self.runners.extract_if(.., |runner| runner.failure.is_some()) {
            let error = runner.failure.expect("that is why it is here");
            gone(&runner.name, self.connections, &error)?;
        }
        Ok(())
    }
}

/// Goes on without a server, unless it is the one that all are compared with.
fn gone(name: &str, connections: usize, error: &io::Error) -> io::Result<()> {
    let what = format!("{name}, {connections} connections");
    if name == RAW {
        return Err(io::Error::other(format!("{what}: {error}")));
    }
    skip(&what, &error.to_string());
    Ok(())
}

impl Runner {
    /// Connects; the last of many connections tell what one takes.
    fn start(peer: &Peer, server: Server, field: &Field) -> io::Result<Runner> {
        let mut load = LoadProcess::start(&server)?;
        let first = if field.is_for_memory { field.connections.div_ceil(50) } else { 0 };
        load.connect(first)?;
        let before = server.memory()?;
        load.connect(field.connections - first)?;
        let runner =
            Runner { name: peer.name.clone(), server, load, slots: Vec::new(), failure: None };
        if field.is_for_memory {
            let after = runner.server.memory()?;
            let each = [0, 1].map(|n| (after[n] - before[n]) / (field.connections - first) as f64);
            runner.print_memory(each);
        }
        Ok(runner)
    }

    fn print_memory(&self, [resident, tables]: [f64; 2]) {
        let mut line = Line::new("echo memory", "resident", &self.name, resident, "B");
        if self.name == "corovent" {
            line.mark = Some(5_000.0);
        }
        line.print();
        Line::new("echo memory", "page tables", &self.name, tables, "B").print();
    }

    fn is_corovent(&self) -> bool {
        self.name.starts_with("corovent")
    }

    /// Does something with it unless it has failed before, and notes if it does now.
    fn attempt(&mut self, f: impl FnOnce(&mut Runner) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = f(self).err();
        }
    }

    fn slot(&mut self, bytes: usize, time: Duration) -> io::Result<Slot> {
        let before = self.server.cpu_ns()?;
        let done = self.load.run(bytes, time)?;
        let cpu_ns = (self.server.cpu_ns()? - before) as f64;
        Ok(Slot { done, cpu_ns })
    }

    /// Prints what it has done in a cell: the processor time round by round, for the rest the
    /// medians.
    fn report(&self, raw: &[Slot], case: &str) -> Row {
        let line =
            |bench: &str, value: f64, unit: &str| Line::new(bench, case, &self.name, value, unit);
        for (round, slot) in (1..).zip(&self.slots) {
            Line { round, ..line("echo cpu", slot.cpu_us(), "us") }.print();
        }
        let ratios = self.slots.iter().zip(raw).map(|(own, raw)| own.cpu_us() / raw.cpu_us());
        let median = |value: fn(&Slot) -> f64| median(self.slots.iter().map(value).collect());
        let row = Row {
            name: self.name.clone(),
            cpu_us: median(Slot::cpu_us),
            ratios: ratios.collect(),
            busy: median(|slot| slot.cpu_ns / slot.done.elapsed_ns),
            per_second: median(|slot| slot.done.requests / slot.done.elapsed_ns * 1e9),
            latencies_us: [
                median(|slot| slot.done.p50 / 1e3),
                median(|slot| slot.done.p99 / 1e3),
                median(|slot| slot.done.p999 / 1e3),
            ],
        };
        let mark = if self.is_corovent() { ratio_to_reach(case) } else { None };
        Line { mark, ..line("echo ratio", row.ratio(), "") }.print();
        Line { better: Better::More, ..line("echo rate", row.per_second, "1/s") }.print();
        for (bench, us) in ["echo p50", "echo p99", "echo p99.9"].into_iter().zip(row.latencies_us)
        {
            line(bench, us, "us").print();
        }
        row
    }
}

/// What the design demands.
fn ratio_to_reach(case: &str) -> Option<f64> {
    match case {
        "64 B × 50" | "64 B × 1000" => Some(1.03),
        "64 B × 5000" => Some(1.06),
        _ => None,
    }
}

impl Slot {
    fn cpu_us(&self) -> f64 {
        self.cpu_ns / 1e3 / self.done.requests
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
