//! What belongs to one operating system, as in [`std::os`].

/// What belongs to Linux.
pub mod linux {
    /// The mirror of [`std::os::linux::fs`].
    pub mod fs {
        pub use std::os::linux::fs::MetadataExt;
    }

    /// The mirror of [`std::os::linux::net`].
    pub mod net {
        pub use corovent_net::TcpStreamExt;
    }
}

/// What belongs to Unix.
pub mod unix {
    /// The mirror of [`std::os::unix::fs`].
    pub mod fs {
        pub use corovent_runtime::fs::unix::DirBuilderExt;
        pub use corovent_runtime::fs::unix::DirEntryExt;
        pub use corovent_runtime::fs::unix::FileExt;
        pub use corovent_runtime::fs::unix::FileTypeExt;
        pub use corovent_runtime::fs::unix::MetadataExt;
        pub use corovent_runtime::fs::unix::OpenOptionsExt;
        pub use corovent_runtime::fs::unix::PermissionsExt;
        pub use corovent_runtime::fs::unix::chown;
        pub use corovent_runtime::fs::unix::chroot;
        pub use corovent_runtime::fs::unix::fchown;
        pub use corovent_runtime::fs::unix::lchown;
        pub use corovent_runtime::fs::unix::symlink;
    }
}
