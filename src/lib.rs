//! [guide]: crate::_documentation::guide
//! [gevent]: crate::_documentation::coming_from_gevent
//! [semantics]: crate::_documentation::semantics
//! [performance]: crate::_documentation::performance
//! [changelog]: crate::_documentation::changelog
// Of several definitions the first holds: these, and not the README's, which name files.
#![doc = ""]
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod io;

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

/// The mirror of [`std::thread`]: a "thread" here is a coroutine.
pub mod thread {
    pub use corovent_runtime::Scope;
    pub use corovent_runtime::ScopedJoinHandle;
    pub use corovent_runtime::scope;
    pub use corovent_runtime::thread::Builder;
    pub use corovent_runtime::thread::JoinHandle;
    pub use corovent_runtime::thread::Result;
    pub use corovent_runtime::thread::Thread;
    pub use corovent_runtime::thread::ThreadId;
    pub use corovent_runtime::thread::available_parallelism;
    pub use corovent_runtime::thread::current;
    pub use corovent_runtime::thread::panicking;
    pub use corovent_runtime::thread::park;
    pub use corovent_runtime::thread::park_timeout;
    pub use corovent_runtime::thread::sleep;
    pub use corovent_runtime::thread::spawn;
    pub use corovent_runtime::thread::yield_now;
}

/// Waiting for a time, and limits on waiting.
pub mod time {
    pub use corovent_runtime::time::sleep;
    pub use corovent_runtime::time::sleep_until;
    pub use corovent_runtime::time::timeout;

    pub use std::time::Duration;
    pub use std::time::Instant;
}

/// The mirror of [`std::net`]: sockets that let other coroutines run where std's would stop
/// the thread.
///
/// In this release it has TCP. The addresses and errors are std's own types.
pub mod net {
    pub use corovent_net::AddrParseError;
    pub use corovent_net::Incoming;
    pub use corovent_net::IpAddr;
    pub use corovent_net::Ipv4Addr;
    pub use corovent_net::Ipv6Addr;
    pub use corovent_net::Shutdown;
    pub use corovent_net::SocketAddr;
    pub use corovent_net::SocketAddrV4;
    pub use corovent_net::SocketAddrV6;
    pub use corovent_net::TcpListener;
    pub use corovent_net::TcpStream;
    pub use corovent_net::ToSocketAddrs;
}

/// What belongs to one operating system, as in [`std::os`].
pub mod os {
    /// What belongs to Linux.
    pub mod linux {
        /// The mirror of [`std::os::linux::net`].
        pub mod net {
            pub use corovent_net::TcpStreamExt;
        }
    }
}

/// Work off the thread: calls that would stop the hub run on threads of a pool.
pub mod threadpool {
    pub use corovent_runtime::threadpool::blocking;
}

/// Signals of the operating system as ordinary wakeups.
pub mod signal {
    pub use corovent_runtime::signal::wait;
}

/// Looking inside: who waits for what, and what counts as a deadlock.
pub mod debug {
    pub use corovent_runtime::debug::Counters;
    pub use corovent_runtime::debug::Dump;
    pub use corovent_runtime::debug::Scope;
    pub use corovent_runtime::debug::TaskInfo;
    pub use corovent_runtime::debug::counters;
    pub use corovent_runtime::debug::deadlock;
    pub use corovent_runtime::debug::dump;
    pub use corovent_runtime::debug::print_all;
    pub use corovent_runtime::debug::unjoined_panics;
}

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
