//! Green threads for Rust: std's blocking API on stackful coroutines and an epoll hub.
#![forbid(unsafe_code)]

pub use corovent_runtime::*;

/// The mirror of [`std::net`].
pub mod net {
    pub use corovent_net::*;
}
