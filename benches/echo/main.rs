//! Echo of 64 bytes: processor time of the server for each request, as ratios to a
//! hand-written epoll loop.
//!
//! ```text
//! cargo bench --bench echo [-- [--quick] [--rounds N] [--requests N] [--connections N,N,…]
//!                             [--only NAME,NAME,…] [NAME=COMMAND …]]
//! ```
//!
//! Each server is a process of its own on one processor, and so is the load for it, an
//! epoll loop as well, on another. The servers take turns, round by round, so that a machine
//! whose speed drifts harms them alike; the raw loop is in the race twice, and the spread
//! between the two is what the machine cannot tell apart. `NAME=COMMAND` adds another
//! server: a program that prints `listening on IP:PORT`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod epoll;
mod load;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use crate::load::Load;
use crate::load::LoadProcess;
use crate::servers::serve;
use crate::support::clients::first_line;
use crate::support::is_quick;

/// Where the servers run, and where all else does.
const SERVER_CPU: usize = 0;
const LOAD_CPU: usize = 1;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--serve") => serve(&args[1]),
        Some("--load") => Load::serve(args[1].parse().unwrap(), args[2].parse().unwrap()),
        _ => compare(&Plan::from_args(&args)),
    }
}

/// What is measured.
struct Plan {
    rounds: usize,
    requests: usize,
    connections: Vec<usize>,
    /// Names and commands; the first is what the others are compared with, the second the
    /// same once more.
    servers: Vec<(String, Vec<String>)>,
}

impl Plan {
    fn new() -> Plan {
        let own = env::current_exe().unwrap().to_str().unwrap().to_owned();
        let server = |(name, kind): (&str, &str)| {
            (name.to_owned(), vec![own.clone(), "--serve".to_owned(), kind.to_owned()])
        };
        let servers = [
            ("raw epoll", "raw"),
            ("raw again", "raw"),
            ("corovent", "corovent"),
            ("corovent plain", "plain"),
            ("threads", "threads"),
        ];
        let servers = servers.into_iter().map(server).collect();
        if is_quick() {
            return Plan { rounds: 1, requests: 1_000, connections: vec![50], servers };
        }
        Plan { rounds: 15, requests: 100_000, connections: vec![50, 1000, 5000], servers }
    }

    fn from_args(args: &[String]) -> Plan {
        let mut plan = Plan::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
            match arg.as_str() {
                // Cargo's, and what has been seen to already.
                "--bench" | "--quick" => {}
                "--rounds" => plan.rounds = value().parse().expect("a number of rounds"),
                "--requests" => plan.requests = value().parse().expect("a number of requests"),
                "--connections" => {
                    let numbers = value().split(',').map(str::parse);
                    plan.connections = numbers.collect::<Result<_, _>>().expect("numbers");
                }
                "--only" => {
                    let wanted: Vec<&str> = value().split(',').collect();
                    plan.servers.retain(|(name, _)| {
                        name.starts_with("raw") || wanted.contains(&name.as_str())
                    });
                }
                peer => {
                    let (name, command) = peer.split_once('=').expect("NAME=COMMAND");
                    let words = command.split(' ').map(str::to_owned).collect();
                    plan.servers.push((name.to_owned(), words));
                }
            }
        }
        plan
    }
}

/// A server's figures in one round.
#[derive(Clone, Copy)]
struct Round {
    cpu_ns: f64,
    per_second: f64,
    /// The part of the time that the server's processor was busy with it.
    busy: f64,
}

fn compare(plan: &Plan) {
    epoll::pin(LOAD_CPU);
    println!(
        "{:>6} {:<18} {:>10} {:>7} {:>15} {:>6} {:>10}",
        "conns", "server", "cpu ns/req", "ratio", "p10…p90", "busy", "req/s"
    );
    let columns: Vec<Vec<f64>> = plan
        .connections
        .iter()
        .map(|&connections| report(plan, connections, &measure(plan, connections)))
        .collect();
    print_matrix(plan, &columns);
}

/// Gives the rounds of every server.
fn measure(plan: &Plan, connections: usize) -> Vec<Vec<Round>> {
    let servers: Vec<Server> =
        plan.servers.iter().map(|(_, command)| Server::start(command)).collect();
    let mut loads: Vec<LoadProcess> =
        servers.iter().map(|server| LoadProcess::start(server.addr, connections)).collect();
    for load in &mut loads {
        load.run(plan.requests / 10);
    }
    let mut rounds = vec![Vec::new(); servers.len()];
    for round in 0..plan.rounds {
        for turn in 0..servers.len() {
            // Nobody always comes after the same one.
            let n = (turn + round) % servers.len();
            rounds[n].push(run_once(&servers[n], &mut loads[n], plan.requests));
        }
    }
    rounds
}

fn run_once(server: &Server, load: &mut LoadProcess, requests: usize) -> Round {
    let (cpu, start) = (server.cpu_ns(), Instant::now());
    load.run(requests);
    let elapsed_ns = start.elapsed().as_nanos() as f64;
    let cpu_ns = (server.cpu_ns() - cpu) as f64;
    Round {
        cpu_ns: cpu_ns / requests as f64,
        per_second: requests as f64 / elapsed_ns * 1e9,
        busy: cpu_ns / elapsed_ns,
    }
}

/// Prints a line for every server, and gives their ratios to the first.
fn report(plan: &Plan, connections: usize, rounds: &[Vec<Round>]) -> Vec<f64> {
    let line = |((name, _), own): (&(String, _), &Vec<Round>)| {
        let mut ratios: Vec<f64> =
            own.iter().zip(&rounds[0]).map(|(own, raw)| own.cpu_ns / raw.cpu_ns).collect();
        let (least, most) = (quantile(&mut ratios, 0.1), quantile(&mut ratios, 0.9));
        let ratio = quantile(&mut ratios, 0.5);
        let median = |field: fn(&Round) -> f64| {
            quantile(&mut own.iter().map(field).collect::<Vec<f64>>(), 0.5)
        };
        println!(
            "{connections:>6} {name:<18} {:>10.0} {ratio:>7.3} {least:>7.3}…{most:<7.3} {:>5.0}% \
             {:>10.0}",
            median(|round| round.cpu_ns),
            median(|round| round.busy) * 100.0,
            median(|round| round.per_second),
        );
        ratio
    };
    plan.servers.iter().zip(rounds).map(line).collect()
}

/// Prints the ratios once more, a column for each number of connections.
fn print_matrix(plan: &Plan, columns: &[Vec<f64>]) {
    print!("\n{:<20}", "ratio to raw epoll");
    plan.connections.iter().for_each(|connections| print!(" {connections:>8}"));
    println!(" {:>8}", "sum");
    for (n, (name, _)) in plan.servers.iter().enumerate() {
        print!("{name:<20}");
        columns.iter().for_each(|ratios| print!(" {:>8.3}", ratios[n]));
        println!(" {:>8.3}", columns.iter().map(|ratios| ratios[n]).sum::<f64>());
    }
}

fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * at).round() as usize]
}

/// A server in a process of its own.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(command: &[String]) -> Server {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command[0]));
        let line = first_line(&mut child);
        let addr = line.strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        let addr = addr.unwrap_or_else(|| panic!("{} does not say where it is", command[0]));
        epoll::pin_process(child.id(), SERVER_CPU);
        Server { child, addr }
    }

    /// Time on a processor, of all its threads.
    fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of_task = |task: io::Result<fs::DirEntry>| -> u64 {
            let path = task.unwrap().path().join("schedstat");
            let text = fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().unwrap().parse().unwrap_or(0)
        };
        tasks.map(of_task).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
