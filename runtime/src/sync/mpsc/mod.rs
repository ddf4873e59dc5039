//! The mirror of [`std::sync::mpsc`]: channels with many senders and one receiver.
//!
//! The two ends may be in coroutines of one hub or of several, or in OS threads without a hub,
//! in every combination. What the ends share is in `channel.rs`, what each does by itself in
//! `sending.rs` and `receiving.rs`, and the slots for the values in `ring.rs` and `blocks.rs`.
//!
//! The errors are std's own types.

mod blocks;
mod channel;
mod receiving;
mod ring;
mod sending;

use std::fmt;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use crate::select::Selectable;
use crate::select::Takeable;
use crate::select::waits_as;
use crate::sync::mpsc::channel::Channel;
use crate::sync::mpsc::channel::Offered;
use crate::sync::mpsc::receiving::Missing;
use crate::sync::mpsc::receiving::Receiving;
use crate::sync::mpsc::sending::Sending;

pub use std::sync::mpsc::RecvError;
pub use std::sync::mpsc::RecvTimeoutError;
pub use std::sync::mpsc::SendError;
pub use std::sync::mpsc::TryRecvError;
pub use std::sync::mpsc::TrySendError;

/// Makes a channel without a bound: a send never waits for room.
///
/// # Suspends
///
/// Never.
///
/// # Examples
///
/// A pipeline of coroutines:
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::mpsc::channel;
///
/// let (numbers, squares) = (channel(), channel());
/// spawn(move || (1..=3).for_each(|n| numbers.0.send(n).unwrap()));
/// spawn(move || numbers.1.iter().for_each(|n| squares.0.send(n * n).unwrap()));
/// assert_eq!(squares.1.iter().collect::<Vec<i32>>(), [1, 4, 9]);
/// ```
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(None));
    let sending = Sending::new(Arc::clone(&channel));
    (Sender { sending }, Receiver { receiving: Receiving::new(channel) })
}

/// Makes a channel that holds at most `bound` values: a send waits for room.
///
/// With a bound of 0 each send waits until a receiver takes the value: a *rendezvous*. The
/// room for all values is allocated at once.
///
/// # Suspends
///
/// Never.
///
/// # Panics
///
/// If the room is more than an allocation can be.
///
/// # Examples
///
/// ```
/// use corovent_runtime::spawn;
/// use corovent_runtime::sync::mpsc::{TrySendError, sync_channel};
///
/// let (sender, receiver) = sync_channel(1);
/// sender.send('a')?;
/// assert_eq!(sender.try_send('b'), Err(TrySendError::Full('b')));
/// let waits = spawn(move || sender.send('c'));
/// assert_eq!(receiver.recv(), Ok('a'));
/// assert_eq!(receiver.recv(), Ok('c'));
/// waits.join().unwrap()?;
/// # Ok::<(), corovent_runtime::sync::mpsc::SendError<char>>(())
/// ```
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(Some(bound)));
    let sending = Sending::new(Arc::clone(&channel));
    (SyncSender { sending }, Receiver { receiving: Receiving::new(channel) })
}

/// The sending end of a [`channel`]. Each clone is another sender.
///
/// It is `Send` and `Sync` if the values are `Send`:
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::sync::mpsc::channel::<std::rc::Rc<()>>().0);
/// ```
pub struct Sender<T> {
    sending: Sending<T>,
}

/// The sending end of a [`sync_channel`]. Each clone is another sender.
///
/// It is `Send` and `Sync` if the values are `Send`:
///
/// ```compile_fail,E0277
/// fn is_sync<T: Sync>(_: T) {}
/// is_sync(corovent_runtime::sync::mpsc::sync_channel::<std::rc::Rc<()>>(1).0);
/// ```
pub struct SyncSender<T> {
    sending: Sending<T>,
}

/// The receiving end of a channel.
///
/// Dropping it drops what the channel holds, and gives those who wait to send their values
/// back. It can move to another thread if the values can; it is used by one thread at a time:
///
/// ```compile_fail,E0277
/// fn is_sync<T: Sync>(_: T) {}
/// is_sync(corovent_runtime::sync::mpsc::channel::<u8>().1);
/// ```
///
/// Several coroutines of that thread may share it. Each value goes to one of them, and among
/// those that wait to the one that has waited longest.
pub struct Receiver<T> {
    receiving: Receiving<T>,
}

/// Iterates over the values of a channel, waiting for each; made by [`Receiver::iter`].
// The names of the fields show in the debug output, as std's do.
#[derive(Debug)]
pub struct Iter<'a, T> {
    rx: &'a Receiver<T>,
}

/// Iterates over the values that a channel holds; made by [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    rx: &'a Receiver<T>,
}

/// Iterates over the values of a channel that it owns, waiting for each.
#[derive(Debug)]
pub struct IntoIter<T> {
    rx: Receiver<T>,
}

