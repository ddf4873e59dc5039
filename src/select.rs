//! Waiting for one of several things, whichever is there first.

pub use corovent_runtime::select::Selectable;
pub use corovent_runtime::select::select;
pub use corovent_runtime::select::select_timeout;
pub use corovent_runtime::select::try_select;
