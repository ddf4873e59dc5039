//! What a process has when nobody works, and that it comes back to that.
//!
//! Descriptors, coroutines, timers, threads and processes must be exactly what they were before
//! the work began. Threads of the runtime's own that help out when there is work, and end when
//! there has been none for a while, do not count. Mappings and memory are compared with what the
//! first lull left: until then the program itself, stacks and the heap are touched for the first
//! time.
//!
//! Memory is what is allocated, to the byte, and what is resident outside of the allocator's
//! areas: stacks, of coroutines and threads, and what the runtime maps itself. The sum of what is
//! resident is told and not judged. With glibc it grows for hours, slower and slower, while the
//! bytes that are allocated stay the same: each thread that allocates does so in one of many
//! arenas, which keep what was freed. `MALLOC_ARENA_MAX=1` shows it: then it does not grow.

use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use corovent::debug;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use rustix::process::waitid;

use crate::heap;

/// How much more than at the first lull: each arena and each thread that idles is some mappings,
/// and their number is limited.
const MAPPINGS_MORE: u64 = 100;
/// Beside the double of what was allocated then: tables, such as that of the tasks, are as long as
/// in their busiest moment, and may have doubled once since. What is left by each call shows from
/// the third lull on, if it is much; `tests/leaks` is there for the rest.
const ALLOCATED_MORE: u64 = 256 << 10;
/// A thread that idles has some pages of its stack. AddressSanitizer keeps 256 MiB of what was
/// freed in areas of its own, with notes on each.
const MAPPED_MORE: u64 = if cfg!(feature = "sanitizer") { 1 << 30 } else { 4 << 20 };
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
    /// Bytes that were allocated and not freed.
    allocated: u64,
    /// Resident bytes outside of the allocator's areas and of files.
    mapped: u64,
    /// Resident bytes without those of files.
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
        let exact =
            |measured| Measured { mappings: 0, allocated: 0, mapped: 0, memory: 0, ..measured };
        let settled = self.settled.unwrap_or(self.last);
        let too_much = self.last.mappings > settled.mappings + MAPPINGS_MORE
            || self.last.allocated > 2 * settled.allocated + ALLOCATED_MORE
            || self.last.mapped > settled.mapped + MAPPED_MORE;
        let differs = exact(self.last) != exact(self.first) || too_much;
        differs.then(|| format!("{}; it was {}, then {settled}", self.last, self.first))
    }

    /// At first, after the first lull, and at the end.
    pub(crate) fn columns(&self) -> [[u64; KINDS]; 3] {
        let settled = self.settled.unwrap_or_default();
        [self.first, settled, self.last].map(Measured::values)
    }
}

/// How many numbers are taken.
const KINDS: usize = 10;

impl Measured {
    pub(crate) const NAMES: [&str; KINDS] = [
        "descriptors",
        "coroutines",
        "timers",
        "coroutines that wait for a descriptor",
        "threads",
        "child processes",
        "mappings",
        "allocated bytes",
        "resident bytes, without files and heap",
        "resident bytes, without files",
    ];

    fn now() -> Measured {
        let counters = debug::counters();
        let (mapped, memory) = resident();
        // Reading them allocates, and is over.
        let allocated = heap::bytes();
        Measured {
            fds: entries("/proc/self/fd"),
            coroutines: counters.coroutines as u64,
            timers: counters.timers as u64,
            waiting: counters.waiting as u64,
            threads: own_threads(),
            processes: u64::from(has_children()),
            mappings: lines("/proc/self/maps"),
            allocated,
            mapped,
            memory,
        }
    }

    fn values(self) -> [u64; KINDS] {
        let Measured { fds, coroutines, timers, waiting, threads, processes, .. } = self;
        let Measured { mappings, allocated, mapped, memory, .. } = self;
        [fds, coroutines, timers, waiting, threads, processes, mappings, allocated, mapped, memory]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { fds, coroutines, timers, threads, processes, mappings, .. } = self;
        write!(
            f,
            "{fds} fds, {coroutines} coroutines, {timers} timers, {threads} threads, {processes} \
             processes, {mappings} mappings, {} bytes allocated, {} KiB mapped, {} KiB resident",
            self.allocated,
            self.mapped / 1024,
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

/// What is resident without the pages of files: outside of the allocator's areas, and in all.
fn resident() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let (mut mapped, mut all, mut is_heap) = (0, 0, false);
    for line in text.lines() {
        if let Some(anonymous) = line.strip_prefix("Anonymous:") {
            let kilobytes = anonymous.trim_end_matches("kB").trim().parse().unwrap_or(0);
            all += kilobytes * 1024;
            mapped += if is_heap { 0 } else { kilobytes * 1024 };
        } else if let Some((start, _)) = line.split_once('-')
            && let Ok(start) = u64::from_str_radix(start, 16)
        {
            is_heap = line.ends_with("[heap]") || start.is_multiple_of(ARENA_BYTES);
        }
    }
    (mapped, all)
}

/// Where the areas of glibc's threads begin, and what begins there is one, nearly always.
const ARENA_BYTES: u64 = 64 << 20;