impl<T> Sender<T> {
    /// Puts a value into the channel.
    ///
    /// # Suspends
    ///
    /// Only to let the others run after many operations in a row, before the value is put in.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone. That it is there now does not say that the value
    /// will be received.
    ///
    /// # Cancellation
    ///
    /// The value was not sent, and is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::sync::mpsc::{SendError, channel};
    ///
    /// let (sender, receiver) = channel();
    /// sender.send(1)?;
    /// assert_eq!(receiver.recv(), Ok(1));
    /// drop(receiver);
    /// assert_eq!(sender.send(2), Err(SendError(2)));
    /// # Ok::<(), SendError<i32>>(())
    /// ```
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.sending.send(value).map_err(SendError)
    }
}

impl<T> SyncSender<T> {
    /// Puts a value into the channel, waiting for room.
    ///
    /// Those who wait are served in the order in which they came.
    ///
    /// # Suspends
    ///
    /// Until there is room; if the bound is 0, until the value is received: by a call that
    /// waits already, or by the next one. After many operations in a row the others run first.
    /// A thread without a hub is stopped.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone, or goes meanwhile.
    ///
    /// # Cancellation
    ///
    /// The value was not sent, and is dropped. A value that the receiver has taken, or that
    /// got room, before the kill or the timeout was seen is sent: the call returns, and the
    /// kill or the timeout comes at the next wait.
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.sending.send(value).map_err(SendError)
    }

    /// Puts a value into the channel if that needs no wait.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `Full` if there is no room; if the bound is 0, if no receiver waits.
    /// - `Disconnected` if the receiver is gone.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.sending.offer(value) {
            Offered::Sent => Ok(()),
            Offered::Full(value) => Err(TrySendError::Full(value)),
            Offered::Gone(value) => Err(TrySendError::Disconnected(value)),
        }
    }
}

impl<T> Receiver<T> {
    /// Takes the next value, waiting for one.
    ///
    /// # Suspends
    ///
    /// Until there is a value, or the last sender is gone. After many operations in a row the
    /// others run first. A thread without a hub is stopped.
    ///
    /// # Errors
    ///
    /// If the channel is empty and no sender is left.
    ///
    /// # Cancellation
    ///
    /// No value is lost: what came meanwhile is in the channel, for the next call.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::spawn;
    /// use corovent_runtime::sync::mpsc::{RecvError, sync_channel};
    ///
    /// let (sender, receiver) = sync_channel(0);
    /// spawn(move || sender.send("here").unwrap());
    /// assert_eq!(receiver.recv(), Ok("here"));
    /// assert_eq!(receiver.recv(), Err(RecvError));
    /// ```
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receiving.receive().map_err(|_| RecvError)
    }

    /// Takes the next value if there is one.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Errors
    ///
    /// - `Empty` if there is none now.
    /// - `Disconnected` if there is none and no sender is left.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.receiving.try_receive().map_err(|missing| match missing {
            Missing::Late => TryRecvError::Empty,
            Missing::Ended => TryRecvError::Disconnected,
        })
    }

    /// Takes the next value, waiting for one so long.
    ///
    /// # Suspends
    ///
    /// Until there is a value, the last sender is gone, or the time is up, and never for less.
    /// After many operations in a row the others run first. A thread without a hub is stopped.
    ///
    /// # Errors
    ///
    /// - `Timeout` if no value came in time.
    /// - `Disconnected` if the channel is empty and no sender is left.
    ///
    /// # Cancellation
    ///
    /// No value is lost: what came meanwhile is in the channel, for the next call.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::sync::mpsc::{RecvTimeoutError, channel};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = channel();
    /// let short = Duration::from_millis(1);
    /// assert_eq!(receiver.recv_timeout(short), Err(RecvTimeoutError::Timeout));
    /// sender.send(1)?;
    /// assert_eq!(receiver.recv_timeout(short), Ok(1));
    /// # Ok::<(), corovent_runtime::sync::mpsc::SendError<i32>>(())
    /// ```
    #[inline(always)]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receiving.receive_timeout(timeout).map_err(|missing| match missing {
            Missing::Late => RecvTimeoutError::Timeout,
            Missing::Ended => RecvTimeoutError::Disconnected,
        })
    }

    /// Iterates over the values, waiting for each, until no sender is left.
    ///
    /// # Suspends
    ///
    /// Never itself; each step does what [`recv`](Receiver::recv) does.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { rx: self }
    }

    /// Iterates over the values that are there, until there is none.
    ///
    /// # Suspends
    ///
    /// Never, and neither does a step.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { rx: self }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender { sending: self.sending.clone() }
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> SyncSender<T> {
        SyncSender { sending: self.sending.clone() }
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { rx: self }
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.rx.recv().ok()
    }
}

impl<T> Selectable for Receiver<T> {}

impl<T> Takeable for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn try_take(&self) -> Option<Result<T, RecvError>> {
        match self.try_recv() {
            Ok(value) => Some(Ok(value)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }
}

waits_as!([T] Receiver<T>, this => this.receiving);

// As in std, whatever the values are: a panic leaves no channel in an odd state.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for SyncSender<T> {}
impl<T> RefUnwindSafe for SyncSender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
