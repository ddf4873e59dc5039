//! The queue without room: a meeting place.

use std::fmt;
use std::time::Duration;

use crate::queue::branch::Gets;
use crate::queue::branch::PutBranch;
use crate::queue::branch::Puts;
use crate::queue::core::Core;
use crate::queue::core::Offered;
use crate::queue::errors::GetError;
use crate::queue::errors::GetTimeoutError;
use crate::queue::errors::Missing;
use crate::queue::errors::PutError;
use crate::queue::errors::PutTimeoutError;
use crate::queue::errors::TryGetError;
use crate::queue::errors::TryPutError;
use crate::queue::iter::Iter;
use crate::queue::iter::TryIter;
use crate::queue::order::First;
use crate::queue::putting::Putting;
use crate::queue::putting::Unput;
use crate::select::Selectable;
use crate::select::Takeable;
use crate::select::waits_as;
use crate::sys::atomic::Ordering;
use crate::sys::clock::Deadline;

/// A queue without room: an item passes from one who puts it in to one who takes it when both are
/// there.
///
/// # Examples
///
/// ```
/// use corovent_runtime::queue::{Channel, TryPutError};
/// use corovent_runtime::scope;
///
/// let channel = Channel::new();
/// assert_eq!(channel.try_put(1), Err(TryPutError::Full(1)));
/// scope(|scope| {
///     scope.spawn(|| assert_eq!(channel.get(), Ok(2)));
///     channel.put(2).unwrap();
/// });
/// ```
pub struct Channel<T> {
    core: Core<T, First>,
}

impl<T> Channel<T> {
    /// Makes a channel.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub const fn new() -> Channel<T> {
        Channel { core: Core::new(0) }
    }

    methods!();
    getting_methods!();
}

traits!(Channel, "Channel", [T]);

impl<T> Default for Channel<T> {
    fn default() -> Channel<T> {
        Channel::new()
    }
}
