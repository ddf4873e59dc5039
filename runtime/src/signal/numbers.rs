//! The numbers of signals: see signal(7).

/// The terminal has gone; for servers by custom: read the configuration again.
pub const SIGHUP: i32 = libc::SIGHUP;
/// Ctrl-C.
pub const SIGINT: i32 = libc::SIGINT;
/// Ctrl-\, which by default leaves a core file.
pub const SIGQUIT: i32 = libc::SIGQUIT;
/// A breakpoint.
pub const SIGTRAP: i32 = libc::SIGTRAP;
/// The process has aborted.
pub const SIGABRT: i32 = libc::SIGABRT;
/// Whatever the program says.
pub const SIGUSR1: i32 = libc::SIGUSR1;
/// Whatever the program says.
pub const SIGUSR2: i32 = libc::SIGUSR2;
/// A write to a pipe or socket that nobody reads. Rust programs ignore it.
pub const SIGPIPE: i32 = libc::SIGPIPE;
/// The time of alarm(2) is over.
pub const SIGALRM: i32 = libc::SIGALRM;
/// A request to end.
pub const SIGTERM: i32 = libc::SIGTERM;
/// A child process has ended, stopped or gone on.
pub const SIGCHLD: i32 = libc::SIGCHLD;
/// The process goes on after it was stopped.
pub const SIGCONT: i32 = libc::SIGCONT;
/// Ctrl-Z.
pub const SIGTSTP: i32 = libc::SIGTSTP;
/// A read from the terminal in the background.
pub const SIGTTIN: i32 = libc::SIGTTIN;
/// A write to the terminal in the background.
pub const SIGTTOU: i32 = libc::SIGTTOU;
/// Urgent data at a socket.
pub const SIGURG: i32 = libc::SIGURG;
/// The limit of processor time is reached.
pub const SIGXCPU: i32 = libc::SIGXCPU;
/// The limit of a file's size is reached.
pub const SIGXFSZ: i32 = libc::SIGXFSZ;
/// The time of a virtual timer is over.
pub const SIGVTALRM: i32 = libc::SIGVTALRM;
/// The time of a profiling timer is over.
pub const SIGPROF: i32 = libc::SIGPROF;
/// The terminal's size has changed.
pub const SIGWINCH: i32 = libc::SIGWINCH;
/// A descriptor is ready, or a lease broken.
pub const SIGIO: i32 = libc::SIGIO;
/// The power fails.
pub const SIGPWR: i32 = libc::SIGPWR;
/// A system call that is not allowed.
pub const SIGSYS: i32 = libc::SIGSYS;

/// Gives the number of a real-time signal, from 0 on; `None` if there are not so many.
///
/// They have no meaning of their own, and several of one kind are delivered one by one.
///
/// # Examples
///
/// ```
/// use corovent_runtime::signal::real_time;
///
/// assert!(real_time(0) < real_time(1));
/// assert_eq!(real_time(100), None);
/// ```
#[must_use]
pub fn real_time(n: u32) -> Option<i32> {
    let signal = libc::SIGRTMIN().checked_add_unsigned(n)?;
    (signal <= libc::SIGRTMAX()).then_some(signal)
}
