//! The atomics of the model checker, under the runtime's names.
//!
//! The checker takes an access that is `SeqCst` for one that is `AcqRel`; only of fences does it
//! know that they have one order. So an access gets fences around it here, as compilers make it
//! on machines without such an access: that is all that a program may rely on, and a little more,
//! since a fence orders the accesses beside it as well.

pub(crate) use loom::sync::atomic::Ordering;

/// A fence, unless a control has weakened it to none.
pub(crate) fn fence(ordering: Ordering) {
    if ordering != Ordering::Relaxed {
        loom::sync::atomic::fence(ordering);
    }
}

fn total(ordering: Ordering) {
    if ordering == Ordering::SeqCst {
        fence(ordering);
    }
}

macro_rules! atomic {
    ($name:ident $(<$t:ident>)?, $value:ty) => {
        /// The checker's, with fences where an access is `SeqCst`.
        pub(crate) struct $name $(<$t>)? (loom::sync::atomic::$name $(<$t>)?);

        impl $(<$t>)? std::fmt::Debug for $name $(<$t>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl $(<$t>)? $name $(<$t>)? {
            pub(crate) fn new(value: $value) -> Self {
                $name(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                total(order);
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, order);
                total(order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                around(order, || self.0.swap(value, order))
            }

            pub(crate) fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                order: Ordering,
                failed: Ordering,
            ) -> Result<$value, $value> {
                around(order, || self.0.compare_exchange(old, new, order, failed))
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                old: $value,
                new: $value,
                order: Ordering,
                failed: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(old, new, order, failed)
            }

            pub(crate) fn fetch_update(
                &self,
                order: Ordering,
                failed: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut old = self.load(failed);
                while let Some(new) = update(old) {
                    match self.compare_exchange(old, new, order, failed) {
                        Ok(_) => return Ok(old),
                        Err(now) => old = now,
                    }
                }
                Err(old)
            }
        }
    };
}

macro_rules! arithmetic {
    ($name:ident, $value:ty: $($method:ident)*) => {
        impl $name {
            $(pub(crate) fn $method(&self, value: $value, order: Ordering) -> $value {
                around(order, || self.0.$method(value, order))
            })*
        }
    };
}

fn around<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
    total(order);
    let result = access();
    total(order);
    result
}

atomic!(AtomicBool, bool);
atomic!(AtomicPtr<T>, *mut T);
atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
arithmetic!(AtomicU32, u32: fetch_add fetch_sub fetch_and fetch_or);
arithmetic!(AtomicU64, u64: fetch_add);
arithmetic!(AtomicUsize, usize: fetch_add fetch_sub fetch_and);
