//! The standard input, output and error: the mirror of those of [`std::io`].
//!
//! Each has one buffer and one lock for the process. Whoever waits for the other side of a
//! pipe or a terminal keeps the lock and lets other coroutines run. The open files behind the
//! descriptors 0 to 2 are shared with the shell and other programs, so nothing of them is
//! changed; and since programs put other files in their places, each call looks first what is
//! there.

mod input;
mod lock;
mod output;
mod raw;

use std::os::fd::AsFd;

use crate::hub;
use crate::sys::file;
use crate::task::yield_now;

pub use crate::stdio::input::Stdin;
pub use crate::stdio::input::StdinLock;
pub use crate::stdio::input::stdin;
pub use crate::stdio::output::Stderr;
pub use crate::stdio::output::StderrLock;
pub use crate::stdio::output::Stdout;
pub use crate::stdio::output::StdoutLock;
pub use crate::stdio::output::print_stderr;
pub use crate::stdio::output::print_stdout;
pub use crate::stdio::output::stderr;
pub use crate::stdio::output::stdout;

/// Tells whether something is a terminal: the mirror of [`std::io::IsTerminal`].
///
/// That one only std can implement. This one is there for all that has a descriptor, std's
/// types included.
pub trait IsTerminal {
    /// Gives whether it is a terminal.
    ///
    /// # Suspends
    ///
    /// Never.
    fn is_terminal(&self) -> bool;
}

impl<T: AsFd> IsTerminal for T {
    fn is_terminal(&self) -> bool {
        file::is_terminal(self.as_fd())
    }
}

/// Lets others run before a lock is taken that one of them was woken to take, or after many
/// calls without a wait: else one who prints in a loop would have it for ever.
fn take_turn(is_passed_on: bool) {
    match hub::current() {
        _ if is_passed_on => yield_now(),
        Some(hub) => hub.spend(),
        None => {}
    }
}

/// Implements what std's handles of the descriptors 0 to 2 have.
macro_rules! standard_descriptor {
    ($($type:ty = $number:expr),*) => {
        $(
            impl std::os::fd::AsFd for $type {
                fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                    crate::sys::file::standard($number)
                }
            }

            impl std::os::fd::AsRawFd for $type {
                fn as_raw_fd(&self) -> std::os::fd::RawFd {
                    $number
                }
            }

            impl std::fmt::Debug for $type {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    let name = std::any::type_name::<$type>().rsplit("::").next();
                    let name = name.unwrap_or_default().trim_end_matches("<'_>");
                    f.debug_struct(name).finish_non_exhaustive()
                }
            }
        )*
    };
}

use standard_descriptor;
