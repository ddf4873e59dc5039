//! Many coroutines as one: groups, pools, closures mapped over an input, and waiting for several.

pub use corovent_runtime::group::AsCompleted;
pub use corovent_runtime::group::Full;
pub use corovent_runtime::group::Group;
pub use corovent_runtime::group::Imap;
pub use corovent_runtime::group::ImapUnordered;
pub use corovent_runtime::group::Joinable;
pub use corovent_runtime::group::Pool;
pub use corovent_runtime::group::Survivors;
pub use corovent_runtime::group::as_completed;
pub use corovent_runtime::group::imap;
pub use corovent_runtime::group::imap_unordered;
pub use corovent_runtime::group::join_all;
pub use corovent_runtime::group::join_all_timeout;
pub use corovent_runtime::group::kill_all;
pub use corovent_runtime::group::kill_all_timeout;
pub use corovent_runtime::group::map;
pub use corovent_runtime::group::try_join_all;
pub use corovent_runtime::group::wait_any;
pub use corovent_runtime::group::wait_any_timeout;
pub use corovent_runtime::group::wait_count;
pub use corovent_runtime::group::wait_count_timeout;
