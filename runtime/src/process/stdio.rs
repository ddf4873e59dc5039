//! The ends of a child's pipes that its parent holds.

use crate::fd::Source;
use crate::pipe::convert_descriptors;
use crate::pipe::reads;
use crate::pipe::writes;

/// The writing end of a child's standard input: the mirror of [`std::process::ChildStdin`].
///
/// Dropping it closes it, and the child finds the end of its input.
pub struct ChildStdin {
    source: Source<std::process::ChildStdin>,
}

/// The reading end of a child's standard output: the mirror of [`std::process::ChildStdout`].
pub struct ChildStdout {
    source: Source<std::process::ChildStdout>,
}

/// The reading end of a child's standard error: the mirror of [`std::process::ChildStderr`].
pub struct ChildStderr {
    source: Source<std::process::ChildStderr>,
}

/// Takes over an end that nobody else has seen.
macro_rules! made_here {
    ($($ours:ty, $std:ty;)*) => { $(
        impl $ours {
            pub(super) fn made_here(io: $std) -> $ours {
                Self { source: Source::new(io) }
            }
        }
    )* };
}

made_here! {
    ChildStdin, std::process::ChildStdin;
    ChildStdout, std::process::ChildStdout;
    ChildStderr, std::process::ChildStderr;
}

writes!(ChildStdin, &ChildStdin);
reads!(ChildStdout, ChildStderr);
convert_descriptors!(ChildStdin, std::process::ChildStdin);
convert_descriptors!(ChildStdout, std::process::ChildStdout);
convert_descriptors!(ChildStderr, std::process::ChildStderr);
