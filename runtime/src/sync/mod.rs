//! The mirror of [`std::sync`]: locks and channels for coroutines, and for threads without any.
//!
//! Each works between the coroutines of one thread, between threads that have coroutines, and
//! with threads that have none, in every combination. A coroutine that waits lets the others
//! of its thread run; a thread without a hub is stopped, and gets none. Taking a lock that is
//! free, and giving it back, never lets others run.

mod async_result;
mod barrier;
mod condvar;
mod event;
mod lazy_lock;
mod line;
pub mod mpsc;
mod mutex;
mod once;
mod once_lock;
mod permits;
mod poison;
mod raw_lock;
mod reentrant_mutex;
mod rwlock;
mod semaphore;

pub use std::sync::Arc;
pub use std::sync::LockResult;
pub use std::sync::PoisonError;
pub use std::sync::TryLockError;
pub use std::sync::TryLockResult;
pub use std::sync::Weak;
pub use std::sync::atomic;

pub use crate::sync::async_result::AsyncResult;
pub use crate::sync::async_result::NeverSet;
pub use crate::sync::async_result::Setter;
pub use crate::sync::barrier::Barrier;
pub use crate::sync::barrier::BarrierWaitResult;
pub use crate::sync::condvar::Condvar;
pub use crate::sync::condvar::WaitTimeoutResult;
pub use crate::sync::event::Event;
pub use crate::sync::lazy_lock::LazyLock;
pub use crate::sync::mutex::Mutex;
pub use crate::sync::mutex::MutexGuard;
#[expect(deprecated)]
pub use crate::sync::once::ONCE_INIT;
pub use crate::sync::once::Once;
pub use crate::sync::once::OnceState;
pub use crate::sync::once_lock::OnceLock;
pub use crate::sync::reentrant_mutex::ReentrantMutex;
pub use crate::sync::reentrant_mutex::ReentrantMutexGuard;
pub use crate::sync::rwlock::RwLock;
pub use crate::sync::rwlock::RwLockReadGuard;
pub use crate::sync::rwlock::RwLockWriteGuard;
pub use crate::sync::semaphore::BoundedSemaphore;
pub use crate::sync::semaphore::OwnedSemaphorePermit;
pub use crate::sync::semaphore::Semaphore;
pub use crate::sync::semaphore::SemaphorePermit;
