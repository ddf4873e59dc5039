//! The standard output and error.

use std::cell::RefMut;
use std::fmt;
use std::io;
use std::io::IoSlice;
use std::io::LineWriter;
use std::io::Write;
use std::marker::PhantomData;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::process::Stdio;

use crate::stdio::lock::Guard;
use crate::stdio::lock::Reentrant;
use crate::stdio::raw::EXITING;
use crate::stdio::raw::Raw;
use crate::stdio::standard_descriptor;
use crate::sys::atomic::AtomicBool;
use crate::sys::atomic::Ordering;
use crate::sys::fork::Repair;
use crate::sys::fork::watch;
use crate::sys::process::at_exit;

static OUTPUT: Reentrant<Output> = Reentrant::new(Output::Unused);
static ERROR: Reentrant<Raw> = Reentrant::new(Raw::new(libc::STDERR_FILENO));

static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// Both streams, as a fork concerns them.
struct Streams;

impl Repair for Streams {
    fn child(&self) {
        OUTPUT.begin_anew(Output::Unused);
        ERROR.begin_anew(Raw::new(libc::STDERR_FILENO));
    }
}

/// The standard output and its buffer.
enum Output {
    /// The buffer is made at the first use.
    Unused,
    Buffered(LineWriter<Raw>),
    /// The process exits, after which nobody would write a buffer.
    Exiting(Raw),
}

/// The standard output: the mirror of [`std::io::Stdout`].
///
/// It is buffered by lines: complete lines are written at once, the rest when the buffer of
/// 1 KiB is full, by `flush`, or when the process exits (`main` returns, or `exit` is
/// called, also from a coroutine). At that point what is buffered is written, unless another
/// thread has the lock or a coroutine is in the middle of a write.
///
/// std's own handle and its macros have another buffer and stop the thread; so whoever uses
/// both flushes in between. What the test harness captures is what std's macros print.
///
/// # Suspends
///
/// Every write does, until it has the lock and the other side has room. A coroutine that
/// unwinds waits for the lock as well, but stops the thread until there is room.
///
/// A thread that ends leaves its coroutines as they are, and one of them that has the lock, or
/// waits in the middle of a write, keeps it for ever: then whoever prints waits for ever.
/// [`run`](crate::run) ends them before.
///
/// # Cancellation
///
/// A kill or a timeout comes after the part that was written. What is in the buffer then
/// stays there, for the next write.
pub struct Stdout(());

/// The standard output, locked: the mirror of [`std::io::StdoutLock`].
///
/// The coroutine that has it can lock it again; others wait, also while it waits.
pub struct StdoutLock<'a> {
    guard: Guard<Output>,
    _handle: PhantomData<&'a ()>,
}

/// The standard error, without a buffer: the mirror of [`std::io::Stderr`].
///
/// # Suspends
///
/// As [`Stdout`] does. Panic messages are std's and stop the thread.
pub struct Stderr(());

/// The standard error, locked: the mirror of [`std::io::StderrLock`].
pub struct StderrLock<'a> {
    guard: Guard<Raw>,
    _handle: PhantomData<&'a ()>,
}

/// Gives a handle of the standard output.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let mut out = corovent_runtime::stdio::stdout().lock();
/// writeln!(out, "one")?;
/// writeln!(out, "two, and nothing of others in between")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(())
}

/// Gives a handle of the standard error.
///
/// # Suspends
///
/// Never.
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(())
}

impl Stdout {
    /// Locks it, for several writes that nothing comes between.
    ///
    /// # Suspends
    ///
    /// Until those who came before have unlocked it.
    ///
    /// # Cancellation
    ///
    /// It is not locked then.
    pub fn lock(&self) -> StdoutLock<'static> {
        watch(&Streams, &IS_WATCHED);
        StdoutLock { guard: OUTPUT.lock(), _handle: PhantomData }
    }
}

impl Stderr {
    /// Locks it, for several writes that nothing comes between.
    ///
    /// # Suspends
    ///
    /// Until those who came before have unlocked it.
    ///
    /// # Cancellation
    ///
    /// It is not locked then.
    pub fn lock(&self) -> StderrLock<'static> {
        watch(&Streams, &IS_WATCHED);
        StderrLock { guard: ERROR.lock(), _handle: PhantomData }
    }
}

