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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    macro_rules! site {
        ($type:ty) => {{
            std::thread_local!(static OWN: $type = unreachable!("no thread is asked"));
            static SITE: Site<$type> = Site::new(|| unreachable!("nothing is made here"), OWN);
            &SITE
        }};
    }

    /// Notes its name when it is dropped.
    struct Noted(&'static str, Rc<RefCell<Vec<&'static str>>>);

    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    fn value_of<T: Copy>(storage: &Storage, site: &'static Site<T>) -> Option<T> {
        match storage.find(site) {
            Found::Alive(value) => Some(*value),
            Found::Absent => None,
            Found::Destroyed => unreachable!("it has no destructor"),
        }
    }

    #[test]
    fn values_are_found_by_their_sites() {
        let (number, text) = (site!(u64), site!(&'static str));
        let (one, other) = (Storage::default(), Storage::default());
        assert!(one.insert(number, 1).is_ok_and(|(value, old)| *value == 1 && old.is_none()));
        assert!(one.insert(text, "one").is_ok());
        // In the other order, so that the places differ.
        assert!(other.insert(text, "other").is_ok());
        assert!(value_of(&other, number).is_none());
        assert!(other.insert(number, 2).is_ok());
        for _ in 0..2 {
            assert_eq!((value_of(&one, number), value_of(&one, text)), (Some(1), Some("one")));
            assert_eq!(
                (value_of(&other, number), value_of(&other, text)),
                (Some(2), Some("other"))
            );
        }
    }

    #[test]
    fn the_newest_goes_first_and_does_not_come_back() {
        let notes = Rc::default();
        let noted = |name| Noted(name, Rc::clone(&notes));
        let (first, plain, second) = (site!(Noted), site!(u8), site!(Noted));
        let storage = Storage::default();
        assert!(storage.insert(first, noted("first")).is_ok());
        assert!(storage.insert(second, noted("second")).is_ok());
        assert!(storage.insert(plain, 3).is_ok());
        drop(storage.take_newest());
        assert!(matches!(storage.find(second), Found::Destroyed));
        assert!(storage.insert(second, noted("refused")).is_err());
        let late = site!(Noted);
        assert!(storage.insert(late, noted("late")).is_ok());
        while let Some(remains) = storage.take_newest() {
            drop(remains);
        }
        assert_eq!(*notes.borrow(), ["second", "refused", "late", "first"]);
        assert_eq!(value_of(&storage, plain), Some(3));
    }

    #[test]
    fn what_is_replaced_is_handed_out() {
        let notes = Rc::default();
        let site = site!(Noted);
        let storage = Storage::default();
        let inner = storage.insert(site, Noted("inner", Rc::clone(&notes)));
        assert!(inner.is_ok());
        drop(inner);
        let Ok((outer, replaced)) = storage.insert(site, Noted("outer", Rc::clone(&notes))) else {
            unreachable!("nothing was destroyed");
        };
        drop(replaced);
        assert_eq!((outer.0, notes.borrow().len()), ("outer", 1));
        drop(outer);
        drop(storage.take_newest());
        assert_eq!(*notes.borrow(), ["inner", "outer"]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "it leaks on purpose")]
    fn a_value_in_use_is_leaked() {
        let notes = Rc::default();
        let site = site!(Noted);
        let storage = Storage::default();
        let in_use = storage.insert(site, Noted("kept", Rc::clone(&notes)));
        drop(storage.take_newest());
        drop(storage);
        assert!(in_use.is_ok_and(|(value, _)| value.0 == "kept"));
        assert!(notes.borrow().is_empty());
    }
}
