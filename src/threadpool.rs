//! Work off the thread: calls that would stop the hub run on threads of a pool.

pub use corovent_runtime::threadpool::blocking;
