//! [guide]: crate::_documentation::guide
//! [gevent]: crate::_documentation::coming_from_gevent
//! [semantics]: crate::_documentation::semantics
//! [performance]: crate::_documentation::performance
//! [changelog]: crate::_documentation::changelog
// Of several definitions the first holds: these, and not the README's, which name files.
#![doc = ""]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod debug;
pub mod fs;
pub mod io;
pub mod local;
pub mod net;
pub mod os;
mod print;
pub mod process;
pub mod server;
pub mod signal;
pub mod sync;
pub mod task;
pub mod thread;
pub mod threadpool;
pub mod time;

pub use corovent_runtime::Abandoned;
pub use corovent_runtime::Builder;
pub use corovent_runtime::Deadlock;
pub use corovent_runtime::Elapsed;
pub use corovent_runtime::JoinHandle;
pub use corovent_runtime::Killed;
pub use corovent_runtime::Remote;
pub use corovent_runtime::Scope;
pub use corovent_runtime::ScopedJoinHandle;
pub use corovent_runtime::catch_unwind;
pub use corovent_runtime::coroutine_local;
/// The name by which code that says `std::thread_local!` finds [`coroutine_local!`].
///
/// `thread_local!` alone is std's in every module that does not import this one by name; after
/// `use corovent::*` the compiler asks which of the two is meant.
pub use corovent_runtime::coroutine_local as thread_local;
pub use corovent_runtime::current;
pub use corovent_runtime::is_coroutine;
pub use corovent_runtime::is_interrupt;
pub use corovent_runtime::remote;
pub use corovent_runtime::run;
pub use corovent_runtime::scope;
pub use corovent_runtime::shield;
pub use corovent_runtime::sleep;
pub use corovent_runtime::spawn;
pub use corovent_runtime::timeout;
pub use corovent_runtime::yield_now;

/// The written documentation: the pages of `docs/`, whose examples are compiled and run.
pub mod _documentation {
    /// The changelog.
    #[doc = include_str!("../CHANGELOG.md")]
    pub mod changelog {}
    /// The table of names for those who know gevent.
    #[doc = include_str!("../docs/coming_from_gevent.md")]
    pub mod coming_from_gevent {}
    /// The user's guide.
    #[doc = include_str!("../docs/guide.md")]
    pub mod guide {}
    /// How fast it is, and how to measure that.
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}
    /// What is promised, rule by rule.
    #[doc = include_str!("../docs/semantics.md")]
    pub mod semantics {}
}
