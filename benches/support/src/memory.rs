//! What the kernel says about this process's memory, and the machine's.

use std::env;
use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::process::Stdio;

const PAGE_BYTES: usize = 4096;

/// The memory of this process at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident_bytes: f64,
    pub page_table_bytes: f64,
    pub mappings: usize,
}

impl Memory {
    pub fn now() -> Memory {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Memory {
            resident_bytes: kibibytes(&status, "VmRSS:") * 1024.0,
            page_table_bytes: kibibytes(&status, "VmPTE:") * 1024.0,
            mappings: maps.lines().count(),
        }
    }

    /// Gives what each of `count` things has added since `before`.
    pub fn each_since(self, before: Memory, count: usize) -> (f64, f64) {
        let resident = (self.resident_bytes - before.resident_bytes) / count as f64;
        let tables = (self.page_table_bytes - before.page_table_bytes) / count as f64;
        (resident, tables)
    }
}

/// Gives how much memory the machine could still hand out.
pub fn available_bytes() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    kibibytes(&text, "MemAvailable:") * 1024.0
}

/// Has a process touch so much memory, and end: a virtual machine may give what nobody uses back to
/// its host, and fetching it from there takes longer than all that is measured. Who is first would
/// pay that for those who come after.
pub fn fetch_from_host(bytes: usize) {
    let bytes = bytes.min(available_bytes() as usize / 2);
    let _ = Command::new(env::current_exe().unwrap())
        .args(["--touch", &bytes.to_string()])
        .stdin(Stdio::null())
        .status();
}

/// Is that process if the arguments say so: `main` calls it first.
pub fn become_toucher() {
    let args: Vec<String> = env::args().collect();
    let [_, role, bytes] = args.as_slice() else { return };
    if role != "--touch" {
        return;
    }
    let mut memory: Vec<u8> = vec![0; bytes.parse().unwrap()];
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    black_box(&memory);
    std::process::exit(0);
}

fn kibibytes(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a known field");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kibibytes")
}
