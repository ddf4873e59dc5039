//! What the kernel says about this process's memory, and the machine's.

use std::fs;

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

fn kibibytes(text: &str, field: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a known field");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kibibytes")
}
