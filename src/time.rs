//! Waiting for a time, and limits on waiting.

pub use corovent_runtime::time::sleep;
pub use corovent_runtime::time::sleep_until;
pub use corovent_runtime::time::timeout;

pub use std::time::Duration;
pub use std::time::Instant;
