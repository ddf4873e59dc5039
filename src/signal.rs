//! Signals of the operating system as ordinary wakeups.

pub use corovent_runtime::signal::wait;
