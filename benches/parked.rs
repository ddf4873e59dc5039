//! 1,000,000 coroutines parked at once, on stacks of 64 KiB: their memory, their mappings,
//! and the time it takes to make them and to wake them all.
//!
//! ```text
//! cargo bench --bench parked [-- --quick]
//! ```

// What it has to say is printed.
#![allow(clippy::print_stdout)]

mod support;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::memory::Memory;
use crate::support::memory::available_bytes;
use crate::support::print_head;
use crate::support::print_value;
use crate::support::scale;

const STACK_BYTES: usize = 64 * 1024;
/// A page of stack and its tables, the record, and room for the rest of the machine.
const NEEDED_BYTES_EACH: f64 = 7e3;
/// So many show whether each has a mapping of its own.
const SAMPLE: usize = 500;

fn main() -> ExitCode {
    let count = scale(1_000_000, 2_000);
    let (needed, available) = (NEEDED_BYTES_EACH * count as f64, available_bytes());
    if available < needed {
        let (needed, available) = (needed / 1e9, available / 1e9);
        println!("parked: skipped: it needs {needed:.1} GB and {available:.1} GB are free");
        return ExitCode::SUCCESS;
    }
    let before = Memory::now();
    let start = Instant::now();
    let mut handles = Vec::with_capacity(count);
    park_more(&mut handles, SAMPLE);
    if Memory::now().mappings - before.mappings >= SAMPLE {
        println!(
            "parked: skipped: this kernel has no guard markers (Linux 6.13 has them), and with \
             two mappings for each stack {count} are more than vm.max_map_count allows"
        );
        return ExitCode::SUCCESS;
    }
    park_more(&mut handles, count - SAMPLE);
    let (made, parked) = (start.elapsed(), Memory::now());

    let start = Instant::now();
    handles.iter().for_each(|handle| handle.thread().unpark());
    for handle in handles {
        handle.join().expect("a parked coroutine does not panic");
    }
    let woken = start.elapsed();

    let (resident, tables) = parked.each_since(before, count);
    print_head(&format!("parked: {count} at once, stacks of 64 KiB"));
    print_value("resident bytes each", resident, Some(4_600.0));
    print_value("bytes of page tables each", tables, Some(700.0));
    print_value("mappings in all", (parked.mappings - before.mappings) as f64, None);
    print_value("ns each to spawn and park", made.as_nanos() as f64 / count as f64, None);
    print_value("ns each to wake and join", woken.as_nanos() as f64 / count as f64, None);
    ExitCode::SUCCESS
}

/// Spawns so many coroutines and lets them run until all are parked.
fn park_more(handles: &mut Vec<JoinHandle<()>>, count: usize) {
    let parked = Rc::new(Cell::new(0));
    for _ in 0..count {
        let counter = Rc::clone(&parked);
        let spawned = Builder::new().stack_size(STACK_BYTES).spawn(move || {
            counter.set(counter.get() + 1);
            drop(counter);
            park();
        });
        handles.push(spawned.expect("there is address space for a small stack"));
    }
    while parked.get() < count {
        yield_now();
    }
}
