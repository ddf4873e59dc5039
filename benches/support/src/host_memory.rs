//! Memory that a virtual machine has to fetch from its host.
//!
//! It may have given back what nobody used, and fetching that takes longer than all that is
//! measured: who is first would pay for those who come after. The program runs itself once more as
//! the process that pays, so its `main` first calls [`become_toucher`].

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::process::Stdio;

use crate::memory::available_bytes;

const PAGE_BYTES: usize = 4096;

/// Has a process touch so much memory, and end. If that fails, memory is measured as it is.
pub fn fetch(bytes: usize) {
    let bytes = bytes.min(available_bytes() as usize / 2);
    let _ = Command::new(env::current_exe().unwrap())
        .args(["--touch", &bytes.to_string()])
        .stdin(Stdio::null())
        .status();
}

/// Is that process if the arguments say so.
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
