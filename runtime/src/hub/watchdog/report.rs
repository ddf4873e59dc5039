//! What is said of a hub that does not come round.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::hub::shared::SharedRecord;
use crate::hub::table::label;
use crate::hub::watchdog::capture;
use crate::hub::watchdog::capture::Sight;
use crate::hub::watchdog::capture::Who;
use crate::hub::watchdog::watched::Look;
use crate::symbols;
use crate::symbols::Symbols;
use crate::sys::atomic::AtomicUsize;
use crate::sys::atomic::Ordering;
use crate::sys::threads;
use crate::sys::threads::SystemCall;

/// The report of a hub whose loop did not come round: somebody computes, or blocks the thread.
///
/// It displays as what would be written to stderr.
#[derive(Clone, Debug)]
pub struct Stall {
    thread: String,
    /// `None` for the root, or if nobody knows.
    coroutine: Option<Who>,
    is_known: bool,
    time: Duration,
    /// The coroutines of the hub, as far as is known.
    coroutines: Option<usize>,
    call: Option<i64>,
    backtrace: String,
    hint: Option<&'static str>,
    left_out: u64,
}

/// So much of a sleeping thread's stack is searched.
const SLEEPER_WORDS_MAX: usize = 128;

impl Stall {
    /// The name of the hub's thread, as the kernel knows it.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The number of the coroutine; `None` for the root, or if the thread did not answer.
    pub fn id(&self) -> Option<u64> {
        self.coroutine.as_ref().map(|coroutine| coroutine.id)
    }

    /// The coroutine's name, or the first 128 bytes of it; `None` if it has none.
    pub fn name(&self) -> Option<&str> {
        self.coroutine.as_ref().map(|coroutine| coroutine.name.as_str()).filter(|n| !n.is_empty())
    }

    /// Where the coroutine was spawned.
    pub fn spawned_at(&self) -> Option<&'static Location<'static>> {
        self.coroutine.as_ref().map(|coroutine| coroutine.spawned_at)
    }

    /// For how long the loop has not come round.
    pub fn duration(&self) -> Duration {
        self.time
    }

    /// Whether the thread sleeps in the kernel, instead of computing.
    pub fn is_blocked(&self) -> bool {
        self.call.is_some()
    }

    /// The number of the system call that the thread sleeps in, if the kernel says so.
    pub fn system_call(&self) -> Option<i64> {
        self.call.filter(|number| *number >= 0)
    }

    /// The frames from the innermost to the outermost of the user's own, a line each; empty if
    /// they are not known.
    pub fn backtrace(&self) -> &str {
        &self.backtrace
    }

    /// What to do about it, if that can be told.
    pub fn hint(&self) -> Option<&str> {
        self.hint
    }

    /// How many reports were left out since the last one: there are at most five a minute.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "corovent: ")?;
        match &self.coroutine {
            Some(who) => {
                write!(
                    f,
                    "coroutine {}, spawned at {}, ",
                    label(who.id, &who.name),
                    who.spawned_at
                )?;
            }
            None if self.is_known => write!(f, "the root ")?,
            None => write!(f, "somebody ")?,
        }
        let verb = if self.call.is_some() { "has blocked" } else { "has kept" };
        write!(f, "{verb} the thread '{}' for {:.1?}", self.thread, self.time)?;
        if let Some(others) = self.coroutines.map(|all| all - usize::from(self.coroutine.is_some()))
        {
            write!(f, " (other coroutines: {others})")?;
        }
        match self.call {
            Some(number) if number >= 0 => writeln!(f, ", in {}", call_name(number))?,
            _ => writeln!(f)?,
        }
        f.write_str(&self.backtrace)?;
        if let Some(hint) = self.hint {
            writeln!(f, "  {hint}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "  {} such reports were left out before this one", self.left_out)?;
        }
        Ok(())
    }
}

/// Finds out who is to blame.
pub(super) fn investigate(hub: SharedRecord, look: &Look, time: Duration, left_out: u64) -> Stall {
    let is_asleep = matches!(threads::state(look.thread), Some(b'S' | b'D'));
    let call = if is_asleep { threads::call_of(look.thread) } else { None };
    let may_ask = !is_asleep || call.as_ref().is_some_and(goes_on_after_a_signal);
    let sight = if may_ask { capture::take(hub, look.pulse.looks) } else { None };
    let is_known = sight.is_some() || !look.in_coroutine;
    let Sight { coroutine, frames } = sight.unwrap_or_default();
    let (backtrace, names) = describe(&frames);
    let number = call.map(|call| call.number);
    Stall {
        thread: threads::name(look.thread),
        coroutine,
        is_known,
        time,
        coroutines: look.pulse.coroutines.filter(|all| *all > 0),
        call: is_asleep.then(|| number.unwrap_or(-1)),
        hint: hint(&names, number),
        backtrace,
        left_out,
    }
}

