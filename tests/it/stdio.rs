//! The standard streams: each test is a child with pipes, files or a terminal in their places.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corovent::io::IsTerminal;
use corovent::io::stderr;
use corovent::io::stdin;
use corovent::io::stdout;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::support::child_command;
use crate::support::on_drop;
use crate::support::run;
use crate::support::was_killed;

const MOMENT: Duration = Duration::from_millis(2);
/// More than there is room for in a pipe.
const LONG: usize = 1 << 20;

/// Starts an ignored test of this binary. Its report goes to a file, and only what it prints
/// by corovent's macros is expected where the test looks.
fn start(test: &str, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Child {
    let mut command: Command = child_command(test);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    command.spawn().unwrap()
}

/// What a child has printed between the lines `begin` and `end`.
fn between(text: &str) -> &str {
    let (_, rest) = text.split_once("begin\n").expect(text);
    rest.split_once("end\n").expect(text).0
}

/// The flags of the open file behind a descriptor.
fn flags(fd: &impl AsRawFd) -> libc::c_int {
    // SAFETY: F_GETFL has no argument.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }
}

/// Reads until the child has said so, and lets nothing of it be lost.
fn read_until_line(reader: &mut impl BufRead, line: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(&format!("{line}\n")) {
        assert!(reader.read_line(&mut text).unwrap() > 0, "{text}");
    }
    text
}

#[test]
fn one_that_prints_to_a_full_pipe_waits_and_others_run() {
    let mut child =
        start("stdio::child_prints_much", Stdio::null(), Stdio::piped(), Stdio::piped());
    let mut stdout = child.stdout.take().unwrap();
    let before = flags(&stdout);
    // Nothing is read before the others have run.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until_line(&mut stderr, "others have run");
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    let (said, own) = (between(&text), ".".repeat(LONG));
    assert_eq!(said.len(), LONG + "first\n".len() + "second\n".len() + 1);
    assert!(said.starts_with(&format!("first\n{own}\n")), "no other is in the middle");
    assert!(said.ends_with("second\n"));
    assert!(child.wait().unwrap().success());
    assert_eq!(flags(&stdout), before);
}

#[test]
#[ignore = "prints to a pipe"]
fn child_prints_much() {
    corovent::println!("\nbegin");
    let before = flags(&stdout());
    run(|| {
        let done = Rc::new(Cell::new(false));
        let long = spawn({
            let done = Rc::clone(&done);
            move || {
                corovent::println!("first");
                corovent::println!("{}", ".".repeat(LONG));
                done.set(true);
            }
        });
        let second = spawn(|| corovent::println!("second"));
        (0..1000).for_each(|_| yield_now());
        assert!(!done.get(), "it waits for room");
        corovent::eprintln!("others have run");
        long.join().unwrap();
        second.join().unwrap();
    });
    assert_eq!(flags(&stdout()), before);
    corovent::println!("end");
}

#[test]
fn a_kill_and_a_timeout_of_one_that_prints_unlock_and_lose_nothing() {
    let mut child = start(
        "stdio::child_is_killed_while_it_prints",
        Stdio::null(),
        Stdio::piped(),
        Stdio::piped(),
    );
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until_line(&mut stderr, "given up");
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let said = between(&text);
    let dots = said.chars().take_while(|c| *c == '.').count();
    assert!((1..LONG).contains(&dots), "{dots}: a part was written");
    assert!(said.ends_with("after\n"), "{}", &said[dots..]);
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "prints to a pipe"]
fn child_is_killed_while_it_prints() {
    corovent::println!("\nbegin");
    run(|| {
        let long = spawn(|| {
            // What a destructor prints while it unwinds must not fail.
            let _last = on_drop(|| corovent::eprintln!("unwound"));
            corovent::print!("{}", ".".repeat(LONG));
        });
        yield_now();
        assert!(timeout(MOMENT, || corovent::println!("never")).is_err(), "the lock is taken");
        assert!(!long.is_finished());
        long.kill();
        assert!(was_killed(long));
        let late = timeout(MOMENT, || stdout().write_all(&[b'.'; LONG]));
        assert!(late.is_err());
        corovent::eprintln!("given up");
        corovent::println!("\nafter");
    });
    corovent::println!("end");
}

#[test]
fn lines_are_read_from_a_pipe_and_nothing_is_lost() {
    let mut child =
        start("stdio::child_reads_lines", Stdio::piped(), Stdio::null(), Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let before = flags(&stdin);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until_line(&mut stderr, "waits");
    stdin.write_all(b"one\nhalf of").unwrap();
    read_until_line(&mut stderr, "given up");
    stdin.write_all(b" two\nthree\nfour").unwrap();
    drop(stdin);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert_ne!(before & libc::O_ACCMODE, libc::O_RDONLY);
}

#[test]
#[ignore = "reads a pipe"]
fn child_reads_lines() {
    let before = flags(&stdin());
    run(|| {
        let reader = spawn(|| {
            let mut line = String::new();
            stdin().read_line(&mut line).map(|n| (n, line))
        });
        yield_now();
        corovent::eprintln!("waits");
        assert_eq!(reader.join().unwrap().unwrap(), (4, "one\n".to_owned()));
        let read_half = || {
            let mut line = String::new();
            stdin().read_line(&mut line).map(drop)
        };
        // A part of a line is there, or about to be.
        assert!(timeout(MOMENT * 5, read_half).is_err());
        let killed = spawn(move || {
            let mut all = String::new();
            stdin().lock().read_to_string(&mut all).map(drop)
        });
        yield_now();
        killed.kill();
        assert!(was_killed(killed));
        assert!(timeout(MOMENT, || stdin().read_exact(&mut [0; 100])).is_err());
        corovent::eprintln!("given up");
        let lines: Vec<_> = stdin().lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["half of two", "three", "four"]);
        assert_eq!(stdin().read(&mut [0]).unwrap(), 0);
    });
    assert_eq!(flags(&stdin()), before);
}

/// A thread without a hub, and two with one, share a standard input.
#[test]
fn the_lock_is_shared_with_other_threads() {
    let mut child =
        start("stdio::child_shares_its_input", Stdio::piped(), Stdio::piped(), Stdio::inherit());
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = (0..300).map(|n| format!("{n}\n")).collect();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut got: Vec<u32> = between(&text).lines().map(|line| line.parse().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, (0..300).collect::<Vec<_>>());
}

#[test]
#[ignore = "reads a pipe"]
fn child_shares_its_input() {
    fn pass_on() {
        let mut line = String::new();
        while stdin().read_line(&mut line).unwrap() > 0 {
            corovent::print!("{line}");
            line.clear();
        }
    }

    corovent::println!("\nbegin");
    let threads: Vec<_> = (0..3)
        .map(|n| {
            std::thread::spawn(move || {
                if n == 0 {
                    return pass_on();
                }
                run(|| {
                    let tasks: Vec<_> = (0..3).map(|_| spawn(pass_on)).collect();
                    tasks.into_iter().for_each(|task| task.join().unwrap());
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    corovent::println!("end");
}

/// What is buffered is written when the process exits: by the return of `main`, and by `exit`
/// in a coroutine, in whichever way.
#[test]
fn the_buffer_is_written_when_the_process_exits() {
    for test in ["stdio::child_returns", "stdio::child_exits", "stdio::child_exits_with_the_lock"] {
        let mut child = start(test, Stdio::null(), Stdio::piped(), Stdio::inherit());
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains("without an end"), "{test}: {text}");
        assert!(child.wait().unwrap().success());
    }
}

#[test]
#[ignore = "leaves something in the buffer"]
fn child_returns() {
    run(|| spawn(|| corovent::print!("without an end")).join().unwrap());
}

#[test]
#[ignore = "exits the process"]
fn child_exits() {
    corovent::print!("without");
    let task = spawn(|| {
        corovent::print!(" an end");
        std::process::exit(0)
    });
    let _: std::thread::Result<()> = task.join();
}

#[test]
#[ignore = "exits the process"]
fn child_exits_with_the_lock() {
    let task = spawn(|| {
        let mut out = stdout().lock();
        write!(out, "without an end").unwrap();
        std::process::exit(0)
    });
    let _: std::thread::Result<()> = task.join();
}

#[test]
fn the_holder_may_lock_and_print_again() {
    struct Prints;
    impl std::fmt::Display for Prints {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            corovent::eprint!("");
            f.write_str("")
        }
    }

    run(|| {
        let _error = stderr().lock();
        let _again = stderr().lock();
        corovent::eprint!("{Prints}");
        // Not for another coroutine, which is given up in the line.
        let task = spawn(|| corovent::eprint!("{Prints}"));
        yield_now();
        assert!(!task.is_finished());
        assert!(task.kill());
        assert!(was_killed(task));
        assert!(timeout(Duration::ZERO, || corovent::eprint!("")).is_ok());
    });
}

#[test]
fn a_line_of_waiting_coroutines_is_served_in_order() {
    run(|| {
        let served = Rc::new(Cell::new(0));
        let lock = stderr().lock();
        let tasks: Vec<_> = (0..5)
            .map(|n| {
                let served = Rc::clone(&served);
                spawn(move || {
                    let _lock = stderr().lock();
                    assert_eq!(served.replace(n + 1), n);
                })
            })
            .collect();
        if std::env::var_os("COROVENT_SEED").is_some() {
            drop(lock);
            tasks.into_iter().for_each(|task| drop(task.join()));
            return;
        }
        yield_now();
        drop(lock);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// One who locks again and again lets those have it who wait, and all others run.
#[test]
fn one_that_prints_in_a_loop_keeps_the_stream_from_nobody() {
    run(|| {
        let printed = Rc::new(Cell::new(0));
        let greedy = spawn({
            let printed = Rc::clone(&printed);
            move || {
                while printed.get() < 3 {
                    let lock = stderr().lock();
                    // The others come to wait for it.
                    yield_now();
                    drop(lock);
                }
            }
        });
        let others: Vec<_> = (0..3)
            .map(|_| {
                let printed = Rc::clone(&printed);
                spawn(move || {
                    corovent::eprint!("");
                    printed.set(printed.get() + 1);
                })
            })
            .collect();
        others.into_iter().for_each(|task| task.join().unwrap());
        greedy.join().unwrap();
        let busy = spawn(|| {
            loop {
                corovent::eprint!("");
            }
        });
        while !busy.kill_timeout(MOMENT) {}
        let result: std::thread::Result<()> = busy.join();
        assert!(result.is_err());
    });
}

#[test]
fn streams_that_are_closed_are_empty_and_take_everything() {
    let mut command = child_command("stdio::child_has_no_streams");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(7));
}

#[test]
#[ignore = "closes its standard streams"]
fn child_has_no_streams() {
    // The hub has its descriptors before, or they would get these numbers.
    spawn(|| ()).join().unwrap();
    // SAFETY: nobody owns them.
    (0..3).for_each(|fd| unsafe { assert_eq!(libc::close(fd), 0) });
    let task = spawn(|| {
        let mut text = String::new();
        let read = stdin().read_to_string(&mut text).unwrap();
        corovent::println!("nothing");
        corovent::eprintln!("nothing");
        stdout().flush().unwrap();
        read == 0
    });
    std::process::exit(if task.join().unwrap() { 7 } else { 1 });
}

#[test]
fn printing_to_a_pipe_without_a_reader_panics_as_stds() {
    let mut child =
        start("stdio::child_has_no_reader", Stdio::null(), Stdio::piped(), Stdio::piped());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until_line(&mut stderr, "ready");
    drop(child.stdout.take());
    drop(child.stdin.take());
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    assert!(text.contains("failed printing to stdout: Broken pipe"), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
#[ignore = "prints to nobody"]
fn child_has_no_reader() {
    let task = spawn(|| {
        corovent::eprintln!("ready");
        while stdout().write_all(b"\n").is_ok() {
            yield_now();
        }
        corovent::println!("to nobody");
    });
    std::process::exit(if task.join().is_err() { 3 } else { 1 });
}

#[test]
fn sigpipe_never_kills() {
    let mut child =
        start("stdio::child_prints_to_nobody", Stdio::null(), Stdio::piped(), Stdio::inherit());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    read_until_line(&mut stdout, "ready");
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
#[ignore = "prints to nobody"]
fn child_prints_to_nobody() {
    let print = || while stdout().write_all(b"\n").is_ok() {};
    // SAFETY: the default action is valid.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    corovent::println!("\nready");
    spawn(print).join().unwrap();
    std::thread::spawn(print).join().unwrap();
    spawn(|| {
        let _last = on_drop(|| assert!(stdout().write_all(b"last\n").is_err()));
        corovent::println!("to nobody");
    })
    .join()
    .unwrap_err();
    // One more line is left for the end of the process.
    let _ = stdout().write(b"no end");
    std::process::exit(3);
}

/// Or the process would be aborted.
#[test]
fn what_is_printed_while_it_unwinds_waits_for_room() {
    for flag in [0, libc::O_NONBLOCK] {
        let (mut reader, writer) = std::io::pipe().unwrap();
        // SAFETY: F_SETFL takes an int.
        unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flag) };
        let test = "stdio::child_prints_while_it_unwinds";
        let mut child = start(test, Stdio::null(), writer.into(), Stdio::piped());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        read_until_line(&mut stderr, "unwinds");
        // Long enough for it to find no room. It is no mistake if it takes longer.
        std::thread::sleep(20 * MOMENT);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.ends_with(".last\n"), "{}", &text[text.len() - 20..]);
        assert_eq!(child.wait().unwrap().code(), Some(4));
    }
}

#[test]
#[ignore = "prints to a pipe"]
fn child_prints_while_it_unwinds() {
    let task = spawn(|| {
        let _last = on_drop(|| {
            corovent::eprintln!("unwinds");
            corovent::println!("last");
        });
        corovent::print!("{}", ".".repeat(LONG));
    });
    (0..100).for_each(|_| yield_now());
    task.kill();
    std::process::exit(if was_killed(task) { 4 } else { 1 });
}

/// A file on a disk, which nobody can wait for.
#[test]
fn files_may_be_the_streams() {
    let mut input = tempfile::tempfile().unwrap();
    let output = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    input.write_all(b"1\n2\n3\n").unwrap();
    input.rewind().unwrap();
    let stdout = OpenOptions::new().append(true).open(output.path()).unwrap();
    let mut child = start("stdio::child_copies", input.into(), stdout.into(), Stdio::inherit());
    assert!(child.wait().unwrap().success());
    let text = std::fs::read_to_string(output.path()).unwrap();
    assert_eq!(between(&text), "[1]\n[2]\n[3]\n");
}

#[test]
#[ignore = "copies its input"]
fn child_copies() {
    corovent::println!("\nbegin");
    run(|| {
        spawn(|| stdin().lines().for_each(|line| corovent::println!("[{}]", line.unwrap())))
            .join()
            .unwrap();
    });
    assert!(!stdin().is_terminal() && !stdout().is_terminal());
    corovent::println!("end");
}

/// Other files are put in the places of the streams while they are in use.
#[test]
fn another_file_may_take_the_place_of_a_stream() {
    let mut child =
        start("stdio::child_changes_its_output", Stdio::null(), Stdio::piped(), Stdio::inherit());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(between(&text), "to the pipe\nto the pipe again\n");
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "changes its standard output"]
fn child_changes_its_output() {
    corovent::println!("\nbegin");
    run(|| {
        spawn(|| corovent::println!("to the pipe")).join().unwrap();
        let file = tempfile::tempfile().unwrap();
        // SAFETY: both are descriptors of this process.
        let keep = unsafe { libc::dup(1) };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), 1) }, 1);
        spawn(|| corovent::println!("to the file")).join().unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::dup2(keep, 1) }, 1);
        // SAFETY: it was just made and has no other owner.
        drop(unsafe { OwnedFd::from_raw_fd(keep) });
        spawn(|| corovent::println!("to the pipe again")).join().unwrap();
        let mut text = String::new();
        (&file).rewind().unwrap();
        (&file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "to the file\n");
    });
    corovent::println!("end");
}

/// A terminal is waited for without a change of its flags, which the shell would find later.
#[test]
fn a_terminal_is_read_and_written() {
    let (mut user, terminal) = open_terminal();
    let before = flags(&terminal);
    let own = || Stdio::from(terminal.try_clone().unwrap());
    let mut child = start("stdio::child_talks", own(), own(), Stdio::piped());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until_line(&mut stderr, "waits");
    user.write_all(b"name\n").unwrap();
    let mut said = String::new();
    while !said.contains("hello, name!") {
        let mut buf = [0; 1024];
        let count = user.read(&mut buf).unwrap();
        said += &String::from_utf8_lossy(&buf[..count]);
    }
    // Until it has gone, or it would wait for somebody to read what is left.
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let _ = user.read(&mut [0; 1024]);
            }
        });
        assert!(child.wait().unwrap().success());
        ended.store(true, Ordering::SeqCst);
        // The reader gets its last byte.
        (&terminal).write_all(b".").unwrap();
    });
    assert_eq!(flags(&terminal), before);
}

