//! Many coroutines as one: groups and pools of them, closures mapped over an input, and
//! waiting for several.
//!
//! A [`Group`] knows who of its members has not ended. A [`Pool`] is a group with a limit.
//! [`map`], [`imap`] and [`imap_unordered`] call a closure for each item of an input, many at
//! once. The other functions wait for handles, or kill by them, and take handles of other
//! threads' coroutines as well.
//!
//! Groups, pools and the iterators over them belong to one thread, like the coroutines that
//! they spawn.

mod completed;
mod completions;
mod handles;
mod imap;
mod map;
mod members;
mod pool;

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::error::Killed;
use crate::group::members::Members;
use crate::hub::identity::Thread;
use crate::join::JoinHandle;
use crate::sys::clock::Deadline;
use crate::task::rethrow;
use crate::task::spawn;

pub use crate::group::completed::AsCompleted;
pub use crate::group::completed::as_completed;
pub use crate::group::completed::wait_any;
pub use crate::group::completed::wait_any_timeout;
pub use crate::group::completed::wait_count;
pub use crate::group::completed::wait_count_timeout;
pub use crate::group::handles::Joinable;
pub use crate::group::handles::Survivors;
pub use crate::group::handles::join_all;
pub use crate::group::handles::join_all_timeout;
pub use crate::group::handles::kill_all;
pub use crate::group::handles::kill_all_timeout;
pub use crate::group::handles::try_join_all;
pub use crate::group::imap::Imap;
pub use crate::group::imap::ImapUnordered;
pub use crate::group::imap::imap;
pub use crate::group::imap::imap_unordered;
pub use crate::group::map::map;
pub use crate::group::pool::Full;
pub use crate::group::pool::Place;
pub use crate::group::pool::Pool;
pub use crate::group::pool::take_place;

/// Coroutines that are waited for and killed together.
///
/// A member leaves when it has ended. Its result is with its handle, as ever; the group only
/// knows who is there. A clone is the same group, so members can spawn into it. Dropping the
/// last one detaches the members, as dropping a handle does.
///
/// It belongs to its thread:
///
/// ```compile_fail
/// fn is_send<T: Send>(_: T) {}
/// is_send(corovent_runtime::group::Group::new());
/// ```
///
/// # Examples
///
/// ```
/// use corovent_runtime::group::Group;
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// let (group, sum) = (Group::new(), Rc::new(Cell::new(0)));
/// for n in 1..=4 {
///     let sum = Rc::clone(&sum);
///     group.spawn(move || sum.set(sum.get() + n));
/// }
/// group.join();
/// assert_eq!(sum.get(), 10);
/// ```
#[derive(Clone)]
pub struct Group {
    members: Rc<Members>,
}

impl Group {
    /// Makes a group without members.
    #[must_use]
    pub fn new() -> Group {
        Group { members: Members::new(0) }
    }

    /// Starts a coroutine as a member; see [`spawn`](crate::task::spawn()).
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If there is no room for the stack.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let handle = spawn(f);
        self.members.enter(handle.side.head());
        handle
    }

    /// Makes a coroutine a member, unless it is one or has ended. A coroutine may be in several
    /// groups.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Panics
    ///
    /// If the coroutine is one of another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::group::Group;
    /// use corovent_runtime::spawn;
    ///
    /// let (group, task) = (Group::new(), spawn(|| 1));
    /// group.add(&task);
    /// assert!(group.contains(&task));
    /// group.join();
    /// assert_eq!(task.join().unwrap(), 1);
    /// ```
    pub fn add<T>(&self, handle: &JoinHandle<T>) {
        self.members.enter(handle.side.head());
    }

    /// Lets a coroutine leave before it has ended. False if it was no member.
    ///
    /// # Suspends
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = corovent_runtime::group::Group::new();
    /// let task = group.spawn(|| 1);
    /// assert!(group.discard(&task) && group.is_empty());
    /// assert_eq!(task.join().unwrap(), 1);
    /// ```
    pub fn discard<T>(&self, handle: &JoinHandle<T>) -> bool {
        let head = handle.side.head();
        // A link that is left over finds no member.
        drop(head.remove_link(self.members.address()));
        self.members.leave(head.id)
    }

    /// Whether a coroutine is a member: not after it has ended.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn contains<T>(&self, handle: &JoinHandle<T>) -> bool {
        self.members.has(handle.side.head())
    }

    /// How many members there are.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the handles that name and unpark the members, in the order of their numbers.
    ///
    /// # Suspends
    ///
    /// Never.
    #[must_use]
    pub fn threads(&self) -> Vec<Thread> {
        self.members.threads()
    }

    /// Waits until the group has no member, if only for a moment.
    ///
    /// # Suspends
    ///
    /// Until the last member has left.
    ///
    /// # Panics
    ///
    /// In a member of the group: it would wait for itself.
    ///
    /// # Cancellation
    ///
    /// The members go on.
    pub fn join(&self) {
        self.members.join(Deadline::NEVER);
    }

    /// Waits until the group has no member, but not longer than `timeout`. False if the time
    /// was up first.
    ///
    /// # Suspends
    ///
    /// Until the last member has left, or the time is up.
    ///
    /// # Panics
    ///
    /// In a member of the group.
    ///
    /// # Cancellation
    ///
    /// The members go on.
    #[must_use]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.members.join(Deadline::after(timeout))
    }

    /// Waits until a member leaves, whichever it is. False if there is none.
    ///
    /// Who has left before the call does not count. For results use
    /// [`as_completed`].
    ///
    /// # Suspends
    ///
    /// Until a member has left, or there is none.
    ///
    /// # Cancellation
    ///
    /// The members go on.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = corovent_runtime::group::Group::new();
    /// group.spawn(|| ());
    /// assert!(group.join_next());
    /// assert!(!group.join_next());
    /// ```
    pub fn join_next(&self) -> bool {
        self.members.join_next()
    }

    /// Asks all members to end; see [`JoinHandle::kill`]. All are marked before any runs.
    /// Gives the number of those who will get to see it.
    ///
    /// # Suspends
    ///
    /// Never.
    pub fn kill(&self) -> usize {
        self.members.kill()
    }

    /// Asks all members to end, and those that come meanwhile, and waits until there is none.
    ///
    /// # Suspends
    ///
    /// Until the last member has left, or all that are left have ignored the kill, or the time
    /// is up.
    ///
    /// # Errors
    ///
    /// [`Survivors`]: the members that are left.
    ///
    /// # Cancellation
    ///
    /// The kills stay in force.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::group::Group;
    /// use corovent_runtime::thread::park;
    /// use std::time::Duration;
    ///
    /// let group = Group::new();
    /// for _ in 0..3 {
    ///     let again = group.clone();
    ///     group.spawn(move || {
    ///         again.spawn(park);
    ///         park();
    ///     });
    /// }
    /// group.kill_timeout(Duration::from_secs(9)).unwrap();
    /// assert!(group.is_empty());
    /// ```
    pub fn kill_timeout(&self, timeout: Duration) -> Result<(), Survivors> {
        self.members.kill_timeout(timeout)
    }
}

impl Default for Group {
    fn default() -> Group {
        Group::new()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Goes on with what a coroutine ended with that has worked for the caller. Nobody has killed
/// the caller, so it is not thrown a kill.
#[cold]
#[track_caller]
fn throw(payload: Box<dyn Any + Send>) -> ! {
    if payload.is::<Killed>() {
        panic!("the coroutine that did the work was killed");
    }
    rethrow(payload)
}
