//! Child processes: the mirror of [`std::process`].
//!
//! std starts the children and reaps them; here are the waits. A child that has not ended is
//! waited for by a descriptor of its own (pidfd), so that no signal handler is needed and
//! nobody else's children are touched.
//!
//! **Invariant:** a child is reaped by std's `Child` alone, which so knows that its number
//! may belong to somebody else by then.

mod child;
mod command;
mod output;
mod stdio;

pub use crate::process::child::Child;
pub use crate::process::command::Command;
pub use crate::process::command::CommandExt;
pub use crate::process::stdio::ChildStderr;
pub use crate::process::stdio::ChildStdin;
pub use crate::process::stdio::ChildStdout;
