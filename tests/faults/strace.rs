//! Children whose system calls fail as strace is told, and the proof that they did.
//!
//! Calls are counted by strace for each thread apart, from its start. A child does the same each
//! time, so the number of the call to hit can be looked up in the log of a run without faults.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::child_of;
use crate::support::has_passed;
use crate::support::skip;
use crate::support::tool;

/// What a child has done that was traced.
pub(crate) struct Traced {
    /// What it said on stderr.
    pub(crate) said: String,
    /// A line for each call, after the number of the thread that made it.
    log: String,
}

/// Runs a child with faults, each an expression of strace's: `accept4:error=EMFILE:when=1..3`.
/// It has to pass, and every fault to hit. `None`: it is skipped, since there is no strace.
#[track_caller]
pub(crate) fn inject(test: &str, faults: &[&str]) -> Option<Traced> {
    inject_with(test, faults, &[])
}

/// The same with environment variables.
#[track_caller]
pub(crate) fn inject_with(
    test: &str,
    faults: &[&str],
    variables: &[(&str, &str)],
) -> Option<Traced> {
    let calls: Vec<&str> = faults.iter().map(|fault| call_of(fault)).collect();
    let inject: Vec<String> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    let traced = run_traced(test, &calls, &inject, variables)?;
    for call in calls {
        assert!(traced.injected(call) > 0, "{call} was not hit:\n{}", traced.log);
    }
    Some(traced)
}

/// Runs a child without faults, to see its calls.
#[track_caller]
pub(crate) fn trace(test: &str, calls: &[&str]) -> Option<Traced> {
    run_traced(test, calls, &[], &[])
}

#[track_caller]
fn run_traced(
    test: &str,
    calls: &[&str],
    inject: &[String],
    variables: &[(&str, &str)],
) -> Option<Traced> {
    let strace = strace()?;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = Command::new(strace);
    // -D: the tracer is the child of the test, which keeps its alarm and its status. Calls that
    // are not traced do not stop the child.
    command.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o"]).arg(&log);
    command.arg("-e").arg(format!("trace={}", calls.join(",")));
    for fault in inject {
        command.arg("-e").arg(fault);
    }
    command.arg(env::current_exe().unwrap());
    command.envs(variables.iter().copied());
    // The tracer holds stderr until it has written its last line.
    let output = child_of(command, test).output().unwrap();
    let said = has_passed(test, &output);
    Some(Traced { said, log: fs::read_to_string(log).unwrap() })
}

impl Traced {
    /// How often a call was made to fail.
    pub(crate) fn injected(&self, call: &str) -> usize {
        self.lines(call).filter(|line| line.contains("(INJECTED)")).count()
    }

    /// How often a call was made.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.lines(call).count()
    }

    /// Whether a call was made of which the log says what is meant.
    pub(crate) fn makes(&self, call: &str, is_meant: impl Fn(&str) -> bool) -> bool {
        self.lines(call).any(is_meant)
    }

    /// The number, for `when=`, of the first call of which the log says what is meant: among
    /// those of its thread, from 1 on.
    #[track_caller]
    pub(crate) fn number(&self, call: &str, is_meant: impl Fn(&str) -> bool) -> usize {
        let lines: Vec<&str> = self.lines(call).collect();
        let at = lines.iter().position(|line| is_meant(line));
        let at = at.unwrap_or_else(|| panic!("no such {call}:\n{}", self.log));
        let thread = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        lines[..=at].iter().filter(|line| thread(line) == thread(lines[at])).count()
    }

    /// The lines of a call; one that others were written between has its second half alone.
    fn lines(&self, call: &str) -> impl Iterator<Item = &str> {
        let whole = format!("{call}(");
        let rest = format!("{call} resumed");
        self.log.lines().filter(move |line| {
            let is_begun = line.contains("<unfinished");
            (line.contains(&whole) && !is_begun) || line.contains(&rest)
        })
    }
}

/// The call that a fault is for.
fn call_of(fault: &str) -> &str {
    fault.split(':').next().unwrap()
}

/// strace, where it is there and may trace.
#[track_caller]
fn strace() -> Option<PathBuf> {
    static WORKS: OnceLock<bool> = OnceLock::new();

    let strace = tool("strace")?;
    let works = || {
        let mut command = Command::new(&strace);
        command.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=execve"]);
        command.arg("true").status().is_ok_and(|status| status.success())
    };
    if !WORKS.get_or_init(works) {
        skip("strace may not trace here");
        return None;
    }
    Some(strace)
}
