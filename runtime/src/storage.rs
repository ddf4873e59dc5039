//! Where a coroutine keeps the values of its coroutine-locals.
//!
//! It finds, adds and hands out for destruction; it runs no initialiser and no destructor.
//! A value lies in a box of its own, so that its address stays while others are added, and
//! counts who refers to it. The count matters where another crate switches stacks: its code
//! can hold a reference, stand still, and go on when the coroutine is gone. Such a value is
//! leaked.
//!
//! **Invariants:** the values of a site are all of the site's type. No reference into the
//! list is alive while code of the user's runs.

// Values of all types are in one list, and are used by pointers into their boxes.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::mem::needs_drop;
use std::ops::Deref;
use std::ptr::NonNull;
// A model checker's atomics cannot be in a static, and this one only guesses.
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;

/// One declaration of `coroutine_local!`: its address is the name of its values.
pub struct Site<T: 'static> {
    /// Makes the value of a coroutine.
    pub(crate) initialise: fn() -> T,
    /// The values of threads' own stacks.
    pub(crate) own: thread::LocalKey<T>,
    /// Where in the list the value was found last, in whichever coroutine. Those that run
    /// the same code add their values in the same order.
    hint: AtomicU32,
}

/// The values of one coroutine, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Storage {
    entries: Cell<Vec<Entry>>,
    /// From this entry on no value is left that has a destructor.
    undropped: Cell<usize>,
}

struct Entry {
    /// The address of the site.
    site: *const (),
    /// `None` once the value is handed out for destruction; there is no other then.
    value: Cell<Option<NonNull<dyn Erased>>>,
}

/// A value with its count.
struct Counted<T> {
    /// How many [`InUse`] refer to it.
    users: Cell<usize>,
    value: T,
}

/// What is known of a value without its type.
trait Erased {
    fn users(&self) -> usize;
    fn has_destructor(&self) -> bool;
}

/// What a coroutine has for a site.
pub(crate) enum Found<T> {
    /// No value yet.
    Absent,
    Alive(InUse<T>),
    /// No value any more.
    Destroyed,
}

/// Refers to a value, which is not destroyed meanwhile.
pub(crate) struct InUse<T> {
    value: NonNull<Counted<T>>,
}

/// A value that is out of the list. Dropping it runs its destructor, unless somebody still
/// refers to it.
pub(crate) struct Remains {
    value: NonNull<dyn Erased>,
}

