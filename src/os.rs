//! What belongs to one operating system, as in [`std::os`].

// Descriptors are std's own: nothing of them waits.
pub use std::os::fd;

/// What belongs to Linux.
pub mod linux {
    /// The mirror of [`std::os::linux::fs`].
    pub mod fs {
        pub use std::os::linux::fs::MetadataExt;
    }

    /// The mirror of [`std::os::linux::net`].
    ///
    /// Of `UnixSocketExt` the name is std's, where it is not stable.
    pub mod net {
        pub use corovent_net::os::linux::net::SocketAddrExt;
        pub use corovent_net::os::linux::net::TcpStreamExt;
        pub use corovent_net::os::linux::net::UnixSocketExt;
    }
}

/// What belongs to Unix.
pub mod unix {
    pub use std::os::unix::ffi;
    pub use std::os::unix::io;

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

    /// The mirror of [`std::os::unix::net`]: sockets between processes of one machine.
    ///
    /// Descriptors and credentials are sent along with bytes by `SocketAncillary`, whose
    /// name and shape are std's, where it is not stable.
    pub mod net {
        pub use corovent_net::os::unix::net::AncillaryData;
        pub use corovent_net::os::unix::net::AncillaryError;
        pub use corovent_net::os::unix::net::Incoming;
        pub use corovent_net::os::unix::net::Messages;
        pub use corovent_net::os::unix::net::ScmCredentials;
        pub use corovent_net::os::unix::net::ScmRights;
        pub use corovent_net::os::unix::net::SocketAddr;
        pub use corovent_net::os::unix::net::SocketAncillary;
        pub use corovent_net::os::unix::net::SocketCred;
        pub use corovent_net::os::unix::net::UnixDatagram;
        pub use corovent_net::os::unix::net::UnixListener;
        pub use corovent_net::os::unix::net::UnixStream;
    }

    /// The mirror of [`std::os::unix::prelude`]: the traits of the other modules.
    pub mod prelude {
        pub use corovent_runtime::fs::unix::DirEntryExt;
        pub use corovent_runtime::fs::unix::FileExt;
        pub use corovent_runtime::fs::unix::FileTypeExt;
        pub use corovent_runtime::fs::unix::MetadataExt;
        pub use corovent_runtime::fs::unix::OpenOptionsExt;
        pub use corovent_runtime::fs::unix::PermissionsExt;
        pub use corovent_runtime::process::CommandExt;
        pub use std::os::fd::AsFd;
        pub use std::os::fd::AsRawFd;
        pub use std::os::fd::BorrowedFd;
        pub use std::os::fd::FromRawFd;
        pub use std::os::fd::IntoRawFd;
        pub use std::os::fd::OwnedFd;
        pub use std::os::fd::RawFd;
        pub use std::os::unix::ffi::OsStrExt;
        pub use std::os::unix::ffi::OsStringExt;
        pub use std::os::unix::process::ExitStatusExt;
    }

    /// The mirror of [`std::os::unix::process`].
    pub mod process {
        pub use corovent_runtime::process::CommandExt;
        pub use std::os::unix::process::ExitStatusExt;
        pub use std::os::unix::process::parent_id;
    }
}
