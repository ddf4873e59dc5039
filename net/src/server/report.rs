//! What a server that was stopped says of its handlers.

use std::fmt;

/// What became of the handlers that were at work when a server was told to stop, and of those of
/// the connections that it found in its queue then.
///
/// It displays as a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many came to their ends by themselves, in time.
    pub finished: usize,
    /// Those that were killed when the time was up: the addresses of the other ends, or the
    /// names of worker processes.
    pub killed: Vec<String>,
    /// Those that swallowed their kill, or were in a `shield`: they may still be running.
    pub stuck: Vec<String>,
    /// Whether a part of the server did not even say what became of its handlers, such as a
    /// thread that computes without end.
    pub is_partial: bool,
}

impl Report {
    /// Whether every handler came to its end by itself.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.killed.is_empty() && self.stuck.is_empty() && !self.is_partial
    }

    /// Adds what another part of the server says.
    pub(super) fn add(&mut self, part: Report) {
        self.finished += part.finished;
        self.killed.extend(part.killed);
        self.stuck.extend(part.stuck);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} finished", self.finished)?;
        for (names, what) in [(&self.killed, "killed"), (&self.stuck, "would not end")] {
            if !names.is_empty() {
                write!(f, ", {} {what} ({})", names.len(), names.join(", "))?;
            }
        }
        if self.is_partial { f.write_str(", others have not said") } else { Ok(()) }
    }
}
