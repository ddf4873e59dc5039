//! Futures, where code blocks.

pub use corovent_runtime::block_on;
