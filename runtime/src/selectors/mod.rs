//! Waiting for one of many descriptors: [`Selector`], which keeps them registered, and [`poll`],
//! which is told them at each call.
//!
//! Both make an epoll instance and let the hub wait for that one: it knows a single
//! descriptor, however many are behind it. So they can be of any kind, ours, std's and those of
//! C code, and may be registered with the hub at the same time.

mod key;
mod poll;
mod selector;

pub use crate::selectors::key::Events;
pub use crate::selectors::key::Key;
pub use crate::selectors::poll::PollFd;
pub use crate::selectors::poll::PollFlags;
pub use crate::selectors::poll::poll;
pub use crate::selectors::selector::Selector;
