//! Coroutine-local values: one for each coroutine, as thread-locals are for threads.
//!
//! gevent's name is `gevent.local`.

pub use corovent_runtime::coroutine_local;
pub use corovent_runtime::local::AccessError;
pub use corovent_runtime::local::LocalKey;
