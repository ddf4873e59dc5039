//! The mirror of [`std::sync`]: locks on which coroutines wait, and threads without any.

pub use corovent_runtime::sync::Arc;
pub use corovent_runtime::sync::Barrier;
pub use corovent_runtime::sync::BarrierWaitResult;
pub use corovent_runtime::sync::Condvar;
pub use corovent_runtime::sync::LazyLock;
pub use corovent_runtime::sync::LockResult;
pub use corovent_runtime::sync::Mutex;
pub use corovent_runtime::sync::MutexGuard;
#[expect(deprecated)]
pub use corovent_runtime::sync::ONCE_INIT;
pub use corovent_runtime::sync::Once;
pub use corovent_runtime::sync::OnceLock;
pub use corovent_runtime::sync::OnceState;
pub use corovent_runtime::sync::PoisonError;
pub use corovent_runtime::sync::RwLock;
pub use corovent_runtime::sync::RwLockReadGuard;
pub use corovent_runtime::sync::RwLockWriteGuard;
pub use corovent_runtime::sync::TryLockError;
pub use corovent_runtime::sync::TryLockResult;
pub use corovent_runtime::sync::WaitTimeoutResult;
pub use corovent_runtime::sync::Weak;
pub use corovent_runtime::sync::atomic;
