//! What a hub, a process or a pool is made of, when the kernel does not give it: descriptors,
//! room in epoll, processes, threads.

use std::io::Read;
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use corovent::Builder;
use corovent::fs;
use corovent::io::pipe;
use corovent::os::unix::net::UnixStream;
use corovent::process::Command;
use corovent::sleep;
use corovent::spawn;
use corovent::threadpool;
use corovent::yield_now;

use crate::peers::echo;
use crate::peers::ping;
use crate::strace::code;
use crate::strace::inject;
use crate::strace::trace;
use crate::support::open_fds;
use crate::support::run;

/// The first spawn on a thread makes its hub: what is missing is the error of that spawn, and
/// the next one tries again.
#[test]
fn a_thread_without_means_for_a_hub_gets_one_later() {
    for (call, errors) in [
        ("epoll_create1", &["EMFILE", "ENFILE", "ENOMEM"][..]),
        ("eventfd2", &["EMFILE", "ENFILE", "ENOMEM", "ENODEV"]),
        ("epoll_ctl", &["ENOSPC", "ENOMEM"]),
    ] {
        for error in errors {
            let fault = format!("{call}:error={error}:when=1..3");
            let Some(traced) = inject("making::child_has_no_hub", &[&fault]) else { return };
            assert_eq!(traced.injected(call), 3);
        }
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_no_hub() {
    run(|| {
        let before = open_fds();
        for _ in 0..2 {
            code(Builder::new().spawn(|| ()));
            assert_eq!(open_fds(), before);
        }
        // What only waits can do so without a hub.
        sleep(Duration::from_millis(1));
        assert_eq!(spawn(|| 5).join().unwrap(), 5);
    });
}

/// The wait that cannot be registered fails, and no other: the next has another chance.
#[test]
fn want_of_room_in_epoll_is_an_error_of_the_wait() {
    for (error, code) in [("ENOSPC", libc::ENOSPC), ("ENOMEM", libc::ENOMEM)] {
        // The first is that of the hub itself, the third asks whether it is the hub's still.
        let fault = format!("epoll_ctl:error={error}:when=2..4+2");
        let Some(traced) = inject("making::child_cannot_register", &[&fault]) else { return };
        assert_eq!(traced.injected("epoll_ctl"), 2);
        assert!(traced.said.contains(&format!("errors: {:?}", [code; 2])), "{}", traced.said);
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_cannot_register() {
    run(|| {
        let (mut one, other) = UnixStream::pair().unwrap();
        let (third, fourth) = UnixStream::pair().unwrap();
        let errors = [code((&other).read(&mut [0; 8])), code(other.wait_readable())];
        eprintln!("errors: {errors:?}");
        let tasks = [spawn(move || echo(fourth)), spawn(move || echo(other))];
        yield_now();
        ping(&third);
        ping(&mut one);
        one.write_all(b"more").unwrap();
        drop((one, third));
        for task in tasks {
            // Of one there was left what nobody has read.
            let _ = task.join().unwrap();
        }
    });
}

/// Without a descriptor for it, or without the call, the end of a child is still seen, and no
/// zombie is left.
#[test]
fn a_child_process_can_be_waited_for_without_a_descriptor() {
    for error in ["EMFILE", "ENFILE", "ENOMEM", "ENODEV", "ENOSYS", "EPERM"] {
        let fault = format!("pidfd_open:error={error}");
        let Some(_) = inject("making::child_has_processes", &[&fault]) else { return };
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_processes() {
    run(|| {
        let slow = spawn(|| Command::new("sleep").arg("0.05").status().unwrap());
        let output = Command::new("sh").args(["-c", "sleep 0.02; echo out"]).output().unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert!(slow.join().unwrap().success());
        // SAFETY: no status is asked for.
        let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
        assert_eq!(left, -1, "a child was not reaped");
    });
}

/// A process, or its pipes, that cannot be had is an error of the call, which leaves nothing.
#[test]
fn a_process_that_cannot_be_made_is_an_error() {
    const CHILD: &str = "making::child_has_two_processes";
    let calls = ["clone3", "clone", "vfork", "fork"];
    let Some(traced) = trace(CHILD, &calls) else { return };
    // Which one it is depends on libc; threads are made by some of them too.
    let makes_process = |call: &&str| traced.makes(call, |line| !line.contains("CLONE_THREAD"));
    let call = calls.into_iter().find(makes_process).expect("a process was made");
    let number = traced.number(call, |line| !line.contains("CLONE_THREAD"));
    for (error, code) in [("EAGAIN", libc::EAGAIN), ("ENOMEM", libc::ENOMEM)] {
        let fault = format!("{call}:error={error}:when={number}");
        let Some(traced) = inject(CHILD, &[&fault]) else { return };
        assert!(traced.said.contains(&format!("error: {code},")), "{}", traced.said);
    }
    // Those of the standard streams.
    for (error, code) in [("EMFILE", libc::EMFILE), ("ENFILE", libc::ENFILE)] {
        for number in 1..=2 {
            let fault = format!("pipe2:error={error}:when={number}");
            let Some(traced) = inject(CHILD, &[&fault]) else { return };
            assert!(traced.said.contains(&format!("error: {code},")), "{}", traced.said);
        }
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_two_processes() {
    run(|| {
        spawn(|| ()).join().unwrap();
        let before = open_fds();
        let run = || Command::new("echo").arg("out").output();
        if let Err(error) = run() {
            eprintln!("error: {},", code::<()>(Err(error)));
            assert_eq!(open_fds(), before);
        }
        assert_eq!(run().unwrap().stdout, b"out\n");
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn a_pipe_that_cannot_be_made_is_an_error() {
    for (error, code) in [("EMFILE", libc::EMFILE), ("ENFILE", libc::ENFILE)] {
        let fault = format!("pipe2:error={error}:when=1");
        let Some(traced) = inject("making::child_has_no_pipe", &[&fault]) else { return };
        assert!(traced.said.contains(&format!("error: {code},")), "{}", traced.said);
    }
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_no_pipe() {
    run(|| {
        eprintln!("error: {},", code(pipe()));
        let (mut reader, mut writer) = pipe().unwrap();
        let reader = spawn(move || reader.read(&mut [0; 8]).unwrap());
        yield_now();
        writer.write_all(b"four").unwrap();
        assert_eq!(reader.join().unwrap(), 4);
    });
}

/// Without any thread those in line are told so, and the next one has another chance. One
/// thread is enough for everybody.
#[test]
fn want_of_threads_is_an_error_only_where_there_is_none() {
    const CHILD: &str = "making::child_has_jobs";
    let Some(traced) = trace(CHILD, &["clone3"]) else { return };
    // The first is the test's own watchdog.
    let first = traced.number("clone3", |line| line.contains("CLONE_THREAD")) + 1;
    for error in ["EAGAIN", "ENOMEM"] {
        let fault = format!("clone3:error={error}:when={first}..{}", first + 1);
        let Some(traced) = inject(CHILD, &[&fault]) else { return };
        assert!(traced.said.contains("errors: 2,"), "{}", traced.said);
        let fault = format!("clone3:error={error}:when={}+", first + 1);
        let Some(traced) = inject("making::child_has_many_jobs", &[&fault]) else { return };
        assert!(traced.injected("clone3") >= JOBS - 1, "{}", traced.injected("clone3"));
    }
}

const JOBS: usize = 20;

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_jobs() {
    run(|| {
        spawn(|| ()).join().unwrap();
        // A call on a file is a job.
        let results: Vec<_> = (0..4).map(|_| fs::metadata("/proc")).collect();
        let errors: Vec<i32> =
            results.iter().filter_map(|result| result.as_ref().err()?.raw_os_error()).collect();
        // glibc has one error for all causes.
        assert!(errors.iter().all(|code| *code == libc::EAGAIN), "{errors:?}");
        assert!(results[3].is_ok());
        eprintln!("errors: {},", errors.len());
    });
}

#[test]
#[ignore = "its calls are made to fail"]
fn child_has_many_jobs() {
    run(|| {
        spawn(|| ()).join().unwrap();
        // The only thread is busy until all of them are in line.
        let (all_in_line, wait) = mpsc::channel();
        let busy = spawn(|| threadpool::blocking(move || wait.recv().unwrap()));
        let job = |n| spawn(move || threadpool::blocking(move || n));
        let jobs: Vec<_> = (0..JOBS).map(job).collect();
        spawn(move || all_in_line.send(()).unwrap());
        let file = spawn(|| fs::read_to_string("/proc/self/stat").unwrap());
        let results: Vec<usize> = jobs.into_iter().map(|job| job.join().unwrap()).collect();
        assert_eq!(results, (0..JOBS).collect::<Vec<_>>());
        busy.join().unwrap();
        assert!(!file.join().unwrap().is_empty());
    });
}
