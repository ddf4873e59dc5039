//! Looking inside: who waits for what, and what counts as a deadlock.

pub use corovent_runtime::debug::Counters;
pub use corovent_runtime::debug::Dump;
pub use corovent_runtime::debug::Frame;
pub use corovent_runtime::debug::Scope;
pub use corovent_runtime::debug::Stall;
pub use corovent_runtime::debug::Stats;
pub use corovent_runtime::debug::TaskInfo;
pub use corovent_runtime::debug::counters;
pub use corovent_runtime::debug::deadlock;
pub use corovent_runtime::debug::dump;
pub use corovent_runtime::debug::dump_on_signal;
pub use corovent_runtime::debug::dump_with_backtraces;
pub use corovent_runtime::debug::no_wait;
pub use corovent_runtime::debug::on_stall;
pub use corovent_runtime::debug::print_all;
pub use corovent_runtime::debug::print_all_with_backtraces;
pub use corovent_runtime::debug::stats;
pub use corovent_runtime::debug::unjoined_panics;
pub use corovent_runtime::debug::watchdog;
