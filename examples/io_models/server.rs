//! A server in a process of its own, and what it uses up there.

use std::env;
use std::error::Error;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use corovent::Elapsed;
use corovent::JoinHandle;
use corovent::process::Child;
use corovent::process::ChildStdout;
use corovent::process::Command;
use corovent::process::Stdio;
use corovent::spawn;
use corovent::timeout;

use crate::model::Model;
use crate::tally::Tally;

/// A server that does not start or stop within this time never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// What strace(1) is to write down.
const CALLS: &str = "trace=network,read,write,epoll_wait,epoll_pwait,epoll_pwait2";

/// One running server.
pub(crate) struct Server {
    pub(crate) addr: String,
    child: Child,
    output: BufReader<ChildStdout>,
    errors: Option<JoinHandle<String>>,
}

/// What a process has used up, but for its first thread, which waits for signals.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) threads: usize,
    /// How often its threads have left the processor to others.
    pub(crate) switches: u64,
}

impl Server {
    pub(crate) fn start(model: &Model) -> Result<Server, Box<dyn Error>> {
        Server::start_command(Command::new(env::current_exe()?), model)
    }

    /// Starts it under strace(1), which writes down its calls; an error if there is none.
    pub(crate) fn start_traced(model: &Model) -> Result<Server, Box<dyn Error>> {
        let mut command = Command::new("strace");
        // The tracer is the grandchild, so that signals and /proc still mean the server.
        command.args(["-D", "-f", "-qq", "-e", CALLS]).arg(env::current_exe()?);
        Server::start_command(command, model)
    }

    fn start_command(mut command: Command, model: &Model) -> Result<Server, Box<dyn Error>> {
        let mut child = command
            .args(["serve", model.name, "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut errors = child.stderr.take().ok_or("the server has no error output")?;
        // Read all along: a pipe that is full would stop the server.
        let errors = spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        let output = BufReader::new(output);
        let mut server = Server { addr: String::new(), child, output, errors: Some(errors) };
        let line = server.read_line()?;
        match line.strip_prefix("listening on ") {
            Some(addr) => server.addr = addr.to_owned(),
            None => return Err(server.last_words().into()),
        }
        Ok(server)
    }

    /// Stops it, and gives what it has counted, and what it has complained about.
    pub(crate) fn stop(mut self) -> Result<(Tally, String), Box<dyn Error>> {
        // It is there until somebody waits for it, be it as a zombie.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let line = self.read_line()?;
        let tally = Tally::parse(&line).ok_or_else(|| self.last_words())?;
        timeout(PATIENCE, || self.child.wait()).map_err(|Elapsed| "the server does not end")??;
        Ok((tally, self.last_words()))
    }

    /// Ends it, and gives all that it has written to its error output.
    pub(crate) fn last_words(&mut self) -> String {
        // If it is still there.
        let _ = self.child.kill();
        let errors = self.errors.take().map(JoinHandle::join);
        let text = errors.and_then(Result::ok).unwrap_or_default();
        text.strip_prefix("io_models: ").unwrap_or(&text).trim_end().to_owned()
    }

    pub(crate) fn usage(&self) -> Result<Usage, Box<dyn Error>> {
        let directory = format!("/proc/{}", self.child.id());
        let mut usage = Usage { cpu_seconds: 0.0, resident_bytes: 0, threads: 0, switches: 0 };
        for task in fs::read_dir(format!("{directory}/task"))? {
            let task = task?.path();
            // The first thread has the number of the process.
            if task.ends_with(self.child.id().to_string()) {
                continue;
            }
            // A thread may end at any time.
            let read = |name| fs::read_to_string(task.join(name));
            let (Ok(status), Ok(schedule)) = (read("status"), read("schedstat")) else { continue };
            // Nanoseconds on a processor, by the kernel's Documentation/scheduler/sched-stats.
            let cpu_ns: u64 = schedule.split(' ').next().unwrap_or_default().parse()?;
            usage.cpu_seconds += cpu_ns as f64 / 1e9;
            usage.threads += 1;
            usage.switches += field(&status, "voluntary_ctxt_switches")?;
            usage.switches += field(&status, "nonvoluntary_ctxt_switches")?;
        }
        let status = fs::read_to_string(format!("{directory}/status"))?;
        usage.resident_bytes = field(&status, "VmRSS")? * 1024;
        Ok(usage)
    }

    fn read_line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        match timeout(PATIENCE, || self.output.read_line(&mut line)) {
            Ok(read) => read?,
            Err(Elapsed) => return Err("the server hangs".into()),
        };
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of one line of a status file: proc_pid_status(5).
fn field(status: &str, name: &str) -> Result<u64, Box<dyn Error>> {
    let of_line = |line: &str| {
        line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
    };
    status.lines().find_map(of_line).ok_or_else(|| format!("{name} is missing in /proc").into())
}