impl<T: 'static> Site<T> {
    /// Makes a site. For the macro `coroutine_local!` only.
    pub const fn new(initialise: fn() -> T, own: thread::LocalKey<T>) -> Site<T> {
        Site { initialise, own, hint: AtomicU32::new(0) }
    }

    fn name(&'static self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

impl Storage {
    /// Looks for the value of a site.
    #[inline]
    pub(crate) fn find<T>(&self, site: &'static Site<T>) -> Found<T> {
        let position = site.hint.load(Ordering::Relaxed) as usize;
        let value = match self.entries().get(position) {
            Some(entry) if entry.site == site.name() => entry.value.get(),
            _ => match self.search(site) {
                Some(entry) => entry.value.get(),
                None => return Found::Absent,
            },
        };
        match value {
            // SAFETY: the list is this coroutine's, and the value was found by its site.
            Some(value) => Found::Alive(unsafe { InUse::new(value.cast()) }),
            None => Found::Destroyed,
        }
    }

    /// Adds the value of a site, and gives what it replaces: an initialiser may have come to
    /// its own site. An error gives the value back, since the site's is destroyed already.
    pub(crate) fn insert<T>(
        &self,
        site: &'static Site<T>,
        value: T,
    ) -> Result<(InUse<T>, Option<Remains>), Remains> {
        // The allocator may be the user's, so nothing is borrowed meanwhile.
        let value = Counted::boxed(value);
        let replaced = match self.search(site) {
            Some(entry) => {
                let Some(old) = entry.value.get() else { return Err(Remains { value }) };
                entry.value.set(Some(value));
                Some(Remains { value: old })
            }
            None => {
                self.append(site, value);
                None
            }
        };
        // SAFETY: the box was just made for a value of this type, and is in the list.
        Ok((unsafe { InUse::new(value.cast()) }, replaced))
    }

    fn append<T>(&self, site: &'static Site<T>, value: NonNull<dyn Erased>) {
        // Taken meanwhile, for the same reason.
        let mut entries = self.entries.take();
        site.hint.store(entries.len() as u32, Ordering::Relaxed);
        entries.push(Entry { site: site.name(), value: Cell::new(Some(value)) });
        if needs_drop::<T>() {
            self.undropped.set(entries.len());
        }
        self.entries.set(entries);
    }

    /// Takes the newest value that has a destructor.
    pub(crate) fn take_newest(&self) -> Option<Remains> {
        while let Some(position) = self.undropped.get().checked_sub(1) {
            self.undropped.set(position);
            let Some(entry) = self.entries().get(position) else { continue };
            let Some(value) = entry.value.get() else { continue };
            // SAFETY: what is in the list was not handed out, so it is there.
            if unsafe { value.as_ref() }.has_destructor() {
                entry.value.set(None);
                return Some(Remains { value });
            }
        }
        None
    }

    /// Looks through the whole list.
    #[cold]
    fn search<T>(&self, site: &'static Site<T>) -> Option<&Entry> {
        let position = self.entries().iter().position(|entry| entry.site == site.name())?;
        site.hint.store(position as u32, Ordering::Relaxed);
        self.entries().get(position)
    }

    /// The list, for code that calls nothing of the user's while it looks.
    #[inline]
    fn entries(&self) -> &[Entry] {
        // SAFETY: only `append` changes the list, and no reference into it is alive across a
        // call of that, nor across an allocation or code of the user's, which lead there.
        unsafe { &*self.entries.as_ptr() }
    }
}

impl Drop for Storage {
    /// Frees the values without a destructor, which were kept until now. Others are leaked:
    /// here nobody may run them.
    fn drop(&mut self) {
        for entry in self.entries.take() {
            let Some(value) = entry.value.get() else { continue };
            // SAFETY: what is in the list was not handed out, so it is there.
            if !unsafe { value.as_ref() }.has_destructor() {
                drop(Remains { value });
            }
        }
    }
}

impl<T: 'static> Counted<T> {
    /// Puts a value into a box.
    fn boxed(value: T) -> NonNull<dyn Erased> {
        NonNull::from(Box::leak(Box::new(Counted { users: Cell::new(0), value })))
    }
}

impl<T> Erased for Counted<T> {
    fn users(&self) -> usize {
        self.users.get()
    }

    fn has_destructor(&self) -> bool {
        needs_drop::<T>()
    }
}

impl<T> InUse<T> {
    /// Counts one who refers to a value.
    ///
    /// # Safety
    ///
    /// The value must be in a list, and of this type.
    #[inline]
    unsafe fn new(value: NonNull<Counted<T>>) -> InUse<T> {
        let in_use = InUse { value };
        let users = &in_use.counted().users;
        users.set(users.get() + 1);
        in_use
    }

    #[inline]
    fn counted(&self) -> &Counted<T> {
        // SAFETY: the value was in its list when this was made, and is not freed while it
        // counts somebody who refers to it.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Deref for InUse<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for InUse<T> {
    #[inline]
    fn drop(&mut self) {
        let users = &self.counted().users;
        users.set(users.get() - 1);
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        // SAFETY: the value came out of its list and is freed below, if at all.
        if unsafe { self.value.as_ref() }.users() > 0 {
            return;
        }
        // SAFETY: the value was boxed, nobody refers to it, and nobody can find it.
        drop(unsafe { Box::from_raw(self.value.as_ptr()) });
    }
}

impl<T> fmt::Debug for Site<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("values", &self.entries().len()).finish_non_exhaustive()
    }
}
