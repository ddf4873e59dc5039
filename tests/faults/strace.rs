//! Children whose system calls fail as strace is told, and the proof that they did.
//!
//! Calls are counted by strace for each thread apart, from its start. A child does the same each
//! time, so the number of the call to hit can be looked up in the log of a run without faults.

use std::env;
use std::fs;
use std::io;
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
/// It has to pass, and every fault to hit. The name of a call alone has it traced. `None`: it is
/// skipped, since there is no strace.
#[track_caller]
pub(crate) fn inject(test: &str, faults: &[&str]) -> Option<Traced> {
    let traced = trace(test, faults)?;
    for call in faults.iter().filter(|fault| fault.contains(':')).map(|fault| call_of(fault)) {
        assert!(traced.injected(call) > 0, "{call} was not hit:\n{}", traced.log);
    }
    Some(traced)
}

/// The same, if it may be that no fault hits.
#[track_caller]
pub(crate) fn trace(test: &str, faults: &[&str]) -> Option<Traced> {
    let strace = strace()?;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = Command::new(strace);
    // -D: the tracer is the child of the test, which keeps its alarm and its status. Calls that
    // are not traced do not stop the child.
    command.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o"]).arg(&log);
    let calls: Vec<&str> = faults.iter().map(|fault| call_of(fault)).collect();
    command.arg("-e").arg(format!("trace={}", calls.join(",")));
    for fault in faults.iter().filter(|fault| fault.contains(':')) {
        command.arg("-e").arg(format!("inject={fault}"));
    }
    command.arg(env::current_exe().unwrap());
    // The tracer holds stderr until it has written its last line.
    let output = child_of(command, test).output().unwrap();
    let said = has_passed(test, &output);
    Some(Traced { said, log: whole_lines(&fs::read_to_string(log).unwrap()) })
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

    /// How many calls were made of which the log says what is meant.
    pub(crate) fn matching(&self, call: &str, is_meant: impl Fn(&str) -> bool) -> usize {
        self.lines(call).filter(|line| is_meant(line)).count()
    }

    /// The number, for `when=`, of the first call of which the log says what is meant: among
    /// those of its thread, from 1 on.
    #[track_caller]
    pub(crate) fn number(&self, call: &str, is_meant: impl Fn(&str) -> bool) -> usize {
        self.number_at(call, self.lines(call).position(is_meant))
    }

    /// The number of the last one.
    #[track_caller]
    pub(crate) fn last(&self, call: &str, is_meant: impl Fn(&str) -> bool) -> usize {
        let lines: Vec<&str> = self.lines(call).collect();
        self.number_at(call, lines.into_iter().rposition(is_meant))
    }

    #[track_caller]
    fn number_at(&self, call: &str, at: Option<usize>) -> usize {
        let at = at.unwrap_or_else(|| panic!("no such {call}:\n{}", self.log));
        let threads = self.lines(call).map(|line| line.split_whitespace().next().unwrap());
        let threads: Vec<&str> = threads.collect();
        threads[..=at].iter().filter(|thread| **thread == threads[at]).count()
    }

    /// The lines of a call.
    pub(crate) fn lines(&self, call: &str) -> impl Iterator<Item = &str> {
        let is_of_call = format!(" {call}(");
        self.log.lines().filter(move |line| line.contains(&is_of_call))
    }
}

/// Puts the halves of lines together between which those of other threads were written, where
/// the call began.
fn whole_lines(log: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in log.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        let rest = line.split_once(" resumed>").filter(|(start, _)| start.contains("<... "));
        let is_begun = |begun: &&mut String| {
            begun.ends_with("<unfinished ...>") && begun.split_whitespace().next() == Some(thread)
        };
        match (rest, lines.iter_mut().rfind(is_begun)) {
            (Some((_, rest)), Some(begun)) => *begun = begun.replace("<unfinished ...>", rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn lines_are_put_together() {
    let log = "7 a(1 <unfinished ...>\n8 a(2 <unfinished ...>\n9  b() = 1\n\
        8 <... a resumed>) = -1 (INJECTED)\n7 <... a resumed>) = 0";
    assert_eq!(whole_lines(log), "7 a(1 ) = 0\n8 a(2 ) = -1 (INJECTED)\n9  b() = 1");
}

/// Makes calls of mmap(2) and its family that change nothing, so that those which follow on this
/// thread have numbers that no other of the child comes to: a fault with such a number hits this
/// thread alone.
pub(crate) fn be_far_ahead() {
    let len = 4096;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    for _ in 0..500 {
        // SAFETY: the kernel picks a range that nobody uses.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: the page was mapped with the same protection.
        assert_eq!(unsafe { libc::mprotect(page, len, protection) }, 0);
        // SAFETY: the advice is that there is none.
        assert_eq!(unsafe { libc::madvise(page, len, libc::MADV_NORMAL) }, 0);
        // SAFETY: nobody uses the page.
        assert_eq!(unsafe { libc::munmap(page, len) }, 0);
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

/// The number of the error that a call gave.
#[track_caller]
pub(crate) fn code<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("the call was not hit"),
        Err(error) => error.raw_os_error().unwrap_or_else(|| panic!("not of the kernel: {error}")),
    }
}
