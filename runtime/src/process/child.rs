//! A child process, and the wait for its end.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::process::Output;
use std::time::Duration;

use crate::fd::Direction;
use crate::fd::Done;
use crate::fd::Limit;
use crate::fd::Source;
use crate::fd::pause;
use crate::hub::Mode;
use crate::hub::reason::Reason;
use crate::process::output;
use crate::process::stdio::ChildStderr;
use crate::process::stdio::ChildStdin;
use crate::process::stdio::ChildStdout;
use crate::sys::pidfd;
use crate::time::Pauses;

/// A child process: the mirror of [`std::process::Child`].
///
/// As in std, dropping it neither ends the child nor waits for it: a child that ends after
/// that stays a zombie until this process has ended, unless other code reaps it by its
/// number.
///
/// # Examples
///
/// ```
/// use corovent_runtime::process::Command;
/// use corovent_runtime::timeout;
/// use std::time::Duration;
///
/// let mut child = Command::new("sleep").arg("60").spawn()?;
/// let ended = timeout(Duration::from_millis(1), || child.wait());
/// assert!(ended.is_err(), "it sleeps");
/// child.kill()?;
/// assert!(!child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Child {
    /// The writing end of the child's standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The reading end of the child's standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The reading end of the child's standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    /// Its own ends of the pipes are taken out.
    io: std::process::Child,
    /// From the first wait on that had to wait, until the child is reaped.
    pidfd: Option<Source<OwnedFd>>,
}

impl Child {
    /// Kills the child (SIGKILL). One that was waited for is left alone.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// As kill(2) gives them.
    pub fn kill(&mut self) -> io::Result<()> {
        self.io.kill()
    }

    /// Gives the child's number.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.io.id()
    }

    /// Closes the child's standard input, waits for the child to end and gives its status;
    /// again, if called again. A child that is stopped has not ended.
    ///
    /// # Suspends
    ///
    /// Until the child has ended.
    ///
    /// # Errors
    ///
    /// - ECHILD if other code has reaped the child, or SIGCHLD is ignored.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// The child goes on, and can be waited for again.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        let pidfd = match self.pidfd.take() {
            Some(pidfd) => pidfd,
            None => match pidfd::open(self.id()) {
                Ok(pidfd) => Source::new(pidfd),
                // An old kernel, a filter of system calls, or no descriptor left.
                Err(_) => return self.wait_by_looking(Mode::Io),
            },
        };
        let pidfd = self.pidfd.insert(pidfd);
        let io = &mut self.io;
        let reason = Reason::Process(io.id());
        let result = pidfd.call_for::<_, false>(
            reason,
            Direction::Read,
            || Limit::None,
            |_| {
                let not_yet = || io::Error::from_raw_os_error(libc::EAGAIN);
                io.try_wait()?.map(Done::more).ok_or_else(not_yet)
            },
        );
        match result {
            Ok(status) => {
                self.pidfd = None;
                Ok(status)
            }
            // The wait has failed, and not the child's end: such as that epoll takes no more.
            Err(error) if error.raw_os_error().is_some_and(|code| code != libc::ECHILD) => {
                self.pidfd = None;
                self.wait_by_looking(Mode::Io)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the child's status if it has ended, and reaps it then.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// ECHILD if other code has reaped the child, or SIGCHLD is ignored and it has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.io.try_wait()?;
        if status.is_some() {
            self.pidfd = None;
        }
        Ok(status)
    }

    /// Closes the child's standard input, reads the pipes of its standard output and standard
    /// error to their ends, and waits for the child.
    ///
    /// # Suspends
    ///
    /// Until the pipes are at their ends and the child has ended.
    ///
    /// # Errors
    ///
    /// - As for [`wait`](Child::wait), and for reading a pipe.
    /// - `Other` if it would have to wait while the coroutine unwinds.
    ///
    /// # Cancellation
    ///
    /// What was read is lost. Nobody could wait for the child any more, so it is killed
    /// (SIGKILL; its own children are not) and reaped, before the kill or the timeout goes
    /// on. So it is after an error. One that this process may not kill goes on, and is reaped
    /// by a coroutine when it ends.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        output::or_end(self, output::collect)
    }

    /// Takes over a child that was started here.
    pub(super) fn started(io: std::process::Child) -> Child {
        Child::with(io, ChildStdin::made_here, ChildStdout::made_here, ChildStderr::made_here)
    }

    fn with(
        mut io: std::process::Child,
        stdin: impl FnOnce(std::process::ChildStdin) -> ChildStdin,
        stdout: impl FnOnce(std::process::ChildStdout) -> ChildStdout,
        stderr: impl FnOnce(std::process::ChildStderr) -> ChildStderr,
    ) -> Child {
        Child {
            stdin: io.stdin.take().map(stdin),
            stdout: io.stdout.take().map(stdout),
            stderr: io.stderr.take().map(stderr),
            io,
            pidfd: None,
        }
    }

    /// Waits without a descriptor, by asking now and then. If that is to be `Masked`, it is
    /// not ended by anything else, and goes on while the coroutine unwinds.
    ///
    /// Not on the pool: a thread that waits for a child cannot be called off, and a few dozen
    /// children that run for long would leave none for anything else.
    #[cold]
    pub(super) fn wait_by_looking(&mut self, mode: Mode) -> io::Result<ExitStatus> {
        /// As long as somebody waits at most after the child has ended.
        const PAUSE_MAX: Duration = Duration::from_millis(20);

        let mut pauses = Pauses::up_to(PAUSE_MAX);
        loop {
            if let Some(status) = self.io.try_wait()? {
                return Ok(status);
            }
            pause(Reason::Process(self.id()), pauses.take(), mode)?;
        }
    }
}

impl From<std::process::Child> for Child {
    /// Takes a child of std's over, with its pipes.
    fn from(io: std::process::Child) -> Child {
        Child::with(io, ChildStdin::from, ChildStdout::from, ChildStderr::from)
    }
}

impl From<Child> for std::process::Child {
    /// Gives the child away as std's, with its pipes.
    fn from(child: Child) -> std::process::Child {
        let Child { stdin, stdout, stderr, mut io, pidfd: _ } = child;
        io.stdin = stdin.map(Into::into);
        io.stdout = stdout.map(Into::into);
        io.stderr = stderr.map(Into::into);
        io
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}
