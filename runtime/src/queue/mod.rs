//! Queues that many put items into and many take them out of: gevent's `gevent.queue`.
//!
//! A queue is one object, shared by reference or in an `Arc`; the ends of its life are said by
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
//! others; but no put goes before one that waits for room. For one consumer and many producers
//! there is [`mpsc`](crate::sync::mpsc) as well, whose ends say by themselves that they are gone.
//!
//! Comparisons and clones of items are made outside of all locks: they may panic and wait.

#[macro_use]
mod methods;

mod channel;
mod core;
mod errors;
mod iter;
mod order;
mod out;
mod putting;
mod selecting;
mod shared;

pub mod branch;

pub use crate::queue::channel::Channel;
pub use crate::queue::errors::GetError;
pub use crate::queue::errors::GetTimeoutError;
pub use crate::queue::errors::PutError;
pub use crate::queue::errors::PutTimeoutError;
pub use crate::queue::errors::TryGetError;
pub use crate::queue::errors::TryPutError;
pub use crate::queue::iter::Iter;
pub use crate::queue::iter::TryIter;
pub use crate::queue::shared::JoinableQueue;
pub use crate::queue::shared::LifoQueue;
pub use crate::queue::shared::PriorityQueue;
pub use crate::queue::shared::Queue;
