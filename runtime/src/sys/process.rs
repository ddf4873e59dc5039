//! What the process as a whole looks like from /proc, and its end.

// atexit(3) has no wrapper in std.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::io::Write;
use std::process;

use crate::sys::epoll;
use crate::sys::file;
use crate::sys::lock::Lock;
use crate::sys::pipe;
use crate::sys::pipe::without_sigpipe;

/// Counts the OS threads of this process; `None` if /proc is not there.
pub(crate) fn thread_count() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// Reads one number of /proc, such as a limit.
pub(crate) fn proc_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Says something on stderr. It fails for nobody: a daemon's stderr may have no reader, and
/// who reports must not panic for that.
pub(crate) fn report(message: &str) {
    let _ = without_sigpipe(|| writeln!(io::stderr(), "{message}"));
}

/// Writes to stderr without std's locks, which a coroutine may hold: all of it, and one such text
/// after the other. What nobody reads is lost.
pub(crate) fn print_error(mut text: &[u8]) {
    let _turn = TURN.lock();
    while !text.is_empty() {
        match pipe::write(file::standard(2), text) {
            Ok(count) => text = &text[count..],
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => {
                    _ = epoll::poll_one(2, libc::EPOLLOUT as u32, None);
                }
                _ => return,
            },
        }
    }
}

/// Lets the child of a fork print although another thread of the parent was about to.
pub(crate) fn free_print_error() {
    TURN.free_in_child();
}

/// Held by whoever prints to stderr, for as long as that takes.
static TURN: Lock<()> = Lock::new(());

/// Has a function called when the process exits. It may not unwind.
pub(crate) fn at_exit(f: extern "C" fn()) {
    // SAFETY: the function lives as long as the program. Nothing can be done if it has no room.
    unsafe { libc::atexit(f) };
}

/// Ends the process at once, after one line on stderr that does not go through std's
/// locks: the caller may hold them.
pub(crate) fn abort_with(message: &str) -> ! {
    let line = format!("corovent: {message}; aborting\n");
    crate::sys::sigaction::write_stderr(line.as_bytes());
    process::abort()
}
