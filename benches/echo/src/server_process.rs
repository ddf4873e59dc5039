//! A server and the load for it, each in a process of its own.

use std::env;
use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use rustix::thread::CpuSet;
use rustix::thread::sched_setaffinity;

use crate::peers::Peer;

/// Lets the calling thread, and what it starts from now on, run on these processors.
pub(crate) fn run_on(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.iter().for_each(|&processor| set.set(processor));
    Ok(sched_setaffinity(None, &set)?)
}

/// A child process that is killed with its parent's interest in it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Server {
    child: Killed,
    addr: SocketAddr,
}

impl Server {
    /// Starts it on the processors of the calling thread.
    pub(crate) fn start(peer: &Peer) -> io::Result<Server> {
        let mut command = Command::new(&peer.command[0]);
        command.args(&peer.command[1..]).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = Killed(command.spawn()?);
        let mut line = String::new();
        let stdout = child.0.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.trim().strip_prefix("listening on ").and_then(|addr| addr.parse().ok());
        let addr = addr.ok_or_else(|| io::Error::other("it does not say where it listens"))?;
        Ok(Server { child, addr })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Nanoseconds on a processor, of all its threads, those that the kernel runs for it included.
    pub(crate) fn cpu_ns(&self) -> io::Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            // A thread may end in between.
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            sum += text.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    /// Bytes that are resident, and bytes of page tables.
    pub(crate) fn memory(&self) -> io::Result<[f64; 2]> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let number: Option<f64> = number.and_then(|number| number.parse().ok());
            number.map(|number| number * 1024.0).ok_or_else(|| io::Error::other(field.to_owned()))
        };
        Ok([bytes("VmRSS:")?, bytes("VmPTE:")?])
    }
}

/// The load as its parent sees it.
pub(crate) struct LoadProcess {
    _child: Killed,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the load says when it has done something; the latencies are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) requests: f64,
    pub(crate) elapsed_ns: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl LoadProcess {
    /// Starts it on the processors of the calling thread.
    pub(crate) fn start(server: &Server) -> io::Result<LoadProcess> {
        let mut child = Command::new(env::current_exe()?)
            .args(["load", &server.addr.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(LoadProcess { _child: Killed(child), orders, answers })
    }

    pub(crate) fn connect(&mut self, connections: usize) -> io::Result<()> {
        self.order(&format!("connect {connections}")).map(drop)
    }

    pub(crate) fn run(&mut self, bytes: usize, time: Duration) -> io::Result<Done> {
        self.order(&format!("run {bytes} {}", time.as_millis()))
    }

    fn order(&mut self, order: &str) -> io::Result<Done> {
        writeln!(self.orders, "{order}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let numbers: Vec<f64> =
            line.split(' ').filter_map(|word| word.trim().parse().ok()).collect();
        match numbers[..] {
            [requests, elapsed_ns, p50, p99, p999] => {
                Ok(Done { requests, elapsed_ns, p50, p99, p999 })
            }
            _ => Err(io::Error::other("the load has failed")),
        }
    }
}