/// Writes down the frames between those of the user's, or all if none is; gives the names of all.
fn describe(frames: &[usize]) -> (String, Vec<String>) {
    let symbols = Symbols::look_up(frames.iter().copied().collect());
    let calls: Vec<_> = symbols.calls(frames).collect();
    let users = symbols::users(&calls);
    let mut text = String::new();
    for call in if users.is_empty() { &calls } else { users } {
        call.write(&mut text, false);
    }
    (text, calls.iter().map(|call| call.name()).collect())
}

/// What to do, as far as the functions and the system call tell.
fn hint(names: &[String], call: Option<i64>) -> Option<&'static str> {
    let calls = |part: &str| names.iter().any(|name| name.contains(part));
    let futexes = calls("futex") && call == Some(libc::SYS_futex);
    if calls("lock_contended")
        || calls("read_contended")
        || calls("write_contended")
        || calls("parking_lot::raw_")
        || calls("lock_slow")
    {
        return Some(
            "It waits for a lock of std's kind, which stops the thread. If a parked coroutine of \
             this hub holds it, nobody ever goes on: use corovent::sync, or let go before a wait.",
        );
    }
    if calls("std::thread::sleep") || calls("thread::functions::sleep") {
        return Some("std's sleep stops the thread: use corovent::sleep.");
    }
    if futexes || call == Some(libc::SYS_futex) {
        return Some(
            "It waits for another thread as std does, which stops this one: use corovent's \
             sync, thread or JoinHandle, or threadpool::blocking.",
        );
    }
    call.map(|_| "It is a call that blocks: use corovent's, or threadpool::blocking.")
}

/// Whether a thread that sleeps in that call may be sent a signal: the call goes on by itself, or
/// its caller makes it again, so that no program ever sees EINTR for it. See signal(7).
fn goes_on_after_a_signal(call: &SystemCall) -> bool {
    match call.number {
        libc::SYS_futex
        | libc::SYS_wait4
        | libc::SYS_waitid
        | libc::SYS_openat
        | libc::SYS_flock
        | libc::SYS_fcntl
        | libc::SYS_ioctl
        | libc::SYS_fsync
        | libc::SYS_fdatasync => true,
        libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_pread64
        | libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_pwrite64
        | libc::SYS_connect
        | libc::SYS_accept
        | libc::SYS_accept4
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_sendto
        | libc::SYS_sendmsg => !threads::has_timeout(call.first),
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => is_in_std_sleep(call.stack),
        _ => false,
    }
}

/// Whether a thread whose stack ends at that address sleeps in std's `sleep`: this goes on to
/// sleep after a signal. Without symbols nobody can tell.
fn is_in_std_sleep(stack: usize) -> bool {
    let words = [const { AtomicUsize::new(0) }; SLEEPER_WORDS_MAX];
    let count = threads::read_words(stack, &words);
    let words: Vec<_> = words[..count].iter().map(|word| word.load(Ordering::Relaxed)).collect();
    let symbols = Symbols::look_up(words.iter().copied().collect());
    let mut functions = symbols.calls(&words).filter_map(|call| call.function.as_deref());
    functions.any(|name| name.starts_with("std::") && name.contains("sleep"))
}

/// The names of calls that programs often block in.
fn call_name(number: i64) -> String {
    let name = match number {
        libc::SYS_futex => "futex",
        libc::SYS_wait4 => "wait4",
        libc::SYS_waitid => "waitid",
        libc::SYS_openat => "openat",
        libc::SYS_flock => "flock",
        libc::SYS_fsync => "fsync",
        libc::SYS_read => "read",
        libc::SYS_readv => "readv",
        libc::SYS_write => "write",
        libc::SYS_writev => "writev",
        libc::SYS_connect => "connect",
        libc::SYS_accept | libc::SYS_accept4 => "accept",
        libc::SYS_recvfrom => "recv",
        libc::SYS_recvmsg => "recvmsg",
        libc::SYS_sendto => "send",
        libc::SYS_sendmsg => "sendmsg",
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => "nanosleep",
        libc::SYS_ppoll => "poll",
        libc::SYS_pselect6 => "select",
        libc::SYS_epoll_pwait => "epoll_wait",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => "poll",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => "select",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => "epoll_wait",
        _ => return format!("system call {number}"),
    };
    format!("{name}(2)")
}
