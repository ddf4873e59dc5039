//! What is to be started: the mirror of [`std::process::Command`].

// `pre_exec` is unsafe, in std as here.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as StdCommandExt;
use std::path::Path;
use std::process::CommandArgs;
use std::process::CommandEnvs;
use std::process::ExitStatus;
use std::process::Output;
use std::process::Stdio;

use crate::process::child::Child;
use crate::process::output;

/// A process to be started: the mirror of [`std::process::Command`].
///
/// Its child inherits no descriptor of corovent's, and those that it is given are as std
/// gives them: none was made non-blocking.
///
/// # Examples
///
/// ```
/// use corovent_runtime::process::Command;
/// use corovent_runtime::spawn;
///
/// let tasks: Vec<_> = ["one", "two"]
///     .into_iter()
///     .map(|word| spawn(move || Command::new("echo").arg(word).output()))
///     .collect();
/// for (task, expected) in tasks.into_iter().zip(["one\n", "two\n"]) {
///     assert_eq!(task.join().unwrap()?.stdout, expected.as_bytes());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command {
    io: std::process::Command,
    /// Whether the user has said what becomes of stdin, stdout and stderr.
    is_set: [bool; 3],
}

impl Command {
    /// Names a program, to be started without arguments, with this process' environment and
    /// directory.
    ///
    /// # Suspends
    ///
    /// Never; nor does any other method but [`output`](Command::output) and
    /// [`status`](Command::status).
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command { io: std::process::Command::new(program), is_set: [false; 3] }
    }

    /// Adds an argument.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.io.arg(arg);
        self
    }

    /// Adds several arguments.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.io.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.io.env(key, val);
        self
    }

    /// Sets several variables of the child's environment.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.io.envs(vars);
        self
    }

    /// Leaves a variable out of the child's environment.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.io.env_remove(key);
        self
    }

    /// Leaves all variables out of the child's environment that are not set after this.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn env_clear(&mut self) -> &mut Command {
        self.io.env_clear();
        self
    }

    /// Sets the directory in which the child starts.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.io.current_dir(dir);
        self
    }

    /// Sets the child's standard input. If it is not set: nothing for
    /// [`output`](Command::output), else that of this process.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.io.stdin(cfg);
        self.is_set[0] = true;
        self
    }

    /// Sets the child's standard output. If it is not set: a pipe for
    /// [`output`](Command::output), else that of this process.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.io.stdout(cfg);
        self.is_set[1] = true;
        self
    }

    /// Sets the child's standard error. If it is not set: a pipe for
    /// [`output`](Command::output), else that of this process.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.io.stderr(cfg);
        self.is_set[2] = true;
        self
    }

    /// Starts the child.
    ///
    /// # Suspends
    ///
    /// Never. The thread is stopped until the child runs its program, which is a matter of
    /// fractions of a millisecond unless the program lies on a slow disk.
    ///
    /// # Errors
    ///
    /// As for [`std::process::Command::spawn`].
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.io.spawn().map(Child::started)
    }

    /// Starts the child, reads what it writes, and waits for its end.
    ///
    /// # Suspends
    ///
    /// Until the child has ended and nobody else holds its pipes.
    ///
    /// # Errors
    ///
    /// - As for [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The child is killed (SIGKILL; its own children are not) and reaped before the kill or
    /// the timeout goes on.
    pub fn output(&mut self) -> io::Result<Output> {
        let child = self.spawn_for_output()?;
        child.wait_with_output()
    }

    /// Starts the child and waits for its end.
    ///
    /// # Suspends
    ///
    /// Until the child has ended.
    ///
    /// # Errors
    ///
    /// - As for [`spawn`](Command::spawn) and [`Child::wait`].
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The child is killed (SIGKILL; its own children are not) and reaped before the kill or
    /// the timeout goes on.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        output::or_end(self.spawn()?, Child::wait)
    }

    /// Starts a child with pipes for what the user has said nothing of. std knows of its own
    /// calls alone that they want them, so they are set for this once; what is taken back is
    /// then set as well, to what not setting it means.
    fn spawn_for_output(&mut self) -> io::Result<Child> {
        let [stdin, stdout, stderr] = self.is_set;
        if !stdin {
            self.io.stdin(Stdio::null());
        }
        if !stdout {
            self.io.stdout(Stdio::piped());
        }
        if !stderr {
            self.io.stderr(Stdio::piped());
        }
        let child = self.spawn();
        if !stdin {
            self.io.stdin(Stdio::inherit());
        }
        if !stdout {
            self.io.stdout(Stdio::inherit());
        }
        if !stderr {
            self.io.stderr(Stdio::inherit());
        }
        child
    }

    /// Gives the program.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        self.io.get_program()
    }

    /// Gives the arguments.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.io.get_args()
    }

    /// Gives the variables that were set, and those that were removed without a value.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.io.get_envs()
    }

    /// Gives the directory that was set.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.io.get_current_dir()
    }
}

impl From<Command> for std::process::Command {
    /// Gives the command away as std's. The other way would lose what
    /// [`output`](Command::output) has to know: whether a standard stream was set.
    fn from(command: Command) -> std::process::Command {
        command.io
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.fmt(f)
    }
}

/// What Unix has besides: the mirror of [`std::os::unix::process::CommandExt`].
pub trait CommandExt: sealed::Sealed {
    /// Sets the user that the child is run as.
    ///
    /// # Suspends
    ///
    /// Never.
    fn uid(&mut self, id: u32) -> &mut Command;

    /// Sets the group that the child is run as.
    ///
    /// # Suspends
    ///
    /// Never.
    fn gid(&mut self, id: u32) -> &mut Command;

    /// Adds a closure that the child calls before it runs its program.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Safety
    ///
    /// As for [`std::os::unix::process::CommandExt::pre_exec`]: the closure runs in a copy of
    /// this process that has this one thread, so it may only do what a signal handler may.
    /// So it may not wait, either.
    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static;

    /// Adds a closure that the child calls before it runs its program.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Safety
    ///
    /// As for [`pre_exec`](CommandExt::pre_exec).
    #[deprecated(note = "should be unsafe, use `pre_exec` instead")]
    unsafe fn before_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: as the caller vouches.
        unsafe { self.pre_exec(f) }
    }

    /// Replaces this process by the program; it returns only if that fails.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    fn exec(&mut self) -> io::Error;

    /// Sets the name under which the child finds itself called.
    ///
    /// # Suspends
    ///
    /// Never.
    fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>;

    /// Sets the process group of the child; 0 is one of its own.
    ///
    /// # Suspends
    ///
    /// Never.
    fn process_group(&mut self, pgroup: i32) -> &mut Command;
}

impl CommandExt for Command {
    fn uid(&mut self, id: u32) -> &mut Command {
        self.io.uid(id);
        self
    }

    fn gid(&mut self, id: u32) -> &mut Command {
        self.io.gid(id);
        self
    }

    unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: as the caller vouches.
        unsafe { self.io.pre_exec(f) };
        self
    }

    fn exec(&mut self) -> io::Error {
        self.io.exec()
    }

    fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>,
    {
        self.io.arg0(arg);
        self
    }

    fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.io.process_group(pgroup);
        self
    }
}

impl sealed::Sealed for Command {}

mod sealed {
    /// Keeps the trait to one type, as std does.
    pub trait Sealed {}
}
