//! [guide]: crate::_documentation::guide
//! [gevent]: crate::_documentation::coming_from_gevent
//! [threads]: crate::_documentation::coming_from_threads
//! [tokio]: crate::_documentation::coming_from_tokio
//! [io_models]: crate::_documentation::io_models
//! [semantics]: crate::_documentation::semantics
//! [hazards]: crate::_documentation::hazards
//! [faults]: crate::_documentation::faults
//! [finding_faults]: crate::_documentation::finding_faults
//! [performance]: crate::_documentation::performance
//! [changelog]: crate::_documentation::changelog
// Of several definitions the first holds: these, and not the README's, which name files.
#![doc = ""]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod debug;
pub mod fs;
pub mod group;
pub mod io;
pub mod local;
pub mod net;
pub mod os;
mod print;
pub mod process;
pub mod queue;
pub mod select;
pub mod selectors;
pub mod server;
pub mod signal;
pub mod sync;
pub mod task;
pub mod testing;
pub mod thread;
pub mod threadpool;
pub mod time;

pub use corovent_runtime::Abandoned;
pub use corovent_runtime::Builder;
pub use corovent_runtime::Deadlock;
pub use corovent_runtime::Elapsed;
pub use corovent_runtime::ExitHook;
pub use corovent_runtime::JoinHandle;
pub use corovent_runtime::Killed;
pub use corovent_runtime::Outcome;
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
pub use corovent_runtime::spawn_after;
pub use corovent_runtime::timeout;
pub use corovent_runtime::yield_now;

/// The written documentation: the pages of `docs/`, whose examples are compiled and run.
pub mod _documentation {
    /// What must not be held across a wait.
    #[doc = include_str!("../docs/across_a_wait.md")]
    pub mod across_a_wait {}
    /// Files, processes, threads and the code of others.
    #[doc = include_str!("../docs/blocking_work.md")]
    pub mod blocking_work {}
    /// How coroutines are ended before their time.
    #[doc = include_str!("../docs/cancellation.md")]
    pub mod cancellation {}
    /// The changelog.
    #[doc = include_str!("../CHANGELOG.md")]
    pub mod changelog {}
    /// The table of names for those who know gevent.
    #[doc = include_str!("../docs/coming_from_gevent.md")]
    pub mod coming_from_gevent {}
    /// What is different for those who know threads.
    #[doc = include_str!("../docs/coming_from_threads.md")]
    pub mod coming_from_threads {}
    /// The table of names for those who know tokio.
    #[doc = include_str!("../docs/coming_from_tokio.md")]
    pub mod coming_from_tokio {}
    /// When the kernel refuses.
    #[doc = include_str!("../docs/faults.md")]
    pub mod faults {}
    /// When it hangs, and tests.
    #[doc = include_str!("../docs/finding_faults.md")]
    pub mod finding_faults {}
    /// The first steps.
    #[doc = include_str!("../docs/first_steps.md")]
    pub mod first_steps {}
    /// The user's guide.
    ///
    /// [first_steps]: crate::_documentation::first_steps
    /// [io_models]: crate::_documentation::io_models
    /// [threads]: crate::_documentation::coming_from_threads
    /// [tokio]: crate::_documentation::coming_from_tokio
    /// [cancellation]: crate::_documentation::cancellation
    /// [toolbox]: crate::_documentation::toolbox
    /// [across_a_wait]: crate::_documentation::across_a_wait
    /// [blocking_work]: crate::_documentation::blocking_work
    /// [finding_faults]: crate::_documentation::finding_faults
    /// [limits]: crate::_documentation::limits
    /// [gevent]: crate::_documentation::coming_from_gevent
    /// [semantics]: crate::_documentation::semantics
    #[doc = include_str!("../docs/guide.md")]
    pub mod guide {}
    /// The models of I/O, measured, and where coroutines stand.
    #[doc = include_str!("../docs/io_models.md")]
    pub mod io_models {}
    /// What can go wrong, what is done about it, and which tests would notice.
    ///
    /// [semantics]: crate::_documentation::semantics
    #[doc = include_str!("../docs/hazards.md")]
    pub mod hazards {}
    /// How far it goes.
    #[doc = include_str!("../docs/limits.md")]
    pub mod limits {}
    /// How fast it is, and how to measure that.
    ///
    /// [results]: https://github.com/corovent/corovent/blob/main/docs/performance/results.md
    /// [notes]: https://github.com/corovent/corovent/blob/main/docs/performance/notes.md
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}
    /// What is promised, rule by rule.
    #[doc = include_str!("../docs/semantics.md")]
    pub mod semantics {}
    /// Events, queues, groups, servers and signals.
    #[doc = include_str!("../docs/toolbox.md")]
    pub mod toolbox {}
}
