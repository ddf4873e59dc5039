//! Child processes: their output, their ends, and what becomes of them when a wait is cut
//! short. The first half are the cases of std's `process/tests.rs`, `process_spawning.rs` and
//! `pipe_subprocess.rs`, for which a program that swaps its imports must see no difference.

use std::cell::Cell;
use std::env;
use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::mem;
use std::panic;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread as os;
use std::time::Duration;
use std::time::Instant;

use corovent::Elapsed;
use corovent::debug;
use corovent::io::pipe;
use corovent::os::unix::process::CommandExt;
use corovent::os::unix::process::ExitStatusExt;
use corovent::os::unix::process::parent_id;
use corovent::process::Child;
use corovent::process::Command;
use corovent::process::Output;
use corovent::process::Stdio;
use corovent::sleep;
use corovent::spawn;
use corovent::timeout;
use corovent::yield_now;

use crate::pipes::reads_and_writes;
use crate::support::Log;
use crate::support::Refused;
use crate::support::child;
use crate::support::on_drop;
use crate::support::open_fds;
use crate::support::passes;
use crate::support::refuse_calls;
use crate::support::run;
use crate::support::was_killed;

const SHORT: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(60);

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script);
    command
}

/// A child that lives until its input ends, and at the latest until this process does.
fn cat() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_end_of_a_child_is_reported_right() {
    run(|| {
        assert!(sh("true").spawn().unwrap().wait().unwrap().success());
        let mut child = sh("exit 3").spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3));
        // Again, and no other way.
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(3));
        child.kill().unwrap();
        child.kill().unwrap();
        assert_eq!(sh("false").status().unwrap().code(), Some(1));
        assert!(sh("true").status().unwrap().success());

        let mut child = sh("read a").stdin(Stdio::piped()).spawn().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn standard_streams_are_pipes_where_that_was_asked_for() {
    run(|| {
        let mut child = sh("read line; echo got $line; echo to stderr >&2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(child.stdin.as_mut().unwrap().write(b"foobar").unwrap(), 6);
        drop(child.stdin.take());
        let (mut stdout, mut stderr) = (String::new(), String::new());
        child.stdout.as_mut().unwrap().read_to_string(&mut stdout).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((&*stdout, &*stderr), ("got foobar\n", "to stderr\n"));
        assert!(child.wait().unwrap().success());

        let mut child = sh("true").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        child.wait().unwrap();
    });
}

#[test]
fn output_gives_what_the_child_has_written() {
    run(|| {
        let Output { status, stdout, stderr } = sh("echo hello").output().unwrap();
        assert!(status.success());
        assert_eq!((&*stdout, &*stderr), (&b"hello\n"[..], &b""[..]));

        let Output { status, stdout, stderr } = Command::new("mkdir").arg("./").output().unwrap();
        assert!(status.code().is_some_and(|code| code != 0));
        assert_eq!(stdout, b"");
        assert!(!stderr.is_empty());

        let child = sh("echo hello").stdout(Stdio::piped()).spawn().unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        assert!(status.success());
        assert_eq!((&*stdout, &*stderr), (&b"hello\n"[..], &b""[..]));

        // Its input is empty, unless something else was said; so is that of `wait`.
        assert_eq!(Command::new("cat").output().unwrap().stdout, b"");
        assert_eq!(Command::new("cat").stdin(Stdio::piped()).output().unwrap().stdout, b"");
        assert!(cat().wait().unwrap().success());
        // What was said holds, and holds again.
        let mut command = sh("echo hello; echo error >&2");
        command.stderr(Stdio::null());
        for _ in 0..2 {
            let output = command.output().unwrap();
            assert_eq!((&*output.stdout, &*output.stderr), (&b"hello\n"[..], &b""[..]));
        }
        // Afterwards the command is as it was: its child inherits.
        assert!(command.stdout(Stdio::null()).spawn().unwrap().stdout.is_none());
        assert!(sh("true").spawn().unwrap().stdout.is_none());
        let mut command = sh("true");
        command.output().unwrap();
        let mut child = command.spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        child.wait().unwrap();
    });
}

#[test]
fn what_cannot_be_started_says_why() {
    run(|| {
        let kind = |command: &mut Command| command.spawn().unwrap_err().kind();
        let none = "/no-binary-by-this-name-should-exist";
        assert_eq!(kind(&mut Command::new(none)), ErrorKind::NotFound);
        assert_eq!(Command::new(none).output().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(Command::new(none).status().unwrap_err().kind(), ErrorKind::NotFound);
        let nul = "has-some-\0\0s-inside";
        let invalid = ErrorKind::InvalidInput;
        assert_eq!(kind(&mut Command::new(nul)), invalid);
        assert_eq!(kind(Command::new("echo").arg(nul)), invalid);
        assert_eq!(kind(Command::new("echo").args([nul])), invalid);
        assert_eq!(kind(Command::new("echo").current_dir(nul)), invalid);
        assert_eq!(kind(Command::new("env").env(nul, "value")), invalid);
        assert_eq!(kind(Command::new("env").env("key", nul)), invalid);
    });
}

#[test]
fn the_environment_and_the_directory_are_the_childs() {
    run(|| {
        let text =
            |command: &mut Command| String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert_eq!(text(sh("pwd").current_dir("/")), "/\n");
        let mut command = sh("pwd");
        // By std's other way to start a child, too.
        // SAFETY: the closure does nothing.
        unsafe { command.pre_exec(|| Ok(())) };
        assert_eq!(text(command.current_dir("/")), "/\n");

        let path = env::var_os("PATH").unwrap();
        let mut command = Command::new("env");
        assert!(text(command.env("COROVENT_NEW", "123")).contains("COROVENT_NEW=123\n"));
        command.env_clear().envs([("COROVENT_NEW", "4")]).env("PATH", &path);
        assert!(text(&mut command).contains("COROVENT_NEW=4\n"));
        command.env_remove("COROVENT_NEW");
        assert!(!text(&mut command).contains("COROVENT_NEW"));
        assert_eq!(text(sh("echo $0").arg("named")), "named\n");
        assert_eq!(text(Command::new("sh").arg0("zero").args(["-c", "echo $0"])), "zero\n");
    });
}

#[test]
fn a_command_tells_what_it_is() {
    let mut command = Command::new("boring");
    command.args(["1", "2"]).current_dir("/some").env("A", "b").env_remove("C");
    assert_eq!(command.get_program(), "boring");
    assert_eq!(command.get_args().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(command.get_args().len(), 2);
    let envs: Vec<_> = command.get_envs().collect();
    assert_eq!(envs, [("A".as_ref(), Some("b".as_ref())), ("C".as_ref(), None)]);
    assert_eq!(command.get_current_dir(), Some("/some".as_ref()));

    let mut theirs = std::process::Command::new("boring");
    theirs.args(["1", "2"]).current_dir("/some").env("A", "b").env_remove("C");
    assert_eq!(format!("{command:?}"), format!("{theirs:?}"));
    assert_eq!(format!("{command:#?}"), format!("{theirs:#?}"));
    assert_eq!(format!("{:?}", std::process::Command::from(command)), format!("{theirs:?}"));
}

/// std's `issue_15149`: the child's PATH is where its program is looked for.
#[test]
fn a_program_is_looked_for_in_the_childs_path() {
    run(|| {
        let directory = env::temp_dir().join(format!("corovent-path-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::os::unix::fs::symlink("/bin/sh", directory.join("corovent-sh")).unwrap();
        let path = env::var_os("PATH").unwrap();
        let paths = env::split_paths(&path).chain([directory.clone()]);
        let output = Command::new("corovent-sh")
            .env("PATH", env::join_paths(paths).unwrap())
            .args(["-c", "echo found"])
            .output();
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(output.unwrap().stdout, b"found\n");
    });
}

/// std's `pipe_subprocess`, with a pipe of ours for each of the three.
#[test]
fn an_end_of_a_pipe_can_be_given_to_a_child() {
    run(|| {
        let (mut reader, writer) = pipe().unwrap();
        let (input, mut into_input) = pipe().unwrap();
        // One of ours waited on it, and the child must see a pipe that blocks.
        assert!(timeout(SHORT, || (&input).read(&mut [0])).is_err());
        let mut command = sh("read line; cat /proc/self/fdinfo/[012]; echo $line >&2");
        command.stdin(input).stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        into_input.write_all(b"hello\n").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(text.lines().last(), Some("hello"));
        assert_none_is_nonblocking(&text);

        // The output of one is the input of the next.
        let mut first = sh("echo one; echo two").stdout(Stdio::piped()).spawn().unwrap();
        let output = sh("tac").stdin(first.stdout.take().unwrap()).output().unwrap();
        assert_eq!(output.stdout, b"two\none\n");
        assert!(first.wait().unwrap().success());
        let mut cat = cat();
        let mut echo = Command::new("echo");
        echo.arg("x").stdout(Stdio::from(cat.stdin.take().unwrap()));
        assert!(echo.status().unwrap().success());
        drop(echo);
        let mut text = String::new();
        cat.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "x\n");
        assert!(cat.wait().unwrap().success());
    });
}

fn assert_none_is_nonblocking(fdinfo: &str) {
    let flags: Vec<_> = fdinfo.lines().filter_map(|line| line.strip_prefix("flags:")).collect();
    assert_eq!(flags.len(), 3, "{fdinfo}");
    for flags in flags {
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "{fdinfo}");
    }
}

#[test]
fn a_child_inherits_no_descriptor_of_ours() {
    passes("processes::child_lists_its_descriptors");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_lists_its_descriptors() {
    let script = "cat /proc/self/fdinfo/[012]; ls /proc/self/fd";
    let mut before = std::process::Command::new("/bin/sh");
    let before = before.args(["-c", script]).stdin(Stdio::piped()).output().unwrap();
    run(|| {
        // Of each kind one is open: a hub, a pipe and a child that are waited for.
        let mut other = cat();
        assert!(timeout(SHORT, || other.stdout.as_mut().unwrap().read(&mut [0])).is_err());
        let (reader, _writer) = pipe().unwrap();
        assert!(timeout(SHORT, || (&reader).read(&mut [0])).is_err());
        let stdin = other.stdin.take();
        assert!(timeout(SHORT, || other.wait()).is_err());
        let output = sh(script).stdin(Stdio::piped()).output().unwrap();
        let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
        assert_none_is_nonblocking(&text(&output));
        let names = |text: &str| {
            let lines = text.lines().filter(|line| line.parse::<i32>().is_ok());
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(names(&text(&output)).len() >= 3);
        assert_eq!(names(&text(&output)), names(&text(&before)));
        drop(stdin);
        assert!(other.wait().unwrap().success());
    });
}

/// std's `test_process_group_*`, and what else Unix has.
#[test]
fn a_child_is_what_the_extensions_say() {
    run(|| {
        for forks in [false, true] {
            let mut command = Command::new("cat");
            command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
            // SAFETY: the call has no preconditions.
            command.uid(unsafe { libc::getuid() });
            // SAFETY: likewise.
            command.gid(unsafe { libc::getgid() });
            if forks {
                // SAFETY: the closure does nothing.
                unsafe { command.pre_exec(|| Ok(())) };
            }
            let mut child = command.spawn().unwrap();
            // SAFETY: the call has no preconditions.
            assert_eq!(unsafe { libc::kill(-(child.id() as libc::pid_t), libc::SIGTERM) }, 0);
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        }
        let parent = sh("echo $PPID").output().unwrap().stdout;
        assert_eq!(parent, format!("{}\n", std::process::id()).as_bytes());
        // SAFETY: the call has no preconditions.
        assert_eq!(parent_id(), unsafe { libc::getppid() } as u32);

        let mut command = sh("true");
        // SAFETY: the closure makes an error of a number.
        unsafe { command.pre_exec(|| Err(io::Error::from_raw_os_error(libc::ENOEXEC))) };
        assert_eq!(command.spawn().unwrap_err().raw_os_error(), Some(libc::ENOEXEC));
        // std's `test_command_fork_no_unwind`: a panic there ends the child.
        let mut command = sh("true");
        // SAFETY: a panic after the fork aborts.
        unsafe { command.pre_exec(|| panic!("in the child")) };
        let status = spawn(move || command.stderr(Stdio::null()).status()).join().unwrap();
        assert!(status.unwrap().signal().is_some());
    });
}

#[test]
fn exec_replaces_the_process() {
    let output = child("processes::child_execs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("replaced by a coroutine"), "{text}");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_execs() {
    let error = Command::new("/no-binary-by-this-name-should-exist").exec();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let task = spawn(|| Command::new("echo").arg("replaced by a coroutine").exec());
    panic!("{:?}", task.join());
}

#[test]
fn a_child_of_stds_becomes_ours_and_back() {
    run(|| {
        let mut command = std::process::Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Child::from(command.spawn().unwrap());
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        assert_eq!(child.stdout.as_mut().unwrap().read(&mut [0; 8]).unwrap(), 1);
        let stdin = child.stdin.take();
        assert!(timeout(SHORT, || child.wait()).is_err());
        child.stdin = stdin;
        let mut child = std::process::Child::from(child);
        assert_eq!(debug::counters().descriptors, 0);
        child.stdin.as_mut().unwrap().write_all(b"y").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"y");
    });
}

// From here on: coroutines.

#[test]
fn others_run_while_one_waits_for_a_child() {
    run(|| {
        let log = Log::new();
        let mut child = cat();
        let stdin = child.stdin.take();
        let task = spawn({
            let log = log.clone();
            move || {
                log.add("waits");
                assert!(child.wait().unwrap().success());
                log.add("ended");
            }
        });
        yield_now();
        sleep(SHORT);
        let dump = debug::dump().to_string();
        assert!(dump.contains("end of process (pid "), "{dump}");
        log.add("others");
        drop(stdin);
        task.join().unwrap();
        assert_eq!(log.text(), "waits others ended");
    });
}

#[test]
fn two_hundred_children_run_at_once() {
    passes("processes::child_has_two_hundred");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_two_hundred() {
    run(|| {
        yield_now();
        let fds = open_fds();
        let tasks: Vec<_> = (0..200)
            .map(|n| spawn(move || sh(&format!("echo {n}; echo {n} >&2; exit {}", n % 7)).output()))
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            let output = task.join().unwrap().unwrap();
            assert_eq!(output.stdout, format!("{n}\n").as_bytes());
            assert_eq!(output.stderr, output.stdout);
            assert_eq!(output.status.code(), Some(n as i32 % 7));
        }
        assert!(has_no_child());
        // The hub has three of its own at most.
        assert!(open_fds() <= fds + 3, "{fds} {}", open_fds());
    });
}

#[test]
fn much_input_and_much_output_do_not_lock_each_other() {
    const TOTAL: usize = if cfg!(debug_assertions) { 3_000_000 } else { 10_000_000 };

    run(|| {
        let data: Vec<u8> = (0..TOTAL).map(|n| (n % 251) as u8).collect();
        // Two coroutines.
        let mut child = cat();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let writer = spawn({
            let data = data.clone();
            move || stdin.write_all(&data).unwrap()
        });
        let mut got = Vec::new();
        stdout.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(got == data);

        // One writes, and the other waits with the output.
        let mut child = cat();
        let mut stdin = child.stdin.take().unwrap();
        let writer = spawn({
            let data = data.clone();
            move || stdin.write_all(&data).unwrap()
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.stdout == data);

        // Both pipes of one child, now the one and now the other.
        let script = "for n in 1 2 3 4 5; do head -c 300000 /dev/zero; \
                      head -c 300000 /dev/zero >&2; done";
        for command in [sh(script), sh(&format!("exec 3>&1 1>&2 2>&3; {script}"))] {
            let mut command = command;
            let output = command.output().unwrap();
            assert_eq!((output.stdout.len(), output.stderr.len()), (1_500_000, 1_500_000));
        }
    });
}

#[test]
fn one_pipe_may_end_long_before_the_other() {
    run(|| {
        for (script, expected) in [
            ("exec >&-; echo error >&2; sleep 0.01; echo more >&2", ("", "error\nmore\n")),
            ("exec 2>&-; echo out; sleep 0.01; echo more", ("out\nmore\n", "")),
            ("exec >&- 2>&-; sleep 0.01; exit 5", ("", "")),
        ] {
            let output = sh(script).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let got = (text(&output.stdout), text(&output.stderr));
            assert_eq!((&*got.0, &*got.1), expected, "{script}");
        }
    });
}

#[test]
fn a_wait_that_was_cut_short_can_be_made_again() {
    run(|| {
        let mut child = cat();
        let stdin = child.stdin.take();
        let start = Instant::now();
        assert_eq!(timeout(SHORT, || child.wait()).unwrap_err(), Elapsed);
        assert!(start.elapsed() >= SHORT);
        assert!(child.try_wait().unwrap().is_none());

        // A kill, and the child is found again by the one who lent it.
        let lent = Rc::new(Cell::new(Some(child)));
        let task = spawn({
            let lent = Rc::clone(&lent);
            move || {
                let child = lent.take().unwrap();
                let mut child = GiveBack { child: Some(child), to: &lent };
                child.child.as_mut().unwrap().wait()
            }
        });
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        let mut child = lent.take().unwrap();

        drop(stdin);
        assert!(child.wait().unwrap().success());
    });
}

struct GiveBack<'a> {
    child: Option<Child>,
    to: &'a Cell<Option<Child>>,
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.to.set(self.child.take());
    }
}

#[test]
fn a_child_can_be_waited_for_on_another_hub() {
    run(|| {
        let mut child = cat();
        let stdin = child.stdin.take();
        assert!(timeout(SHORT, || child.wait()).is_err());
        let (waits, has_waited) = std::sync::mpsc::channel();
        let thread = os::spawn(move || {
            let task = spawn(move || {
                assert!(timeout(SHORT, || child.wait()).is_err());
                child
            });
            let mut child = task.join().unwrap();
            waits.send(()).unwrap();
            (child.wait().unwrap(), child)
        });
        has_waited.recv().unwrap();
        drop(stdin);
        let (status, child) = thread.join().unwrap();
        assert!(status.success());
        drop(child);
        while debug::counters().descriptors > 0 {
            // The other thread's message that it is not registered any more.
            sleep(SHORT);
        }
    });
}

#[test]
fn a_child_that_is_stopped_has_not_ended() {
    run(|| {
        let mut child = cat();
        let stdin = child.stdin.take();
        let pid = child.id();
        let task = spawn(move || child.wait());
        yield_now();
        signal(pid, libc::SIGSTOP);
        wait_for_change(pid, libc::WSTOPPED);
        sleep(SHORT);
        assert!(!task.is_finished());
        signal(pid, libc::SIGCONT);
        wait_for_change(pid, libc::WCONTINUED);
        sleep(SHORT);
        assert!(!task.is_finished());
        drop(stdin);
        assert!(task.join().unwrap().unwrap().success());
    });
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: the call has no preconditions.
    assert_eq!(unsafe { libc::kill(pid as libc::pid_t, signal) }, 0);
}

/// Stops the thread until a child has changed in that way; reaps nothing.
fn wait_for_change(pid: u32, options: i32) {
    // SAFETY: all zeros is a valid record.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: the record is there to be written.
    let result = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, options | libc::WNOWAIT) };
    assert_eq!(result, 0);
}

#[test]
fn a_destructor_may_wait_for_a_child_that_has_ended() {
    run(|| {
        let mut ended = sh("exit 4").spawn().unwrap();
        wait_for_change(ended.id(), libc::WEXITED);
        let mut runs = cat();
        let stdin = runs.stdin.take();
        let log = Log::new();
        let task = spawn({
            let log = log.clone();
            move || {
                let _last = on_drop(move || {
                    log.add(format!("{:?}", ended.wait().unwrap().code()));
                    log.add(runs.wait().unwrap_err().to_string());
                    log.add(format!("{:?}", runs.try_wait().unwrap()));
                    runs.kill().unwrap();
                    let pid = runs.id();
                    // It is given to the call, and so ended and reaped, though it may not wait.
                    assert!(
                        runs.wait_with_output().is_ok_and(|output| !output.status.success())
                            || is_reaped(pid)
                    );
                });
                corovent::thread::park();
            }
        });
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        assert_eq!(log.text(), "Some(4) the coroutine is unwinding None");
        drop(stdin);
    });
}

/// Whether this process has no such child, alive or as a zombie.
fn is_reaped(pid: u32) -> bool {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: all zeros is a valid record.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: the record is there to be written.
    let result = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, options) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

// What looks at all children of the process, or changes what all share, has one of its own.

/// Whether this process has no child at all.
fn has_no_child() -> bool {
    // SAFETY: all zeros is a valid record.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the record is there to be written.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

#[test]
fn a_kill_or_a_timeout_leaves_no_child_and_no_zombie() {
    passes("processes::child_cuts_waits_short");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_cuts_waits_short() {
    let calls: [(&str, fn()); 5] = [
        ("status", || drop(sh("exec sleep 1000").status())),
        ("output", || drop(sh("echo x; exec sleep 1000").output())),
        ("output of one that writes", || drop(Command::new("yes").output())),
        ("output of one that is silent", || drop(sh("exec >&- 2>&-; exec sleep 1000").output())),
        ("wait_with_output", || {
            let child = sh("exec sleep 1000").stderr(Stdio::piped()).spawn().unwrap();
            drop(child.wait_with_output());
        }),
    ];
    run(|| {
        assert!(has_no_child());
        let fds = open_fds();
        for (name, call) in calls {
            assert_eq!(timeout(SHORT, call), Err(Elapsed), "{name}");
            assert!(has_no_child(), "{name}");
            let task = spawn(move || timeout(SHORT, call));
            assert_eq!(task.join().unwrap(), Err(Elapsed), "{name}");
            assert!(has_no_child(), "{name}");
            let task = spawn(call);
            while has_no_child() {
                yield_now();
            }
            assert!(task.kill_timeout(LONG), "{name}");
            assert!(was_killed(task), "{name}");
            assert!(has_no_child(), "{name}");
        }
        // Many at once, killed while they wait for many things.
        let tasks: Vec<_> = (0..50).map(|n| spawn(calls[n % calls.len()].1)).collect();
        sleep(SHORT);
        tasks.iter().for_each(|task| assert!(task.kill()));
        tasks.into_iter().for_each(|task| drop(task.join()));
        assert!(has_no_child());
        // The hub has three of its own at most.
        assert!(open_fds() <= fds + 3, "{fds} {}", open_fds());
    });
}

#[test]
fn a_pipe_that_a_grandchild_holds_does_not_keep_a_kill_waiting() {
    passes("processes::child_has_a_grandchild");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_a_grandchild() {
    run(|| {
        let (input, writer) = pipe().unwrap();
        let mut command = sh("exec 3<&0; cat <&3 & exit 0");
        command.stdin(input);
        assert_eq!(
            timeout(Duration::from_millis(50), || command.output().map(drop)).unwrap_err(),
            { Elapsed }
        );
        assert!(has_no_child());
        drop(writer);
    });
}

/// A child whose handle is gone is left alone, as in std.
#[test]
fn a_dropped_child_goes_on() {
    passes("processes::child_drops_a_child");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_drops_a_child() {
    run(|| {
        let mut child = cat();
        let (pid, mut stdin, mut stdout) = (child.id(), child.stdin.take(), child.stdout.take());
        let stdin = stdin.as_mut().unwrap();
        assert!(timeout(SHORT, || child.try_wait()).is_ok());
        drop(child);
        stdin.write_all(b"x").unwrap();
        assert_eq!(stdout.as_mut().unwrap().read(&mut [0; 8]).unwrap(), 1);
        assert!(!has_no_child());
        signal(pid, libc::SIGTERM);
        wait_for_change(pid, libc::WEXITED);
        // Whoever knows its number reaps it.
        // SAFETY: a null status is allowed.
        assert_eq!(unsafe { libc::waitpid(pid as i32, ptr::null_mut(), 0) }, pid as i32);
    });
}

#[test]
fn a_child_that_other_code_has_reaped_is_an_error_as_in_std() {
    passes("processes::child_has_its_children_stolen");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_its_children_stolen() {
    run(|| {
        let steal = || {
            // SAFETY: a null status is allowed.
            assert!(unsafe { libc::waitpid(-1, ptr::null_mut(), 0) } > 0);
        };
        let theirs = {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            steal();
            child.wait().unwrap_err().to_string()
        };
        // Before the wait, and while it is under way.
        let mut child = sh("true").spawn().unwrap();
        steal();
        assert_eq!(child.wait().unwrap_err().to_string(), theirs);
        let mut child = cat();
        let stdin = child.stdin.take();
        let task = spawn(move || child.wait());
        yield_now();
        drop(stdin);
        steal();
        assert_eq!(task.join().unwrap().unwrap_err().to_string(), theirs);

        // Nobody may reap them: the kernel does.
        // SAFETY: to ignore a signal is valid.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let mut child = cat();
        assert_eq!(child.wait().unwrap_err().to_string(), theirs);
        assert_eq!(sh("true").status().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        assert_eq!(sh("true").output().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        assert!(has_no_child());
    });
}

#[test]
fn the_users_handler_of_sigchld_is_called() {
    passes("processes::child_counts_sigchld");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_counts_sigchld() {
    static CAME: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        CAME.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler counts only.
    unsafe { libc::signal(libc::SIGCHLD, count as *const () as usize) };
    run(|| {
        for _ in 1..=20 {
            let before = CAME.load(Ordering::Relaxed);
            let task = spawn(|| sh("true").output().unwrap());
            assert!(task.join().unwrap().status.success());
            assert!(sh("true").status().unwrap().success());
            // Any thread may be given it, and that one may have to wait for a processor.
            while CAME.load(Ordering::Relaxed) == before {
                yield_now();
            }
        }
        assert!(has_no_child());
    });
}

#[test]
fn eintr_is_never_seen() {
    passes("processes::child_waits_in_a_storm_of_signals");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_in_a_storm_of_signals() {
    crate::support::storm_of_signals();
    run(|| {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                spawn(|| {
                    for _ in 0..5 {
                        let output = sh("head -c 100000 /dev/zero").output().unwrap();
                        assert_eq!(output.stdout.len(), 100_000);
                        assert!(sh("true").status().unwrap().success());
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert!(has_no_child());
    });
}

#[test]
fn without_descriptors_waits_work_and_nothing_is_left() {
    passes("processes::child_has_no_descriptor_left");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_no_descriptor_left() {
    run(|| {
        sleep(SHORT);
        let mut child = cat();
        let stdin = child.stdin.take();
        let mut taken = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        let before = debug::counters();
        // One that cannot be started leaves nothing behind.
        let error = sh("true").output().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        assert_eq!(debug::counters(), before);
        assert_eq!(pipe().unwrap_err().raw_os_error(), Some(libc::EMFILE));

        // There is no descriptor for the wait, either.
        assert_eq!(timeout(SHORT, || child.wait()).unwrap_err(), Elapsed);
        let lent = Rc::new(Cell::new(Some(child)));
        let task = spawn({
            let lent = Rc::clone(&lent);
            move || {
                let child = lent.take().unwrap();
                let mut child = GiveBack { child: Some(child), to: &lent };
                child.child.as_mut().unwrap().wait()
            }
        });
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        let mut child = lent.take().unwrap();
        let ticks = Rc::new(Cell::new(0));
        let ticker = spawn({
            let ticks = Rc::clone(&ticks);
            move || {
                loop {
                    sleep(SHORT);
                    ticks.set(ticks.get() + 1);
                }
            }
        });
        let task = spawn(move || child.wait());
        while ticks.get() < 5 {
            yield_now();
        }
        drop(stdin);
        assert!(task.join().unwrap().unwrap().success());
        ticker.kill();
        assert!(was_killed(ticker));
        assert!(has_no_child());
    });
}

/// A thread that is ending has no hub: it stops, as with std's own.
#[test]
fn a_thread_that_is_ending_waits_without_a_hub() {
    passes("processes::child_waits_at_its_threads_end");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_waits_at_its_threads_end() {
    struct Asks;
    impl Drop for Asks {
        fn drop(&mut self) {
            let output = sh("head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2").output();
            let output = output.unwrap();
            assert_eq!((output.stdout.len(), output.stderr.len()), (200_000, 200_000));
            assert!(sh("sleep 0.01").status().unwrap().success());
            let mut child = cat();
            let mut stdin = child.stdin.take().unwrap();
            let writer = os::spawn(move || stdin.write_all(&[1; 200_000]).unwrap());
            let mut got = Vec::new();
            child.stdout.take().unwrap().read_to_end(&mut got).unwrap();
            assert_eq!(got.len(), 200_000);
            writer.join().unwrap();
            assert!(child.wait().unwrap().success());
            println!("all is well");
        }
    }
    thread_local!(static ASKS: Asks = const { Asks });

    // One thread never had a hub, the other has one whose end has not come yet.
    os::spawn(|| ASKS.with(|_| ())).join().unwrap();
    os::spawn(|| {
        spawn(|| ()).join().unwrap();
        ASKS.with(|_| ());
    })
    .join()
    .unwrap();
    assert!(has_no_child());
}

/// What newer kernels have: a flag against SIGPIPE (6.18), one against blocking for pipes
/// (6.4), pidfds (5.3). All works without them.
#[test]
fn older_kernels_do() {
    for test in ["6_4", "5_2", "5_2_and_no_proc"] {
        passes(&format!("processes::child_has_linux_{test}"));
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_linux_6_4() {
    const NOSIGNAL: u32 = 0x100;

    refuse_calls(&[Refused(libc::SYS_pwritev2, Refused::SIXTH, NOSIGNAL, libc::EOPNOTSUPP)]);
    live_with_that();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_linux_5_2() {
    let number = Refused::NUMBER;
    refuse_calls(&[
        Refused(libc::SYS_pwritev2, Refused::SIXTH, u32::MAX, libc::EOPNOTSUPP),
        Refused(libc::SYS_preadv2, Refused::SIXTH, u32::MAX, libc::EOPNOTSUPP),
        Refused(libc::SYS_pidfd_open, number, u32::MAX, libc::ENOSYS),
    ]);
    live_with_that();
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_linux_5_2_and_no_proc() {
    refuse_calls(&[Refused(
        libc::SYS_openat,
        Refused::THIRD,
        libc::O_NONBLOCK as u32,
        libc::EACCES,
    )]);
    child_has_linux_5_2();
}

#[test]
fn a_destructor_leaves_no_zombie_even_if_no_thread_can_be_had() {
    passes("processes::child_unwinds_without_threads");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_unwinds_without_threads() {
    run(|| {
        let task = spawn(|| {
            let child = sh("exec sleep 1000").stdout(Stdio::piped()).spawn().unwrap();
            let number = Refused::NUMBER;
            refuse_calls(&[
                Refused(libc::SYS_clone, number, u32::MAX, libc::EAGAIN),
                Refused(libc::SYS_clone3, number, u32::MAX, libc::EAGAIN),
            ]);
            let _guard = on_drop(|| {
                let error = child.wait_with_output().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Other);
                assert!(has_no_child());
            });
            panic::resume_unwind(Box::new("gone"));
        });
        assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&"gone"));
    });
}

#[test]
fn without_a_thread_to_wait_on_there_is_an_error() {
    passes("processes::child_has_no_thread_to_spare");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_no_thread_to_spare() {
    let number = Refused::NUMBER;
    run(|| {
        spawn(yield_now).join().unwrap();
        let (mut reader, mut writer) = pipe().unwrap();
        assert_eq!(writer.write(b"x").unwrap(), 1);
        refuse_calls(&[
            Refused(libc::SYS_openat, Refused::THIRD, libc::O_NOCTTY as u32, libc::EACCES),
            Refused(libc::SYS_pwritev2, Refused::SIXTH, u32::MAX, libc::EOPNOTSUPP),
            Refused(libc::SYS_preadv2, Refused::SIXTH, u32::MAX, libc::EOPNOTSUPP),
            Refused(libc::SYS_clone, number, u32::MAX, libc::EAGAIN),
            Refused(libc::SYS_clone3, number, u32::MAX, libc::EAGAIN),
        ]);
        // EAGAIN would mean that the pipe is empty, or full.
        assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(writer.write(b"y").unwrap_err().kind(), ErrorKind::Other);
    });
}

fn live_with_that() {
    // SAFETY: the default action is valid.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(|| {
        let (reader, writer) = pipe().unwrap();
        reads_and_writes(reader, writer);
        let (reader, mut writer) = pipe().unwrap();
        drop(reader);
        for _ in 0..2 {
            assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
        let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
        let tasks: Vec<_> = (0..5).map(|_| spawn(|| sh(script).output().unwrap())).collect();
        for task in tasks {
            let output = task.join().unwrap();
            assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, 300_000));
            assert_eq!(output.status.code(), Some(3));
        }
        let calls: [fn(); 2] =
            [|| drop(sh("exec sleep 1000").output()), || drop(sh("exec sleep 1000").status())];
        for call in calls {
            assert_eq!(timeout(SHORT, call), Err(Elapsed));
            assert!(has_no_child());
            let task = spawn(call);
            sleep(SHORT);
            assert!(task.kill_timeout(LONG));
            assert!(was_killed(task));
            assert!(has_no_child());
        }
    });
}

#[test]
fn a_child_that_may_not_be_killed_holds_nobody_up() {
    passes("processes::child_may_not_kill");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_may_not_kill() {
    refuse_calls(&[Refused(libc::SYS_kill, Refused::NUMBER, u32::MAX, libc::EPERM)]);
    run(|| {
        let (input, writer) = pipe().unwrap();
        let mut command = Command::new("cat");
        command.stdin(input);
        assert_eq!(timeout(SHORT, || command.output().map(drop)).unwrap_err(), Elapsed);
        let task = spawn(move || command.status());
        yield_now();
        assert!(task.kill_timeout(LONG));
        assert!(was_killed(task));
        assert!(!has_no_child(), "they go on");
        drop(writer);
        while debug::counters().coroutines > 0 {
            yield_now();
        }
        assert!(has_no_child());
    });
}

/// The number of a child that somebody else has reaped may be that of another process.
#[test]
fn a_child_that_is_not_ours_any_more_is_not_killed() {
    passes("processes::child_has_no_child_to_kill");
}

#[test]
#[ignore = "runs in a process of its own"]
fn child_has_no_child_to_kill() {
    refuse_calls(&[Refused(libc::SYS_kill, Refused::NUMBER, u32::MAX, 0)]);
    run(|| {
        // SAFETY: to ignore a signal is valid.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        for call in [|| sh("true").output().map(drop), || sh("true").status().map(drop)] {
            assert_eq!(call().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        }
    });
}
