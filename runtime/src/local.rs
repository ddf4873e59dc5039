//! Coroutine-locals: a value for each coroutine, as `thread_local!` has one for each thread.
//!
//! The values of a coroutine are in its `Storage`; on a thread's own stack a key stands for
//! a `std::thread_local!` that the macro declares beside it. References that callers get are
//! counted, so a value outlives them, whoever switches stacks meanwhile.

use std::cell::Cell;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;

use crate::hub;
use crate::storage::Found;
use crate::storage::InUse;
use crate::storage::Storage;

#[doc(hidden)]
pub use crate::storage::Site;

/// Declares coroutine-locals: each coroutine has a value of its own, and so has each OS
/// thread, for the code on its own stack. The mirror of [`std::thread_local!`].
///
/// The syntax is std's: any number of declarations, with attributes and visibility, each with
/// an initialiser that runs at the first access, or with a `const { … }` one. The names are
/// [`LocalKey`](crate::local::LocalKey)s.
///
/// Nothing of a coroutine's values is shared with others, so an initialiser may wait; and so
/// may the closure of [`with`](crate::local::LocalKey::with). A `thread_local!` of std is
/// shared by all coroutines of the thread.
///
/// # Examples
///
/// ```
/// use corovent_runtime::{coroutine_local, spawn, yield_now};
/// use std::cell::{Cell, RefCell};
///
/// coroutine_local! {
///     static REQUEST: Cell<u32> = const { Cell::new(0) };
///     static STEPS: RefCell<Vec<String>> = RefCell::new(vec!["begin".to_owned()]);
/// }
///
/// let handle = |request| {
///     REQUEST.set(request);
///     yield_now();
///     STEPS.with_borrow_mut(|steps| steps.push(format!("answer {}", REQUEST.get())));
///     STEPS.take()
/// };
/// let first = spawn(move || handle(1));
/// let second = spawn(move || handle(2));
/// assert_eq!(first.join().unwrap(), ["begin", "answer 1"]);
/// assert_eq!(second.join().unwrap(), ["begin", "answer 2"]);
/// assert_eq!(REQUEST.get(), 0);
/// ```
///
/// It expands to safe code:
///
/// ```
/// #![forbid(unsafe_code)]
///
/// corovent_runtime::coroutine_local! {
///     pub static LAZY: String = String::new();
///     static CONST: Vec<u8> = const { Vec::new() };
/// }
///
/// LAZY.with(|text| CONST.with(|list| assert_eq!(text.len(), list.len())));
/// ```
///
/// What a closure is given stays inside:
///
/// ```compile_fail
/// corovent_runtime::coroutine_local!(static NAME: String = String::new());
///
/// let name: &str = NAME.with(|name| name.as_str());
/// ```
#[macro_export]
macro_rules! coroutine_local {
    () => {};
    (@key $type:ty, const $value:block) => {{
        const __COROVENT_VALUE: $type = $value;
        ::std::thread_local! {
            static __COROVENT_OWN: $type = const { __COROVENT_VALUE };
        }
        static __COROVENT_SITE: $crate::local::Site<$type> =
            $crate::local::Site::new(|| __COROVENT_VALUE, __COROVENT_OWN);
        $crate::local::LocalKey::new(|| &__COROVENT_SITE)
    }};
    (@key $type:ty, $value:expr) => {{
        fn __corovent_initialise() -> $type {
            $value
        }
        ::std::thread_local! {
            static __COROVENT_OWN: $type = __corovent_initialise();
        }
        static __COROVENT_SITE: $crate::local::Site<$type> =
            $crate::local::Site::new(__corovent_initialise, __COROVENT_OWN);
        $crate::local::LocalKey::new(|| &__COROVENT_SITE)
    }};
    (
        $(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const $value:block
        $(; $($rest:tt)*)?
    ) => {
        $(#[$attribute])* $visibility const $name: $crate::local::LocalKey<$type> =
            $crate::coroutine_local!(@key $type, const $value);
        $($crate::coroutine_local! { $($rest)* })?
    };
    (
        $(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $value:expr
        $(; $($rest:tt)*)?
    ) => {
        $(#[$attribute])* $visibility const $name: $crate::local::LocalKey<$type> =
            $crate::coroutine_local!(@key $type, $value);
        $($crate::coroutine_local! { $($rest)* })?
    };
}

/// Names a value that each coroutine has for itself: the mirror of [`std::thread::LocalKey`].
/// [`coroutine_local!`](crate::coroutine_local) declares it.
///
/// # The life of a value
///
/// It is made at the first access in its coroutine. If the initialiser panics, or is ended by
/// a kill, nothing is kept, and the next access tries again. If the initialiser comes to its
/// own key, the value made last is kept, as in std. The address of a value does not change.
///
/// When the coroutine has ended, normally or not, its values are destroyed on its own stack,
/// in the reverse of the order in which they were made; who joins it comes after that. The
/// destructors may wait, and may access other keys: what they make is destroyed as well. A
/// key whose value is destroyed has no other in that coroutine. Kills and timeouts from
/// outside are held off meanwhile, as inside of a [`shield`](crate::task::shield). A
/// destructor that panics, for which std aborts the process, is reported like a panic of the
/// coroutine that nobody joins, and the others go on.
///
/// Values are not destroyed if their coroutine never ends, or is left as it is at the end of
/// its thread.
///
/// # On a thread's own stack
///
/// There, and on threads without a hub, a key stands for a `std::thread_local!` with the same
/// initialiser.
pub struct LocalKey<T: 'static> {
    // A function, since a constant cannot refer to a static that is written to.
    site: fn() -> &'static Site<T>,
}

/// The value of a [`LocalKey`] was accessed while it was being destroyed, or after.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError;

/// What a key stands for where the code runs.
enum Place<T: 'static> {
    /// A thread's own stack.
    Thread,
    /// A coroutine.
    Coroutine(Found<T>),
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(site: fn() -> &'static Site<T>) -> LocalKey<T> {
        LocalKey { site }
    }

    /// Calls `f` with the value, made now if this is the first access.
    ///
    /// # Suspends
    ///
    /// Only if `f` or the initialiser does. The value stays where it is meanwhile.
    ///
    /// # Panics
    ///
    /// If the value is being destroyed, or is destroyed already; as `f` and the initialiser
    /// do.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout that ends the initialiser leaves no value.
    #[inline]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.try_with(f) {
            Ok(value) => value,
            Err(error) => no_access(error),
        }
    }

    /// Calls `f` with the value, made now if this is the first access; an error if it is
    /// destroyed.
    ///
    /// # Suspends
    ///
    /// Only if `f` or the initialiser does. The value stays where it is meanwhile.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the value is being destroyed, or is destroyed already.
    ///
    /// # Panics
    ///
    /// As `f` and the initialiser do.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout that ends the initialiser leaves no value.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::coroutine_local;
    ///
    /// coroutine_local!(static NAME: String = "nobody".to_owned());
    ///
    /// assert_eq!(NAME.try_with(|name| name.len()), Ok(6));
    /// ```
    #[inline]
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        let site = (self.site)();
        let value = match place(site) {
            Place::Coroutine(Found::Alive(value)) => value,
            Place::Coroutine(Found::Absent) => initialize(site)?,
            Place::Coroutine(Found::Destroyed) => return Err(AccessError),
            Place::Thread => return site.own.try_with(f).map_err(|_| AccessError),
        };
        Ok(f(&value))
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value. If there is none yet, the initialiser is not called.
    ///
    /// # Panics
    ///
    /// If the value is being destroyed, or is destroyed already.
    ///
    /// # Examples
    ///
    /// ```
    /// use corovent_runtime::coroutine_local;
    /// use std::cell::Cell;
    ///
    /// coroutine_local!(static LIMIT: Cell<u32> = panic!("set it first"));
    ///
    /// LIMIT.set(3);
    /// assert_eq!(LIMIT.get(), 3);
    /// ```
    #[inline]
    pub fn set(&'static self, value: T) {
        let site = (self.site)();
        match place(site) {
            Place::Coroutine(Found::Alive(cell)) => cell.set(value),
            Place::Coroutine(Found::Absent) => provide(site, Cell::new(value)),
            Place::Coroutine(Found::Destroyed) => no_access(AccessError),
            Place::Thread => site.own.set(value),
        }
    }

    /// Gives a copy of the value, made now if this is the first access.
    ///
    /// # Panics
    ///
    /// If the value is being destroyed, or is destroyed already.
    #[inline]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// If the value is being destroyed, or is destroyed already.
    #[inline]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Puts a value in and gives the old one, made now if this is the first access.
    ///
    /// # Panics
    ///
    /// If the value is being destroyed, or is destroyed already.
    #[inline]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the value borrowed, made now if this is the first access.
    ///
    /// # Suspends
    ///
    /// Only if `f` or the initialiser does. The value stays borrowed meanwhile, in this
    /// coroutine.
    ///
    /// # Panics
    ///
    /// If the value is borrowed mutably, is being destroyed, or is destroyed already.
    #[inline]
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the value mutably borrowed, made now if this is the first access.
    ///
    /// # Suspends
    ///
    /// Only if `f` or the initialiser does. The value stays borrowed meanwhile, in this
    /// coroutine.
    ///
    /// # Panics
    ///
    /// If the value is borrowed, is being destroyed, or is destroyed already.
    #[inline]
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value. If there is none yet, the initialiser is not called.
    ///
    /// # Panics
    ///
    /// If the value is borrowed, is being destroyed, or is destroyed already.
    #[inline]
    pub fn set(&'static self, value: T) {
        let site = (self.site)();
        match place(site) {
            Place::Coroutine(Found::Alive(cell)) => *cell.borrow_mut() = value,
            Place::Coroutine(Found::Absent) => provide(site, RefCell::new(value)),
            Place::Coroutine(Found::Destroyed) => no_access(AccessError),
            Place::Thread => site.own.set(value),
        }
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// If the value is borrowed, is being destroyed, or is destroyed already.
    #[inline]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Puts a value in and gives the old one, made now if this is the first access.
    ///
    /// # Panics
    ///
    /// If the value is borrowed, is being destroyed, or is destroyed already.
    #[inline]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

/// Looks for the value of a site.
#[inline]
fn place<T>(site: &'static Site<T>) -> Place<T> {
    hub::with_locals(|locals| match locals {
        Some(locals) => {
            Place::Coroutine(locals.get().map_or(Found::Absent, |storage| storage.find(site)))
        }
        None => Place::Thread,
    })
}

/// Makes the value of a site.
#[cold]
#[inline(never)]
fn initialize<T>(site: &'static Site<T>) -> Result<InUse<T>, AccessError> {
    store(site, (site.initialise)())
}

/// Stores the value of a site that has none.
#[cold]
#[inline(never)]
fn provide<T>(site: &'static Site<T>, value: T) {
    if let Err(error) = store(site, value) {
        no_access(error);
    }
}

fn store<T>(site: &'static Site<T>, value: T) -> Result<InUse<T>, AccessError> {
    // The initialiser may have waited, so the place is looked up again.
    if matches!(place(site), Place::Thread) {
        panic!("an initialiser was left by a switch which the hub knows not of");
    }
    let stored = hub::with_locals(|locals| {
        let locals = locals.expect("the code is still that of a coroutine");
        if locals.get().is_none() {
            // Made first: the allocator may be the user's, and have locals.
            let _ = locals.set(Box::<Storage>::default());
        }
        locals.get().expect("it was just set").insert(site, value)
    });
    // What is dropped may run code of the user's, so it is dropped out here.
    let (value, replaced) = stored.map_err(|_destroyed| AccessError)?;
    drop(replaced);
    Ok(value)
}

#[cold]
#[inline(never)]
#[track_caller]
fn no_access(error: AccessError) -> ! {
    panic!("cannot access a Thread Local Storage value during or after destruction: {error:?}")
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt("already destroyed", f)
    }
}

impl Error for AccessError {}
