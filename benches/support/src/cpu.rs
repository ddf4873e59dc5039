//! Which processor runs what: the measured program has one for itself, and its load another.

use std::io;

use rustix::thread::CpuSet;
use rustix::thread::Pid;
use rustix::thread::sched_getaffinity;
use rustix::thread::sched_setaffinity;

/// Gives the processors on which this process may run.
pub fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).expect("a process can ask for its own processors");
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

/// The processor of what is measured: the last, since the first has most of the interrupts.
pub fn measured() -> usize {
    *allowed().last().expect("a process runs somewhere")
}

/// The processor of the load: the first, which is another if there are two.
pub fn load() -> usize {
    allowed()[0]
}

/// Lets the calling thread, and whatever it starts, run on one processor only.
pub fn pin(cpu: usize) -> io::Result<()> {
    pin_to(None, cpu)
}

/// Lets the first thread of another process run on one processor only.
pub fn pin_process(pid: u32, cpu: usize) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pin_to(Some(pid.expect("a process has a number")), cpu)
}

fn pin_to(pid: Option<Pid>, cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(pid, &set)?)
}