#[test]
#[ignore = "talks to a terminal"]
fn child_talks() {
    run(|| {
        assert!(stdin().is_terminal() && stdout().is_terminal() && !stderr().is_terminal());
        let task = spawn(|| {
            let mut name = String::new();
            stdin().read_line(&mut name).map(|_| name)
        });
        // It is killed out of one wait, and another begins.
        assert!(timeout(MOMENT, || stdin().read_line(&mut String::new())).is_err());
        yield_now();
        corovent::eprintln!("waits");
        corovent::println!("hello, {}!", task.join().unwrap().unwrap().trim());
    });
}

/// A terminal, and the side of the one who sits before it.
fn open_terminal() -> (std::fs::File, std::fs::File) {
    let (mut user, mut terminal) = (-1, -1);
    let (name, look, size) = (ptr::null_mut(), ptr::null(), ptr::null());
    // SAFETY: both numbers are writable, and the rest may be null.
    let made = unsafe { libc::openpty(&raw mut user, &raw mut terminal, name, look, size) };
    assert_eq!(made, 0);
    // SAFETY: openpty(3) has made them, and nobody else owns them.
    let user = unsafe { std::fs::File::from_raw_fd(user) };
    // SAFETY: as above.
    (user, unsafe { std::fs::File::from_raw_fd(terminal) })
}
