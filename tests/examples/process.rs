//! Example programs as child processes that cannot outlive their test.

use std::env;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use rustix::process::kill_process_group;

/// A program that has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running example. When it is dropped, it and all that it has started are killed.
pub(crate) struct Process {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// What a program that has ended leaves.
#[derive(Debug)]
pub(crate) struct Ending {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The lines that nobody has read before.
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Process {
    pub(crate) fn start(example: &str, args: &[&str]) -> Process {
        Process::start_with(example, args, &[])
    }

    /// The same with environment variables.
    pub(crate) fn start_with(example: &str, args: &[&str], variables: &[(&str, &str)]) -> Process {
        // A group of its own, so that its children can be killed with it.
        let mut child = Command::new(path_of(example))
            .args(args)
            .env_remove("RUST_BACKTRACE")
            .envs(variables.iter().copied())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Process { child, stdout, stderr }
    }

    /// Starts the echo server on a port of the system's choice, and gives its address.
    pub(crate) fn start_echo_server() -> (Process, String) {
        Process::start_server("coroutine_echo", &["127.0.0.1:0"])
    }

    /// Starts a server, and gives the address that it says it listens on.
    pub(crate) fn start_server(example: &str, args: &[&str]) -> (Process, String) {
        Process::start_server_with(example, args, &[])
    }

    /// The same with environment variables.
    pub(crate) fn start_server_with(
        example: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> (Process, String) {
        let server = Process::start_with(example, args, variables);
        let line = server.line();
        let addr = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}"));
        (server, addr.to_owned())
    }

    /// Waits for the next line of its output.
    pub(crate) fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("the program prints one more line")
    }

    /// Waits for a line on stderr that has that part; those before are passed over.
    pub(crate) fn error_line_with(&self, part: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE).expect("the program says one more line");
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ending {
        let deadline = Instant::now() + PATIENCE;
        let stdout = rest(&self.stdout, deadline);
        let stderr = rest(&self.stderr, deadline);
        // It has closed its output, so it is about to end.
        let code = self.child.wait().unwrap().code();
        Ending { code, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended and left nobody is no group any more.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Runs an example to its end.
pub(crate) fn run(example: &str, args: &[&str]) -> Ending {
    Process::start(example, args).end()
}

impl Ending {
    /// Checks that the program gave up, and said why in one line: `PROGRAM: …WHY…`.
    #[track_caller]
    pub(crate) fn assert_gave_up(&self, program: &str, why: &str) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stderr.len(), 1, "{self:?}");
        let line = &self.stderr[0];
        assert!(line.starts_with(&format!("{program}: ")) && line.contains(why), "{self:?}");
    }

    /// Checks that the program did what it was asked to, without a complaint.
    #[track_caller]
    pub(crate) fn assert_done(&self) {
        assert_eq!((self.code, self.stderr.len()), (Some(0), 0), "{self:?}");
    }
}

/// Reads lines on a thread: a pipe that is full would stop the program.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            // A test that has failed does not read on.
            let _ = sender.send(line.unwrap());
        }
    });
    receiver
}

/// The lines until the pipe's end.
fn rest(lines: &Receiver<String>, deadline: Instant) -> Vec<String> {
    let mut rest = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => rest.push(line),
            Err(RecvTimeoutError::Disconnected) => return rest,
            Err(RecvTimeoutError::Timeout) => panic!("the program hangs, after {rest:?}"),
        }
    }
}

/// Where cargo puts what it builds with one profile: a test's program is in `deps` in there, or
/// by newer versions somewhere in `build`.
fn profile_directory_of(program: &Path) -> &Path {
    let is_inner = |folder: &&Path| folder.ends_with("deps") || folder.ends_with("build");
    let inner = program.ancestors().find(is_inner).expect("cargo has built it");
    inner.parent().expect("it is in a folder")
}

#[test]
fn the_folder_of_a_profile_is_found_where_any_cargo_has_put_the_program() {
    for program in [
        "/home/me/build/it/target/debug/deps/examples-1f",
        "/home/me/build/it/target/debug/build/corovent/1f/out/examples-1f",
    ] {
        let found = profile_directory_of(Path::new(program));
        assert_eq!(found, Path::new("/home/me/build/it/target/debug"));
    }
}

/// The example's program, next to this test's own; built if only this test was.
pub(crate) fn path_of(example: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());

    let own = env::current_exe().unwrap();
    let profile_directory = profile_directory_of(&own);
    let path = profile_directory.join("examples").join(example);
    let _building = BUILDING.lock().unwrap_or_else(|error| error.into_inner());
    if !path.exists() {
        let profile = match profile_directory.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            profile => profile,
        };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", example, "--profile", profile])
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .arg("--target-dir")
            .arg(profile_directory.parent().unwrap())
            // As this test was built.
            .args(cfg!(feature = "sanitizer").then_some("--features=sanitizer"))
            .status()
            .unwrap();
        assert!(built.success(), "cannot build {example}");
    }
    path
}
