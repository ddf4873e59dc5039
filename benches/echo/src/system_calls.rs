//! How many system calls a process makes meanwhile, as `perf` counts them or `strace`.

use std::fs;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

/// Gives what `f` gives, and how many system calls the process has made meanwhile.
pub(crate) fn count<T>(pid: u32, f: impl FnOnce() -> io::Result<T>) -> io::Result<(T, f64)> {
    let counter = Counter::by_perf(pid).or_else(|_| Counter::by_strace(pid))?;
    let result = f();
    let calls = counter.stop()?;
    Ok((result?, calls))
}

/// Something that counts.
struct Counter {
    child: Child,
    output: PathBuf,
    parse: fn(&str) -> Option<f64>,
}

impl Counter {
    /// Costs the process next to nothing, and needs a kernel that shows its tracepoints.
    fn by_perf(pid: u32) -> io::Result<Counter> {
        let output = output();
        let mut perf = Command::new("perf");
        perf.args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"]).arg(&output);
        // It counts while its own child runs, which says when that is.
        perf.args(["-p", &pid.to_string(), "cat"]);
        let mut child =
            perf.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut echoed = [0];
        // If it has ended already these fail.
        let _ = child.stdin.as_mut().expect("it is piped").write_all(b"\n");
        let _ = child.stdout.as_mut().expect("it is piped").read(&mut echoed);
        let counter = Counter { child, output, parse: parse_perf };
        if echoed == *b"\n" { Ok(counter) } else { Err(counter.failed("perf")) }
    }

    /// Stops the process at each call, so that fewer polls are needed for as many requests.
    fn by_strace(pid: u32) -> io::Result<Counter> {
        let output = output();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-o"]).arg(&output).args(["-p", &pid.to_string()]);
        let mut child = strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().expect("it is piped")).read_line(&mut line)?;
        let counter = Counter { child, output, parse: parse_strace };
        if line.contains("attached") { Ok(counter) } else { Err(counter.failed("strace")) }
    }

    fn stop(mut self) -> io::Result<f64> {
        // perf ends with its child, which ends with its stdin.
        if self.child.stdin.take().is_none() {
            let pid = Pid::from_raw(self.child.id() as i32).expect("a process has a number");
            kill_process(pid, Signal::INT)?;
        }
        self.child.wait()?;
        let counted = fs::read_to_string(&self.output).ok().and_then(|text| (self.parse)(&text));
        fs::remove_file(&self.output)?;
        counted.ok_or_else(|| io::Error::other("system calls could not be counted"))
    }

    fn failed(mut self, who: &str) -> io::Error {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.output);
        io::Error::other(format!("{who} does not get at the server"))
    }
}

/// `12345,,raw_syscalls:sys_enter,…`
fn parse_perf(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("raw_syscalls"))?;
    line.split(',').next()?.parse().ok()
}

/// `100.00    0.001234           1      1234        12 total`; the errors may be missing.
fn parse_strace(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn output() -> PathBuf {
    let name = format!("echo-calls-{}", std::process::id());
    Path::new(&std::env::temp_dir()).join(name)
}
