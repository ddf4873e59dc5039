//! What a process has when nobody works, and that it comes back to that.
//!
//! Descriptors, coroutines, timers, threads and processes must be exactly what they were before
//! the work began. Threads of the runtime's own that help out when there is work, and end when
//! there has been none for a while, do not count. Mappings and memory are compared with what the
//! first lull left: until then the program itself, stacks and the heap are touched for the first
//! time.

use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use rustix::process::waitid;

/// How much more than at the first lull: a heap and its threads' arenas break into pieces, and
/// a busier minute needs more stacks at once.
const MAPPINGS_MORE: u64 = 100;
const MEMORY_MORE: u64 = 16 << 20;
/// A thread that has ended its work, or a process that was killed, takes a moment to go.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct BaseLine {
    first: Measured,
    settled: Option<Measured>,
    last: Measured,
}

/// What there is at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    fds: u64,
    coroutines: u64,
    timers: u64,
    waiting: u64,
    threads: u64,
    processes: u64,
    mappings: u64,
    memory: u64,
}

impl BaseLine {
    pub(crate) fn take() -> BaseLine {
        let first = Measured::now();
        BaseLine { first, settled: None, last: first }
    }

    /// Waits until all is as it was; says what is not.
    pub(crate) fn wait_until_back(&mut self) -> Result<Measured, String> {
        let limit = Instant::now() + PATIENCE;
        loop {
            self.last = Measured::now();
            let trouble = self.difference();
            if trouble.is_none() {
                self.settled.get_or_insert(self.last);
                return Ok(self.last);
            }
            if Instant::now() >= limit {
                let trouble = trouble.unwrap_or_default();
                return Err(format!("left behind: {trouble}\n{}", debug::dump()));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn difference(&self) -> Option<String> {
        let exact = Measured { mappings: 0, memory: 0, ..self.last };
        let expected = Measured { mappings: 0, memory: 0, ..self.first };
        let settled = self.settled.unwrap_or(self.last);
        let too_much = self.last.mappings > settled.mappings + MAPPINGS_MORE
            || self.last.memory > settled.memory + settled.memory / 4 + MEMORY_MORE;
        let differs = exact != expected || too_much;
        differs.then(|| format!("{}; it was {}, then {settled}", self.last, self.first))
    }

    /// At first, after the first lull, and at the end.
    pub(crate) fn columns(&self) -> ([u64; 8], [u64; 8], [u64; 8]) {
        let settled = self.settled.unwrap_or_default();
        (self.first.values(), settled.values(), self.last.values())
    }
}

impl Measured {
    pub(crate) const NAMES: [&str; 8] = [
        "descriptors",
        "coroutines",
        "timers",
        "coroutines that wait for a descriptor",
        "threads",
        "child processes",
        "mappings",
        "resident bytes, without files",
    ];

    fn now() -> Measured {
        let counters = debug::counters();
        Measured {
            fds: entries("/proc/self/fd"),
            coroutines: counters.coroutines as u64,
            timers: counters.timers as u64,
            waiting: counters.waiting as u64,
            threads: own_threads(),
            processes: u64::from(has_children()),
            mappings: lines("/proc/self/maps"),
            memory: memory(),
        }
    }

    fn values(&self) -> [u64; 8] {
        let Measured { fds, coroutines, timers, waiting, threads, processes, mappings, memory } =
            *self;
        [fds, coroutines, timers, waiting, threads, processes, mappings, memory]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { fds, coroutines, timers, threads, processes, mappings, .. } = self;
        write!(
            f,
            "{fds} fds, {coroutines} coroutines, {timers} timers, {threads} threads, {processes} \
             processes, {mappings} mappings, {} KiB",
            self.memory / 1024
        )
    }
}

fn entries(directory: &str) -> u64 {
    fs::read_dir(directory).map_or(0, |entries| entries.count() as u64)
}

fn lines(path: &str) -> u64 {
    fs::read_to_string(path).map_or(0, |text| text.lines().count() as u64)
}

/// The threads that are no idle helpers.
fn own_threads() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0 };
    let names = tasks.flatten().map(|task| fs::read_to_string(task.path().join("comm")));
    names.flatten().filter(|name| !name.starts_with("corovent")).count() as u64
}

fn has_children() -> bool {
    // It fails if there is no child, and looks without reaping.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::All, options).is_ok()
}

/// What is resident, without the pages of files.
fn memory() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Vec<u64> = statm.split(' ').filter_map(|field| field.parse().ok()).collect();
    match pages[..] {
        [_, resident, shared, ..] => (resident - shared) * 4096,
        _ => 0,
    }
}
