//! Work off the thread: calls that would stop the hub run on threads of a pool.
//!
//! There are lanes with threads of their own, so that slow name lookups, and opens that wait
//! for somebody else, do not hold up anything else; users have pools of their own. Threads are
//! started when there is work and none is idle, up to a limit, and end when they have been idle
//! for a while.

mod blocking;
mod builder;
mod desk;
mod flights;
mod forks;
mod handle;
mod holder;
mod job;
mod lane;
mod pool;

pub use crate::threadpool::blocking::blocking;
pub use crate::threadpool::blocking::call;
pub use crate::threadpool::builder::Builder;
pub use crate::threadpool::flights::Flights;
pub use crate::threadpool::handle::Cancelled;
pub use crate::threadpool::handle::JobHandle;
pub use crate::threadpool::handle::submit;
pub use crate::threadpool::pool::ThreadPool;
pub use crate::threadpool::pool::TrySubmitError;

pub(crate) use crate::threadpool::blocking::begin;
pub(crate) use crate::threadpool::blocking::complete;
pub(crate) use crate::threadpool::blocking::file_call;
pub(crate) use crate::threadpool::blocking::meet;
pub(crate) use crate::threadpool::lane::jobs;

#[cfg(test)]
#[cfg(not(miri))]
mod tests;
