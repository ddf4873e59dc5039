//! Work off the thread: calls that would stop the hub run on threads of a pool.

pub use corovent_runtime::threadpool::Builder;
pub use corovent_runtime::threadpool::Cancelled;
pub use corovent_runtime::threadpool::JobHandle;
pub use corovent_runtime::threadpool::ThreadPool;
pub use corovent_runtime::threadpool::TrySubmitError;
pub use corovent_runtime::threadpool::blocking;
pub use corovent_runtime::threadpool::submit;
