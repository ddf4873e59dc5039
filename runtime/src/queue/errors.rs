//! What the calls on queues fail with, and that they hand the item back.

use std::error::Error;
use std::fmt;

/// The error of a put: the queue is closed. It holds the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PutError<T>(pub T);

/// The error of `try_put`, with the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no room now; in a channel, nobody waits for an item.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

/// The error of `put_timeout`, with the item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutTimeoutError<T> {
    /// The time was up first.
    Timeout(T),
    /// The queue is closed.
    Closed(T),
}

/// The error of `get` and `peek`: the queue is closed, and no item is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetError;

/// The error of `try_get` and `try_peek`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryGetError {
    /// No item is there now.
    Empty,
    /// No item is there, and none will come: the queue is closed.
    Closed,
}

/// The error of `get_timeout` and `peek_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetTimeoutError {
    /// The time was up first.
    Timeout,
    /// No item is there, and none will come: the queue is closed.
    Closed,
}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// None is there, or came in time.
    Late,
    /// None will come.
    Ended,
}

impl Missing {
    /// As an error of a call that does not wait.
    pub(super) fn now(self) -> TryGetError {
        match self {
            Missing::Late => TryGetError::Empty,
            Missing::Ended => TryGetError::Closed,
        }
    }

    /// As an error of a call that waits so long.
    pub(super) fn in_time(self) -> GetTimeoutError {
        match self {
            Missing::Late => GetTimeoutError::Timeout,
            Missing::Ended => GetTimeoutError::Closed,
        }
    }
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TryPutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        let (TryPutError::Full(item) | TryPutError::Closed(item)) = self;
        item
    }
}

impl<T> PutTimeoutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        let (PutTimeoutError::Timeout(item) | PutTimeoutError::Closed(item)) = self;
        item
    }
}

impl<T> From<PutError<T>> for TryPutError<T> {
    fn from(error: PutError<T>) -> TryPutError<T> {
        TryPutError::Closed(error.0)
    }
}

impl<T> From<PutError<T>> for PutTimeoutError<T> {
    fn from(error: PutError<T>) -> PutTimeoutError<T> {
        PutTimeoutError::Closed(error.0)
    }
}

impl From<GetError> for TryGetError {
    fn from(_: GetError) -> TryGetError {
        TryGetError::Closed
    }
}

impl From<GetError> for GetTimeoutError {
    fn from(_: GetError) -> GetTimeoutError {
        GetTimeoutError::Closed
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutError").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPutError::Full(_) => "Full(..)",
            TryPutError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Debug for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutTimeoutError::Timeout(_) => "Timeout(..)",
            PutTimeoutError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("putting into a closed queue")
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPutError::Full(_) => "putting into a full queue",
            TryPutError::Closed(_) => "putting into a closed queue",
        })
    }
}

impl<T> fmt::Display for PutTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutTimeoutError::Timeout(_) => "timed out waiting for room in a queue",
            PutTimeoutError::Closed(_) => "putting into a closed queue",
        })
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("getting from an empty and closed queue")
    }
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryGetError::Empty => "getting from an empty queue",
            TryGetError::Closed => "getting from an empty and closed queue",
        })
    }
}

impl fmt::Display for GetTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GetTimeoutError::Timeout => "timed out waiting for an item of a queue",
            GetTimeoutError::Closed => "getting from an empty and closed queue",
        })
    }
}

impl<T> Error for PutError<T> {}
impl<T> Error for TryPutError<T> {}
impl<T> Error for PutTimeoutError<T> {}
impl Error for GetError {}
impl Error for TryGetError {}
impl Error for GetTimeoutError {}
