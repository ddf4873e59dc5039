//! What coroutines cost, and that it is given back. Each test measures a process of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use corovent::Builder;
use corovent::JoinHandle;
use corovent::debug;
use corovent::sleep;
use corovent::spawn;
use corovent::sync::mpsc;
use corovent::thread::park;
use corovent::yield_now;

use crate::support::child_with;
use crate::support::mappings;
use crate::support::passes;
use crate::support::resident_bytes;
use crate::support::run;
use crate::watchdog::processor_time;

/// Each spawns the next and ends: in gevent #1371 every link grew the process.
#[test]
fn a_chain_of_spawns_does_not_grow() {
    passes("memory::child_spawns_chains");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_spawns_chains() {
    fn link(left: u32, done: Rc<Cell<bool>>) {
        match left {
            0 => done.set(true),
            _ => drop(spawn(move || link(left - 1, done))),
        }
    }
    let chain = || {
        let done = Rc::new(Cell::new(false));
        link(10_000, Rc::clone(&done));
        while !done.get() {
            yield_now();
        }
    };

    run(|| {
        chain();
        let before = resident_bytes();
        (0..10).for_each(|_| chain());
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown <= 1 << 20, "{grown} bytes");
    });
}

#[test]
fn a_million_spawned_in_waves_do_not_grow() {
    passes("memory::child_spawns_a_million_in_waves");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_spawns_a_million_in_waves() {
    let wave = || {
        let tasks: Vec<JoinHandle<usize>> = (0..10_000).map(|n| spawn(move || n)).collect();
        assert!(tasks.into_iter().enumerate().all(|(n, task)| task.join().unwrap() == n));
    };

    run(|| {
        (0..3).for_each(|_| wave());
        let (before, maps) = (resident_bytes(), mappings());
        (0..97).for_each(|_| wave());
        assert!(resident_bytes() <= before + (1 << 18));
        assert!(mappings() <= maps + 2);
    });
}

/// What a channel has allocated for its values goes with it, used or not.
#[test]
fn channels_that_are_dropped_leave_nothing() {
    passes("memory::child_makes_and_drops_channels");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_makes_and_drops_channels() {
    type Big = [u8; 1024];
    let channels = |count| {
        for n in 0..count {
            let (sender, receiver) = mpsc::channel::<Big>();
            (0..n % 3).for_each(|_| sender.send([1; 1024]).unwrap());
            assert!(n % 5 != 4 || receiver.try_recv().is_ok() == (n % 3 > 0));
        }
    };

    run(|| {
        channels(100);
        let before = resident_bytes();
        // A block that is left behind in one of them has been written to on a page at least.
        channels(10_000);
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown <= 1 << 20, "{grown} bytes");
    });
}

/// Where the kernel has guard markers, all have a guard and cost no mapping each; where it
/// has not, the limit is met with an error that names it.
#[test]
fn a_hundred_thousand_are_parked_at_once() {
    passes("memory::child_parks_a_hundred_thousand");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_parks_a_hundred_thousand() {
    const COUNT: usize = 100_000;

    run(|| {
        let maps = mappings();
        let mut tasks = Vec::with_capacity(COUNT);
        for n in 0..COUNT {
            match Builder::new().spawn(park) {
                Ok(task) => tasks.push(task),
                Err(error) => {
                    let text = error.to_string();
                    assert!(n > 10_000 && text.contains("vm.max_map_count"), "{n}: {text}");
                    break;
                }
            }
        }
        yield_now();
        let parked = tasks.len();
        assert_eq!(debug::counters().coroutines, parked);
        if parked == COUNT {
            // Slabs are at most 256 MiB; the kernel may merge neighbours.
            assert!(mappings() < maps + 200, "{} mappings", mappings());
        }
        assert!(tasks.iter().all(JoinHandle::kill));
        assert!(tasks.into_iter().all(|task| task.join().is_err()));
        // The hub is whole.
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

/// The fallback, forced: guards that are mappings run out of them, the error says so, and
/// what was there goes on.
#[test]
fn without_guard_markers_the_limit_is_named() {
    let variables = [("COROVENT_STACK_GUARD", "mprotect")];
    let output = child_with("memory::child_meets_the_limit_of_mappings", &variables);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_meets_the_limit_of_mappings() {
    run(|| {
        let mut tasks = Vec::new();
        let error = loop {
            match Builder::new().stack_size(64 * 1024).spawn(park) {
                Ok(task) => tasks.push(task),
                Err(error) => break error,
            }
            assert!(tasks.len() < 10_000_000, "vm.max_map_count is very large here");
        };
        let text = error.to_string();
        assert!(text.contains("vm.max_map_count is"), "{text}");
        assert!(text.contains("64 KiB"), "{text}");
        let payload = std::panic::catch_unwind(|| {
            // Another size needs another slab, for which there is no mapping either.
            spawn(|| ())
        });
        // Whether or not there was room, the hub lives.
        drop(payload);
        tasks.iter().for_each(|task| assert!(task.kill()));
        assert!(tasks.into_iter().all(|task| task.join().is_err()));
        let again = Builder::new().stack_size(64 * 1024).spawn(|| 5).unwrap();
        assert_eq!(again.join().unwrap(), 5);
    });
}

#[test]
fn an_address_space_limit_is_named() {
    passes("memory::child_meets_the_limit_of_address_space");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_meets_the_limit_of_address_space() {
    run(|| {
        spawn(|| ()).join().unwrap();
        let limit = libc::rlimit { rlim_cur: 2 << 30, rlim_max: 2 << 30 };
        // SAFETY: `limit` is valid for the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        let mut tasks = Vec::new();
        let error = loop {
            match Builder::new().stack_size(4 << 20).spawn(park) {
                Ok(task) => tasks.push(task),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
        tasks.iter().for_each(|task| assert!(task.kill()));
        assert!(tasks.into_iter().all(|task| task.join().is_err()));
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

/// After a burst the memory goes back: the coldest stacks as a whole, and of those that were
/// used deeply all but their top.
#[test]
fn the_memory_of_a_burst_is_given_back() {
    passes("memory::child_bursts");
}

/// Also where the hub never has time for that: then it takes the time, a second later.
#[test]
fn a_hub_that_never_sleeps_for_long_gives_memory_back() {
    passes("memory::child_bursts_between_short_sleeps");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_bursts() {
    bursts(Duration::from_millis(50));
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_bursts_between_short_sleeps() {
    bursts(Duration::from_micros(50));
}

/// Has memory used and given back in pauses of that length.
fn bursts(pause: Duration) {
    fn deep(levels: usize) -> usize {
        let frame = std::hint::black_box([1u8; 1024]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(frame[levels % 1024]) }
    }

    run(|| {
        spawn(|| ()).join().unwrap();
        let before = resident_bytes();
        // The second time on stacks that were discarded, as a whole or below their tops.
        for _ in 0..2 {
            let tasks: Vec<_> = (0..5_000)
                .map(|_| {
                    spawn(|| {
                        assert_eq!(deep(100), 100);
                        park();
                    })
                })
                .collect();
            yield_now();
            let peak = resident_bytes();
            assert!(peak > before + 5_000 * 100 * 1024, "each used more than 100 KiB");
            tasks.iter().for_each(|task| task.thread().unpark());
            tasks.into_iter().for_each(|task| task.join().unwrap());
            let start = Instant::now();
            loop {
                sleep(pause);
                let kept = resident_bytes() - before;
                if kept < 1024 * 40 * 1024 + (16 << 20) {
                    break;
                }
                assert!(start.elapsed().as_secs() < 60, "{} MiB are kept", kept >> 20);
            }
        }
    });
}

#[test]
fn a_dump_of_many_is_grouped_and_quick() {
    run(|| {
        const COUNT: usize = 10_000;
        let tasks: Vec<_> = (0..COUNT).map(|_| spawn(park)).collect();
        yield_now();
        let start = processor_time();
        let dump = debug::dump();
        let text = dump.to_string();
        let took = processor_time() - start;
        assert_eq!(dump.tasks().count(), COUNT + 1);
        assert!(text.contains("10000 coroutines and the root"), "{text}");
        assert!(text.contains("10000 coroutines: blocked on unpark"), "{text}");
        assert!(text.lines().count() < 10, "{text}");
        // The promise is 50 ms in a release build; a debug build may be some times slower. What
        // others compute meanwhile does not count.
        assert!(took < Duration::from_secs(2), "{took:?}");
        tasks.iter().for_each(|task| task.thread().unpark());
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}