impl StdoutLock<'_> {
    fn writer(&self) -> RefMut<'_, dyn Write + 'static> {
        RefMut::map(self.guard.value().borrow_mut(), Output::writer)
    }
}

impl StderrLock<'_> {
    fn writer(&self) -> RefMut<'_, dyn Write + 'static> {
        RefMut::map(self.guard.value().borrow_mut(), |raw| raw as &mut (dyn Write + 'static))
    }
}

impl Output {
    fn writer(&mut self) -> &mut (dyn Write + 'static) {
        if matches!(self, Output::Unused) {
            let raw = Raw::new(libc::STDOUT_FILENO);
            *self = if EXITING.load(Ordering::Relaxed) {
                Output::Exiting(raw)
            } else {
                flush_at_exit();
                Output::Buffered(LineWriter::new(raw))
            };
        }
        match self {
            Output::Buffered(writer) => writer,
            Output::Exiting(raw) => raw,
            Output::Unused => unreachable!("it was just used"),
        }
    }
}

/// Has the buffer written when the process exits.
fn flush_at_exit() {
    extern "C" fn flush() {
        EXITING.store(true, Ordering::Relaxed);
        // Nothing may unwind into libc, and nobody would see what went wrong.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| {
            let Some(guard) = OUTPUT.lock_at_exit() else { return };
            // One that is parked in the middle of a write has it borrowed.
            if let Ok(mut output) = guard.value().try_borrow_mut() {
                let _ = output.writer().flush();
                *output = Output::Exiting(Raw::new(libc::STDOUT_FILENO));
            }
        }));
    }

    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        at_exit(flush);
    }
}

/// Implements writing for a handle, by its lock, and for the lock, by what it guards.
macro_rules! write_by_lock {
    ($handle:ty, $lock:ident) => {
        impl Write for &$handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.lock().write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.lock().write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.lock().flush()
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.lock().write_all(buf)
            }

            fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
                self.lock().write_fmt(args)
            }
        }

        impl Write for $handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                (&*self).write_all(buf)
            }

            fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(args)
            }
        }

        impl Write for $lock<'_> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.writer().write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.writer().write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.writer().flush()
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.writer().write_all(buf)
            }
        }

        // As std's: a panic may leave a line half written, and nothing worse.
        impl UnwindSafe for $handle {}
        impl RefUnwindSafe for $handle {}
        impl UnwindSafe for $lock<'_> {}
        impl RefUnwindSafe for $lock<'_> {}
    };
}

write_by_lock!(Stdout, StdoutLock);
write_by_lock!(Stderr, StderrLock);

standard_descriptor!(
    Stdout = libc::STDOUT_FILENO,
    StdoutLock<'_> = libc::STDOUT_FILENO,
    Stderr = libc::STDERR_FILENO,
    StderrLock<'_> = libc::STDERR_FILENO
);

impl From<Stdout> for Stdio {
    /// Gives a child this process's standard output.
    fn from(_: Stdout) -> Stdio {
        io::stdout().into()
    }
}

impl From<Stderr> for Stdio {
    /// Gives a child this process's standard error.
    fn from(_: Stderr) -> Stdio {
        io::stderr().into()
    }
}

/// Does what the macro `print!` promises.
///
/// # Suspends
///
/// As a write to [`Stdout`] does.
///
/// # Panics
///
/// If it cannot be written, as std's does.
pub fn print_stdout(args: fmt::Arguments<'_>) {
    if let Err(error) = stdout().write_fmt(args) {
        panic!("failed printing to stdout: {error}");
    }
}

/// Does what the macro `eprint!` promises.
///
/// # Suspends
///
/// As a write to [`Stderr`] does.
///
/// # Panics
///
/// If it cannot be written, as std's does.
pub fn print_stderr(args: fmt::Arguments<'_>) {
    if let Err(error) = stderr().write_fmt(args) {
        panic!("failed printing to stderr: {error}");
    }
}
