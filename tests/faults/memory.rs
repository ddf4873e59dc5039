//! What happens to stacks when the kernel has no memory for them.

use std::panic::catch_unwind;

use corovent::Builder;
use corovent::debug;
use corovent::net::TcpStream;
use corovent::server::StreamServer;
use corovent::spawn;
use corovent::thread::park;
use corovent::yield_now;

use crate::peers::ANY;
use crate::peers::LONG;
use crate::peers::echo;
use crate::peers::ping;
use crate::strace::Traced;
use crate::strace::be_far_ahead;
use crate::strace::inject;
use crate::strace::trace;
use crate::support::run;

/// Whether a line of the log is that of a guard by a marker; strace 6.1 knows no name for it.
fn is_marker(line: &str) -> bool {
    line.contains("0x66") || line.contains("MADV_GUARD_INSTALL")
}

fn is_protection(line: &str) -> bool {
    line.contains("65536, PROT_NONE")
}

/// Whether it is that of a slab of stacks.
fn is_slab(line: &str) -> bool {
    line.contains("MAP_NORESERVE") && line.contains("MAP_STACK")
}

/// As on a kernel before 6.13: every stack has a guard all the same.
#[test]
fn where_markers_are_refused_stacks_are_protected() {
    let faults = ["madvise:error=EINVAL", "mprotect"];
    let Some(traced) = inject("memory::child_has_stacks", &faults) else { return };
    assert!(traced.matching("mprotect", is_protection) >= STACKS, "a stack has no guard");
}

const STACKS: usize = 10;

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_stacks() {
    run(|| {
        let tasks: Vec<_> = (0..STACKS).map(|_| spawn(park)).collect();
        yield_now();
        tasks.iter().for_each(|task| task.thread().unpark());
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A coroutine that was spawned while there was room, and finds neither a marker nor a mapping
/// for its guard when it is to run, waits until there is one; the others go on.
#[test]
fn a_coroutine_whose_guard_is_refused_waits_for_it() {
    const CHILD: &str = "memory::child_needs_a_second_stack";
    let Some(traced) = trace(CHILD, &["madvise"]) else { return };
    if !traced.makes("madvise", is_marker) {
        // The kernel has no markers: guards are made when a stack is reserved.
        return;
    }
    // Without the marker it is protected instead.
    let second = traced.number("madvise", is_marker) + 1;
    let marker = format!("madvise:error=ENOMEM:when={second}..{}", second + 2);
    let Some(traced) = inject(CHILD, &[&marker, "mprotect"]) else { return };
    assert!(!traced.said.contains("has no stack"), "{}", traced.said);
    let first = traced.number("mprotect", is_protection);
    let protection = format!("mprotect:error=ENOMEM:when={first}..{}", first + 2);
    let Some(traced) = inject(CHILD, &[&marker, &protection]) else { return };
    assert_eq!((traced.injected("madvise"), traced.injected("mprotect")), (3, 3));
    assert_eq!(traced.said.matches("has no stack yet").count(), 1, "{}", traced.said);
    assert!(traced.said.contains("vm.max_map_count"), "{}", traced.said);
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_needs_a_second_stack() {
    run(|| {
        be_far_ahead();
        let one = spawn(park);
        yield_now();
        let two = spawn(|| 2);
        let killed = spawn(|| unreachable!("it is killed before it starts"));
        yield_now();
        killed.kill();
        assert_eq!(two.join().unwrap(), 2);
        assert!(killed.join().is_err());
        one.thread().unpark();
        one.join().unwrap();
        // The timer of the one that was killed in its wait goes when it is due.
        while debug::counters().timers > 0 {
            corovent::sleep(std::time::Duration::from_millis(1));
        }
    });
}

/// The error of the spawn names what is in the way, and what runs goes on.
#[test]
fn want_of_memory_for_a_slab_is_the_error_of_the_spawn() {
    const CHILD: &str = "memory::child_needs_a_second_slab";
    let Some(traced) = trace(CHILD, &["mmap"]) else { return };
    for (error, is_named) in [("ENOMEM", "RLIMIT_AS"), ("EAGAIN", "Resource temporarily")] {
        let Some(traced) = inject(CHILD, &[&slab_fails(&traced, error, 2)]) else { return };
        assert_eq!(traced.injected("mmap"), 2);
        assert_eq!(traced.said.matches(is_named).count(), 2, "{}", traced.said);
    }
}

/// The fault that refuses the second slab, so many times.
fn slab_fails(traced: &Traced, error: &str, count: usize) -> String {
    let number = traced.last("mmap", is_slab);
    format!("mmap:error={error}:when={number}..{}", number + count - 1)
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_needs_a_second_slab() {
    run(|| {
        be_far_ahead();
        let other = spawn(park);
        yield_now();
        let builder = || Builder::new().stack_size(1 << 20);
        if let Err(error) = builder().spawn(|| ()) {
            eprintln!("{error}");
            let payload = catch_unwind(|| {
                builder().spawn(|| ()).unwrap_or_else(|error| panic!("{error}")).join()
            });
            drop(payload);
        }
        builder().spawn(|| ()).unwrap().join().unwrap();
        other.thread().unpark();
        other.join().unwrap();
    });
}

/// The connection for which there is no stack is closed, and the next one served.
#[test]
fn a_server_refuses_whom_it_has_no_stack_for() {
    const CHILD: &str = "memory::child_serves_on_large_stacks";
    let Some(traced) = trace(CHILD, &["mmap"]) else { return };
    let Some(traced) = inject(CHILD, &[&slab_fails(&traced, "ENOMEM", 2)]) else { return };
    assert_eq!(traced.said.matches("refused by: no coroutine for a handler").count(), 2);
    assert!(traced.said.contains("RLIMIT_AS"), "{}", traced.said);
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_serves_on_large_stacks() {
    run(|| {
        be_far_ahead();
        let server = StreamServer::builder().stack_size(1 << 20);
        let server = server.on_error(|trouble| eprintln!("refused by: {trouble}"));
        let server = server.bind(ANY, |stream, _| echo(stream)).unwrap();
        let addr = server.local_addr();
        server.start().unwrap();
        let mut refused = 0;
        while {
            use std::io::Read;
            use std::io::Write;
            let mut stream = TcpStream::connect(addr).unwrap();
            let _ = stream.write_all(b"x");
            stream.read(&mut [0]).unwrap_or(0) == 0
        } {
            refused += 1;
        }
        assert_eq!(server.stats().errors, refused);
        ping(TcpStream::connect(addr).unwrap());
        assert!(server.stop(LONG).is_clean());
    });
}
