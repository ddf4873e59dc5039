//! The atomics of every file that threads share.
//!
//! They come from one module so that a model checker's can take their place: `tests/loom`
//! compiles those files against one of its own.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
