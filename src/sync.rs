//! The mirror of [`std::sync`]: locks and channels for coroutines, and for threads without any.

pub use corovent_runtime::sync::Arc;
pub use corovent_runtime::sync::AsyncResult;
pub use corovent_runtime::sync::Barrier;
pub use corovent_runtime::sync::BarrierWaitResult;
pub use corovent_runtime::sync::BoundedSemaphore;
pub use corovent_runtime::sync::Condvar;
pub use corovent_runtime::sync::Event;
pub use corovent_runtime::sync::LazyLock;
pub use corovent_runtime::sync::LockResult;
pub use corovent_runtime::sync::Mutex;
pub use corovent_runtime::sync::MutexGuard;
pub use corovent_runtime::sync::NeverSet;
#[expect(deprecated)]
pub use corovent_runtime::sync::ONCE_INIT;
pub use corovent_runtime::sync::Once;
pub use corovent_runtime::sync::OnceLock;
pub use corovent_runtime::sync::OnceState;
pub use corovent_runtime::sync::OwnedSemaphorePermit;
pub use corovent_runtime::sync::PoisonError;
pub use corovent_runtime::sync::ReentrantMutex;
pub use corovent_runtime::sync::ReentrantMutexGuard;
pub use corovent_runtime::sync::RwLock;
pub use corovent_runtime::sync::RwLockReadGuard;
pub use corovent_runtime::sync::RwLockWriteGuard;
pub use corovent_runtime::sync::Semaphore;
pub use corovent_runtime::sync::SemaphorePermit;
pub use corovent_runtime::sync::Setter;
pub use corovent_runtime::sync::TryLockError;
pub use corovent_runtime::sync::TryLockResult;
pub use corovent_runtime::sync::WaitTimeoutResult;
pub use corovent_runtime::sync::Weak;
pub use corovent_runtime::sync::atomic;

pub mod mpsc {
    //! The mirror of [`std::sync::mpsc`]: channels with many senders and one receiver.
    //!
    //! The errors are std's own types.

    pub use corovent_runtime::sync::mpsc::IntoIter;
    pub use corovent_runtime::sync::mpsc::Iter;
    pub use corovent_runtime::sync::mpsc::Receiver;
    pub use corovent_runtime::sync::mpsc::RecvError;
    pub use corovent_runtime::sync::mpsc::RecvTimeoutError;
    pub use corovent_runtime::sync::mpsc::SendError;
    pub use corovent_runtime::sync::mpsc::Sender;
    pub use corovent_runtime::sync::mpsc::SyncSender;
    pub use corovent_runtime::sync::mpsc::TryIter;
    pub use corovent_runtime::sync::mpsc::TryRecvError;
    pub use corovent_runtime::sync::mpsc::TrySendError;
    pub use corovent_runtime::sync::mpsc::channel;
    pub use corovent_runtime::sync::mpsc::sync_channel;
}
