//! What belongs to one operating system, as in [`std::os`].

/// What belongs to Linux.
pub mod linux {
    /// The mirror of [`std::os::linux::net`].
    pub mod net {
        pub use corovent_net::TcpStreamExt;
    }
}
