//! The mirror of [`std::thread`]: a "thread" here is a coroutine.

pub use corovent_runtime::Scope;
pub use corovent_runtime::ScopedJoinHandle;
pub use corovent_runtime::scope;
pub use corovent_runtime::thread::AccessError;
pub use corovent_runtime::thread::Builder;
pub use corovent_runtime::thread::JoinHandle;
pub use corovent_runtime::thread::LocalKey;
pub use corovent_runtime::thread::Result;
pub use corovent_runtime::thread::Thread;
pub use corovent_runtime::thread::ThreadId;
pub use corovent_runtime::thread::available_parallelism;
pub use corovent_runtime::thread::current;
pub use corovent_runtime::thread::panicking;
pub use corovent_runtime::thread::park;
pub use corovent_runtime::thread::park_timeout;
#[allow(deprecated, reason = "std has them still")]
pub use corovent_runtime::thread::park_timeout_ms;
pub use corovent_runtime::thread::sleep;
#[allow(deprecated, reason = "std has them still")]
pub use corovent_runtime::thread::sleep_ms;
pub use corovent_runtime::thread::sleep_until;
pub use corovent_runtime::thread::spawn;
pub use corovent_runtime::thread::yield_now;
