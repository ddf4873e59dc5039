//! Queues that many put items into and many take them out of: gevent's `gevent.queue`.
//!
//! A queue is one object, shared by reference or in an `Arc`; the end of its life is said by
//! `close`. Coroutines of one hub or of several, and threads without a hub, may use it in every
//! combination.
//!
//! | type | which item is next | what it has besides |
//! | --- | --- | --- |
//! | [`Queue`] | the first that came | |
//! | [`LifoQueue`] | the last that came | |
//! | [`PriorityQueue`] | the smallest | |
//! | [`JoinableQueue`] | the first that came | `task_done`, `join` |
//! | [`Channel`] | | no room: a put waits until its item is taken |
//!
//! Those who wait are served in the order in which they came, on both sides. One who need not wait
//! does not: it may take an item that somebody was woken for, who then waits on in front of the
//! others; but no put goes before one that waits for room. To wait for several queues at once, or
//! for a queue and something else, there is [`select!`](crate::select!).

pub use corovent_runtime::queue::Channel;
pub use corovent_runtime::queue::GetError;
pub use corovent_runtime::queue::GetTimeoutError;
pub use corovent_runtime::queue::Iter;
pub use corovent_runtime::queue::JoinableQueue;
pub use corovent_runtime::queue::LifoQueue;
pub use corovent_runtime::queue::PriorityQueue;
pub use corovent_runtime::queue::PutError;
pub use corovent_runtime::queue::PutTimeoutError;
pub use corovent_runtime::queue::Queue;
pub use corovent_runtime::queue::TryGetError;
pub use corovent_runtime::queue::TryIter;
pub use corovent_runtime::queue::TryPutError;
