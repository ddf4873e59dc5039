//! `run`: shell commands side by side, a bounded number at once.

use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process_group;

use corovent::group::Pool;
use corovent::io::pipe;
use corovent::io::stdout;
use corovent::os::unix::process::CommandExt;
use corovent::process::Child;
use corovent::process::Command;
use corovent::signal;
use corovent::spawn;
use corovent::sync::mpsc::channel;
use corovent::timeout;

/// Whoever prints more gets SIGPIPE, as from `head`.
const OUTPUT_BYTES_MAX: u64 = 1_000_000;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Runs what the arguments say. True if all commands have ended well.
pub(crate) fn run(args: &[String]) -> Result<bool, String> {
    let plan = Plan::from_args(args)?;
    // At its end it kills the coroutines that are left, and those the processes that they
    // look after.
    let report = corovent::run(|| plan.run()).map_err(|error| error.to_string())?;
    println!("{report}");
    Ok(report.good == report.commands)
}

struct Plan {
    jobs: usize,
    limit: Duration,
    commands: Vec<String>,
}

/// What is told to the root.
enum News {
    Ended { n: usize, took: Duration, ended: io::Result<Ended> },
    Stop,
}

impl Plan {
    fn from_args(args: &[String]) -> Result<Plan, String> {
        let mut plan = Plan { jobs: 4, limit: Duration::from_secs(60), commands: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a number (see --help)"));
            match arg.as_str() {
                "--jobs" => {
                    let text = value()?;
                    let jobs = text.parse().ok().filter(|jobs| *jobs > 0);
                    plan.jobs = jobs.ok_or(format!("--jobs needs a number, not '{text}'"))?;
                }
                "--timeout" => {
                    let text = value()?;
                    let limit = text.parse().ok().map(Duration::try_from_secs_f64);
                    let bad = || format!("--timeout needs a number of seconds, not '{text}'");
                    plan.limit = limit.and_then(Result::ok).ok_or_else(bad)?;
                }
                _ if arg.starts_with('-') => return Err(format!("unknown option {arg}")),
                _ => plan.commands.push(arg.clone()),
            }
        }
        if plan.commands.is_empty() { Err("COMMAND is missing".to_owned()) } else { Ok(plan) }
    }

    fn run(&self) -> io::Result<Report> {
        let (news, told) = channel();
        spawn({
            let news = news.clone();
            move || {
                // A program that cannot wait for signals can still be killed.
                if signal::wait(&[SIGINT, SIGTERM]).is_ok() {
                    let _ = news.send(News::Stop);
                }
            }
        });
        let (pool, limit) = (Pool::new(self.jobs), self.limit);
        let commands: Vec<(usize, String)> = (1..).zip(self.commands.iter().cloned()).collect();
        // It waits for places in the pool, while the root waits for news.
        spawn(move || {
            for (n, command) in commands {
                let news = news.clone();
                pool.spawn(move || {
                    let start = Instant::now();
                    let ended = look_after(&command, limit);
                    let _ = news.send(News::Ended { n, took: start.elapsed(), ended });
                });
            }
        });
        let mut report = Report { commands: self.commands.len(), ..Report::default() };
        for _ in &self.commands {
            match told.recv().expect("its sender is here") {
                News::Ended { n, took, ended } => {
                    report.note(&ended);
                    tell(n, &self.commands[n - 1], took, &ended)?;
                }
                News::Stop => break,
            }
        }
        Ok(report)
    }
}

/// How a command ended, and what it printed.
struct Ended {
    /// None if it took too long.
    status: Option<ExitStatus>,
    output: Vec<u8>,
}

/// Runs a command until it and all that it has started have nothing more to say.
fn look_after(command: &str, limit: Duration) -> io::Result<Ended> {
    let (reader, writer) = pipe()?;
    let child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    let mut family = Family { child, has_ended: false };
    let mut output = Vec::new();
    let ended = timeout(limit, || {
        reader.take(OUTPUT_BYTES_MAX).read_to_end(&mut output)?;
        family.wait()
    });
    let status = match ended {
        Ok(status) => Some(status?),
        Err(_) => {
            family.kill();
            family.wait()?;
            None
        }
    };
    Ok(Ended { status, output })
}

/// A process, and what it has started. They do not outlive whoever looks after them.
struct Family {
    child: Child,
    has_ended: bool,
}

impl Family {
    fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.has_ended = true;
        Ok(status)
    }

    /// Only before it was waited for: its number could be somebody else's afterwards.
    fn kill(&self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
        }
    }
}

/// Prints a command's end and its output, in one piece.
fn tell(n: usize, command: &str, took: Duration, ended: &io::Result<Ended>) -> io::Result<()> {
    let mut text = format!("[{n}] {command}: ").into_bytes();
    match ended {
        Ok(Ended { status: None, .. }) => text.extend(b"took too long"),
        Ok(Ended { status: Some(status), .. }) => match (status.code(), status.signal()) {
            (Some(code), _) => text.extend(format!("exit code {code}").bytes()),
            (None, signal) => text.extend(format!("signal {}", signal.unwrap_or(0)).bytes()),
        },
        Err(error) => text.extend(format!("could not be run: {error}").bytes()),
    }
    text.extend(format!(" ({:.2} s)\n", took.as_secs_f64()).bytes());
    if let Ok(Ended { output, .. }) = ended {
        text.extend(output);
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
    }
    stdout().lock().write_all(&text)
}

#[derive(Default)]
struct Report {
    commands: usize,
    good: usize,
    bad: usize,
    late: usize,
}

impl Report {
    fn note(&mut self, ended: &io::Result<Ended>) {
        match ended {
            Ok(Ended { status: Some(status), .. }) if status.success() => self.good += 1,
            Ok(Ended { status: None, .. }) => self.late += 1,
            _ => self.bad += 1,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { commands, good, bad, late } = self;
        let missing = commands - good - bad - late;
        write!(f, "{commands} commands: {good} ended well, {bad} failed, {late} took too long")?;
        if missing > 0 { write!(f, ", {missing} were given up") } else { Ok(()) }
    }
}
