//! The mirror of [`std::fs`]: what may touch a disk is done off the thread.

pub use corovent_runtime::fs::DirBuilder;
pub use corovent_runtime::fs::DirEntry;
pub use corovent_runtime::fs::File;
pub use corovent_runtime::fs::FileTimes;
pub use corovent_runtime::fs::FileType;
pub use corovent_runtime::fs::Metadata;
pub use corovent_runtime::fs::OpenOptions;
pub use corovent_runtime::fs::Permissions;
pub use corovent_runtime::fs::ReadDir;
pub use corovent_runtime::fs::TryLockError;
pub use corovent_runtime::fs::canonicalize;
pub use corovent_runtime::fs::copy;
pub use corovent_runtime::fs::create_dir;
pub use corovent_runtime::fs::create_dir_all;
pub use corovent_runtime::fs::exists;
pub use corovent_runtime::fs::hard_link;
pub use corovent_runtime::fs::metadata;
pub use corovent_runtime::fs::read;
pub use corovent_runtime::fs::read_dir;
pub use corovent_runtime::fs::read_link;
pub use corovent_runtime::fs::read_to_string;
pub use corovent_runtime::fs::remove_dir;
pub use corovent_runtime::fs::remove_dir_all;
pub use corovent_runtime::fs::remove_file;
pub use corovent_runtime::fs::rename;
pub use corovent_runtime::fs::set_permissions;
#[allow(deprecated)]
pub use corovent_runtime::fs::soft_link;
pub use corovent_runtime::fs::symlink_metadata;
pub use corovent_runtime::fs::write;
